package sim

import (
	"fmt"
	"slices"
	"time"

	"understudy"
	"understudy/internal/merge"
	"understudy/internal/recording"
)

// home is a recording server: recording.Failback decides when it takes its
// cameras back; what records is a model.
type home struct {
	machine
	cameras  []*camera
	single   map[understudy.CameraID]bool // those that are known to allow one session; nil: none
	failback recording.Failback
	receiver *merge.Receiver
	site     *understudy.Site
	server   understudy.RecordingServer // itself, as the site has it
	leases   []understudy.Lease         // of its cameras
	looked   []understudy.CameraState   // at the last decision
	covers   map[understudy.ServerID]covering

	leaving bool
	left    time.Duration // began to leave

	// Kept on the disk.
	planned   bool
	failbacks []time.Time

	planning bool // this start follows a planned stop
	last     understudy.Claim
	claims   int
	asking   bool
	askedBy  int // the boot that asked last
	next     time.Duration
	wait     time.Duration

	orderNext time.Duration // when an operator looks again
	handed    time.Duration // when it was last handed over; 0 never
	handedTo  understudy.ServerID
	sentBack  time.Time     // when an operator last ordered it back, by the management server's clock; a database may have forgotten it since
	until     time.Duration // its last maintenance ends, or has ended; 0 never
	promised  time.Time     // when that was to end, as everybody was told
}

// covering is what a standby said that it records.
type covering struct {
	at      time.Duration
	cameras []understudy.CameraID
	crowded []understudy.CameraID // that have no session left for it
}

const (
	decideEvery  = 250 * time.Millisecond
	homePatience = 5 * time.Second
	coverFresh   = 2 * time.Second
	justTold     = 500 * time.Millisecond // that the other has no session
	leaveBound   = 10 * time.Second
)

func newHome(s *story, id understudy.ServerID, place int) *home {
	h := &home{machine: machine{s: s, id: id, place: place}}
	h.disk = newDisk(&h.machine)
	h.begin, h.finish, h.answer = h.run, h.ended, h.polled
	return h
}

// add gives a camera its home.
func (h *home) add(c *camera) {
	h.cameras = append(h.cameras, c)
	if c.said == 1 {
		if h.single == nil {
			h.single = map[understudy.CameraID]bool{}
		}
		h.single[c.id] = true
	}
}

func (h *home) run() {
	h.failback = recording.Failback{Self: h.id, HoldDown: h.s.o.HoldDown}
	h.receiver = &merge.Receiver{Self: h.id, Sink: sink{&h.machine}}
	h.site, h.covers = nil, map[understudy.ServerID]covering{}
	h.leaving, h.asking, h.last, h.next, h.wait = false, false, understudy.Claim{}, 0, 0
	h.planning, h.planned = h.planned, false
	h.after(between(h.s.machines, 200*time.Millisecond, 1500*time.Millisecond), func() {
		for _, c := range h.cameras {
			h.rec.apply(c, understudy.AssignedCamera{Epoch: max(1, h.highest)}, false)
		}
	})
	h.s.authority.subscribe(&h.machine, h.told)
	h.every(decideEvery, h.decide)
}

func (h *home) ended() { h.rec.forget(h.powered) }

func (h *home) told(site *understudy.Site, _ []understudy.ServerStatus) {
	if site == nil {
		return
	}
	h.site = site
	h.server, _ = site.RecordingServer(h.id)
	h.learn(site.Leases)
}

// learn takes in leases ahead of the service channel.
func (h *home) learn(leases understudy.Leases) {
	if h.site == nil {
		return
	}
	now := *h.site
	now.Leases = now.Leases.Learn(leases)
	for _, l := range leases {
		c := h.s.camera(l.Camera)
		if c.home != h {
			continue
		}
		h.highest = max(h.highest, l.Epoch)
		if s := h.rec.sessions[c.index]; s != nil {
			s.under(max(s.epoch, l.Epoch), false)
		}
	}
	h.site, h.leases = &now, nil
	for _, c := range h.cameras {
		if l, ok := now.Lease(c.id); ok {
			h.leases = append(h.leases, l)
		}
	}
}

// polled by another server it takes note of what that one records.
func (h *home) polled(p understudy.Poll, cameras []understudy.CameraState) understudy.State {
	if p.Observer != "" {
		h.covers[p.Observer] = covering{at: h.s.now, cameras: p.Covered, crowded: p.Crowded}
	}
	return h.state(cameras)
}

func (h *home) state(cameras []understudy.CameraState) understudy.State {
	state := understudy.State{Server: h.id, Boot: h.bootName, At: h.wall(), Running: h.s.now - h.began, Epoch: h.highest,
		Storage: understudy.StorageState{Writable: h.disk.writable, Incarnation: h.disk.incarnation}, Cameras: cameras}
	if h.leaving {
		state.Leaving = "asked to stop"
	}
	return state
}

// operatorPause is between two orders for one home; a person is slower.
const operatorPause = 5 * time.Second

