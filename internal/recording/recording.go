// Package recording is the recording server: it makes what runs equal an
// assignment, one recorder a camera, serves live and recorded video (7563),
// answers state polls from progress (11000) and receives footage that comes
// home (5210). A failover server embeds the same Server with an assignment that
// comes from leases; a recording server at home is driven by a Home.
package recording

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/merge"
	"understudy/internal/poll"
	"understudy/internal/rtsp"
	"understudy/internal/storage"
	"understudy/internal/usage"
)

// Config is what a Server is made of.
type Config struct {
	ID   understudy.ServerID
	Role understudy.Role
	// Node proves who this server is and verifies who asks.
	Node *identity.Node
	// Boot names this process (State.Boot); empty: one is made.
	Boot string
	// Store is run by the server and closed by whoever opened it, after Run has returned.
	Store *storage.Store
	// The listeners of the three ports, which Run closes. A failover server has no Merge.
	Media, State, Merge net.Listener
	// PlainMedia also serves the media port without TLS.
	PlainMedia bool
	// Elsewhere returns what the other servers of a site hold, which it is told;
	// nil: this server shows only what lies on it.
	Elsewhere func(site func() (understudy.Site, bool)) understudy.RecordingService
	// Heard is when a management server was last heard; nil: there is none to be missed.
	Heard func() time.Time
	// Report is told what people should know. It must not wait. Nil tells nobody.
	Report func(understudy.Report)
	// Uses has who played and exported what, for the audit; nil notes nothing. Whoever opened it runs and closes it.
	Uses *usage.Book
	Log  *slog.Logger // nil is silent
}

// Server records and serves what it is assigned.
type Server struct {
	config   Config
	log      *slog.Logger
	boot     string
	started  time.Time
	dials    *rtsp.Dials
	pump     *rtsp.Pump
	payloads *rtsp.Payloads

	elsewhere understudy.RecordingService // nil: nobody is asked

	mu         sync.Mutex // never held while a disk or a camera is waited for
	assignment understudy.Assignment
	ctx        context.Context // of Run; nil while it does not run
	recorders  sync.WaitGroup  // the cameras

	cameras atomic.Pointer[[]*camera] // that run, by id; replaced, never changed
	site    atomic.Pointer[understudy.Site]
	homes   atomic.Pointer[map[understudy.CameraID]understudy.Camera] // of the assignment
	leaving atomic.Pointer[string]
	short   atomic.Pointer[[]understudy.CameraID]
	epoch   atomic.Uint64 // the highest ever seen
	cutOff  atomic.Uint64 // viewers that took nothing
	cover   coverage
	homed   sync.Once // the store knows where cameras belong

	expected  expected
	admitted  admitted
	arrivals  merge.Receiver // footage that comes home
	played    watched
	transfers atomic.Pointer[func() []understudy.Transfer] // of footage that leaves
	sightings atomic.Pointer[func() []understudy.Sighting]
	memory    memory
	events    events
}

// New returns a server that records nothing yet. Apply and SetSite may be called before Run.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Heard == nil {
		c.Heard = time.Now
	}
	if c.Report == nil {
		c.Report = func(understudy.Report) {}
	}
	if c.Boot == "" {
		c.Boot = rand.Text()
	}
	s := &Server{config: c, log: c.Log, boot: c.Boot, started: time.Now(), dials: rtsp.NewDials(), pump: rtsp.NewPump(), payloads: rtsp.NewPayloads(), cover: coverage{seen: map[understudy.ServerID]covering{}},
		events: events{cameras: map[understudy.CameraID]*occasions{}}}
	s.cameras.Store(&[]*camera{})
	s.homes.Store(&map[understudy.CameraID]understudy.Camera{})
	s.arrivals = merge.Receiver{Self: c.ID, Sink: homeward{c.Store, s}, Report: c.Report, Watched: s.Watched}
	if c.Elsewhere != nil {
		s.elsewhere = c.Elsewhere(func() (understudy.Site, bool) {
			if site := s.site.Load(); site != nil {
				return *site, true
			}
			return understudy.Site{}, false
		})
	}
	c.Store.SetKeep(s.keep)
	c.Store.SetLimits(s.limits)
	c.Store.SetProtect(s.protected)
	return s
}

