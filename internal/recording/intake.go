package recording

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
	"understudy/internal/rtsp"
	"understudy/internal/stream"
)

const (
	// yieldAfter is how long the camera must refuse the main stream beside the
	// second one until the second one's session may itself be what is in the way:
	// that of a server that died has expired by then.
	yieldAfter = ownSession
	// yieldFor is how long the second stream is then left for the main one.
	yieldFor = 2 * time.Second
	// standInEvery is how often it is noted how far the second stream stands in.
	standInEvery = 5 * time.Second
)

// intake is what comes of a camera: the stream that is wanted or, while the camera
// has no session left for that, its second one. Both are asked for then. The
// second one is left at the first key frame of the other, so that nothing is
// missing between the two.
type intake struct {
	camera *camera
	config rtsp.Config // of the stream that is wanted
	hub    *stream.Hub
	main   *rtsp.Source

	frames, bytes atomic.Uint64 // of second streams
	last          atomic.Int64  // when a frame of one came last, since made
	made          time.Time
	woken         chan struct{} // holds one token when there is something to look at
	asked         atomic.Bool   // for the second stream

	mu      sync.Mutex
	shown   *branch // whose samples go to the hub; nil before the first session
	standIn standIn // the second stream's last time there

	// Of run only.
	second *second
	spent  spent
	noted  time.Time // up to where it was noted that the second stream stands in
	told   time.Time // since when the second stream stands in, as was told; zero while it does not
}

// standIn is a time in which the second stream was taken, by the capture times of its frames.
type standIn struct{ from, to time.Time }

// second is the second stream while it is asked for.
type second struct {
	source *rtsp.Source
	branch *branch
	url    string
	began  time.Time
	stop   func() // and waits until its session has ended
}

// spent is what has been tried since the main stream came last.
type spent struct {
	yielded bool      // the second one was left for the main one
	until   time.Time // the second one is not asked for before
}

func newIntake(c *camera, config rtsp.Config) *intake {
	in := &intake{camera: c, config: config, hub: c.hub, made: time.Now(), woken: make(chan struct{}, 1)}
	in.main = rtsp.NewSource(config, &branch{in: in})
	return in
}

// branch is one stream of the camera on its way to the hub.
type branch struct {
	in     *intake
	second bool
	tracks []understudy.Track // of its session
}

// Tracks implements rtsp.Sink.
func (b *branch) Tracks(tracks []understudy.Track) {
	b.in.mu.Lock()
	defer b.in.mu.Unlock()
	b.tracks = tracks
	if b.in.shown == nil && !b.second {
		b.in.shown = b
	}
	if b.in.shown == b {
		b.in.hub.Tracks(tracks)
	}
}

// Sample implements rtsp.Sink. What is not shown is nobody's, and gone.
func (b *branch) Sample(s *understudy.Sample) {
	in := b.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.shown != b {
		if !isKey(s) || b.second && in.shown != nil && !in.shown.second && in.main.Fault() == "" {
			return
		}
		in.shown = b
		in.hub.Tracks(b.tracks)
		if b.second {
			in.standIn = standIn{from: s.At}
		}
		in.wake()
	}
	if b.second && s.Track == understudy.VideoTrack {
		in.standIn.to = s.At
		in.frames.Add(1)
		in.last.Store(int64(time.Since(in.made)))
	}
	if b.second {
		in.bytes.Add(uint64(len(s.Payload)))
	}
	in.hub.Sample(s)
}

func (in *intake) wake() {
	select {
	case in.woken <- struct{}{}:
	default:
	}
}

// run takes what comes until ctx ends.
func (in *intake) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { _ = in.main.Run(ctx) }) // ends only with ctx, and tells its faults itself
	defer func() { in.note(true) }()
	defer in.leave()
	for {
		var ended <-chan struct{}
		if in.second != nil {
			ended = in.second.source.Ended()
		}
		timer := time.NewTimer(in.patience(time.Now()))
		select {
		case <-ctx.Done():
		case <-in.main.Ended():
		case <-ended:
		case <-in.woken:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		in.look(ctx, time.Now())
	}
}

// patience is until when nothing is to be done unless something happens.
func (in *intake) patience(now time.Time) time.Duration {
	switch {
	case in.second != nil:
		return standInEvery
	case in.spent.until.After(now):
		return in.spent.until.Sub(now)
	}
	return time.Hour
}

