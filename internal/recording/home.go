package recording

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/vault"
)

const (
	decideEvery     = 250 * time.Millisecond
	askPatience     = 5 * time.Second // for one answer of a management server
	minAskPause     = 500 * time.Millisecond
	maxAskPause     = 10 * time.Second
	minRefusedPause = 2 * time.Second
	maxRefusedPause = time.Minute
	// Names of what a node keeps, sealed.
	assignmentFile = "assignment"
	historyFile    = "history"
	locksFile      = "locks"
	// recentEvents is how many of the last events at cameras are read after an absence.
	recentEvents = 500
	// noteFor is how long after its end an event still gets its mark.
	noteFor = 24 * time.Hour
)

// Management is the management server as a recording server needs it: a client.Client.
type Management interface {
	understudy.AssignmentService
	understudy.LeaseService
	understudy.Feed
	// Events is the log, for what was told while this server was away.
	Events(ctx context.Context, q understudy.EventQuery) ([]understudy.Event, error)
}

// HomeConfig is what a Home is made of.
type HomeConfig struct {
	Server     *Server
	Vault      vault.Vault
	Management Management
	// HoldDown is how long cameras must be recorded here before they are taken back.
	HoldDown time.Duration
	Log      *slog.Logger // nil is silent
}

// Home drives the Server of a recording server: it records what it was assigned
// last without asking anyone, follows the site, and takes its cameras back when
// it records them again.
type Home struct {
	config  HomeConfig
	id      understudy.ServerID
	log     *slog.Logger
	refetch chan struct{} // holds one token when the assignment may have changed
	reread  chan struct{} // and one when events may have been told that were not heard

	mu      sync.Mutex
	site    understudy.Site
	known   bool // site is
	planned bool // this start follows a planned stop, and not every camera is here yet
	history history
	locks   []understudy.Lock // as they are kept; of the goroutine that follows

	moved    map[understudy.CameraID]time.Time // to another home: recorded here until then
	movedFor time.Duration
}

// history is what a recording server remembers across its own restarts.
type history struct {
	// Planned: the last stop was on purpose.
	Planned bool `json:"planned"`
	// Failbacks of the last hour, oldest first.
	Failbacks []time.Time `json:"failbacks,omitempty"`
	// Starts of the last hour that no stop was planned before, oldest first.
	Starts []time.Time `json:"starts,omitempty"`
}

// NewHome returns a Home that has not begun.
func NewHome(c HomeConfig) *Home {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Home{config: c, id: c.Server.config.ID, log: c.Log, refetch: make(chan struct{}, 1), reread: make(chan struct{}, 1),
		moved: map[understudy.CameraID]time.Time{}, movedFor: movedFor}
}

// Run runs the Server too, until ctx ends.
func (h *Home) Run(ctx context.Context) error {
	h.recall()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.config.Server.Run(ctx) })
	g.Go(func() error { return h.follow(ctx) })
	g.Go(func() error { return h.fetch(ctx) })
	g.Go(func() error { return h.catchUp(ctx) })
	g.Go(func() error { return h.claim(ctx) })
	return g.Wait()
}

// Leave is Server.Leave, remembered: after a planned stop there is no hold-down.
func (h *Home) Leave(ctx context.Context, reason string) {
	h.config.Server.Leave(ctx, reason)
	h.remember(func(past *history) { past.Planned = true })
}

// recall applies what was assigned last; what is locked is known before that.
func (h *Home) recall() {
	var locks []understudy.Lock
	switch err := h.open(locksFile, &locks); {
	case err == nil:
		h.config.Server.setLocks(locks)
	case understudy.CodeOf(err) != understudy.CodeNotFound:
		h.config.Server.spareAll()
	}
	h.locks = locks
	var a understudy.Assignment
	if h.open(assignmentFile, &a) == nil {
		if a.Server == h.id {
			h.config.Server.Apply(a)
			h.log.Info("recording begins with the assignment that was kept here", "cameras", len(a.Cameras), "seq", a.Seq)
		} else {
			h.log.Error("the assignment that was kept here is another server's and is not used", "server", a.Server)
		}
	}
	var past history
	planned := h.open(historyFile, &past) == nil && past.Planned
	if planned {
		// This start is the one that was planned; a crash of it is not.
		past.Planned = false
	} else {
		now := time.Now()
		past.Starts = append(slices.DeleteFunc(past.Starts, func(at time.Time) bool { return now.Sub(at) >= flapWindow }), now)
	}
	h.seal(historyFile, past)
	h.mu.Lock()
	h.planned, h.history = planned, past
	h.mu.Unlock()
}