// Run records and serves until ctx ends. It returns when everything it started
// has returned, what was received has been written and synced included.
func (s *Server) Run(ctx context.Context) error {
	// The store outlives the recorders, which close their segments at the end.
	storeCtx, stopStore := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStore()
	var store errgroup.Group
	store.Go(func() error { return s.config.Store.Run(storeCtx) })
	store.Go(func() error { _ = s.pump.Run(storeCtx); return nil }) // cameras are read until they are left

	g, ctx := errgroup.WithContext(ctx)
	s.begin(ctx)
	g.Go(func() error { return s.serveMedia(ctx) })
	g.Go(func() error { return poll.Serve(ctx, s.config.State, s.config.Node.PeerTLS(), s.answer) })
	g.Go(func() error { return s.watch(ctx) })
	g.Go(func() error { return s.keepRules(ctx) })
	if s.config.Merge != nil {
		g.Go(func() error { return s.serveMerge(ctx) })
	}
	err := g.Wait()
	s.end()
	stopStore()
	if storeErr := store.Wait(); err == nil {
		err = storeErr
	}
	return err
}

func (s *Server) begin(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx = ctx
	s.reconcile()
}

func (s *Server) end() {
	s.mu.Lock()
	s.ctx = nil
	s.mu.Unlock()
	s.recorders.Wait()
}

// Apply makes what runs equal to a. Cameras that are the same go on untouched;
// one whose epoch alone has changed begins another segment at its next key
// frame, in the same session.
func (s *Server) Apply(a understudy.Assignment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assignment = a
	s.short.Store(&a.Short)
	homes := make(map[understudy.CameraID]understudy.Camera, len(a.Cameras))
	for _, c := range a.Cameras {
		homes[c.Camera.ID] = c.Camera
		if !c.Provisional { // a provisional one was granted to nobody
			s.saw(c.Epoch)
		}
	}
	s.homes.Store(&homes)
	if s.config.Role == understudy.RoleRecording {
		s.knowHomes() // its own cameras are all that it knows of, and all that it needs to
	}
	if s.ctx != nil && s.ctx.Err() == nil {
		s.reconcile()
	}
}

// reconcile starts and stops cameras; s.mu is held.
func (s *Server) reconcile() {
	before := map[understudy.CameraID]*camera{}
	for _, c := range *s.cameras.Load() {
		before[c.id] = c
	}
	after := make([]*camera, 0, len(s.assignment.Cameras))
	for _, wanted := range s.assignment.Cameras {
		id := wanted.Camera.ID
		old := before[id]
		if old != nil && old.settings == settingsOf(wanted) {
			delete(before, id)
			old.change(wantOf(wanted))
			after = append(after, old)
			continue
		}
		after = append(after, s.begins(wanted, old, "the camera's settings were changed, and it was connected to anew", 0))
	}
	for _, old := range before {
		old.cancel()
	}
	slices.SortFunc(after, func(a, b *camera) int { return strings.Compare(string(a.id), string(b.id)) })
	s.cameras.Store(&after)
	s.expected.changed()
	for _, c := range after {
		s.noteOccasions(c)
	}
}

// SetSite tells who is there and who serves what, for redirects and for where
// footage belongs. Recording does not depend on it.
func (s *Server) SetSite(site understudy.Site) {
	for _, l := range site.Leases {
		s.saw(l.Epoch)
	}
	s.site.Store(&site)
	s.admitted.recall(site)
	s.expected.changed()
	if site.Seq > 0 {
		s.setLocks(site.Locks)
	}
	if site.Seq > 0 { // an empty site knows of no camera, and what is nobody's may be deleted
		s.knowHomes()
	}
}

// knowHomes lets the store begin to tell its own footage from others'. Only a
// failover server sends footage home. What a recording server recorded of a
// camera that has moved to another home since stays, and ages, where it is.
func (s *Server) knowHomes() {
	home := s.home
	if s.config.Role == understudy.RoleRecording {
		home = func(understudy.CameraID) understudy.ServerID { return s.config.ID }
	}
	s.homed.Do(func() { s.config.Store.SetHome(home) })
}

func (s *Server) saw(epoch uint64) {
	for {
		highest := s.epoch.Load()
		if epoch <= highest || s.epoch.CompareAndSwap(highest, epoch) {
			return
		}
	}
}

// home returns the recording server that a camera belongs to; empty when nobody
// knows the camera any more. The site knows better than an assignment that may be a cached one.
func (s *Server) home(id understudy.CameraID) understudy.ServerID {
	if c, ok := s.settings(id); ok {
		return c.Home
	}
	return ""
}

