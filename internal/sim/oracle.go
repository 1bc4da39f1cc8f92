package sim

import (
	"time"

	"understudy"
)

// oracle judges a story by what the models know to be true.
type oracle struct {
	s         *story
	highest   []uint64                         // epoch ever granted, by camera
	holders   []map[uint64]understudy.ServerID // of each epoch
	changes   map[understudy.ServerID]int      // of roles, by home
	renewed   bool                             // the database was replaced by an old copy
	old       string                           // the log's name as in that copy; nothing if there was none
	forgotten bool                             // something was granted from it, and nobody could tell what it did not know
	lastOf    [][]time.Duration                // a server's last recorded frame, by camera and place
	mendedAt  time.Duration

	// Of a story that accounts for each frame.
	victim   *home
	planned  bool
	moves    []int  // of leases since the fault, by camera
	mirrored []bool // by camera: nothing of it may be lost at all
	deathAt  time.Duration
	kept     bool            // it keeps the sessions of its cameras, and cannot write
	swift    bool            // its process is gone, and whoever connects learns so at once
	waited   []time.Duration // for a frame of a camera to be recorded by somebody
	safe     []int           // newest durable frame at the moment of the fault, by camera
	resumed  []int           // first frame recorded by anybody after it
}

func newOracle(s *story) *oracle { return &oracle{s: s, changes: map[understudy.ServerID]int{}} }

func (o *oracle) prepare() {
	if o.highest == nil {
		n := len(o.s.cameras)
		o.highest, o.holders = make([]uint64, n), make([]map[uint64]understudy.ServerID, n)
		o.lastOf = make([][]time.Duration, n)
		for i := range n {
			o.holders[i] = map[uint64]understudy.ServerID{}
			o.lastOf[i] = make([]time.Duration, len(o.s.net.cut))
		}
	}
}

// leases: an epoch has one holder, and a camera's epochs only grow.
func (o *oracle) leases(before, after understudy.Leases) {
	o.prepare()
	if o.renewed { // an old copy is what it is; what is granted from it counts
		o.renewed = false
		return
	}
	for _, l := range after {
		c := o.s.camera(l.Camera)
		var old understudy.Lease
		for _, b := range before {
			if b.Camera == l.Camera {
				old = *b
			}
		}
		if old.Epoch == l.Epoch && old.Holder == l.Holder {
			continue
		}
		o.s.say("camera %s: %s holds epoch %d", c.id, l.Holder, l.Epoch)
		o.s.mix(uint64(c.index), l.Epoch, uint64(len(l.Holder)))
		if l.Epoch < old.Epoch && !o.forgotten {
			o.s.fail("the epoch of camera %s went from %d to %d", c.id, old.Epoch, l.Epoch)
		}
		if holder, used := o.holders[c.index][l.Epoch]; used && holder != l.Holder && !o.forgotten {
			o.s.fail("epoch %d of camera %s has two holders: %s and %s", l.Epoch, c.id, holder, l.Holder)
		}
		o.holders[c.index][l.Epoch] = l.Holder
		o.highest[c.index] = max(o.highest[c.index], l.Epoch)
		if old.Epoch != 0 && old.Holder != l.Holder {
			o.changes[c.home.id]++
			if o.victim != nil {
				o.moves[c.index]++
			}
		}
	}
}

// restored: the database is an old copy, until its log has a new name.
func (o *oracle) restored() {
	o.renewed = true
	o.old = o.s.authority.m.Stream()
}

// unknowing reports that the database is an old copy, that more was granted since
// than it knows, and that nobody who can be asked has seen it: what is granted
// then cannot be avoided, and the epochs of this story prove nothing.
func (o *oracle) unknowing() bool {
	// A server that came back is asked when the question before has waited for its 2 s,
	// and what it answers counts with the next look.
	const looked = watchPatience + watchEvery + watchSettle + 350*time.Millisecond
	a := o.s.authority
	if o.old == "" || a.m.Stream() != o.old {
		return false
	}
	known, lost := uint64(0), uint64(0)
	for _, l := range a.site.Leases {
		known = max(known, l.Epoch)
	}
	for _, epoch := range o.highest {
		lost = max(lost, epoch)
	}
	for _, m := range o.s.servers {
		if m.alive() && m.highest > known && o.s.now-m.changed > looked && o.s.net.whole(m.place, a.place, looked) {
			return false
		}
	}
	return lost > known
}