// open is CodeNotFound when there is no such file yet.
func (h *Home) open(name string, v any) error {
	plain, err := h.config.Vault.OpenFile(name)
	if err == nil {
		err = json.Unmarshal(plain, v)
	}
	if err != nil && understudy.CodeOf(err) != understudy.CodeNotFound {
		h.log.Error("what was kept here could not be read; the management server is asked instead", "file", name, "error", err)
	}
	return err
}

// seal reports whether the file is kept.
func (h *Home) seal(name string, v any) bool {
	plain, err := json.Marshal(v)
	if err == nil {
		err = h.config.Vault.SealFile(name, plain)
	}
	if err != nil {
		h.log.Error("a file could not be kept; after a restart an older one counts", "file", name, "error", err)
	}
	return err == nil
}

// remember changes the history and keeps it.
func (h *Home) remember(change func(*history)) {
	h.mu.Lock()
	change(&h.history)
	past := h.history
	h.mu.Unlock()
	h.seal(historyFile, past)
}

// follow keeps the site current across lost connections.
func (h *Home) follow(ctx context.Context) error {
	var cursor understudy.Cursor
	wait := minAskPause
	for ctx.Err() == nil {
		err := h.config.Management.Follow(ctx, cursor, func(u understudy.Update) error {
			wait = minAskPause
			if u.Cursor.Stream != "" {
				cursor = u.Cursor
			}
			h.updated(u)
			h.keepLocks()
			return nil
		})
		if ctx.Err() != nil {
			break
		}
		h.log.Warn("the service channel was lost; recording goes on, and it is followed again", "error", err)
		pause(ctx, wait)
		wait = min(2*wait, maxAskPause)
	}
	return ctx.Err()
}

func (h *Home) updated(u understudy.Update) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case u.Site != nil:
		h.site, h.known = *u.Site, true
		due(h.refetch)
		due(h.reread)
	case u.Event != nil:
		h.site = h.site.Apply(*u.Event)
		h.take(*u.Event)
		if concerns(*u.Event, h.id, h.config.Server.Assignment()) {
			due(h.refetch)
		}
	default:
		return
	}
	h.config.Server.SetSite(h.site)
}

// take applies the events at cameras that an event of the log tells of. Which
// of them are of cameras here the server knows.
func (h *Home) take(e understudy.Event) {
	for _, t := range e.Triggers() {
		if !h.config.Server.runs(t.Camera) || time.Since(t.Until) > noteFor {
			continue
		}
		if err := h.config.Server.Trigger(t); err != nil {
			h.log.Warn("an event was not taken", "event", t.ID, "error", err)
		}
	}
}

// keepLocks keeps the locks where a restart finds them before anything is deleted.
func (h *Home) keepLocks() {
	h.mu.Lock()
	locks := h.site.Locks
	h.mu.Unlock()
	if !slices.Equal(locks, h.locks) && h.seal(locksFile, locks) {
		h.locks = locks
	}
}

// concerns reports whether an event may have changed what is assigned to id.
func concerns(e understudy.Event, id understudy.ServerID, a understudy.Assignment) bool {
	ours := func(c understudy.CameraID) bool {
		return slices.ContainsFunc(a.Cameras, func(has understudy.AssignedCamera) bool { return has.Camera.ID == c })
	}
	return slices.ContainsFunc(e.Changes, func(c understudy.Change) bool {
		return c.Camera != nil && (c.Camera.Home == id || ours(c.Camera.ID)) || c.Lease != nil && ours(c.Lease.Camera) || ours(c.GoneCamera)
	})
}