// keep returns how old recordings of a camera may get.
func (s *Server) keep(id understudy.CameraID) time.Duration {
	c, _ := s.settings(id)
	if c.Rule.Mode == understudy.RecordEvents && c.Rule.KeepEvents > 0 {
		return c.Rule.KeepEvents // all of it is of events
	}
	return c.KeepFor
}

// limits is what bounds a camera's footage besides its age. A server that stands
// in archives nothing: what it has goes home.
func (s *Server) limits(id understudy.CameraID) storage.Limits {
	c, _ := s.settings(id)
	l := storage.Limits{Bytes: c.Rule.KeepBytes, Priority: c.Priority}
	if c.Home == s.config.ID {
		l.ArchiveAfter = c.Rule.ArchiveAfter
	}
	return l
}

func (s *Server) settings(id understudy.CameraID) (understudy.Camera, bool) {
	if site := s.site.Load(); site != nil {
		if c, ok := site.Camera(id); ok {
			return c, true
		}
	}
	c, ok := (*s.homes.Load())[id]
	return c, ok
}

// ShowTransfers adds what transfers returns to the state; it must not wait.
func (s *Server) ShowTransfers(transfers func() []understudy.Transfer) { s.transfers.Store(&transfers) }

// ShowSightings adds what sightings returns to the state; it must not wait.
func (s *Server) ShowSightings(sightings func() []understudy.Sighting) { s.sightings.Store(&sightings) }

// Assignment returns what was applied last.
func (s *Server) Assignment() understudy.Assignment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.assignment
}

// Covered names the cameras of which samples were made durable since they were
// applied, or, of those that wait for an event, are in memory, by id; and those
// that are mirrored, when all that their own server may lose is in memory.
func (s *Server) Covered() []understudy.CameraID {
	var covered []understudy.CameraID
	for _, c := range *s.cameras.Load() {
		if c.covered() {
			covered = append(covered, c.id)
		}
	}
	return covered
}

// Recorded returns since when the newest durable sample of a camera is durable;
// zero while none is that came since the camera was applied.
func (s *Server) Recorded(id understudy.CameraID) time.Time {
	if c, ok := s.find(id); ok && c.progress.covered(c.mark()) {
		return s.config.Store.Reached(id)
	}
	return time.Time{}
}

// Passed tells how far the server that records a mirrored camera has come with it:
// what is durable there need not be kept here. It does not wait.
func (s *Server) Passed(id understudy.CameraID, mark understudy.Watermark) {
	if c, ok := s.find(id); ok {
		c.mirror.Tell(mark, time.Now())
	}
}

// Crowded names the cameras that refuse this server a session because they have
// none left, by id.
func (s *Server) Crowded() []understudy.CameraID {
	var crowded []understudy.CameraID
	for _, c := range *s.cameras.Load() {
		if c.intake.crowded() {
			crowded = append(crowded, c.id)
		}
	}
	return crowded
}

// find returns a camera that runs here.
func (s *Server) find(id understudy.CameraID) (*camera, bool) {
	cameras := *s.cameras.Load()
	i, ok := slices.BinarySearchFunc(cameras, id, func(c *camera, id understudy.CameraID) int { return strings.Compare(string(c.id), string(id)) })
	if !ok {
		return nil, false
	}
	return cameras[i], true
}

// coverage is what other servers said that they record of this one's cameras, or cannot.
type coverage struct {
	mu   sync.Mutex
	seen map[understudy.ServerID]covering
}

type covering struct {
	at      time.Time
	cameras map[understudy.CameraID]bool
	crowded map[understudy.CameraID]bool // that have no session left for it
}

// fresh is how old a standby's word may be. It polls four times a second.
const fresh = 2 * time.Second

func (c *coverage) heard(observer understudy.ServerID, p understudy.Poll, now time.Time) {
	told := covering{at: now, cameras: setOf(p.Covered), crowded: setOf(p.Crowded)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[observer] = told
	maps.DeleteFunc(c.seen, func(_ understudy.ServerID, old covering) bool { return now.Sub(old.at) > fresh })
}

func setOf(cameras []understudy.CameraID) map[understudy.CameraID]bool {
	set := make(map[understudy.CameraID]bool, len(cameras))
	for _, id := range cameras {
		set[id] = true
	}
	return set
}

// of returns whether anybody watches, and which cameras somebody covers.
func (c *coverage) of(now time.Time) (watched bool, covered map[understudy.CameraID]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	covered = map[understudy.CameraID]bool{}
	for _, one := range c.seen {
		if now.Sub(one.at) <= fresh {
			watched = true
			maps.Copy(covered, one.cameras)
		}
	}
	return watched, covered
}
