// Package failover decides when a failover server stands in for another, and
// does it. The decision is Step, a pure function from what was observed to what
// is wanted now; Server is the shell around it, which observes, and repeats the
// wants until reality agrees with them.
package failover

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"understudy"
)

// Observation is one thing that was seen. Besides At, one field is set, or none
// when only time has passed. Times count from the start of the observer on a
// monotonic clock, and never go back.
type Observation struct {
	At time.Duration
	// Wall is this server's wall clock, which an operator's orders end by; without it they stand.
	Wall time.Time
	// Answer and Failure are what came of a poll.
	Answer  *Answer
	Failure *Failure
	// Site is everything but history, as the service channel last told it.
	Site *understudy.Site
	// Duties is whom this server may have to play, all of them.
	Duties *[]understudy.Duty
	// Status is what the management server last saw of all servers: a second pair of eyes.
	Status []understudy.ServerStatus
	// Own is what this server's recorder has come to.
	Own *Own
	// Load is this server's own state, as its state port tells it.
	Load *understudy.State
	// Called is a round of calls that is over, and Answered the cameras that answered.
	Called   int
	Answered []understudy.CameraID
	// Claimed is the answer to a claim.
	Claimed *Claimed
	// Proven is a proof that was asked for and found.
	Proven *Proof
	// Reached says whether the management server answered when it was last spoken to.
	Reached *bool
	// Material is what is needed to record cameras that this server holds, credentials included.
	Material []understudy.AssignedCamera
	// Resumed is what this server recorded when it last stopped.
	Resumed []understudy.AssignedCamera
	// Opened is a bundle that was wanted open, and Material what was in it.
	Opened *understudy.Bundle
}

// Answer is a state that a server gave.
type Answer struct {
	Server understudy.ServerID
	Began  time.Duration // when it was asked
	State  understudy.State
}

// Failure is a poll, or a connection for one, that came to nothing.
type Failure struct {
	Server understudy.ServerID
	Began  time.Duration
	Kind   FailureKind
	Why    string // the error's own sentence
}

// FailureKind says what a failure proves.
type FailureKind int

// The kinds of failure.
const (
	Broken  FailureKind = iota // a connection that was open has ended: look again at once
	Refused                    // the host answered that nobody listens there
	Silent                     // no answer in time: proves nothing by itself
	Unheard                    // no answer to any of the fresh connections that were to verify a suspicion
)

// Own is what this server's own recorder has come to. A mirrored camera is
// covered when all that its own server may lose is in memory.
type Own struct {
	Covered  []understudy.CameraID // cameras with durable samples since they were applied, and mirrored ones
	Busy     []understudy.CameraID // cameras of which an event is being recorded
	Crowded  []understudy.CameraID // cameras that have no session left for this server
	Foreign  []understudy.ServerID // homes whose footage lies here
	Writable bool
}

// Claimed is the definite answer to a claim. An unknown outcome is no answer:
// the same claim stays wanted.
type Claimed struct {
	ID     string
	Home   understudy.ServerID
	Answer understudy.ClaimAnswer
	Err    error
}

// Proof is a sample that another server has durably: found in the own store, it
// proves that the two recordings of the camera overlap.
type Proof struct {
	Camera understudy.CameraID
	Server understudy.ServerID
	Mark   understudy.Watermark
}

// Want is what should be so now. All of it but Said is levels: it is wanted
// until reality agrees, and wanting it twice does nothing more than once.
type Want struct {
	Watch    map[understudy.ServerID]string               // whom to poll, and where
	Verify   []understudy.ServerID                        // whom to ask over fresh connections
	Call     map[int][]understudy.Camera                  // cameras of silent servers, to see whether one answers, by round
	Record   []understudy.AssignedCamera                  // all that is recorded here, by id
	Short    []understudy.CameraID                        // what should be, and there is no room for
	Mirror   []understudy.AssignedCamera                  // whose streams are kept open besides, by id
	Passed   map[understudy.CameraID]understudy.Watermark // how far those who record them have come
	Expect   []understudy.ServerID                        // whose cameras may have to be served here any moment, by id
	Claims   []understudy.Claim                           // leases to ask for, one claim a home
	Open     []understudy.ServerID                        // homes whose sealed bundle is needed
	Prove    []Proof                                      // samples to look for in the own store
	SendHome map[understudy.ServerID]string               // homes that answer, and where footage goes
	Said     []Said                                       // what this step has newly decided
}

