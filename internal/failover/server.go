package failover

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
	"understudy/internal/merge"
	"understudy/internal/vault"
)

// Recorder is the recording server inside a failover server: *recording.Server.
type Recorder interface {
	// Run serves and records until ctx ends.
	Run(ctx context.Context) error
	// Apply makes what runs equal to a.
	Apply(a understudy.Assignment)
	SetSite(s understudy.Site)
	// Covered names the cameras with durable samples since they were applied.
	Covered() []understudy.CameraID
	// Recorded is since when the newest durable sample of a camera is; zero while none is since it was applied.
	Recorded(camera understudy.CameraID) time.Time
	// State is the recorder's progress, as the state port tells it.
	State() understudy.State
	// Watched is the footage that was played from here in the last seconds.
	Watched() []merge.Watched
	// ShowTransfers adds what transfers returns to the state; it must not wait.
	ShowTransfers(transfers func() []understudy.Transfer)
	// ShowSightings adds what sightings returns to the state; it must not wait.
	ShowSightings(sightings func() []understudy.Sighting)
	// Busy names the cameras of which an event is being recorded.
	Busy() []understudy.CameraID
	// Buffers reports whether a sample waits in memory for an event of its camera.
	Buffers(camera understudy.CameraID, hash understudy.SampleHash) bool
	// Passed tells how far the server that records a mirrored camera has come with it. It does not wait.
	Passed(camera understudy.CameraID, mark understudy.Watermark)
	// Expect names the servers of which a camera may have to be served here any moment. It does not wait.
	Expect(servers []understudy.ServerID)
	// Crowded names the cameras that have no session left for this server.
	Crowded() []understudy.CameraID
	// Trigger takes an event, of a camera that is recorded here or may be. It does not wait.
	Trigger(t understudy.Trigger) error
}

// Management is the site as a failover server needs it: *client.Client.
type Management interface {
	understudy.LeaseService
	understudy.AssignmentService
	understudy.BundleService
	// Run follows the service channel until ctx ends.
	Run(ctx context.Context) error
	// Subscribe calls f with the site as it is and after each update, until stop is called. f must not wait.
	Subscribe(f func(understudy.Site, understudy.Update)) (stop func())
	// Events is the log, for what was told while this server was away.
	Events(ctx context.Context, q understudy.EventQuery) ([]understudy.Event, error)
}

// Conn is one connection to a server's state port: *poll.Conn.
type Conn interface {
	Poll(ctx context.Context, p understudy.Poll) (understudy.State, error)
	// Broken is closed when the connection has ended, whoever ended it.
	Broken() <-chan struct{}
	Close() error
}

// Footage is what lies on the failover server's disk: *storage.Store.
type Footage interface {
	merge.Source
	Segments(ctx context.Context, camera understudy.CameraID, from, to time.Time, marks bool) ([]understudy.Segment, error)
	// Foreign returns the closed segments that belong to another server, oldest first.
	Foreign() []understudy.Segment
	// ForeignNotes returns the durable notes of cameras that belong to another server.
	ForeignNotes() []understudy.Note
	// State never waits for the disk.
	State() understudy.StorageState
	// Prepare makes ready for cameras that may have to be recorded in one moment. It waits for the disk.
	Prepare(cameras []understudy.CameraID) error
}

// Node is who this server is, and what keeps its secrets: *identity.Node.
type Node interface {
	ID() understudy.ServerID
	// ClientTLS connects to that server and to no other.
	ClientTLS(server understudy.ServerID) *tls.Config
	vault.Vault
	// BundleKey is the key that bundles for this server are sealed to.
	BundleKey() []byte
	// VerifyBundle reports whether a bundle was made for this server by the authority.
	VerifyBundle(b understudy.Bundle) error
	OpenBundle(b understudy.Bundle) ([]byte, error)
}

// Config is what a failover server is made of.
type Config struct {
	Node       Node
	Recorder   Recorder
	Management Management
	Store      Footage
	// DialState connects to a server's state port; nil does it with Node's certificate.
	DialState func(ctx context.Context, server understudy.ServerID, address string) (Conn, error)
	// DialMerge connects to a home's merge port; nil does it with Node's certificate.
	DialMerge func(ctx context.Context, home understudy.ServerID, address string) (net.Conn, error)
	// Report is told what belongs into the event log, and must not wait; nil is told nothing.
	Report func(r understudy.Report)
	// RankDelay is how long a server waits for each one before it in rank; 0 is 2 s.
	RankDelay time.Duration
	// Preflights is told what would be in the way of a takeover; nil proves nothing.
	Preflights understudy.PreflightService
	// PreflightEvery is how often; 0 is each 10 minutes.
	PreflightEvery time.Duration
	// Reach asks whether anybody answers at a camera's address, and takes no session
	// of it; nil does it over RTSP.
	Reach func(ctx context.Context, c understudy.Camera) error
	// Probe asks a camera whether it would send, and takes no session of it; nil does it over RTSP.
	Probe func(ctx context.Context, c understudy.AssignedCamera) error
	Log   *slog.Logger
}