// repeated: a claim that arrives twice changes nothing and is answered alike.
func (o *oracle) repeated(c understudy.Claim, first, again understudy.ClaimAnswer, err error) {
	same := err == nil && len(first.Granted) == len(again.Granted) && len(first.Refused) == len(again.Refused)
	for i := range first.Granted {
		same = same && first.Granted[i].Epoch == again.Granted[i].Epoch && first.Granted[i].Holder == again.Granted[i].Holder
	}
	if !same {
		o.s.fail("claim %s was repeated and is answered otherwise: %v, then %v (%v)", c.ID, first.Granted, again.Granted, err)
	}
}

// durableFor is how old the newest durable frame of a server may be that is well: a
// sync that began while its disk was slow is not over when the disk is quick again.
const durableFor = 3 * time.Second

// well: the server has recorded all its cameras for a while, and nothing was wrong with it.
func (o *oracle) well(h *home) bool {
	now := o.s.now
	if !h.alive() || h.leaving || now-h.changed < seenFor || h.disk.broken || h.disk.slow > 0 || h.disk.lagging || now-h.disk.since < seenFor {
		return false
	}
	for _, c := range h.cameras {
		s := h.rec.sessions[c.index]
		if s == nil || s.steady == 0 || now-s.steady < seenFor || !c.on || now-s.moved > durableFor {
			return false
		}
	}
	return true
}

// received: a server has recorded a frame.
func (o *oracle) received(s *session, n int) {
	o.prepare()
	o.lastOf[s.cam.index][s.m.place] = o.s.now
	s.cam.last = o.s.now
	if o.victim != nil && s.cam.home == o.victim && o.resumed[s.cam.index] < 0 {
		o.resumed[s.cam.index], o.waited[s.cam.index] = n, o.s.now-o.deathAt
	}
}

// recorded looks at a frame that has been offered to everybody.
func (o *oracle) recorded(c *camera) {
	if c.by&(c.by-1) != 0 {
		c.doubled++
	}
}

// putDown: nobody puts a camera down that nobody else has just been recording.
func (o *oracle) putDown(f *standby, s *session) {
	c := s.cam
	brief := o.s.now-s.steady < 3*time.Second // what was only tried, and may not be known to be durable yet
	if s.steady == 0 || brief || s.mark == s.first || !c.on || !o.s.net.both(f.place, c.place) {
		return
	}
	for _, m := range o.s.servers {
		last := o.lastOf[c.index][m.place]
		if m != &f.machine && last > 0 && o.s.now-last < 8*time.Second {
			return
		}
		// It receives the camera and waits for a key frame, or was struck just now.
		if s := m.rec.sessions[c.index]; m != &f.machine && s != nil && (o.s.now-s.heard < receivingFor || o.s.now-m.changed < time.Second) {
			return
		}
	}
	// A database that was restored just now may know of an earlier holder than who puts it down.
	holders := []understudy.ServerID{o.s.leaseOf(c.index).Holder, o.holders[c.index][o.highest[c.index]]}
	for _, l := range f.state.Leases() {
		if l.Camera == c.id {
			holders = append(holders, l.Holder)
		}
	}
	for _, id := range holders {
		if o.wanted(c, o.holder(id), &f.machine) {
			return // whoever serves it finds no session left there: this one is given up for it
		}
	}
	if s.provisional && o.wanted(c, &c.home.machine, &f.machine) {
		return // or does for all that is known here
	}
	o.s.fail("%s puts camera %s down, and nobody else has recorded it for 8 s", f.id, c.id)
}

// durable: frames are synced on some disk.
func (o *oracle) durable(g *segment, from, to int) {
	for n := from; n <= to; n++ {
		g.cam.held[n] = true
	}
	o.s.mix(uint64(g.cam.index), uint64(from), uint64(to))
}

// formatted: what was on one disk only is gone, and nobody's fault.
func (o *oracle) formatted(*disk) {
	for _, c := range o.s.cameras {
		for n := range c.held {
			if c.held[n] {
				c.held[n] = o.somewhere(c, n)
			}
		}
	}
}

func (o *oracle) somewhere(c *camera, n int) bool {
	for _, m := range o.s.servers {
		if m.disk.holds(c, n) {
			return true
		}
	}
	return false
}

// deletes: only what home holds, on the disk that it has now.
func (o *oracle) deletes(f *standby, g *segment) {
	home := g.cam.home.disk
	if home.formatted > 1 && o.s.now-home.renewed < time.Second { // its word was on the way when it lost its disk
		for n := g.first; n <= g.last; n++ {
			g.cam.held[n] = home.holds(g.cam, n)
		}
		return
	}
	for n := g.first; n <= g.last; n++ {
		if !home.holds(g.cam, n) {
			o.s.fail("%s deletes frame %d of camera %s, which is not durable at %s", f.id, n, g.cam.id, g.cam.home.id)
			return
		}
	}
}

