package recording

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
	"understudy/internal/rtsp"
	"understudy/internal/storage"
	"understudy/internal/stream"
)

const (
	// recorderQueue is what waits in memory for one camera while the store makes a
	// new segment. Beyond it whole GOPs are lost, of this camera only.
	recorderQueue = 32 << 20
	// recorderBatch is how long the recorder lets samples come before it takes
	// them: being woken for each costs more than all else that it does. It
	// adds to what a killed process loses.
	recorderBatch = 400 * time.Millisecond
	// closePatience bounds how long a recorder waits for the disk at its end.
	closePatience = 10 * time.Second
)

// settings are what a session with a camera depends on.
type settings struct {
	url       string
	transport understudy.Transport
	username  string
	password  understudy.Secret
}

func settingsOf(a understudy.AssignedCamera) settings {
	s := settings{url: a.URL(), transport: a.Camera.Transport, username: a.Credentials.Username, password: a.Credentials.Password}
	if s.username == "" {
		s.username = a.Camera.Username
	}
	return s
}

// want is what may change without a new session.
type want struct {
	epoch       uint64
	provisional bool // the epoch was not granted
	record      bool
	stream      understudy.StreamKind
	mirror      bool                // another server records it
	of          understudy.ServerID // that one, usually: its home
	rule        understudy.RecordingRule
	sessions    int    // that the camera is known to allow at a time; 0: it is not known
	second      string // address of the stream that may stand in; empty: none may
}

// camera is one camera as it runs: what comes of it, its hub, and the recorder that reads the hub.
type camera struct {
	id       understudy.CameraID
	settings settings
	store    *storage.Store
	log      *slog.Logger
	hub      *stream.Hub
	intake   *intake
	progress progress
	rate     rate
	gaps     *gapNotes
	want     atomic.Pointer[want]
	fault    atomic.Pointer[string] // of the recorder; nil while it can write

	occasions *occasions  // outlives the camera
	noted     atomic.Bool // the events that were told before it ran
	preroll   preroll
	spill     spill
	mirror    Mirror
	carried   atomic.Bool   // a takeover from a ring that had all
	runs      atomic.Uint64 // sessions that were recorded
	report    func(format string, args ...any)

	cancel func()
	after  <-chan struct{} // closed when the predecessor has left the camera; nil if there is none
	rest   time.Duration   // that the camera is then left to another server
	silent chan struct{}   // closed when this one has
}

func wantOf(a understudy.AssignedCamera) *want {
	w := &want{epoch: a.Epoch, provisional: a.Provisional, record: a.Record && !a.Mirror, stream: a.Stream,
		mirror: a.Mirror, of: a.Camera.Home, rule: a.Camera.Rule, sessions: a.Camera.Sessions}
	if !a.Mirror && a.Camera.Sub != a.URL() {
		w.second = a.Camera.Sub
	}
	return w
}

func (s *Server) newCamera(a understudy.AssignedCamera) *camera {
	c := &camera{
		id: a.Camera.ID, settings: settingsOf(a), store: s.config.Store, log: s.log.With("camera", a.Camera.ID),
		hub: stream.NewHub(), silent: make(chan struct{}),
		occasions: s.occasionsOf(a.Camera.ID), preroll: preroll{ring: ring{memory: &s.memory}},
	}
	c.report = func(format string, args ...any) { s.report(c.id, format, args...) }
	c.want.Store(wantOf(a))
	c.intake = newIntake(c, rtsp.Config{
		URL: c.settings.url, Transport: c.settings.transport, Agent: "understudy/" + string(s.config.ID),
		Username: c.settings.username, Password: c.settings.password, Dials: s.dials, Pump: s.pump, Payloads: s.payloads, Log: c.log,
	})
	c.progress.begin(time.Now(), c.mark(), time.Time{})
	c.gaps = s.gapNotes(a, c.mark().At)
	return c
}

// change takes in another want of the same session.
func (c *camera) change(next *want) {
	before := c.want.Load()
	if *before == *next {
		return
	}
	switch {
	case before.mirror && next.record: // a takeover
		c.carried.Store(c.mirror.Complete())
		c.progress.begin(time.Now(), c.mark(), c.preroll.reached())
		c.gaps.standIn(time.Now())
	case next.mirror && !before.mirror:
		c.carried.Store(false)
		c.noted.Store(false)
		c.gaps.excused()
	}
	c.want.Store(next)
	if c.intake.crowded() && (next.epoch != before.epoch || before.provisional && !next.provisional) {
		c.intake.main.Hasten() // it was granted: who has the camera's session gives it up now
	}
	c.intake.wake()
	c.occasions.poke()
}

// covered reports whether what the camera sends is recorded here, or waits in
// memory for an event; or, while another server records it, whether all that one may lose does.
// After a takeover what was in memory counts while frames come: of a camera that sends nobody any it proves nothing.
func (c *camera) covered() bool {
	if c.want.Load().mirror {
		return c.mirror.Complete()
	}
	return c.carried.Load() && c.receiving() || c.progress.covered(c.mark()) || c.waits()
}

// receiving reports whether frames come.
func (c *camera) receiving() bool { return recent(time.Now(), c.intake.Last(), receivingFor) }

// run pulls and records until ctx ends.
func (c *camera) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() {
		defer close(c.silent)
		defer c.hub.Close() // the recorder and the viewers get what is left, and then its end
		if c.after != nil {
			<-c.after
		}
		pause(ctx, c.rest)
		c.intake.run(ctx)
	})
	all.Go(func() {
		r := recorder{camera: c}
		r.run()
	})
	all.Wait()
}

func (c *camera) mark() understudy.Watermark { return c.store.Watermark(c.id) }

// setFault keeps the sentence for the state port and logs it when it is new.
func (c *camera) setFault(err error) {
	if err == nil {
		if c.fault.Swap(nil) != nil {
			c.log.Info("the camera is recorded again")
		}
		return
	}
	sentence := err.Error()
	if old := c.fault.Swap(&sentence); old == nil || *old != sentence {
		c.log.Error("the camera is not recorded", "error", err)
	}
}
