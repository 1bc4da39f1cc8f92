package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"understudy"
)

// story is one site and what befalls it.
type story struct {
	engine
	seed      uint64
	o         options
	machines  *rand.Rand
	disks     *rand.Rand
	net       *network
	authority *authority
	cameras   []*camera
	homes     []*home
	standbys  []*standby
	servers   []*machine // homes and standbys, by id
	clients   []*viewer
	pipes     []*pipe
	session   *pipeEnd // the end of a pipe that runs now
	oracle    *oracle
	faults    *faults

	steps   int
	tally   Tally
	text    *strings.Builder
	wrong   string
	wrongAt time.Duration
}

// options are the site, and how good its parts are.
type options struct {
	Homes, Standbys, Cameras int
	Exact                    bool // one fault, and an account of each frame
	Quiet                    bool // no fault at all
	Latency, Jitter          time.Duration
	Loss                     float64
	HoldDown, RankDelay      time.Duration
	Tick, Grace              time.Duration
	Settle, Faults           time.Duration
	Every                    time.Duration // between two faults, on average
	Standby                  []string      // of each home: hot, cold or both
	Mirror                   []bool        // of each home: mirror instead of hot
	Ring                     int           // frames of a camera that a mirror has room for
	LosesAnswers             float64
}

func drawOptions(seed uint64) options {
	r := dice(seed, ofOptions)
	o := options{Homes: pick(r, 1, 1, 2, 2, 3), Standbys: pick(r, 1, 1, 2, 2, 3), Exact: seed%4 == 0,
		Latency: between(r, 200*time.Microsecond, 20*time.Millisecond), HoldDown: between(r, time.Second, 10*time.Second),
		RankDelay: 2 * time.Second, Tick: pick(r, 100*time.Millisecond, 200*time.Millisecond, 300*time.Millisecond), Grace: between(r, 500*time.Millisecond, 5*time.Second),
		Settle: between(r, 4*time.Second, 14*time.Second), Faults: between(r, 25*time.Second, 50*time.Second), Every: between(r, time.Second, 9*time.Second)}
	o.Cameras = max(o.Homes, 1+r.IntN(4))
	if chance(r, 0.5) {
		o.Jitter = between(r, 0, 100*time.Millisecond)
	}
	if chance(r, 0.4) {
		o.Loss = 0.05 * r.Float64()
	}
	if chance(r, 0.5) {
		o.LosesAnswers = 0.3 * r.Float64()
	}
	for range o.Homes {
		o.Standby = append(o.Standby, pick(r, "hot", "hot", "cold", "both"))
	}
	mirrors := dice(seed, ofMirrors)
	o.Ring = pick(mirrors, 30, 100, 100)
	for range o.Homes {
		o.Mirror = append(o.Mirror, chance(mirrors, 0.4))
	}
	if o.Exact {
		o.Settle, o.Jitter, o.Loss, o.LosesAnswers = max(o.Settle, 18*time.Second), min(o.Jitter, 10*time.Millisecond), 0, 0
	}
	return o
}

const (
	converge = 60 * time.Second // after the last fault
	shortest = 120 * time.Second
)

func newStory(seed uint64, o options) *story {
	s := &story{seed: seed, o: o, machines: dice(seed, ofMachines), disks: dice(seed, ofDisks)}
	s.hash = seed
	s.oracle = newOracle(s)
	s.net = newNetwork(s, 1+o.Homes+o.Standbys+o.Cameras+1)
	s.authority = newAuthority(s)
	for i := range o.Homes {
		s.homes = append(s.homes, newHome(s, understudy.ServerID(fmt.Sprint("rec-", i+1)), 1+i))
	}
	r, said := dice(seed, ofCameras), dice(seed, ofSessions)
	for i := range o.Cameras {
		c := &camera{s: s, id: understudy.CameraID([]string{"a", "b", "c", "d"}[i]), index: i, place: 1 + o.Homes + o.Standbys + i,
			home: s.homes[i%o.Homes], interval: between(r, 125*time.Millisecond, 400*time.Millisecond), gop: 2 + r.IntN(8),
			onPlay: chance(r, 0.5), sessions: pick(r, 0, 0, 0, 1, 3), slotLife: between(r, 10*time.Second, 60*time.Second), on: true}
		if chance(r, 0.4) {
			c.loop = pick(r, 1, c.gop, 7, 40)
		}
		if chance(said, 0.7) {
			c.said = c.sessions
		}
		s.cameras = append(s.cameras, c)
		c.home.add(c)
	}
	for i := range o.Standbys {
		s.standbys = append(s.standbys, newStandby(s, understudy.ServerID(fmt.Sprint("fo-", i+1)), 1+o.Homes+i))
	}
	for _, f := range s.standbys {
		s.servers = append(s.servers, &f.machine)
	}
	for _, h := range s.homes {
		h.rec = recorder{m: &h.machine, sessions: make([]*session, len(s.cameras))}
		s.servers = append(s.servers, &h.machine)
	}
	for _, m := range s.servers {
		if chance(s.machines, 0.3) {
			m.offset = between(s.machines, -5*time.Minute, 5*time.Minute)
		}
	}
	s.configure()
	s.faults = newFaults(s)
	return s
}

