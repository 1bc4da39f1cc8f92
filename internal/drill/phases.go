package drill

import (
	"context"
	"fmt"
	"slices"
	"time"

	"understudy"
	"understudy/internal/site"
)

// lookEvery is how often it is looked whether a phase is over.
const lookEvery = 20 * time.Millisecond

// begin watches every camera and waits until each has two GOPs on home's disk.
func (r *rehearsal) begin(watching context.Context) func(context.Context) error {
	return func(ctx context.Context) error {
		log, stop := listenTo(r.site.Client)
		r.log = log
		context.AfterFunc(watching, stop)
		for _, camera := range r.own() {
			r.watchers = append(r.watchers, watch(watching, r.site.Client, camera.ID))
			if len(r.options.Real) > 0 {
				r.truths[camera.ID] = observe(watching, camera, r.site.Layout.Passwords[camera.ID])
			}
		}
		err := wait(ctx, patience, "every camera to be durable on "+string(home)+" and watched", func(ctx context.Context) bool {
			for _, w := range r.watchers {
				if _, ok := w.sawFrom(home); !ok {
					return false
				}
				if r.footage(ctx, home, w.camera) < 2*r.options.GOP {
					return false
				}
			}
			return true
		})
		if err != nil {
			return err
		}
		r.from = time.Now().Add(-2 * r.options.GOP)
		// The fault shall find a site that has been quiet for a while.
		return pause(ctx, 2*time.Second)
	}
}

// strike makes the fault.
func (r *rehearsal) strike(context.Context) error {
	now, _ := r.site.Client.Current()
	r.before = leases(now, r.own())
	for _, w := range r.watchers {
		w.reset()
	}
	if process, ok := r.site.Process(string(standby)); ok {
		r.memory, _ = site.Resident(process.PID()) // the drill measures failover, and passes without this figure
	}
	r.fault = time.Now()
	return r.site.Do(r.options.Fault, string(home))
}

// sick returns the cameras that home does not record because of the fault.
func (r *rehearsal) sick() (cameras []understudy.CameraID) {
	if r.options.Fault == site.FaultCameras {
		return r.site.Half(home)
	}
	for _, c := range r.own() {
		cameras = append(cameras, c.ID)
	}
	return cameras
}

