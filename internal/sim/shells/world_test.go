package shells

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"understudy"
	"understudy/internal/failover"
	"understudy/internal/management"
	"understudy/internal/management/storetest"
	"understudy/internal/outbox"
)

// The pace of the world.
const (
	frameEvery    = 200 * time.Millisecond
	gop           = 5 // frames
	segmentFrames = 50
	startUp       = 300 * time.Millisecond // of a process
	connecting    = 150 * time.Millisecond // to a camera
	holdDown      = 10 * time.Second
)

// world is a site: one management server, two recording servers with two
// cameras each, and two failover servers. fo-1 is rec-1's hot standby; rec-2 has
// a group of fo-1 and fo-2; fo-2 also stands in cold for rec-1, after fo-1.
type world struct {
	t          *testing.T
	management *management.Management
	begun      time.Time
	random     *rand.Rand // of the driver alone
	sessions   sync.WaitGroup
	trace      strings.Builder

	mu      sync.Mutex
	answers bool // the management server does
	since   map[string]time.Time
	cuts    map[string]bool
	nodes   map[understudy.ServerID]*node
	cameras map[understudy.CameraID]*camera
	status  []understudy.ServerStatus
	looks   int // at everybody, by the management server
	wrong   string
	calls   int
	links   map[*link]bool
}

// camera sends frames whenever it is on.
type camera struct {
	home  understudy.ServerID
	on    bool
	since time.Time // on
	n     uint64
	phase uint64
	ever  map[uint64]bool       // frames that anybody had durably
	last  time.Time             // one of them
	by    []understudy.ServerID // who recorded the last frame
	// situation says who could record it, owed since when; empty: nobody need.
	situation string
	owed      time.Time
}

// node is a machine with a recording or failover server.
type node struct {
	id        understudy.ServerID
	disk      *disk
	up, hung  bool
	since     time.Time // of up and hung
	boot      int
	leaving   bool
	left      time.Time
	covered   map[understudy.CameraID]time.Time // by somebody else, as the polls said
	recording map[understudy.CameraID]*session

	// of a failover server
	filesMu sync.Mutex // the shell keeps several files at once
	files   map[string][]byte
	stop    context.CancelFunc
	done    chan struct{}
	// of a recording server
	claims int
}

// session is a camera's on a node.
type session struct {
	epoch    uint64
	ready    time.Time // connected
	decoding bool      // a key frame has come
	open     understudy.SegmentID
	mark     understudy.Watermark
	covered  bool
	frames   uint64
	heard    time.Time
	steady   time.Time // recording without a gap since
	away     time.Time // somebody else holds the lease since; zero: it is at home
}

var sites = map[understudy.CameraID]understudy.ServerID{"a": "rec-1", "b": "rec-1", "c": "rec-2", "d": "rec-2"}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, management: storetest.New(t, management.NewMemory()), begun: time.Now(),
		random: rand.New(rand.NewPCG(seed, 7)), answers: true, since: map[string]time.Time{}, cuts: map[string]bool{},
		nodes: map[understudy.ServerID]*node{}, cameras: map[understudy.CameraID]*camera{}, links: map[*link]bool{},
	}
	for id, home := range sites {
		w.cameras[id] = &camera{home: home, on: true, since: w.begun, phase: uint64(id[0]), ever: map[uint64]bool{}}
	}
	for _, id := range []understudy.ServerID{"rec-1", "rec-2", "fo-1", "fo-2"} {
		w.nodes[id] = &node{id: id, disk: newDisk(id, sites), covered: map[understudy.CameraID]time.Time{},
			recording: map[understudy.CameraID]*session{}, files: map[string][]byte{}}
	}
	w.configure()
	return w
}

func (w *world) configure() {
	ctx := context.Background()
	must := func(_ any, err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	address := func(id string) understudy.Addresses {
		return understudy.Addresses{Media: id + ":7563", State: id + ":11000", Merge: id + ":5210"}
	}
	must(w.management.PutFailoverServer(ctx, understudy.FailoverServer{ID: "fo-1", Name: "fo-1", Addresses: address("fo-1")}))
	must(w.management.PutFailoverServer(ctx, understudy.FailoverServer{ID: "fo-2", Name: "fo-2", Addresses: address("fo-2")}))
	must(w.management.PutGroup(ctx, understudy.FailoverGroup{ID: "both", Name: "both", Members: []understudy.ServerID{"fo-1", "fo-2"}}))
	must(w.management.PutRecordingServer(ctx, understudy.RecordingServer{ID: "rec-1", Name: "rec-1", Addresses: address("rec-1"), HotStandby: "fo-1", PrimaryGroup: "both"}))
	must(w.management.PutRecordingServer(ctx, understudy.RecordingServer{ID: "rec-2", Name: "rec-2", Addresses: address("rec-2"), PrimaryGroup: "both"}))
	for _, id := range cameraIDs() {
		must(w.management.PutCamera(ctx, understudy.Camera{ID: id, Home: sites[id], URL: "rtsp://" + string(id) + "/"}, nil))
	}
}

func cameraIDs() []understudy.CameraID { return []understudy.CameraID{"a", "b", "c", "d"} }

func (w *world) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(&w.trace, "%8.2f  %s\n", time.Since(w.begun).Seconds(), fmt.Sprintf(format, args...))
}