// Server is a failover server: it watches, repeats the wants of Step on the
// recorder and the management server, and sends footage home.
type Server struct {
	config   Config
	self     understudy.ServerID
	log      *slog.Logger
	seen     chan Observation
	missed   atomic.Bool   // the channel began anew: events may have been told meanwhile
	fetch    chan struct{} // duties are to be fetched now
	proofs   chan []Proof  // the newest list of what is to be proven
	keeps    chan kept     // the newest of what is to be kept
	bundles  bundles
	children sync.WaitGroup

	snapshots    chan chan State // of whoever wants to look at the decision's state
	reconfigured chan struct{}   // whom this server may have to play may have changed

	begun time.Time
	// What the loop alone touches.
	state    State
	suspends time.Duration // of the whole machine, which the monotonic clock does not count
	wall     time.Time     // of the last step
	applied  []understudy.AssignedCamera
	short    []understudy.CameraID                        // that were applied with it
	passed   map[understudy.CameraID]understudy.Watermark // as it was told
	applies  uint64
	pollers  map[understudy.ServerID]*poller
	verifies map[understudy.ServerID]bool
	called   int // the last round of calls
	claims   map[understudy.ServerID]*claimRun
	sends    map[understudy.ServerID]*sending
	marks    marks
	firsts   firsts
	kept     kept

	transfers atomic.Pointer[[]understudy.Transfer] // as of the last look
	sightings atomic.Pointer[sightings]
}

const (
	tick         = 100 * time.Millisecond
	rankDelay    = 2 * time.Second
	foreignEvery = time.Second
	recentEvents = 200           // that are read after an absence
	longOver     = 2 * time.Hour // more than the longest time before and after an event
	toldMax      = 1000          // events that wait for the recorder; of more the oldest are lost
)

// New makes a failover server; Run runs it.
func New(c Config) *Server {
	if c.RankDelay == 0 {
		c.RankDelay = rankDelay
	}
	if c.Report == nil {
		c.Report = func(understudy.Report) {}
	}
	if c.DialState == nil {
		c.DialState = dialState(c.Node)
	}
	if c.DialMerge == nil {
		c.DialMerge = dialMerge(c.Node)
	}
	if c.Reach == nil {
		c.Reach = reach
	}
	if c.Probe == nil {
		c.Probe = probe
	}
	if c.PreflightEvery == 0 {
		c.PreflightEvery = preflightEvery
	}
	self := c.Node.ID()
	s := &Server{
		config: c, self: self, log: c.Log,
		seen: make(chan Observation, 64), fetch: make(chan struct{}, 1),
		proofs: make(chan []Proof, 1), keeps: make(chan kept, 1),
		snapshots: make(chan chan State), reconfigured: make(chan struct{}, 1),
		state:    NewState(self, rand.Text()[:12], c.RankDelay),
		pollers:  map[understudy.ServerID]*poller{},
		verifies: map[understudy.ServerID]bool{},
		claims:   map[understudy.ServerID]*claimRun{},
		sends:    map[understudy.ServerID]*sending{},
		marks:    marks{},
		firsts:   firsts{told: map[understudy.CameraID]uint64{}, waiting: map[understudy.ServerID][]understudy.Milestone{}, promised: map[understudy.CameraID]time.Time{}},
		bundles:  bundles{changed: make(chan struct{}, 1)},
	}
	s.transfers.Store(&[]understudy.Transfer{})
	c.Recorder.ShowSightings(s.seenNow)
	c.Recorder.ShowTransfers(func() []understudy.Transfer { return *s.transfers.Load() })
	return s
}