// due puts a token into a channel that holds one.
func due(tokens chan struct{}) {
	select {
	case tokens <- struct{}{}:
	default:
	}
}

// fetch asks for the assignment whenever it may have changed.
func (h *Home) fetch(ctx context.Context) error {
	due(h.refetch)
	return h.whenever(ctx, h.refetch, "the assignment could not be had; what is assigned goes on", func(ctx context.Context) error {
		a, err := h.config.Management.Assignment(ctx, h.id)
		if err == nil {
			h.assigned(a)
		}
		return err
	})
}

// catchUp reads which events were told while the channel was away: the
// beginning of it is the site as it is, without them.
func (h *Home) catchUp(ctx context.Context) error {
	return h.whenever(ctx, h.reread, "the events that were told meanwhile could not be read; their marks are missing here until they are", func(ctx context.Context) error {
		past, err := h.config.Management.Events(ctx, understudy.EventQuery{Kind: understudy.EventTrigger, Limit: recentEvents})
		for _, e := range past {
			h.take(e)
		}
		return err
	})
}

// whenever asks for each token, until it is answered.
func (h *Home) whenever(ctx context.Context, tokens <-chan struct{}, complaint string, ask func(context.Context) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tokens:
		}
		for wait := minAskPause; ; wait = min(2*wait, maxAskPause) {
			limited, cancel := context.WithTimeout(ctx, askPatience)
			err := ask(limited)
			cancel()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil {
				break
			}
			h.log.Warn(complaint, "error", err)
			pause(ctx, wait)
		}
	}
}

// assigned applies a and keeps it. An epoch never goes back: an answer may be
// older than a claim's.
func (h *Home) assigned(a understudy.Assignment) {
	if a.Server != h.id {
		h.log.Error("an assignment of another server is not applied", "server", a.Server)
		return
	}
	h.mu.Lock()
	current := map[understudy.CameraID]uint64{}
	for _, c := range h.config.Server.Assignment().Cameras {
		current[c.Camera.ID] = c.Epoch
	}
	a.Cameras = slices.Clone(a.Cameras)
	for i, c := range a.Cameras {
		a.Cameras[i].Epoch = max(c.Epoch, current[c.Camera.ID])
	}
	applied := a
	applied.Cameras = slices.Clone(a.Cameras)
	h.keepMoved(&applied, time.Now())
	h.config.Server.Apply(applied)
	h.mu.Unlock()
	h.seal(assignmentFile, a) // after Apply: a disk that hangs delays nothing
}

// claim decides again and again, and asks until reality agrees.
func (h *Home) claim(ctx context.Context) error {
	ticker := time.NewTicker(decideEvery)
	defer ticker.Stop()
	c := claimer{home: h}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-ticker.C:
			h.leaveMoved(now)
			c.step(ctx)
		}
	}
}

// claimer is what the loop of claims remembers between two looks.
type claimer struct {
	home     *Home
	failback Failback
	last     understudy.Claim // that has no known outcome yet; it is repeated as it is
	next     time.Time        // when to ask again
	wait     time.Duration    // after the next refusal
	said     string
	waiting  bool // the last decision was that cameras only have to be steady
}

