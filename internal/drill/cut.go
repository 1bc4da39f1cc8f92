package drill

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"understudy"
	"understudy/internal/site"
)

const (
	cutRecord = 15 * time.Second // that the standby records more, so that there is something to cut
	cutMerge  = 20 * time.Second // that the merge would take without a cut
	// cutLoss bounds what a cut may cost: what three sessions had under way and
	// home had not read yet, at the rate of the drill, and new handshakes.
	cutLoss = 768 << 10
)

// kill is a time in which home was dead once more.
type kill struct{ from, to time.Time }

// layLine puts a line that can be cut between the failover server and home.
func (r *rehearsal) layLine(ctx context.Context) error {
	line, err := openRelay(ctx, r.site.Layout.Recording[0].Addresses.Merge)
	if err != nil {
		return err
	}
	r.line = line
	return r.put(ctx, r.site.Layout.Recording[0].Merge)
}

// put changes how footage comes home.
func (r *rehearsal) put(ctx context.Context, policy understudy.MergePolicy) error {
	server := r.site.Layout.Recording[0]
	server.Addresses.Merge, server.Merge = r.line.address(), policy
	_, err := r.site.Client.PutRecordingServer(ctx, server)
	return err
}

// recordMore lets the standby record on, and slows the merge down so that it can be cut.
func (r *rehearsal) recordMore(ctx context.Context) error {
	if err := pause(ctx, cutRecord); err != nil {
		return err
	}
	left, err := r.left(ctx)
	if err != nil {
		return err
	}
	for _, s := range left {
		r.toMerge += s.Size
	}
	return r.put(ctx, understudy.MergePolicy{Grace: grace, BytesPerSecond: max(r.toMerge/int64(cutMerge.Seconds()), 50_000)})
}

// cutMerge cuts the line and kills both ends, each time after the merge has moved on.
func (r *rehearsal) cutMerge(ctx context.Context) error {
	if err := r.transferIsTold(ctx); err != nil {
		return err
	}
	for _, act := range []func(context.Context) error{
		r.cutLine, r.exportDuring, r.cutLine, r.killStandby, r.cutLine, r.killHome, r.cutLine, r.killBoth, r.cutLine, r.killStandby,
	} {
		if err := r.mergeMoves(ctx); err != nil {
			return err
		}
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// transferIsTold waits until the state of both ends tells how far the transfer is.
func (r *rehearsal) transferIsTold(ctx context.Context) error {
	return wait(ctx, patience, "both servers to tell of the transfer", func(ctx context.Context) bool {
		status, err := r.site.Client.Status(ctx)
		if err != nil {
			return false
		}
		told := 0
		for _, s := range status {
			if s.State == nil {
				continue
			}
			for _, t := range s.State.Transfers {
				if t.From == standby && t.To == home && t.SegmentsLeft > 0 && t.BytesLeft > 0 {
					told++
				}
			}
		}
		return told == 2
	})
}

// mergeMoves waits until a good part of the merge has gone over the line since it was last asked.
func (r *rehearsal) mergeMoves(ctx context.Context) error {
	before, part := r.line.bytes.Load(), r.toMerge/20
	return wait(ctx, patience, "footage to go on going home", func(ctx context.Context) bool {
		r.noteLeft(ctx)
		return r.line.bytes.Load() >= before+part
	})
}

// exportDuring takes the failed-over time of every camera while half of it is on its way.
func (r *rehearsal) exportDuring(ctx context.Context) error {
	r.options.Say("exporting what is on its way home")
	r.during = map[understudy.CameraID][]frame{}
	for _, camera := range r.own() {
		frames, _, err := r.exportRange(ctx, camera.ID, r.from, r.cured, filepath.Join(r.exports, string(camera.ID)+"-during.mp4"))
		if err != nil {
			return fmt.Errorf("camera %s could not be exported during the merge: %w", camera.ID, err)
		}
		r.during[camera.ID] = frames
	}
	return nil
}

// compareExports takes the same time of every camera again, now that all is home.
func (r *rehearsal) compareExports(ctx context.Context, dir string) error {
	for _, camera := range r.own() {
		during, ok := r.during[camera.ID]
		if !ok {
			continue
		}
		after, _, err := r.exportRange(ctx, camera.ID, r.from, r.cured, filepath.Join(dir, string(camera.ID)+"-after.mp4"))
		if err != nil {
			return err
		}
		same := func(a, b frame) bool { return a.Hash == b.Hash && a.Number == b.Number }
		if len(during) == 0 || !slices.EqualFunc(during, after, same) {
			return understudy.Errorf(understudy.CodeInternal, "the export of camera %s during the merge has %d frames, and the same one after it has %d, or others", camera.ID, len(during), len(after))
		}
	}
	return nil
}

func (r *rehearsal) cutLine(context.Context) error {
	r.cuts++
	r.options.Say(fmt.Sprintf("cutting %d connections", r.line.cut()))
	return nil
}

func (r *rehearsal) killStandby(ctx context.Context) error {
	r.options.Say("killing " + string(standby))
	r.kills++
	return r.restart(ctx, standby)
}

func (r *rehearsal) killHome(ctx context.Context) error { return r.killHomeAnd(ctx) }
func (r *rehearsal) killBoth(ctx context.Context) error { return r.killHomeAnd(ctx, standby) }

// killHomeAnd kills home and others, and waits until home records again.
func (r *rehearsal) killHomeAnd(ctx context.Context, others ...understudy.ServerID) error {
	r.options.Say(fmt.Sprintf("killing %s %v", home, others))
	r.kills += 1 + len(others)
	k := kill{from: time.Now()}
	for _, server := range append(others, home) {
		if err := r.restart(ctx, server); err != nil {
			return err
		}
	}
	restarted := time.Now()
	err := wait(ctx, patience, string(home)+" to record every camera again", func(ctx context.Context) bool {
		now, err := r.site.Client.Site(ctx)
		if err != nil || len(now.Holders()[home]) != len(r.own()) {
			return false
		}
		for _, camera := range r.own() {
			segments, err := r.segments(ctx, home, camera.ID)
			if err != nil || !recordedSince(segments, restarted) {
				return false
			}
		}
		return true
	})
	k.to = time.Now()
	r.killed = append(r.killed, k)
	return err
}

func recordedSince(segments []understudy.Segment, since time.Time) bool {
	for _, s := range segments {
		if s.ID.Holder == home && s.Start.After(since) && s.End.Sub(s.Start) > time.Second {
			return true
		}
	}
	return false
}

func (r *rehearsal) restart(ctx context.Context, server understudy.ServerID) error {
	if err := r.site.Do(site.FaultKill, string(server)); err != nil {
		return err
	}
	process, _ := r.site.Process(string(server))
	if err := wait(ctx, patience, string(server)+" to end", func(context.Context) bool { return !process.Running() }); err != nil {
		return err
	}
	return r.site.Do(site.CureStart, string(server))
}

// lostInKills returns the frames of an account that were lost because home was killed once more.
func (r *rehearsal) lostInKills(a account) (frames int) {
	for _, k := range r.killed {
		// A killed process loses what it had not written, half a second; clocks differ a little.
		lost, _ := a.lostBetween(k.from.Add(-2*time.Second), k.to)
		frames += lost
	}
	return frames
}