// look asks for the second stream, or leaves it. A camera that refuses both counts
// all sessions together: the next that comes free is to be the main stream's.
func (in *intake) look(ctx context.Context, now time.Time) {
	want, comes := in.camera.want.Load(), in.mainComes()
	if comes || want.second == "" {
		in.spent = spent{}
	}
	switch {
	case in.second == nil && want.second != "" && in.crowded() && !now.Before(in.spent.until):
		in.ask(ctx, want.second, now)
	case in.second == nil:
	case comes || in.second.url != want.second:
		in.leave()
	case in.second.refused():
		in.leave()
		in.spent.until = now.Add(yieldAfter)
	case in.crowded() && !in.spent.yielded && want.sessions < 2 && now.Sub(in.second.began) >= yieldAfter:
		in.leave()
		in.spent = spent{yielded: true, until: now.Add(yieldFor)}
		in.main.Hasten()
	}
	in.tell(comes, want.second != "")
}

// ask begins to ask for the second stream.
func (in *intake) ask(ctx context.Context, url string, now time.Time) {
	config := in.config
	config.URL = url
	b := &branch{in: in, second: true}
	s := &second{source: rtsp.NewSource(config, b), branch: b, url: url, began: now}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.source.Run(ctx)
	}()
	s.stop = func() { cancel(); <-done }
	in.second = s
	in.asked.Store(true)
}

// refused reports whether the camera has no session left for the second stream either.
func (s *second) refused() bool {
	return s.source.Crowded() || s.source.Frames() == 0 && s.source.Declined()
}

// leave ends the session with the second stream, if there is one.
func (in *intake) leave() {
	left := in.second
	if left == nil {
		return
	}
	left.stop()
	in.second = nil
	in.asked.Store(false)
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.shown == left.branch {
		in.shown = nil
	}
}

// crowded reports whether the camera answers, and has no session left for the stream that is wanted.
func (in *intake) crowded() bool {
	return in.main.Crowded() || in.camera.want.Load().sessions == 1 && in.main.Declined()
}

// refused reports whether the camera has no session left for any stream that may be taken.
func (in *intake) refused() bool { return in.crowded() && !in.asked.Load() }

// mainComes reports whether the stream that is wanted is what is taken.
func (in *intake) mainComes() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.shown != nil && !in.shown.second && in.main.Fault() == ""
}

// standsIn reports whether the second stream is what is taken.
func (in *intake) standsIn() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.shown != nil && in.shown.second
}

// tell reports that the second stream stands in, and that the main one is back.
func (in *intake) tell(comes, may bool) {
	c, stands := in.camera, in.standsIn()
	in.note(!stands)
	switch {
	case stands && in.told.IsZero():
		in.told = in.stood().from
		c.report("camera %s has no session left for its main stream: its second stream is taken until it has one", c.id)
	case comes && !in.told.IsZero():
		c.report("camera %s gives its main stream again: its second one stood in for %s", c.id, in.stood().to.Sub(in.told).Round(100*time.Millisecond))
		in.told = time.Time{}
	case !may:
		in.told = time.Time{}
	}
}

func (in *intake) stood() standIn {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.standIn
}

// note writes down beside the footage how long the second stream stands in: now
// and then, so that it is known also if this process ends, and when it is over.
func (in *intake) note(over bool) {
	s := in.stood()
	if news := s.to.Sub(in.noted); s.from.IsZero() || news <= 0 || news < standInEvery && in.noted.After(s.from) && !over {
		return
	}
	in.noted = s.to
	if in.camera.want.Load().record {
		in.camera.gaps.stoodIn(s)
	}
}

// Frames returns how many video frames were taken since the camera was made.
func (in *intake) Frames() uint64 { return in.main.Frames() + in.frames.Load() }

// Bytes returns how many bytes of samples were taken since the camera was made.
func (in *intake) Bytes() uint64 { return in.main.Bytes() + in.bytes.Load() }

// Last returns when the last video frame came; zero before the first.
func (in *intake) Last() time.Time {
	last := in.main.Last()
	if second := in.last.Load(); second != 0 && in.made.Add(time.Duration(second)).After(last) {
		return in.made.Add(time.Duration(second))
	}
	return last
}

// Fault says in one sentence why nothing comes, or only the second stream; empty
// while the one comes that is wanted.
func (in *intake) Fault() string {
	why := in.main.Fault()
	if why != "" && in.standsIn() {
		return fmt.Sprintf("%s; its second stream stands in", why)
	}
	return why
}