// Write takes the log of the failover servers into the trace.
func (w *world) Write(line []byte) (int, error) {
	w.say("      %s", strings.TrimSpace(string(line)))
	return len(line), nil
}

// fail ends the test with all that had happened.
func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.mu.Lock()
	trace := w.trace.String()
	w.mu.Unlock()
	const tail = 12_000
	if len(trace) > tail {
		trace = "…" + trace[len(trace)-tail:]
	}
	w.t.Fatalf("%8.2f  %s\n%s", time.Since(w.begun).Seconds(), fmt.Sprintf(format, args...), trace)
}

// cut reports whether two ends cannot reach each other; w.mu is held.
func (w *world) cut(a, b string) bool { return w.cuts[pair(a, b)] }

func pair(a, b string) string {
	if a > b {
		a, b = b, a
	}
	return a + " and " + b
}

func (w *world) setCut(a, b string, cut bool) {
	w.say("between %s: %s", pair(a, b), map[bool]string{true: "cut", false: "whole"}[cut])
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cuts[pair(a, b)] != cut {
		w.cuts[pair(a, b)] = cut
		w.since[pair(a, b)] = time.Now()
	}
}

// startProcess starts a server on a node.
func (w *world) startProcess(id understudy.ServerID) {
	w.mu.Lock()
	n := w.nodes[id]
	if n.up {
		w.mu.Unlock()
		return
	}
	n.up, n.hung, n.leaving, n.since = true, false, false, time.Now()
	n.boot++
	n.disk.closeAll()
	n.recording = map[understudy.CameraID]*session{}
	for camera, home := range sites {
		if home == id {
			n.recording[camera] = &session{epoch: 1, ready: n.since.Add(startUp + connecting)}
		}
	}
	w.mu.Unlock()
	w.say("%s starts", id)
	if strings.HasPrefix(string(id), "fo-") {
		w.startFailover(n)
	}
}

func (w *world) startFailover(n *node) {
	ctx, cancel := context.WithCancel(context.Background())
	n.stop, n.done = cancel, make(chan struct{})
	log := slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}})).With("by", n.id)
	management := &siteClient{w: w, from: n}
	reports := outbox.New(n.id, management.Report, identity{n}, log)
	server := failover.New(failover.Config{
		Node: identity{n}, Recorder: recorder{w, n}, Management: management, Store: n.disk,
		DialState: w.dialState(n.id), DialMerge: w.dialMerge(n.id), Reach: w.reach(n.id),
		Report: reports.Report, Log: log,
	})
	go func() {
		defer close(n.done)
		var parts sync.WaitGroup
		parts.Go(func() { _ = reports.Run(ctx) }) // ends with ctx
		if err := server.Run(ctx); err != nil {
			w.say("%s failed: %v", n.id, err)
		}
		parts.Wait()
	}()
}

// kill ends a process; what it had open is broken.
func (w *world) kill(id understudy.ServerID) {
	w.mu.Lock()
	n := w.nodes[id]
	if !n.up {
		w.mu.Unlock()
		return
	}
	n.up, n.hung, n.leaving, n.since = false, false, false, time.Now()
	w.breakLinks(id)
	w.mu.Unlock()
	w.say("%s is killed", id)
	if n.stop != nil {
		n.stop()
		<-n.done
	}
}

func (w *world) hang(id understudy.ServerID, hung bool) {
	w.say("%s hangs: %v", id, hung)
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.nodes[id]; n.up && n.hung != hung {
		n.hung, n.since = hung, time.Now()
	}
}

// leave is a planned stop: the process ends when it is covered.
func (w *world) leave(id understudy.ServerID) {
	w.say("%s is asked to stop", id)
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.nodes[id]; n.up && !n.hung {
		n.leaving, n.left = true, time.Now()
	}
}

func (w *world) setManagement(answers bool) {
	w.say("the management server answers: %v", answers)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answers != answers {
		w.answers, w.since["management"] = answers, time.Now()
	}
}

func (w *world) setCamera(id understudy.CameraID, on bool) {
	w.say("camera %s is on: %v", id, on)
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.cameras[id]; c.on != on {
		c.on, c.since = on, time.Now()
	}
}

func (n *node) alive() bool { return n.up && !n.hung }

// pass lets time pass, frame by frame, and looks at the oracle with each.
func (w *world) pass(d time.Duration, look func()) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(frameEvery)
		w.frame()
		w.homes()
		look()
	}
}

// frame lets each camera send one, and whoever listens record it.
func (w *world) frame() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, id := range cameraIDs() {
		c := w.cameras[id]
		c.n++
		f := frame{n: c.n, at: now}
		before := c.by
		c.by = nil
		for _, n := range w.nodes {
			if s, ok := n.recording[id]; ok && n.alive() {
				w.receive(n, id, c, s, f)
			}
		}
		for _, by := range before {
			if n := w.nodes[by]; len(c.by) == 0 && w.records(n, id) && now.Sub(n.since) > frameEvery {
				w.wrong = fmt.Sprintf("%s recorded camera %s, nothing has befallen it, and now nobody records it", by, id)
			}
		}
	}
}

