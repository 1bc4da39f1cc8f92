package sim

import (
	"fmt"
	"slices"
	"time"

	"understudy"
	"understudy/internal/bundle"
	"understudy/internal/failover"
)

// The pace of the shell around failover.State; they are internal/failover's own.
const (
	pollEvery     = 250 * time.Millisecond
	pollPatience  = 4 * time.Second
	verifyFor     = 750 * time.Millisecond
	callFor       = 600 * time.Millisecond
	redialEvery   = 70 * time.Millisecond
	redialQuick   = 6
	askPatience   = 1500 * time.Millisecond
	claimPause    = 2 * time.Second
	proveEvery    = 300 * time.Millisecond
	proveWindow   = 30 * time.Second
	foreignEvery  = time.Second
	fetchUsually  = 30 * time.Second
	fetchAgain    = time.Second
	sendPauseMost = 30 * time.Second
)

// standby is a failover server: failover.State, and a model of the shell around it.
type standby struct {
	machine
	state    failover.State
	want     failover.Want
	own      failover.Own // what it was told last of its recorder
	kept     kept         // on the disk
	shelf    bundle.Shelf
	pollers  []*poller
	verifies map[understudy.ServerID]bool
	called   int // the last round
	claims   map[understudy.ServerID]*claimRun
	sends    map[understudy.ServerID]*sending
	foreign  []understudy.ServerID
	looked   time.Duration
	fetching bool
	fetchDue int // generation of the timer
	refetch  bool
	applied  []understudy.AssignedCamera
	mirrored []understudy.AssignedCamera
	starts   int
	stepped  time.Duration                // by elapsed
	recorded []bool                       // cameras, when it last ended
	sealed   map[understudy.ServerID]bool // homes of which a bundle has come
}

// kept is what a failover server still knows when it starts again.
type kept struct {
	site    understudy.Site
	duties  []understudy.Duty
	record  []understudy.AssignedCamera
	any     bool
	bundles []bundle.Kept
}

func newStandby(s *story, id understudy.ServerID, place int) *standby {
	f := &standby{machine: machine{s: s, id: id, place: place}, sealed: map[understudy.ServerID]bool{}}
	f.disk = newDisk(&f.machine)
	f.rec = recorder{m: &f.machine, sessions: make([]*session, len(s.cameras))}
	f.begin, f.finish, f.answer = f.run, f.ended, f.polled
	return f
}

func (f *standby) run() {
	f.starts++
	f.s.oracle.restarted(f, f.recorded)
	f.stepped = 0
	f.highest = 0
	f.shelf = bundle.NewShelf(f.kept.bundles)
	f.state = failover.NewState(f.id, fmt.Sprintf("start%d", f.starts), f.s.o.RankDelay)
	f.want, f.pollers, f.foreign, f.applied, f.mirrored = failover.Want{}, nil, nil, nil, nil
	f.verifies = map[understudy.ServerID]bool{}
	f.claims = map[understudy.ServerID]*claimRun{}
	f.sends = map[understudy.ServerID]*sending{}
	f.looked, f.fetching, f.refetch, f.called = -foreignEvery, false, false, 0
	f.after(between(f.s.machines, 50*time.Millisecond, 300*time.Millisecond), func() {
		if old := f.kept; old.any {
			f.saw(old.site)
			f.step(failover.Observation{Resumed: old.record})
			f.step(failover.Observation{Duties: &old.duties})
			f.step(failover.Observation{Site: &old.site})
		}
		f.s.authority.subscribe(&f.machine, f.told)
		f.fetch()
		f.every(f.s.o.Tick, f.tick)
		f.every(proveEvery, f.prove)
	})
}

func (f *standby) ended() {
	f.recorded = make([]bool, len(f.rec.sessions))
	for i, s := range f.rec.sessions {
		f.recorded[i] = s != nil && !s.wanted && s.seg != nil
	}
	f.rec.forget(f.powered)
	for _, p := range f.pollers {
		p.gone = true
	}
}

// saw remembers the highest epoch that was granted to anybody.
func (f *standby) saw(site understudy.Site) {
	for _, l := range site.Leases {
		f.highest = max(f.highest, l.Epoch)
	}
}

// elapsed is the time of observations: of this start of the process.
func (f *standby) elapsed() time.Duration { return f.s.now - f.began }