const lookEvery = 500 * time.Millisecond

// look is the oracle's eye on what goes on by itself.
func (o *oracle) look() {
	o.prepare()
	for _, c := range o.s.cameras {
		o.reachable(c)
		o.served(c)
		o.sick(c)
		o.obeyed(c)
		o.alone(c)
		o.moved(c)
		o.given(c)
	}
	for _, h := range o.s.homes {
		o.ended(h)
	}
	for _, f := range o.s.standbys {
		o.reconciled(f)
	}
}

// reachable: a camera that somebody can record is recorded within 5 s and a GOP,
// whatever the management server does; each rank before adds its delay.
func (o *oracle) reachable(c *camera) {
	who, since, bound := o.able(c)
	if who == "" {
		c.could = ""
		return
	}
	if c.could != who || since > c.owed {
		c.could, c.owed = who, max(since, o.s.now)
		if since < o.s.now {
			c.owed = o.s.now
		}
	}
	bound += 5*time.Second + time.Duration(c.gop)*c.interval
	if o.s.net.uneven() {
		bound += 4 * time.Second
	}
	if c.sessions > 0 {
		bound += c.slotLife
	}
	if o.s.now-c.owed > bound && o.s.now-c.last > bound {
		o.s.fail("camera %s could be recorded by %s for %.1f s, and nobody has for %.1f s", c.id, who, (o.s.now - c.owed).Seconds(), (o.s.now - c.last).Seconds())
	}
}

// able says who can record a camera, since when, and how much longer than usual it may take.
func (o *oracle) able(c *camera) (who string, since, longer time.Duration) {
	h, net := c.home, o.s.net
	fit := func(m *machine) bool {
		return m.alive() && !m.disk.broken && m.disk.slow == 0 && net.both(m.place, c.place)
	}
	latest := func(m *machine) time.Duration {
		return max(m.changed, m.disk.since, net.since[m.place][c.place], net.since[c.place][m.place], c.turned)
	}
	if !c.on || o.maintained(h, allowed) {
		return "", 0, 0
	}
	if fit(&h.machine) {
		return string(h.id), latest(&h.machine), 2 * time.Second // it starts
	}
	since = h.changed
	if h.alive() { // sick: it takes longer to prove, and only who sees it can
		since = max(since, h.disk.since, net.since[h.place][c.place], net.since[c.place][h.place])
		if h.disk.slow > 0 || h.leaving {
			return "", 0, 0
		}
		longer = 3 * time.Second
		if !h.disk.broken {
			longer = 20 * time.Second
		}
	}
	lease, _ := o.s.authority.site.Lease(c.id)
	if lease.Holder != h.id && o.holder(lease.Holder) == nil {
		return "", 0, 0
	}
	for _, f := range o.s.standbys {
		kind, rank, ok := o.s.authority.site.Standby(understudy.Camera{ID: c.id, Home: h.id}, f.id)
		if !ok {
			continue
		}
		if o.unaware(f, h) {
			return "", 0, 0
		}
		slower := time.Duration(0)
		if f.hung || f.up && (!fit(&f.machine) || o.s.now-f.changed < 12*time.Second) || h.alive() && (kind == understudy.StandbyCold || !net.both(f.place, h.place)) {
			return "", 0, 0
		}
		if !f.up {
			since = max(since, f.changed)
			continue
		}
		if kind == understudy.StandbyCold {
			if a := o.s.authority; !f.sealed[h.id] && (!a.alive() || o.s.now-a.changed < 12*time.Second || !net.whole(a.place, f.place, 12*time.Second)) {
				return "", 0, 0
			}
			slower = openFor
		}
		who += string(f.id) + " "
		since = max(since, latest(&f.machine))
		longer = max(longer, time.Duration(rank)*o.s.o.RankDelay+slower)
		if lease.Holder != h.id && lease.Holder != f.id {
			longer = max(longer, 12*time.Second) // the one that stands in must be found dead too
			since = max(since, o.holder(lease.Holder).changed)
		}
		since = max(since, net.since[f.place][h.place], net.since[h.place][f.place])
	}
	return who, since, longer
}

func (o *oracle) holder(id understudy.ServerID) *machine {
	for _, m := range o.s.servers {
		if m.id == id {
			return m
		}
	}
	return nil
}

// struck begins the account of the one fault of a story.
func (o *oracle) struck(h *home, planned, swift bool) {
	o.prepare()
	o.victim, o.planned, o.swift, o.deathAt = h, planned, swift, o.s.now
	for _, c := range o.s.cameras {
		o.safe = append(o.safe, h.disk.newest(c))
		o.resumed = append(o.resumed, -1)
		o.mirrored = append(o.mirrored, o.reflected(c))
		o.waited = append(o.waited, 0)
		o.moves = append(o.moves, 0)
	}
}