// Said is a decision in words.
type Said struct {
	understudy.Report
	Server understudy.ServerID // whom it is about
	// Public sentences belong in the event log; the others only in the own log.
	// A takeover is not among them: its sentence travels in the claim.
	Public bool
}

// State is all that is remembered between steps. It is a value: Step returns
// another, and the one before stays as it was.
type State struct {
	self      understudy.ServerID
	nonce     string // of this start of the process, for claim ids
	rankDelay time.Duration

	begun     bool          // there was a step
	at        time.Duration // of the last step
	wall      time.Time     // of the last step that knew it
	awake     time.Duration // when this server last found that it had been paused
	late      int           // how often it was late itself, of late: 0 to lateMax
	lateAt    time.Duration // when that last changed
	reached   bool          // the management server answers
	reachedAt time.Duration // since when, if it does
	toldAt    time.Duration // when it last told what it sees of all servers
	toldSince time.Duration // since when it does so without a longer pause
	unheard   bool          // nobody answers now, no camera either
	isolated  bool          // nobody answers: it may be this server that is cut off
	// quietUntil: nobody needs to be suspected of silence before this.
	quietUntil time.Duration
	own        Own
	site       understudy.Site
	duties     map[understudy.ServerID]understudy.Duty
	posts      map[understudy.CameraID]post
	peers      map[understudy.CameraID][]understudy.ServerID // the other standbys; replaced, never changed
	leases     map[understudy.CameraID]understudy.Lease
	// material is what is needed to record a camera, credentials included.
	material map[understudy.CameraID]understudy.AssignedCamera
	watches  map[understudy.ServerID]*watch
	rounds   int // in which cameras were called
	held     map[understudy.CameraID]holding
	trials   map[understudy.CameraID]trial
	claims   map[understudy.ServerID]claiming
	refused  map[understudy.CameraID]time.Duration // not asked for again before this
	room     int64                                 // bytes that recordings may take; -1 before it was looked
	rates    map[understudy.CameraID]int64         // bits a second of the main stream, as last measured by anybody
	subRates map[understudy.CameraID]int64         // the same of the second one
	shares   map[understudy.CameraID]share         // of a capacity that is bounded
	reduced  string                                // what was last told of them
	told     map[understudy.ServerID]solo          // of each home
	lacking  map[understudy.ServerID]time.Duration // homes with cameras to be recorded of which nothing is known, since when; replaced, never changed
	origins  map[understudy.CameraID]origin        // of the marks of mirrored cameras
	crowded  map[understudy.CameraID]time.Duration // no session is asked of it before this
	said     []Said

	// What follows from site and duties, and is looked up at each step; replaced, never changed.
	ordered   map[understudy.ServerID]understudy.RecordingServer // homes of which an operator has ordered something
	addresses map[understudy.ServerID]understudy.Addresses
	posted    []posted                       // by camera
	mirrored  []understudy.CameraID          // those of mirror standby
	order     []understudy.ServerID          // of duties, by id
	always    []understudy.ServerID          // whom to watch whoever holds the leases, by id
	watched   []*watch                       // watches, by id
	polled    map[understudy.ServerID]string // whom to poll, and where: all of them

	calm      bool // the last observation said nothing new
	idle      bool // nobody is stood in for, and nobody needs it
	settledAt time.Duration
	last      Want // as it was settled then
}

// post is how this server stands by for a camera.
type post struct {
	standby understudy.Standby
	rank    int
	camera  understudy.Camera
}

// posted is a camera that this server stands by for.
type posted struct {
	camera understudy.CameraID
	home   understudy.ServerID
}

// Bounds on time. The detectors' own are in watch.go.
const (
	pauseMax     = 750 * time.Millisecond // between two steps; more, and this server was paused itself
	coverPlanned = 3 * time.Second        // after which the cameras of a leaving server are claimed though not covered
	askAgain     = 2 * time.Second        // after a refusal
	askForbidden = 10 * time.Second       // after a claim that was refused whole
	trialLength  = 15 * time.Second       // for the first durable sample
	trialPause   = 75 * time.Second       // from one trial to the next
	homesTurn    = 3 * time.Second        // of frames here only; a home that has lost a camera asks it each 2.4 s at least
)