// operator is a person who reads the alarm that a home takes nothing back by
// itself for the rest of the hour, after everything was mended, and orders it.
func (s *story) operator(h *home) {
	if s.now < h.orderNext {
		return
	}
	h.orderNext = s.now + operatorPause
	a := &s.authority.machine
	a.do(a.boot, func() { s.sendBack(h) })
}

// decide looks again and again whether cameras are to be taken back, and asks until reality agrees.
func (h *home) decide() {
	if h.leaving && h.mayStop() {
		h.stopped()
		return
	}
	if h.site == nil {
		return
	}
	h.looked = h.rec.states(h.looked[:0])
	now := h.outlook()
	given, rest := h.failback.Gives(now)
	for _, id := range given {
		h.s.say("%s gives its session with camera %s up", h.id, id)
		h.s.oracle.givesUp(h, h.s.camera(id))
		h.rec.give(h.s.camera(id), rest)
	}
	cameras, sentence, alarm := h.failback.Look(now)
	if alarm && h.s.faults.over {
		h.s.operator(h)
	}
	switch {
	case sentence == "":
		h.planning = false
		return
	case len(cameras) == 0 || h.asking || h.s.now < h.next:
		return
	}
	if !slices.Equal(cameras, h.last.Cameras) {
		h.claims++
		h.last = understudy.Claim{ID: fmt.Sprintf("failback-%s-%d", h.id, h.claims), Claimant: h.id, Home: h.id,
			Kind: understudy.ClaimFailback, Cameras: cameras, Sentence: sentence, Decided: h.wall()}
	}
	h.claim(h.last)
}

func (h *home) outlook() recording.Outlook {
	o := recording.Outlook{Now: epoch.Add(h.s.now), State: h.state(h.looked), Home: h.server, Leases: h.leases, Planned: h.planning, Past: h.failbacks, Single: h.single}
	for id, told := range h.covers {
		if h.s.now-told.at <= justTold && len(told.crowded) > 0 {
			if o.Crowded == nil {
				o.Crowded = map[understudy.ServerID]map[understudy.CameraID]bool{}
			}
			o.Crowded[id] = map[understudy.CameraID]bool{}
			for _, c := range told.crowded {
				o.Crowded[id][c] = true
			}
		}
	}
	return o
}

func (h *home) claim(c understudy.Claim) {
	var answer understudy.ClaimAnswer
	ordered := h.ordered(c)
	h.asking, h.askedBy = true, h.boot
	h.s.tally.Claims++
	h.s.authority.call(&h.machine, homePatience, func(a *authority, reply func(error)) {
		a.claim(c, func(told understudy.ClaimAnswer, err error) {
			answer = told
			reply(err)
		})
	}, func(err error) {
		h.asking = false
		switch {
		case err != nil && understudy.CodeOf(err) == understudy.CodeUnavailable:
			h.next = h.s.now + 500*time.Millisecond
			return
		case err == nil:
			h.learn(answer.Leases())
		}
		if err != nil || len(answer.Granted) == 0 {
			h.wait = min(max(2*h.wait, 2*time.Second), time.Minute)
			h.next, h.last = h.s.now+h.wait, understudy.Claim{}
			return
		}
		if !h.planning && !ordered {
			h.failbacks = append(h.failbacks, epoch.Add(h.s.now))
		}
		h.next, h.wait, h.last = h.s.now, 0, understudy.Claim{}
	})
}

// ordered reports whether an operator has said that what a claim is about goes home.
func (h *home) ordered(c understudy.Claim) bool {
	for _, wanted := range c.Cameras {
		if l, _ := h.site.Lease(wanted.Camera); l.Since.After(h.server.TakesBack(h.s.clock())) {
			return false
		}
	}
	return true
}

// leave is a planned stop: the process ends when it is covered.
func (h *home) leave() {
	if h.alive() && !h.leaving {
		h.s.say("%s is asked to stop", h.id)
		h.leaving, h.left = true, h.s.now
	}
}

// mayStop is Server.Leave's question, without the clients.
func (h *home) mayStop() bool {
	if h.s.now-h.left >= leaveBound {
		return true
	}
	watched, covered := false, map[understudy.CameraID]bool{}
	for _, c := range h.covers {
		if h.s.now-c.at <= coverFresh {
			watched = true
			for _, id := range c.cameras {
				covered[id] = true
			}
		}
	}
	if !watched {
		return true
	}
	for _, s := range h.rec.sessions {
		if s != nil && !covered[s.cam.id] && s.state().Recording {
			return false
		}
	}
	return true
}

// stopped is the end of a planned stop: all is written and synced.
func (h *home) stopped() {
	h.s.say("%s stops", h.id)
	h.planned = true
	if !h.disk.broken {
		for _, g := range h.disk.segments {
			if g.last > g.durable {
				h.s.oracle.durable(g, g.durable+1, g.last)
				g.written, g.durable = g.last, g.last
			}
		}
	}
	h.kill()
}