// told is what the service channel tells.
func (f *standby) told(site *understudy.Site, status []understudy.ServerStatus) {
	reached := true
	f.step(failover.Observation{Reached: &reached})
	if site != nil {
		f.saw(*site)
		f.step(failover.Observation{Site: site})
		f.fetch()
	}
	if status != nil {
		f.step(failover.Observation{Status: status})
	}
}

func (f *standby) tick() {
	if f.s.now-f.looked >= foreignEvery {
		f.looked, f.foreign = f.s.now, f.foreignHomes()
	}
	f.own = failover.Own{Covered: f.rec.covered(), Crowded: f.rec.crowded(), Foreign: f.foreign, Writable: f.disk.writable}
	f.step(failover.Observation{Own: &f.own})
}

func (f *standby) foreignHomes() []understudy.ServerID {
	var homes []understudy.ServerID
	for _, h := range f.s.homes { // by id
		for _, g := range f.disk.segments {
			if g.cam.home == h && g.whole() {
				homes = append(homes, h.id)
				break
			}
		}
	}
	return homes
}

// step is one observation and what follows from it.
func (f *standby) step(o failover.Observation) {
	o.At, o.Wall = f.elapsed(), f.wall()
	f.stepped = o.At
	f.s.steps++
	if o.Duties != nil {
		f.kept.duties, f.kept.any = *o.Duties, true
	}
	if o.Site != nil {
		f.kept.site, f.kept.any = *o.Site, true
	}
	changed := o.Duties != nil || o.Site != nil || o.Claimed != nil
	f.want = f.state.Advance(o)
	for _, said := range f.want.Said {
		f.s.say("%s: %s", f.id, said.Sentence)
	}
	changed = f.record() || changed
	f.pass()
	f.watch()
	f.call()
	f.claim()
	f.open()
	f.sendHome()
	if changed {
		f.kept.record, f.kept.site.Leases = f.want.Record, f.state.Leases()
	}
}

func (f *standby) polled(_ understudy.Poll, cameras []understudy.CameraState) understudy.State {
	return understudy.State{Server: f.id, Boot: f.bootName, At: f.wall(), Running: f.s.now - f.began, Epoch: f.highest, Cameras: cameras,
		Storage: understudy.StorageState{Writable: f.disk.writable, Incarnation: f.disk.incarnation}, Seen: f.seen()}
}

// seen is what other failover servers are told of the servers that this one watches.
func (f *standby) seen() []understudy.Sighting {
	seen := f.state.Sightings()
	for i := range seen {
		seen[i].Age += f.elapsed() - f.stepped
	}
	return seen
}

// record makes the recorder equal to what is wanted.
func (f *standby) record() bool {
	if same(f.want.Record, f.applied) && same(f.want.Mirror, f.mirrored) {
		return false
	}
	wanted := make([]bool, len(f.s.cameras))
	for _, a := range f.want.Record {
		c := f.s.camera(a.Camera.ID)
		wanted[c.index] = true
		f.granted(a)
		if a.Provisional {
			f.s.oracle.begins(f, c)
		}
		f.rec.apply(c, a, false)
	}
	for _, a := range f.want.Mirror {
		c := f.s.camera(a.Camera.ID)
		wanted[c.index] = true
		if s := f.rec.sessions[c.index]; s != nil && !s.wanted {
			f.s.say("%s mirrors camera %s again", f.id, c.id)
			f.s.oracle.putDown(f, s)
		}
		f.granted(a)
		f.rec.apply(c, a, true)
	}
	for i, s := range f.rec.sessions {
		if s != nil && !wanted[i] {
			f.s.say("%s puts down camera %s", f.id, s.cam.id)
			f.s.oracle.putDown(f, s)
			f.rec.put(s.cam)
		}
	}
	f.applied, f.mirrored = f.want.Record, f.want.Mirror
	f.s.mix(uint64(f.place), uint64(len(f.applied)))
	return true
}

// granted remembers an epoch that was: a provisional one was granted to nobody.
func (f *standby) granted(a understudy.AssignedCamera) {
	if !a.Provisional {
		f.highest = max(f.highest, a.Epoch)
	}
}