// NewState is a state that has seen nothing. nonce tells this start of the
// process from the one before; rankDelay is how long a server waits for each
// one before it.
func NewState(self understudy.ServerID, nonce string, rankDelay time.Duration) State {
	return State{self: self, nonce: nonce, rankDelay: rankDelay, room: -1}.clone()
}

// Step takes one observation in and says what is wanted now. It reads no clock,
// touches no socket, and gives the same for the same.
func Step(s State, o Observation) (State, Want) {
	s = s.clone()
	want := s.Advance(o)
	return s, want
}

// Advance is Step for whoever keeps no state of before: s itself becomes the
// state after the observation.
func (s *State) Advance(o Observation) Want {
	s.noticePause(o.At)
	s.noticeLateness(o.At)
	s.at = max(s.at, o.At)
	if !o.Wall.IsZero() {
		s.wall = o.Wall
	}
	s.calm = false
	s.observe(o)
	if pace := s.pace(); !s.suspect() && s.calm && s.at-s.settledAt < pace {
		return s.last
	}
	s.watchWhoMatters()
	s.callUp()
	s.doubtSelf()
	s.judge()
	s.tellBlinded()
	s.allot()
	s.takeUp()
	s.mirror()
	s.ask()
	s.release()
	s.noticeLacking()
	s.tellSolo()
	want := s.want()
	s.said = nil
	s.settledAt, s.last = s.at, want
	s.last.Said, s.idle = nil, s.isIdle()
	return want
}

func (s State) clone() State {
	s.duties, s.posts, s.leases = cloned(s.duties), cloned(s.posts), cloned(s.leases)
	s.material, s.watches, s.held = cloned(s.material), cloned(s.watches), cloned(s.held)
	s.trials, s.claims, s.refused = cloned(s.trials), cloned(s.claims), cloned(s.refused)
	s.rates, s.subRates, s.shares = cloned(s.rates), cloned(s.subRates), cloned(s.shares)
	s.told, s.origins, s.crowded = cloned(s.told), cloned(s.origins), cloned(s.crowded)
	s.watched = slices.Clone(s.watched)
	for i, w := range s.watched {
		other := *w
		other.cameras = cloned(w.cameras)
		s.watched[i], s.watches[w.server] = &other, &other
	}
	return s
}

func cloned[M ~map[K]V, K comparable, V any](m M) M {
	if m == nil {
		return M{}
	}
	return maps.Clone(m)
}

