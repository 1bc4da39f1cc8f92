package sim

import "time"

// narrow are stories of one situation and nothing else, in which a guard must hold
// alone: where more goes wrong at once, another one covers it as a rule. What they
// do takes a second or two to be right or wrong, so most do it again and again.
var narrow = []func(*faults){
	func(f *faults) { f.again((*faults).loseRoutes) },
	(*faults).setClocks,
	func(f *faults) { f.again((*faults).forgetConnections) },
	func(f *faults) { f.again((*faults).overload) },
	(*faults).aloneForLong,
}

// narrowly begins such a story, in one of some seeds.
func (f *faults) narrowly() bool {
	own := dice(f.s.seed, ofNarrow)
	if !chance(own, 0.06) {
		return false
	}
	pick(own, narrow...)(&faults{s: f.s, dice: own})
	return true
}

// again does something to the site now and then, when all has been well for a while.
func (f *faults) again(do func(*faults)) {
	f.later(between(f.dice, 2*seenFor, 3*seenFor), func() {
		f.s.tally.Faults++
		do(f)
		f.again(do)
	})
}

// loseRoutes: no server reaches another, and each its cameras. The ways come back
// one at a time, as routes do.
func (f *faults) loseRoutes() {
	f.s.say("no server reaches another")
	length := between(f.dice, 3*time.Second, 8*time.Second)
	for a := range 1 + len(f.s.servers) {
		for b := range a {
			f.s.net.set(a, b, true)
			f.s.net.set(b, a, true)
			f.s.after(length+between(f.dice, 0, 4*time.Second), func() {
				f.s.say("the way from %d to %d is whole", a, b)
				f.s.net.set(a, b, false)
				f.s.net.set(b, a, false)
			})
		}
	}
}

// setClocks of homes, perhaps while the management server is away.
func (f *faults) setClocks() {
	if chance(f.dice, 0.3) {
		f.withoutManagement()
	}
	f.again((*faults).setClockUnseen)
}

// setClockUnseen: cables are moved, a home hears its time server again and sets its
// clock, and a failover server does not see it just then. Others do.
func (f *faults) setClockUnseen() {
	h, m := f.home(), f.standby()
	sight := func(cut bool) {
		f.s.say("%s and %s see each other: %v", h.id, m.id, !cut)
		f.s.net.set(h.place, m.place, cut)
		f.s.net.set(m.place, h.place, cut)
	}
	sight(true)
	f.later(between(f.dice, 0, time.Second), func() {
		h.offset += between(f.dice, -time.Minute, 10*time.Second)
		f.s.say("the clock of %s is set", h.id)
	})
	f.s.after(between(f.dice, 3*time.Second, 10*time.Second), func() { sight(false) })
}

// forgetConnections: a firewall starts anew and knows none of the connections that
// pass it. What comes of them is lost, and fresh ones get through.
func (f *faults) forgetConnections() {
	f.s.say("a firewall forgets its connections")
	for _, m := range f.s.servers {
		for _, c := range m.peers {
			c.forgotten = true
		}
	}
}

// overload: the management server does what it is asked, and its answers come too
// late for who asked; what it tells by itself goes on. A home dies meanwhile.
func (f *faults) overload() {
	h, a := f.home(), f.s.authority
	f.s.say("the management server is overloaded")
	a.loses = 1
	f.later(between(f.dice, 0, 3*time.Second), h.kill)
	f.later(between(f.dice, 10*time.Second, 15*time.Second), func() {
		f.s.say("the management server has time again")
		a.loses = f.s.o.LosesAnswers
		h.start()
	})
}

// aloneForLong: a home dies after the management server, and both are away until
// everything is mended. The failover servers may not see each other at first.
func (f *faults) aloneForLong() {
	f.s.tally.Faults += 2
	f.later(between(f.dice, 0, 2*time.Second), f.s.authority.kill)
	f.later(between(f.dice, 2*time.Second, 5*time.Second), f.home().kill)
	if chance(f.dice, 0.4) {
		f.partStandbys(true)
		f.later(between(f.dice, 8*time.Second, 10*time.Second), func() { f.partStandbys(false) })
	}
}

// partStandbys cuts the ways between failover servers, or makes them whole.
func (f *faults) partStandbys(cut bool) {
	f.s.say("the failover servers see each other: %v", !cut)
	for _, a := range f.s.standbys {
		for _, b := range f.s.standbys {
			if a != b {
				f.s.net.set(a.place, b.place, cut)
			}
		}
	}
}