// Run records and serves what the leases and the state of the watched servers
// demand, until ctx ends or the recorder fails, and returns when all it started
// has returned. What it knew when it last stopped is played again before
// anybody is asked.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.begun = time.Now()
	s.wall = s.begun.Round(0)
	s.start(func() {
		if err := s.config.Recorder.Run(ctx); err != nil {
			cancel(err)
		}
	})
	s.start(func() {
		if err := s.config.Management.Run(ctx); err != nil && ctx.Err() == nil {
			cancel(err)
		}
	})
	s.restore(ctx)
	s.start(func() { s.fetchDuties(ctx) })
	s.start(func() { s.prove(ctx) })
	s.start(func() { s.keep(ctx) })
	s.start(func() { s.keepBundles(ctx) })
	if s.config.Preflights != nil {
		s.start(func() { s.preflight(ctx) })
	}
	stop := s.config.Management.Subscribe(s.follow(ctx))
	s.loop(ctx)
	stop()
	s.children.Wait()
	select {
	case last := <-s.keeps:
		s.seal(last, nil)
	default:
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// start runs f as a part of Run.
func (s *Server) start(f func()) { s.children.Go(f) }

// follow makes observations of what the service channel tells. A subscriber must
// not wait, so that the newest site and status wait here instead.
func (s *Server) follow(ctx context.Context) func(understudy.Site, understudy.Update) {
	var mu sync.Mutex
	var site *understudy.Site
	var status []understudy.ServerStatus
	var told []understudy.Trigger
	wake := make(chan struct{}, 1)
	s.start(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-wake:
			}
			mu.Lock()
			newSite, newStatus, newTold := site, status, told
			site, status, told = nil, nil, nil
			mu.Unlock()
			reached := true
			s.observe(ctx, Observation{Reached: &reached})
			if newSite != nil {
				s.config.Recorder.SetSite(*newSite)
				s.observe(ctx, Observation{Site: newSite})
				signal(s.fetch)
			}
			s.take(ctx, newTold)
			if newStatus != nil {
				s.observe(ctx, Observation{Status: newStatus})
			}
		}
	})
	return func(now understudy.Site, u understudy.Update) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case u.Status != nil:
			status = u.Status
		case u.Event != nil && u.Event.Kind == understudy.EventTrigger: // the site stays as it is
			told = append(told, u.Event.Triggers()...)
			told = told[max(0, len(told)-toldMax):]
		default:
			site = &now
			if u.Site != nil {
				s.missed.Store(true)
			}
		}
		signal(wake)
	}
}

// signal wakes whoever waits on c, now or next.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// observe hands an observation to the loop.
func (s *Server) observe(ctx context.Context, o Observation) {
	select {
	case s.seen <- o:
	case <-ctx.Done():
	}
}

// elapsed is the time of observations.
func (s *Server) elapsed() time.Duration { return time.Since(s.begun) }

func (s *Server) loop(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var foreign []understudy.ServerID
	var looked time.Time
	for {
		var o Observation
		select {
		case <-ctx.Done():
			return
		case o = <-s.seen:
		case reply := <-s.snapshots:
			reply <- s.state.clone()
			continue
		case <-ticker.C:
			if looked.IsZero() || time.Since(looked) >= foreignEvery {
				foreign, looked = s.foreignHomes(), time.Now()
				s.look(foreign)
				own := s.config.Recorder.State()
				s.step(ctx, Observation{Load: &own})
			}
			covered := s.config.Recorder.Covered()
			s.notice(covered, time.Now())
			o.Own = &Own{Covered: covered, Busy: s.config.Recorder.Busy(), Crowded: s.config.Recorder.Crowded(), Foreign: foreign, Writable: s.config.Store.State().Writable}
		}
		s.step(ctx, o)
	}
}

// step is one observation and what follows from it.
func (s *Server) step(ctx context.Context, o Observation) {
	// A suspended machine's monotonic clock stands still, its wall clock does
	// not; a wall clock that was set only makes suspicions start over.
	wall := time.Now().Round(0)
	o.At = s.elapsed() + s.suspends
	if asleep := wall.Sub(s.wall) - (o.At - s.state.at); s.state.at > 0 && asleep > pauseMax {
		s.suspends += asleep
		o.At += asleep
	}
	s.wall, o.Wall = wall, wall
	shift(&o, s.suspends)
	if o.Duties != nil {
		s.kept.Duties = *o.Duties
		signal(s.reconfigured)
	}
	if o.Site != nil {
		s.kept.Site = *o.Site
	}
	changed := o.Duties != nil || o.Site != nil || o.Claimed != nil
	want := s.state.Advance(o)
	s.sightings.Store(&sightings{s.state.Sightings(), time.Now()})
	for _, said := range want.Said {
		s.tell(said)
	}
	changed = s.record(want) || changed
	s.pass(want.Passed)
	s.config.Recorder.Expect(want.Expect)
	s.watch(ctx, want)
	s.call(ctx, want.Call)
	s.claim(ctx, want.Claims)
	s.open(ctx, want.Open)
	s.sendHome(ctx, want.SendHome)
	replace(s.proofs, want.Prove)
	if changed {
		s.kept.Record, s.kept.Site.Leases = want.Record, s.state.Leases()
		replace(s.keeps, s.kept)
	}
}