// sorted returns the keys of m in order: maps have none, and a step must give the same for the same.
func sorted[M ~map[K]V, K ~string, V any](m M) []K {
	if len(m) == 0 {
		return nil
	}
	keys := make([]K, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// noticePause clears every suspicion when this server itself stood still: the
// silence that it finds on waking is its own.
func (s *State) noticePause(at time.Duration) {
	gap := at - s.at
	if !s.begun || gap <= pauseMax {
		s.begun = true
		return
	}
	s.awake = at
	for _, w := range s.watched {
		w.startOver(at)
	}
	s.say(understudy.EventServer, s.self, false, "%s was itself paused for %s: it starts all its observations over", s.self, seconds(gap))
}

// doubtSelf notices when nobody at all answers, the management server and the
// cameras included: then the cut may be at this end. Recording goes on, no lease is
// asked for, and the first sign of life from anyone makes all silences count anew.
func (s *State) doubtSelf() {
	silent, known, answered, awaited := 0, 0, false, false
	for _, w := range s.watched {
		if w.known {
			known++
		}
		if w.known && !w.refusedEnough() && (w.suspected > 0 || w.unheard > 0) {
			silent++
			answered = answered || len(w.call.answered) > 0
			awaited = awaited || w.call.pending() && w.unheard == 0
		}
	}
	s.unheard = !s.reached && s.untold() && known > 0 && silent == known && !answered
	isolated := s.unheard && (s.isolated || !awaited)
	if s.isolated && !isolated {
		for _, w := range s.watched {
			if !w.refusedEnough() {
				w.startOver(s.at)
			}
		}
		s.say(understudy.EventServer, s.self, false, "%s reaches somebody again: what was silent meanwhile is given another chance", s.self)
	}
	if isolated && !s.isolated {
		s.say(understudy.EventServer, s.self, false,
			"%s hears nobody, the management server included: it may be cut off itself, so it records what it can and asks for no lease", s.self)
	}
	s.isolated = isolated
}

// observe takes in what was seen.
func (s *State) observe(o Observation) {
	switch {
	case o.Answer != nil:
		s.observeAnswer(*o.Answer)
	case o.Failure != nil:
		s.observeFailure(*o.Failure)
	case o.Site != nil:
		s.observeSite(*o.Site)
	case o.Duties != nil:
		s.observeDuties(*o.Duties)
	case o.Status != nil:
		s.calm = s.idle
		s.observeStatus(o.Status)
	case o.Own != nil:
		s.calm = s.own.same(*o.Own)
		s.own = *o.Own
		s.noticeCrowded()
	case o.Load != nil:
		s.calm = true
		s.observeLoad(*o.Load)
	case o.Called > 0:
		s.observeCalled(o.Called, o.Answered)
	case o.Claimed != nil:
		s.observeClaimed(*o.Claimed)
	case o.Proven != nil:
		if h, ok := s.held[o.Proven.Camera]; ok && h.proof == *o.Proven {
			h.proven = true
			s.held[o.Proven.Camera] = h
		}
	case o.Reached != nil:
		if s.calm = s.reached == *o.Reached; !s.calm {
			s.reached, s.reachedAt = *o.Reached, s.at
		}
	case o.Opened != nil:
		s.observeOpened(*o.Opened, o.Material)
	case o.Material != nil:
		for _, c := range o.Material {
			s.material[c.Camera.ID] = c
		}
	case o.Resumed != nil:
		// Whoever held the lease: it goes on until somebody is seen recording it.
		for _, c := range o.Resumed {
			s.material[c.Camera.ID] = c
			s.held[c.Camera.ID] = holding{camera: c, home: c.Camera.Home, freed: s.at}
		}
	default: // time has passed
		s.calm = true
	}
}

func (s *State) observeSite(site understudy.Site) {
	s.site = site
	for _, l := range site.Leases {
		s.noticeLife(*l)
		s.learn(*l)
	}
	for camera := range s.leases {
		if _, exists := site.Camera(camera); !exists {
			delete(s.leases, camera)
		}
	}
	s.lookUp()
}

// lookUp derives what is looked up from the site and the duties.
func (s *State) lookUp() {
	s.peers = s.peersOf()
	s.ordered = s.withAnOrder()
	s.addresses = s.site.MediaServers()
	for id, d := range s.duties {
		if _, told := s.addresses[id]; !told {
			s.addresses[id] = d.Home.Addresses
		}
	}
	s.polled = nil
	s.order = sorted(s.duties)
	s.always = slices.Clone(s.order)
	for _, peers := range s.peers {
		s.always = append(s.always, peers...)
	}
	slices.Sort(s.always)
	s.always = slices.Compact(s.always)
	s.posted, s.mirrored = nil, nil
	for home, d := range s.duties {
		for _, c := range d.Cameras {
			s.posted = append(s.posted, posted{c.Camera.ID, home})
		}
	}
	slices.SortFunc(s.posted, func(a, b posted) int { return cmp.Compare(a.camera, b.camera) })
	for _, p := range s.posted {
		if s.posts[p.camera].standby == understudy.StandbyMirror {
			s.mirrored = append(s.mirrored, p.camera)
		}
	}
	for camera := range s.origins {
		if s.posts[camera].standby != understudy.StandbyMirror {
			delete(s.origins, camera)
		}
	}
}

// noticeLife: a server that has just been granted a lease was alive to ask for it,
// and well enough. What it said before that is older.
func (s *State) noticeLife(l understudy.Lease) {
	old, known := s.leases[l.Camera]
	w, ok := s.watches[l.Holder]
	switch {
	case !ok || !known || l.Epoch <= old.Epoch || l.Holder == old.Holder:
	case w.verdict.answers():
		w.broken = 0
		if p, seen := w.cameras[l.Camera]; seen {
			p.moved = s.at
			w.cameras[l.Camera] = p
		}
	default:
		w.startOver(s.at)
	}
}

// learn keeps the newer of two leases: what a claim was answered may be ahead
// of what the channel has told.
func (s *State) learn(l understudy.Lease) {
	if l.Camera != "" && l.Epoch >= s.leases[l.Camera].Epoch {
		s.leases[l.Camera] = l
	}
}

func (s *State) observeDuties(duties []understudy.Duty) {
	s.duties = make(map[understudy.ServerID]understudy.Duty, len(duties))
	s.posts = make(map[understudy.CameraID]post)
	for _, d := range duties {
		s.duties[d.Home.ID] = d
		for _, c := range d.Cameras {
			s.posts[c.Camera.ID] = post{standby: c.Standby, rank: c.Rank, camera: c.Camera}
			// A site that was never seen has its leases at home, as the duty tells them.
			if _, ok := s.leases[c.Camera.ID]; !ok {
				s.leases[c.Camera.ID] = understudy.Lease{Camera: c.Camera.ID, Holder: d.Home.ID, Epoch: c.Epoch}
			}
			if old, ok := s.material[c.Camera.ID]; c.Standby != understudy.StandbyCold {
				s.material[c.Camera.ID] = c.AssignedCamera
			} else if ok { // cold: a new address, the credentials that a claim brought
				c.Credentials = old.Credentials
				s.material[c.Camera.ID] = c.AssignedCamera
			}
		}
	}
	s.lookUp()
}

// lease returns who serves a camera, its home when nothing else is known.
func (s *State) lease(camera understudy.CameraID, home understudy.ServerID) understudy.Lease {
	if l, ok := s.leases[camera]; ok {
		return l
	}
	return understudy.Lease{Camera: camera, Holder: home}
}

// watchWhoMatters makes the watches those of the homes that may have to be
// played, of the others that stand in for them now or may, and of the homes
// whose footage lies here.
func (s *State) watchWhoMatters() {
	changed := false
	var besides map[understudy.ServerID]bool // most often none
	matters := func(id understudy.ServerID) bool {
		_, always := slices.BinarySearch(s.always, id)
		return always || besides[id]
	}
	begin := func(id understudy.ServerID) {
		if _, ok := s.watches[id]; !ok && id != s.self && s.addresses[id].State != "" {
			s.watches[id], changed = &watch{server: id, quiet: s.at}, true
		}
	}
	note := func(id understudy.ServerID) {
		if id != s.self && !matters(id) {
			if besides == nil {
				besides = map[understudy.ServerID]bool{}
			}
			besides[id] = true
			begin(id)
		}
	}
	for _, id := range s.always {
		begin(id)
	}
	for _, p := range s.posted {
		if holder := s.lease(p.camera, p.home).Holder; holder != p.home {
			note(holder)
		}
	}
	for _, home := range s.own.Foreign {
		note(home)
	}
	for id, h := range s.held { // also of a camera that has moved to a home that is no duty
		note(h.home)
		note(s.lease(id, h.home).Holder)
	}
	for id := range s.watches {
		if !matters(id) {
			delete(s.watches, id)
			changed = true
		}
	}
	if changed || s.polled == nil {
		s.watched = slices.SortedFunc(maps.Values(s.watches), func(a, b *watch) int { return cmp.Compare(a.server, b.server) })
		s.polled = make(map[understudy.ServerID]string, len(s.watches))
		for _, w := range s.watched {
			s.polled[w.server] = s.addresses[w.server].State
		}
	}
}

func (s *State) want() Want {
	w := Want{Watch: s.polled, Record: make([]understudy.AssignedCamera, 0, len(s.held))}
	for _, watch := range s.watched {
		id := watch.server
		address := s.addresses[id]
		if watch.suspected > 0 && watch.unheard == 0 && !watch.refusedEnough() {
			w.Verify = append(w.Verify, id)
		}
		if watch.doubted() {
			w.Expect = append(w.Expect, id)
		}
		if watch.verdict.answers() && watch.state.Storage.Writable && address.Merge != "" && slices.Contains(s.own.Foreign, id) {
			if w.SendHome == nil {
				w.SendHome = map[understudy.ServerID]string{}
			}
			w.SendHome[id] = address.Merge
		}
	}
	for _, id := range sorted(s.held) {
		h := s.held[id]
		w.Record = append(w.Record, h.camera)
		if h.proof.Camera != "" && !h.proven {
			w.Prove = append(w.Prove, h.proof)
		}
	}
	w.Call = s.wantCalls()
	w.Short = s.short()
	w.Mirror, w.Passed = s.wantMirrored()
	w.Claims = s.wantClaims()
	w.Open = s.toOpen()
	w.Said = s.said
	return w
}