// reflected: a standby has all of the camera in memory that its home may lose.
func (o *oracle) reflected(c *camera) bool {
	for _, f := range o.s.standbys {
		if s := f.rec.sessions[c.index]; s != nil && s.whole() && f.alive() {
			return true
		}
	}
	return false
}

func (o *oracle) mended() { o.mendedAt = o.s.now }

// patience is how much longer than a minute the way back may take: hold-downs that have doubled, and sessions that linger.
func (o *oracle) patience() time.Duration {
	longest := time.Duration(0)
	for _, h := range o.s.homes {
		hold := o.s.o.HoldDown
		for range h.failbacks {
			hold = min(2*hold, 15*time.Minute)
		}
		longest = max(longest, hold)
	}
	for _, c := range o.s.cameras {
		switch {
		case c.said != c.sessions: // home waits for as long as its own may linger
			longest = max(longest, c.slotLife+lingering)
		case c.sessions > 0:
			longest = max(longest, c.slotLife)
		}
	}
	return longest
}

// converged: one holder, home; all clients on it; nothing recorded elsewhere, nothing left to merge, and nothing lost that was durable.
func (o *oracle) converged() {
	if o.forgotten || o.unknowing() {
		return
	}
	for _, c := range o.s.cameras {
		lease, _ := o.s.authority.site.Lease(c.id)
		if lease.Holder != c.home.id {
			o.s.fail("%s still holds camera %s, long after everything was mended", lease.Holder, c.id)
		}
		for _, v := range o.s.clients {
			if v.leases[c.index].Holder != lease.Holder || v.leases[c.index].Epoch != lease.Epoch {
				o.s.fail("%s is sent to %s for camera %s, and %s holds it", v.id, v.leases[c.index].Holder, c.id, lease.Holder)
			}
		}
		for n, held := range c.held {
			// A mirror whose ring is full may have synced what home has not yet.
			if held && !c.home.disk.holds(c, n) && o.s.now-c.frames[n].at > durableFor {
				o.s.fail("frame %d of camera %s was durable and is not at home", n, c.id)
			}
		}
	}
	for _, f := range o.s.standbys {
		for _, s := range f.rec.sessions {
			if s != nil && (!s.wanted || s.seg != nil && !s.overflows()) {
				o.s.fail("%s still records camera %s", f.id, s.cam.id)
			}
		}
		for _, g := range f.disk.segments {
			if s := f.rec.sessions[o.s.camera(g.id.Camera).index]; s != nil && s.overflows() {
				continue
			}
			o.s.fail("%s still keeps %s", f.id, g.id)
		}
	}
	if o.victim != nil {
		o.exact()
		o.timeline()
		o.prompt()
	}
}

// overflows: a mirror's memory, which is small here, did not suffice a moment ago, as happens
// where packets are lost or late, or it has no room for what home syncs in a while; and what is
// written for that goes home soon.
func (s *session) overflows() bool {
	const soon = 20 * time.Second
	short := time.Duration(s.m.s.o.Ring-s.cam.gop)*s.cam.interval < durableFor // it begins with a key frame
	return (short || s.m.s.net.uneven()) && s.wanted && s.full > 0 && s.m.s.now-s.full < soon
}

// exact: of the one fault's victim exactly the frames between what was durable and what somebody recorded next are lost; none, if it was planned.
func (o *oracle) exact() {
	for _, c := range o.victim.cameras {
		if c.sessions == 1 {
			o.broken(c)
			continue
		}
		for n, f := range c.frames {
			lost := !c.home.disk.holds(c, n)
			gap := n > o.safe[c.index] && n < o.resumed[c.index] && !o.planned && !o.mirrored[c.index]
			if lost && !gap && f.at > o.s.o.Settle && f.at < o.s.now-3*time.Second {
				if o.mirrored[c.index] {
					o.s.fail("frame %d of camera %s, which was mirrored, is lost (durable to %d, recorded from %d on)", n, c.id, o.safe[c.index], o.resumed[c.index])
					return
				}
				o.s.fail("frame %d of camera %s is lost, and only those between %d and %d may be", n, c.id, o.safe[c.index], o.resumed[c.index])
				return
			}
		}
	}
}

// account counts all frames, those that nobody has, and those that two servers recorded.
func (o *oracle) account() (frames, lost, doubled int) {
	for _, c := range o.s.cameras {
		frames += len(c.frames)
		doubled += c.doubled
		for _, held := range c.held {
			if !held {
				lost++
			}
		}
	}
	return frames, lost, doubled
}