// awaitTakeover waits until the failover server has every sick camera durable,
// all their clients see it, and two more GOPs were recorded.
func (r *rehearsal) awaitTakeover(ctx context.Context) error {
	sick := r.sick()
	err := wait(ctx, patience, "the first durable sample of each camera on "+string(standby), func(ctx context.Context) bool {
		for _, w := range r.watchers {
			// Who asks for hundreds of cameras all the time measures the asking: a
			// camera is looked for once a client sees it. Since when it was durable
			// the standby tells, to a tenth of a second, and this is the proof of it.
			_, seen := w.sawFrom(standby)
			seen = seen || r.options.Fault == site.FaultCameras // recorded long before any client is moved
			if _, ok := r.durable[w.camera]; !ok && seen && slices.Contains(sick, w.camera) && r.footage(ctx, standby, w.camera) > 0 {
				r.durable[w.camera] = time.Now()
			}
		}
		return len(r.durable) == len(sick)
	})
	if err != nil {
		return err
	}
	err = wait(ctx, patience, "every client to see a picture from "+string(standby), func(context.Context) bool {
		for _, w := range r.watchers {
			if _, ok := w.sawFrom(standby); !ok && slices.Contains(sick, w.camera) {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	return pause(ctx, 2*r.options.GOP+2*time.Second)
}

// cure brings the recording server back.
func (r *rehearsal) cure(ctx context.Context) error {
	r.cured = time.Now()
	switch r.options.Fault {
	case site.FaultHang:
		return r.site.Do(site.CureResume, string(home))
	case site.FaultDisk:
		return r.site.Do(site.CureDisk, string(home))
	case site.FaultCameras:
		return r.site.Do(site.CureCameras, string(home))
	}
	process, _ := r.site.Process(string(home))
	if err := wait(ctx, patience, string(home)+" to end", func(context.Context) bool { return !process.Running() }); err != nil {
		return err
	}
	r.cured = time.Now()
	return r.site.Do(site.CureStart, string(home))
}

// awaitFailback waits until home holds every lease again.
func (r *rehearsal) awaitFailback(ctx context.Context) error {
	err := wait(ctx, patience, "every lease to be back at "+string(home), func(ctx context.Context) bool {
		now, err := r.site.Client.Site(ctx)
		return err == nil && len(now.Holders()[home]) == len(r.own())
	})
	r.failback = time.Now()
	return err
}

func leases(now understudy.Site, cameras []understudy.Camera) map[understudy.CameraID]understudy.Lease {
	all := map[understudy.CameraID]understudy.Lease{}
	for _, c := range cameras {
		all[c.ID], _ = now.Lease(c.ID)
	}
	return all
}

// moved returns the cameras whose lease has been elsewhere since the fault: an
// epoch tells, which grows with each change of holder.
func (r *rehearsal) moved(ctx context.Context) ([]understudy.CameraID, error) {
	now, err := r.site.Client.Site(ctx)
	if err != nil {
		return nil, err
	}
	var moved []understudy.CameraID
	for camera, lease := range leases(now, r.own()) {
		if lease.Epoch != r.before[camera].Epoch {
			moved = append(moved, camera)
		}
	}
	slices.Sort(moved)
	return moved, nil
}

// awaitMerge waits until nothing is left on the failover server, and noted
// before what was there.
func (r *rehearsal) awaitMerge(ctx context.Context) error {
	err := wait(ctx, mergeTime, "the failover server to be empty", func(ctx context.Context) bool {
		left, ok := r.noteLeft(ctx)
		return ok && left == 0
	})
	r.emptied = time.Now()
	if err != nil {
		return err
	}
	// The end of the export shall be durable at home, and decodable.
	return pause(ctx, r.options.GOP+2*time.Second)
}

// noteLeft notes what lies on the failover server; not ok when it does not answer.
func (r *rehearsal) noteLeft(ctx context.Context) (segments int, ok bool) {
	left, err := r.left(ctx)
	if err != nil {
		return 0, false
	}
	for _, s := range left {
		r.merged[s.ID] = max(r.merged[s.ID], s.Size)
	}
	return len(left), true
}

// left returns the segments that lie on the failover server.
func (r *rehearsal) left(ctx context.Context) ([]understudy.Segment, error) {
	var left []understudy.Segment
	for _, camera := range r.own() {
		segments, err := r.segments(ctx, standby, camera.ID)
		if err != nil {
			return nil, err
		}
		left = append(left, segments...)
	}
	return left, nil
}

// segments asks one server for its footage of a camera, all of this drill.
func (r *rehearsal) segments(ctx context.Context, server understudy.ServerID, camera understudy.CameraID) ([]understudy.Segment, error) {
	return r.site.Client.Segments(ctx, server, camera, time.Now().Add(-24*time.Hour), time.Now().Add(time.Hour), false)
}

// footage returns how much of a camera one server has durably; 0 when it does not answer.
func (r *rehearsal) footage(ctx context.Context, server understudy.ServerID, camera understudy.CameraID) time.Duration {
	segments, err := r.segments(ctx, server, camera)
	if err != nil {
		return 0
	}
	var length time.Duration
	for _, s := range segments {
		length += s.End.Sub(s.Start)
	}
	return length
}

func wait(ctx context.Context, limit time.Duration, what string, done func(context.Context) bool) error {
	return waitEvery(ctx, lookEvery, limit, what, done)
}

func waitEvery(ctx context.Context, every, limit time.Duration, what string, done func(context.Context) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, understudy.Errorf(understudy.CodeUnavailable, "%s did not come within %s", what, limit))
	defer cancel()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for !done(ctx) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w", what, context.Cause(ctx))
		case <-ticker.C:
		}
	}
	return nil
}

func pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