func (c *claimer) step(ctx context.Context) {
	s, ok := c.home.situation()
	if !ok {
		return
	}
	for _, g := range c.failback.gives(s) {
		c.home.config.Server.give(g)
	}
	d := c.failback.look(s)
	if d.Sentence != c.said && d.Sentence != "" {
		c.home.log.Info(d.Sentence)
	}
	if d.Waiting && !c.waiting {
		c.home.config.Server.config.Report(understudy.Report{Kind: understudy.EventServer, Sentence: d.Sentence,
			Milestones: []understudy.Milestone{{Kind: understudy.MilestoneWaiting, Home: s.self, Server: s.self, At: s.now}}})
	}
	if d.Alarm && d.Sentence != c.said {
		c.home.config.Server.config.Report(understudy.Report{Kind: understudy.EventServer, Sentence: d.Sentence})
	}
	c.waiting = d.Waiting
	c.said = d.Sentence
	switch {
	case d.Sentence == "":
		c.home.settled()
		return
	case len(d.Cameras) == 0 || s.now.Before(c.next):
		return
	}
	if !slices.Equal(d.Cameras, c.last.Cameras) {
		c.last = understudy.Claim{ID: newClaimID(), Claimant: s.self, Home: s.self, Kind: understudy.ClaimFailback,
			Cameras: d.Cameras, Sentence: d.Sentence, Decided: s.now}
	}
	switch c.home.ask(ctx, c.last, d.Ordered) {
	case unknown:
		c.next = time.Now().Add(minAskPause)
	case refused: // each refusal is an event: not too many of them
		c.wait = min(max(2*c.wait, minRefusedPause), maxRefusedPause)
		c.next, c.last = time.Now().Add(c.wait), understudy.Claim{}
	case granted:
		c.next, c.wait, c.last = time.Now(), 0, understudy.Claim{}
	}
}

// settled forgets that a stop was planned once every camera is here: the next one may not be.
func (h *Home) settled() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.planned = false
}

func newClaimID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// situation is ok once the site is known: without it nobody can say who holds what.
func (h *Home) situation() (situation, bool) {
	state := h.config.Server.State()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.known {
		return situation{}, false
	}
	s := situation{now: time.Now(), self: h.id, state: state, holdDown: h.config.HoldDown,
		planned: h.planned, failbacks: slices.Clone(h.history.Failbacks), starts: slices.Clone(h.history.Starts),
		single: map[understudy.CameraID]bool{}, crowded: h.config.Server.cover.crowding(time.Now())}
	s.server, _ = h.site.RecordingServer(h.id)
	for _, c := range h.site.Cameras {
		if l, ok := h.site.Lease(c.ID); ok && c.Home == h.id {
			s.leases = append(s.leases, l)
			s.single[c.ID] = c.Sessions == 1
		}
	}
	return s, true
}

// outcome is what came of a claim.
type outcome int

const (
	unknown outcome = iota // it may have been granted, and the answer lost
	refused
	granted // some of it at least
)

// ask claims once and takes in the answer.
func (h *Home) ask(ctx context.Context, c understudy.Claim, ordered bool) outcome {
	limited, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	answer, err := h.config.Management.Claim(limited, c)
	if err != nil {
		if limited.Err() != nil || understudy.CodeOf(err) == understudy.CodeUnavailable {
			h.log.Warn("it is not known what came of the claim; it is repeated", "error", err)
			return unknown
		}
		h.log.Warn("the claim was refused", "error", err)
		return refused
	}
	for _, r := range answer.Refused {
		h.log.Warn("a camera was not given back", "camera", r.Camera, "reason", r.Reason)
	}
	h.learn(answer.Leases())
	if len(answer.Granted) == 0 {
		return refused
	}
	h.remember(func(past *history) {
		if !h.planned && !ordered {
			past.Failbacks = append(past.Failbacks, c.Decided)
		}
		past.Failbacks = slices.DeleteFunc(slices.Clone(past.Failbacks), func(at time.Time) bool { return c.Decided.Sub(at) >= flapWindow })
	})
	due(h.refetch)
	return granted
}

// learn takes in leases ahead of the service channel.
func (h *Home) learn(leases understudy.Leases) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.site.Leases = h.site.Leases.Learn(leases)
	a := h.config.Server.Assignment()
	a.Cameras = slices.Clone(a.Cameras)
	for _, l := range leases {
		for i, c := range a.Cameras {
			if c.Camera.ID == l.Camera && c.Epoch < l.Epoch {
				a.Cameras[i].Epoch = l.Epoch
			}
		}
	}
	h.config.Server.Apply(a)
	h.config.Server.SetSite(h.site)
}
