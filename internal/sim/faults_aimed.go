package sim

import (
	"slices"
	"time"
)

// aimed are an operator's orders, and faults that seldom come about by chance:
// several things in a row, or for longer than most. A story has one at most.
var aimed = []func(*faults){
	(*faults).failDisk,
	(*faults).loseHalf,
	(*faults).blackout,
	(*faults).loseSight,
	func(f *faults) { f.handOver(f.home()) },
	(*faults).maintain,
	(*faults).alone,
}

func (f *faults) aim() {
	own := dice(f.s.seed, ofAimed)
	if !chance(own, 0.35) {
		return
	}
	f.s.after(between(own, 0, 20*time.Second), func() {
		if !f.over {
			f.s.tally.Faults++
			pick(own, aimed...)(&faults{s: f.s, dice: own})
		}
	})
}

// failDisk: a recording server lives on, and its disk does not.
func (f *faults) failDisk() {
	h := f.home()
	h.disk.damage(true, h.disk.slow)
	f.s.after(between(f.dice, 25*time.Second, 45*time.Second), func() { h.disk.damage(false, h.disk.slow) })
}

// loseHalf: a recording server loses the way to half of its cameras.
func (f *faults) loseHalf() {
	h := f.home()
	for _, c := range h.cameras[:(len(h.cameras)+1)/2] {
		f.cutCameraOf(&h.machine, c, between(f.dice, 30*time.Second, 45*time.Second))
	}
}

func (f *faults) cutCameraOf(m *machine, c *camera, length time.Duration) {
	f.s.say("%s does not reach camera %s", m.id, c.id)
	both := func(cut bool) {
		f.s.net.set(m.place, c.place, cut)
		f.s.net.set(c.place, m.place, cut)
	}
	both(true)
	f.s.after(length, func() {
		f.s.say("%s reaches camera %s", m.id, c.id)
		both(false)
	})
}

// blackout: a recording server dies, and a while later the power of the whole
// site goes. It comes back in a random order, the failover servers first.
func (f *faults) blackout() {
	f.home().kill()
	f.s.after(between(f.dice, 4*time.Second, 9*time.Second), func() {
		back := func(m *machine, from, to time.Duration) {
			m.losePower()
			f.s.after(between(f.dice, from, to), m.start)
		}
		back(&f.s.authority.machine, 10*time.Second, 25*time.Second)
		for _, h := range f.s.homes {
			back(&h.machine, 8*time.Second, 25*time.Second)
		}
		for _, m := range f.s.standbys {
			back(&m.machine, 0, 2*time.Second)
		}
	})
}

// withoutManagement takes the management server away, before a home fails or after,
// and gives it back.
func (f *faults) withoutManagement() {
	a := f.s.authority
	away, back := a.kill, a.start
	switch f.dice.IntN(3) {
	case 0:
		away, back = a.losePower, a.start
	case 1:
		away, back = func() { a.hang(true) }, func() { a.hang(false) }
	}
	f.s.after(between(f.dice, 0, 6*time.Second), away)
	f.s.after(between(f.dice, 12*time.Second, 40*time.Second), back)
}

// alone: a home dies while the management server is away, which comes back later,
// perhaps with an old database. One of those who stand by may restart meanwhile.
func (f *faults) alone() {
	h, a := f.home(), f.s.authority
	if chance(f.dice, 0.3) && a.backup == nil {
		a.backup = a.store.Copy()
		f.s.after(between(f.dice, 41*time.Second, 42*time.Second), func() {
			if a.up {
				a.restore()
			}
		})
	}
	f.withoutManagement()
	f.s.after(between(f.dice, 2*time.Second, 8*time.Second), h.kill)
	f.s.after(between(f.dice, 10*time.Second, 45*time.Second), h.start)
	if m := f.standby(); chance(f.dice, 0.4) {
		f.s.after(between(f.dice, 8*time.Second, 20*time.Second), m.kill)
		f.s.after(between(f.dice, 20*time.Second, 25*time.Second), m.start)
	}
}

// loseSight: while a failover server does not see a home, that one records again
// for a moment and loses its cameras.
func (f *faults) loseSight() {
	if chance(dice(f.s.seed, ofCables), 0.5) {
		f.moveCables()
		return
	}
	h, m := f.home(), f.standby()
	sight := func(cut bool) {
		f.s.say("%s and %s see each other: %v", h.id, m.id, !cut)
		f.s.net.set(h.place, m.place, cut)
		f.s.net.set(m.place, h.place, cut)
	}
	h.kill()
	f.s.after(between(f.dice, 5*time.Second, 9*time.Second), func() {
		h.start()
		f.s.after(between(f.dice, time.Second, 6*time.Second), func() {
			sight(true)
			f.s.after(between(f.dice, 500*time.Millisecond, 4*time.Second), func() {
				for _, c := range h.cameras {
					f.cutCameraOf(&h.machine, c, between(f.dice, 12*time.Second, 20*time.Second))
				}
				f.s.after(between(f.dice, 0, 5*time.Second), func() { sight(false) })
			})
		})
	})
}

// moveCables: an operator puts a home that has just begun to record again under
// maintenance and moves its cables, first those to the failover servers. It takes its
// cameras back meanwhile, and loses them. When it is seen again, it has come further than it
// was last seen, and does not go on; and nobody takes over from it.
func (f *faults) moveCables() {
	h, a := f.home(), f.s.authority
	sight := func(cut bool) {
		f.s.say("%s is out of the sight of all failover servers: %v", h.id, cut)
		for _, m := range f.s.standbys {
			f.s.net.set(h.place, m.place, cut)
			f.s.net.set(m.place, h.place, cut)
		}
	}
	h.kill()
	f.s.after(between(f.dice, 3*time.Second, 6*time.Second), h.start)
	f.when(h.records, func() {
		if !a.alive() {
			return
		}
		f.s.beginMaintenance(h, time.Hour)
		f.s.after(between(f.dice, 25*time.Second, 35*time.Second), func() { f.s.endMaintenance(h) })
		f.later(between(f.dice, 250*time.Millisecond, time.Second), func() { sight(true) })
		f.when(h.serves, func() {
			f.later(between(f.dice, time.Second, 3*time.Second), func() {
				for _, c := range h.cameras {
					f.cutCameraOf(&h.machine, c, between(f.dice, 14*time.Second, 20*time.Second))
				}
				f.later(between(f.dice, 9*time.Second, 12*time.Second), func() { sight(false) })
			})
		})
	})
}

// records reports whether a home runs and has recorded something of each of its cameras.
func (h *home) records() bool {
	return h.alive() && !slices.ContainsFunc(h.cameras, func(c *camera) bool {
		s := h.rec.sessions[c.index]
		return s == nil || s.moved == 0
	})
}

// serves reports whether a home has the leases of all its cameras.
func (h *home) serves() bool {
	return !slices.ContainsFunc(h.cameras, func(c *camera) bool { return h.s.leaseOf(c.index).Holder != h.id })
}

// later does something after a while, unless everything is mended then.
func (f *faults) later(after time.Duration, do func()) {
	f.s.after(after, func() {
		if !f.s.faults.over {
			do()
		}
	})
}

// when does something as soon as something holds.
func (f *faults) when(holds func() bool, do func()) {
	f.later(250*time.Millisecond, func() {
		if holds() {
			do()
		} else {
			f.when(holds, do)
		}
	})
}
