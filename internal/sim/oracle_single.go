package sim

import "time"

const (
	// movedIn is for how long nobody records a camera that allows one session, besides
	// a GOP, when its lease moves: who has the session gives it up first.
	movedIn = 3 * time.Second
	lossy   = 4 * time.Second // longer, on a network that loses some
)

// moved: a camera that allows one session is recorded again soon, whoever serves
// it, where nothing has been wrong for so long that no dead session of it lives on.
func (o *oracle) moved(c *camera) {
	now, net, a := o.s.now, o.s.net, o.s.authority
	calm := c.slotLife + 15*time.Second
	if c.sessions != 1 || !c.on || now-c.turned < calm || !a.alive() || now-a.changed < calm || a.loses > 0 || now-c.last < 5*time.Second {
		return
	}
	for _, m := range o.s.servers {
		if !m.alive() || now-m.changed < calm || m.disk.broken || m.disk.slow > 0 || now-m.disk.since < calm ||
			!net.whole(m.place, c.place, calm) || !net.whole(m.place, a.place, calm) || !net.whole(m.place, c.home.place, calm) {
			return
		}
	}
	if took := now - c.last; took > movedIn+lossy+time.Duration(c.gop)*c.interval && !c.home.leaving {
		o.s.fail("nothing is wrong, and nobody has recorded camera %s, which allows one session, for %.1f s", c.id, took.Seconds())
	}
}

// given: to whom a camera that allows one session was handed over, in a story in
// which nothing else happens, records it.
func (o *oracle) given(c *camera) {
	h, now := c.home, o.s.now
	if c.sessions != 1 || o.victim != h || h.handed == 0 || now-h.handed < obeyedFor {
		return
	}
	for _, f := range o.s.standbys {
		if o.handed(h, f) && o.s.leaseOf(c.index).Holder == f.id && now-o.lastOf[c.index][f.place] > obeyedFor {
			o.s.fail("%s was handed over to %s %.1f s ago, which serves camera %s and does not record it", h.id, f.id, (now - h.handed).Seconds(), c.id)
		}
	}
}

// broken: of a camera that allows one session what each move of its lease costs is
// lost besides, and no more.
func (o *oracle) broken(c *camera) {
	if o.kept { // and nobody can grant the lease for which it would give them up
		return
	}
	lost := 0
	for n, f := range c.frames {
		gap := n > o.safe[c.index] && n < o.resumed[c.index] && !o.planned
		if f.at > o.s.o.Settle && f.at < o.s.now-3*time.Second && !gap && !c.home.disk.holds(c, n) {
			lost++
		}
	}
	moves := o.moves[c.index]
	switch {
	case moves == 0 && o.planned: // with nobody to ask the session went there and back
		moves = 2
	case moves == 0: // and back
		moves = 1
	}
	bound := time.Duration(moves) * (movedIn + time.Duration(c.gop)*c.interval)
	if took := time.Duration(lost) * c.interval; took > bound {
		o.s.fail("%.2f s of camera %s, which allows one session, are lost in %d moves, and %.2f s may be", took.Seconds(), c.id, moves, bound.Seconds())
	}
}

// givesUp: home gives a session up for who serves the camera and lacks it, or has
// just got it when the camera itself ended that of home.
func (o *oracle) givesUp(h *home, c *camera) {
	for _, l := range h.leases { // as it knows them
		to := o.holder(l.Holder)
		if s := to.rec.sessions[c.index]; l.Camera == c.id && !o.wanted(c, to, &h.machine) && (s == nil || s.slot == nil) {
			o.s.fail("%s gives its session with camera %s up for %s, which does not ask for it", h.id, c.id, l.Holder)
		}
	}
}

// wanted: a server lacks the session that another has, or lacked it until just now, or may
// have until it ended.
func (o *oracle) wanted(c *camera, m, of *machine) bool {
	const told = time.Second
	return m != of && (m.rec.sessions[c.index].turnedAway(told) || (c.sessions == 1 || !m.alive()) && o.s.now-m.changed < told)
}

// turnedAway: the camera has no session left for this server, or had none until it lost
// the camera, or got one, that little ago. What it told of that may be believed for so long.
func (s *session) turnedAway(ago time.Duration) bool {
	return s != nil && (s.crowded || s.uncrowded > 0 && s.m.s.now-s.uncrowded < ago)
}