// records reports whether a node is in a state to record a camera; w.mu is held.
func (w *world) records(n *node, id understudy.CameraID) bool {
	return n.alive() && w.cameras[id].on && !w.cut(string(n.id), "camera "+string(id)) && n.disk.State().Writable
}

func (w *world) receive(n *node, id understudy.CameraID, c *camera, s *session, f frame) {
	switch {
	case !c.on || w.cut(string(n.id), "camera "+string(id)):
		if s.decoding {
			n.disk.close(s.open)
		}
		s.ready, s.decoding, s.steady = f.at.Add(connecting), false, time.Time{}
		return
	case f.at.Before(s.ready):
		return
	}
	s.heard = f.at
	s.frames++
	if s.decoding = s.decoding || (f.n+c.phase)%gop == 0; !s.decoding {
		return
	}
	var written bool
	if s.open, written = n.disk.append(s.open, s.epoch, id, f); !written {
		s.steady, s.decoding = time.Time{}, false
		return
	}
	if s.steady.IsZero() {
		s.steady = f.at
	}
	s.mark, s.covered = understudy.Watermark{At: f.at, Hash: f.hash(id)}, true
	c.ever[f.n] = true
	c.last = f.at
	c.by = append(c.by, n.id)
}

// state is what a node answers on its state port; w.mu is held.
func (w *world) state(n *node) understudy.State {
	now := time.Now()
	state := understudy.State{Server: n.id, Boot: fmt.Sprint(n.id, n.boot), Started: n.since, At: now, Storage: n.disk.State()}
	if n.leaving {
		state.Leaving = "asked to stop"
	}
	for _, id := range cameraIDs() {
		if s, ok := n.recording[id]; ok {
			state.Cameras = append(state.Cameras, understudy.CameraState{Camera: id, Epoch: s.epoch, Frames: s.frames, Watermark: s.mark,
				Receiving: now.Sub(s.heard) < 3*time.Second, Recording: now.Sub(s.mark.At) < 5*time.Second})
		}
	}
	return state
}

// homes is what recording servers do by themselves: stop when they are covered,
// and take back what they record again.
func (w *world) homes() {
	for _, id := range []understudy.ServerID{"rec-1", "rec-2"} {
		w.mu.Lock()
		n := w.nodes[id]
		mayStop := n.alive() && n.leaving && w.mayStop(n)
		asks := n.alive() && !n.leaving && w.answers && !w.cut(string(id), "management")
		w.mu.Unlock()
		if mayStop {
			w.kill(id)
		} else if asks {
			w.takeBack(n)
		}
	}
}

func (w *world) mayStop(n *node) bool {
	now, watched := time.Now(), false
	all := true
	for id, s := range n.recording {
		at, ok := n.covered[id]
		covered := ok && now.Sub(at) < 2*time.Second
		watched = watched || covered
		all = all && (covered || s.steady.IsZero())
	}
	return all || now.Sub(n.left) > 10*time.Second
}

func (w *world) takeBack(n *node) {
	ctx := context.Background()
	site, err := w.management.Site(ctx)
	if err != nil {
		w.fail("%v", err)
	}
	claim := understudy.Claim{Claimant: n.id, Home: n.id, Kind: understudy.ClaimFailback, Sentence: "it records again", Decided: time.Now()}
	w.mu.Lock()
	for _, l := range site.Leases {
		s, ours := n.recording[l.Camera]
		switch {
		case !ours:
		case l.Holder == n.id:
			s.epoch, s.away = l.Epoch, time.Time{}
		case s.away.IsZero():
			s.away = time.Now()
		case !s.steady.IsZero() && time.Since(s.steady) >= holdDown && time.Since(s.away) >= holdDown:
			claim.Cameras = append(claim.Cameras, understudy.CameraEpoch{Camera: l.Camera, Epoch: l.Epoch})
		}
	}
	n.claims++
	claim.ID = fmt.Sprintf("failback-%s-%d", n.id, n.claims)
	w.mu.Unlock()
	if len(claim.Cameras) > 0 {
		if _, err := w.management.Claim(ctx, claim); err != nil {
			w.fail("%v", err)
		}
		w.say("%s takes back %v", n.id, claim.Cameras)
	}
}

// watchAll is the management server's own look at everybody, once a second.
func (w *world) watchAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.answers {
		return
	}
	old := w.status
	w.status = nil
	w.looks++
	for _, id := range []understudy.ServerID{"fo-1", "fo-2", "rec-1", "rec-2"} {
		n := w.nodes[id]
		status := understudy.ServerStatus{Server: id, Reachable: n.alive() && !w.cut(string(id), "management")}
		if status.Reachable {
			state := w.state(n)
			status.State = &state
		} else if i := slices.IndexFunc(old, func(s understudy.ServerStatus) bool { return s.Server == id }); i >= 0 {
			status.State = old[i].State
		}
		w.status = append(w.status, status)
	}
}