// shift moves the times that observers took by what the machine slept.
func shift(o *Observation, by time.Duration) {
	if o.Answer != nil {
		o.Answer.Began += by
	}
	if o.Failure != nil {
		o.Failure.Began += by
	}
}

// replace puts v in c instead of what waits there.
func replace[T any](c chan T, v T) {
	select {
	case <-c:
	default:
	}
	select {
	case c <- v:
	default:
	}
}

func (s *Server) tell(said Said) {
	level := slog.LevelInfo
	if said.Public || said.Kind == understudy.EventTakeover {
		level = slog.LevelWarn
	}
	s.log.LogAttrs(context.Background(), level, said.Sentence, slog.String("about", string(said.Server)))
	if !said.Public {
		return
	}
	said.Milestones = s.dated(said.Milestones)
	s.config.Report(said.Report)
}

// record makes the recorder's assignment equal to what is wanted, and says whether it was not.
func (s *Server) record(want Want) bool {
	cameras := want.Record
	if len(want.Mirror) > 0 {
		cameras = slices.Concat(want.Record, want.Mirror)
		slices.SortFunc(cameras, func(a, b understudy.AssignedCamera) int {
			return strings.Compare(string(a.Camera.ID), string(b.Camera.ID))
		})
	}
	if slices.Equal(cameras, s.applied) && slices.Equal(want.Short, s.short) {
		return false
	}
	s.applied, s.short = cameras, want.Short
	s.applies++
	s.config.Recorder.Apply(understudy.Assignment{Server: s.self, Seq: s.applies, Cameras: cameras, Short: want.Short})
	return true
}

// pass tells the recorder how far the others have come with what is mirrored here.
func (s *Server) pass(passed map[understudy.CameraID]understudy.Watermark) {
	for camera, mark := range passed {
		if mark != s.passed[camera] {
			s.config.Recorder.Passed(camera, mark)
		}
	}
	s.passed = passed
}

// fetchDuties asks whom this server may have to play, and for what it plays
// already: when the site has changed, when somebody fell silent (the answer
// shows that it is not this end), and now and then.
func (s *Server) fetchDuties(ctx context.Context) {
	const usually, again = 30 * time.Second, time.Second
	for ctx.Err() == nil {
		err := s.fetchOnce(ctx)
		reached := err == nil || understudy.CodeOf(err) != understudy.CodeUnavailable
		s.observe(ctx, Observation{Reached: &reached})
		pause := usually
		if err == nil {
			s.fetchBundles(ctx)
		}
		switch {
		case !reached:
			pause = again
		case err != nil:
			s.log.WarnContext(ctx, "the management server does not tell this server its duties", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
		case <-s.fetch:
		case <-time.After(pause):
		}
	}
}

func (s *Server) fetchOnce(ctx context.Context) error {
	const patience = 1500 * time.Millisecond
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	duties, err := s.config.Management.Duties(asking, s.self)
	if err != nil {
		return late(asking, err)
	}
	s.observe(ctx, Observation{Duties: &duties})
	held, err := s.config.Management.Assignment(asking, s.self)
	if err != nil {
		return late(asking, err)
	}
	if len(held.Cameras) > 0 {
		s.observe(ctx, Observation{Material: held.Cameras})
	}
	if s.missed.Swap(false) {
		s.catchUp(asking)
	}
	return nil
}

// catchUp reads which events were told while the channel was away.
func (s *Server) catchUp(ctx context.Context) {
	past, err := s.config.Management.Events(ctx, understudy.EventQuery{Kind: understudy.EventTrigger, Limit: recentEvents})
	if err != nil {
		s.missed.Store(true)
		return
	}
	for _, e := range past {
		s.take(ctx, e.Triggers())
	}
}

// take tells the recorder of events, those excepted that are long over.
func (s *Server) take(ctx context.Context, told []understudy.Trigger) {
	for _, t := range told {
		if time.Since(t.Until) > longOver {
			continue
		}
		if err := s.config.Recorder.Trigger(t); err != nil {
			s.log.InfoContext(ctx, "an event was not taken", slog.String("event", t.ID), slog.Any("error", err))
		}
	}
}

// late makes an error of a call that took too long one of a server that cannot be reached.
func late(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the management server did not answer in time: %w", err)
	}
	return err
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