func same(a, b []understudy.AssignedCamera) bool {
	return slices.EqualFunc(a, b, func(a, b understudy.AssignedCamera) bool {
		return a.Camera.ID == b.Camera.ID && a.Epoch == b.Epoch && a.Provisional == b.Provisional
	})
}

// pass tells how far the others have come with what is mirrored here.
func (f *standby) pass() {
	for id, mark := range f.want.Passed {
		if s := f.rec.sessions[f.s.camera(id).index]; s != nil {
			s.mirror.Tell(mark, f.s.clock())
		}
	}
}

// fetch asks for duties and for what is held, now, and again in a while.
func (f *standby) fetch() {
	if f.fetching {
		f.refetch = true
		return
	}
	f.fetching = true
	f.fetchDue++
	ctx := background
	var duties []understudy.Duty
	var held understudy.Assignment
	f.s.authority.call(&f.machine, askPatience, func(a *authority, reply func(error)) {
		var err error
		if duties, err = a.m.Duties(ctx, f.id); err == nil {
			held, err = a.m.Assignment(ctx, f.id)
		}
		reply(err)
	}, func(err error) {
		reached := err == nil || understudy.CodeOf(err) != understudy.CodeUnavailable
		if err == nil {
			f.step(failover.Observation{Duties: &duties})
			if len(held.Cameras) > 0 {
				f.step(failover.Observation{Material: held.Cameras})
			}
		}
		f.step(failover.Observation{Reached: &reached})
		if err == nil {
			f.fetchBundles(func() { f.fetched(fetchUsually) })
			return
		}
		f.fetched(map[bool]time.Duration{true: fetchUsually, false: fetchAgain}[reached])
	})
}

// fetched waits until it is time to fetch again.
func (f *standby) fetched(pause time.Duration) {
	if f.fetching = false; f.refetch {
		f.refetch, pause = false, 0
	}
	due := f.fetchDue
	f.after(pause, func() {
		if due == f.fetchDue {
			f.fetch()
		}
	})
}

// claimRun is a claim that is being asked.
type claimRun struct {
	id    string
	ended bool
}

func (f *standby) claim() {
	for home, run := range f.claims {
		wanted := false
		for _, c := range f.want.Claims {
			wanted = wanted || c.ID == run.id
		}
		if !wanted {
			run.ended = true
			delete(f.claims, home)
		}
	}
	for _, c := range f.want.Claims {
		if f.claims[c.Home] == nil {
			run := &claimRun{id: c.ID}
			f.claims[c.Home] = run
			c.Decided = f.wall()
			f.s.tally.Claims++
			f.askFor(run, c, pollEvery)
		}
	}
}

// askFor repeats one claim until its outcome is known.
func (f *standby) askFor(run *claimRun, c understudy.Claim, pause time.Duration) {
	var answer understudy.ClaimAnswer
	f.s.authority.call(&f.machine, askPatience, func(a *authority, reply func(error)) {
		a.claim(c, func(told understudy.ClaimAnswer, err error) {
			answer = told
			reply(err)
		})
	}, func(err error) {
		if run.ended {
			return
		}
		switch code := understudy.CodeOf(err); {
		case err == nil:
			f.step(failover.Observation{Claimed: &failover.Claimed{ID: c.ID, Home: c.Home, Answer: answer}})
			return
		case code == understudy.CodeUnavailable || code == understudy.CodeInternal:
			reached := false
			f.step(failover.Observation{Reached: &reached})
		default:
			f.step(failover.Observation{Claimed: &failover.Claimed{ID: c.ID, Home: c.Home, Err: err}})
			return
		}
		f.after(pause, func() {
			if !run.ended {
				f.askFor(run, c, min(2*pause, claimPause))
			}
		})
	})
}

// prove looks for samples of others in the own store.
func (f *standby) prove() {
	proofs := f.want.Prove
	for _, p := range proofs {
		if f.proven(p) {
			f.step(failover.Observation{Proven: &p})
		}
	}
}

func (f *standby) proven(p failover.Proof) bool {
	c := f.s.camera(p.Camera)
	for _, g := range f.disk.segments {
		if g.cam != c || g.id.Holder != f.id {
			continue
		}
		for n := g.first; n <= g.durable; n++ {
			if c.hash(n) == p.Mark.Hash && c.mark(n).At.Sub(p.Mark.At).Abs() <= proveWindow {
				return true
			}
		}
	}
	return false
}