// configure is what an administrator has set before the story begins.
func (s *story) configure() {
	m := s.authority.m
	must := func(_ any, err error) {
		if err != nil {
			panic(err)
		}
	}
	address := func(id understudy.ServerID) understudy.Addresses {
		return understudy.Addresses{Media: string(id) + ":7563", State: string(id) + ":11000", Merge: string(id) + ":5210"}
	}
	var members []understudy.ServerID
	for _, f := range s.standbys {
		must(m.PutFailoverServer(background, understudy.FailoverServer{ID: f.id, Name: string(f.id), Addresses: address(f.id)}))
		members = append(members, f.id)
	}
	must(m.PutGroup(background, understudy.FailoverGroup{ID: "all", Name: "all", Members: members}))
	for i, h := range s.homes {
		r := understudy.RecordingServer{ID: h.id, Name: string(h.id), Addresses: address(h.id)}
		switch {
		case s.o.Mirror[i]:
			r.MirrorStandby = members[i%len(members)]
		case s.o.Standby[i] != "cold":
			r.HotStandby = members[i%len(members)]
		}
		if s.o.Standby[i] != "hot" {
			r.PrimaryGroup = "all"
		}
		must(m.PutRecordingServer(background, r))
	}
	for _, c := range s.cameras {
		must(m.PutCamera(background, understudy.Camera{ID: c.id, Home: c.home.id, URL: "rtsp://" + string(c.id) + "/", Sessions: c.said}, nil))
	}
	s.authority.refresh()
}

func (s *story) camera(id understudy.CameraID) *camera { return s.cameras[id[0]-'a'] }

func (s *story) over() bool { return s.wrong != "" }

// play is the whole story: everybody starts, things break, all is mended, and it must converge.
func (s *story) play() {
	s.begin()
	s.run(s.o.Settle, s.over)
	s.faults.begin()
	healed := s.o.Settle + s.o.Faults
	s.run(healed, s.over)
	s.faults.mend()
	s.oracle.mended()
	deadline := healed + converge + s.oracle.patience()
	s.run(max(deadline, shortest), s.over)
	if !s.over() {
		s.oracle.converged()
	}
}

// begin starts everybody.
func (s *story) begin() {
	s.authority.start()
	for _, m := range s.servers {
		s.after(between(s.machines, 0, 2*time.Second), m.start)
	}
	for _, c := range s.cameras {
		s.after(between(s.machines, 0, c.interval), func() { s.every(c.interval, c.tick) })
	}
	for range 1 + s.machines.IntN(2) {
		s.clients = append(s.clients, newViewer(s, len(s.clients)))
	}
	s.after(lookEvery, func() { s.every(lookEvery, s.oracle.look) })
}

// end lets go of what waits in the middle of a session.
func (s *story) end() {
	for _, p := range s.pipes {
		p.breakNow()
	}
	s.tally.Frames, s.tally.Lost, s.tally.Doubled = s.oracle.account()
}

// say writes the story down, if somebody wants to read it.
func (s *story) say(format string, args ...any) {
	if s.text != nil {
		fmt.Fprintf(s.text, "%8.3f  %s\n", s.now.Seconds(), fmt.Sprintf(format, args...))
	}
}

// fail ends the story: the oracle has found something.
func (s *story) fail(format string, args ...any) {
	if s.wrong == "" {
		s.wrong, s.wrongAt = fmt.Sprintf(format, args...), s.now
		s.say("WRONG: %s", s.wrong)
	}
}
