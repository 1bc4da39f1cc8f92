package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// faults breaks things by the seed, and mends them.
type faults struct {
	s    *story
	dice *rand.Rand
	over bool
}

func newFaults(s *story) *faults { return &faults{s: s, dice: dice(s.seed, ofFaults)} }

// fault breaks something, and returns how it is undone; nil if there is nothing to undo.
type fault struct {
	weight int
	do     func(f *faults) func()
}

var kinds = []fault{
	{6, (*faults).killHome},
	{3, (*faults).restartHome},
	{4, (*faults).hangHome},
	{3, (*faults).powerHome},
	{3, (*faults).leaveHome},
	{3, (*faults).killStandby},
	{2, (*faults).restartStandby},
	{3, (*faults).pauseStandby},
	{1, (*faults).powerStandby},
	{6, (*faults).cutLink},
	{3, (*faults).isolate},
	{3, (*faults).loseCamera},
	{3, (*faults).cutCamera},
	{2, (*faults).killManagement},
	{1, (*faults).hangManagement},
	{2, (*faults).restoreManagement},
	{3, (*faults).breakDisk},
	{2, (*faults).slowDisk},
	{1, (*faults).fillDisk},
	{2, (*faults).stepClock},
	{1, (*faults).newDisk},
	{2, (*faults).worseNetwork},
}

// begin plans the faults of the story.
func (f *faults) begin() {
	f.s.authority.loses = f.s.o.LosesAnswers
	if f.s.o.Exact {
		f.single()
		return
	}
	if f.narrowly() {
		return
	}
	f.next()
	f.aim()
}

// pauses lets observers stand still now and then.
func (f *faults) pauses() {
	f.s.after(between(f.dice, 10*time.Second, 3*time.Minute), func() {
		f.s.tally.Faults++
		m := f.standby()
		m.hang(true)
		f.s.after(between(f.dice, 100*time.Millisecond, 6*time.Second), func() { m.hang(false) })
		f.pauses()
	})
}

func (f *faults) next() {
	f.s.after(between(f.dice, f.s.o.Every/4, f.s.o.Every*7/4), func() {
		if f.over {
			return
		}
		total := 0
		for _, k := range kinds {
			total += k.weight
		}
		at := f.dice.IntN(total)
		for _, k := range kinds {
			if at -= k.weight; at < 0 {
				f.make(k.do)
				break
			}
		}
		f.next()
	})
}

func (f *faults) make(do func(*faults) func()) {
	f.s.tally.Faults++
	undo := do(f)
	if undo == nil {
		return
	}
	length := time.Duration(f.dice.Float64() * f.dice.Float64() * float64(25*time.Second))
	f.s.after(length, func() {
		if !f.over {
			undo()
		}
	})
}

// ordered, in the place of a fault, is a hand-over.
const ordered = 7

// single is the one fault of a story that accounts for each frame.
func (f *faults) single() {
	h := pick(f.dice, f.s.homes...)
	kinds := 5
	if f.s.mirrored(h) { // which loses nothing in other ways either
		kinds = 7
	}
	kind := f.dice.IntN(kinds)
	own := dice(f.s.seed, ofAimed)
	away := chance(own, 0.4)
	if away {
		(&faults{s: f.s, dice: own}).withoutManagement()
	} else if chance(own, 0.25) {
		kind = ordered
	}
	f.s.after(between(f.dice, 0, 5*time.Second), func() {
		f.s.tally.Faults++
		f.s.oracle.struck(h, kind == 4 || kind == ordered, kind <= 1)
		f.s.oracle.kept = kind == 6 && away
		switch kind {
		case 0, 1:
			h.kill()
		case 2:
			h.hang(true)
		case 3:
			h.losePower()
		case 4:
			h.leave()
		case 5:
			h.kill()
			f.s.after(between(f.dice, 50*time.Millisecond, time.Second), h.start)
		case 6:
			h.disk.damage(true, 0)
		case ordered:
			(&faults{s: f.s, dice: own}).handOver(h)
		}
	})
	f.s.after(5*time.Second+between(f.dice, 10*time.Second, 15*time.Second), func() {
		h.hang(false)
		h.disk.damage(false, 0)
		if !h.leaving {
			h.start()
		}
	})
}

// mirrored reports whether a standby keeps the streams of a home's cameras open.
func (s *story) mirrored(h *home) bool { return s.o.Mirror[slices.Index(s.homes, h)] }

// mend ends every fault; a stop that was asked for is not taken back.
func (f *faults) mend() {
	s := f.s
	s.say("everything is mended")
	f.over = true
	s.authority.loses = 0
	for _, row := range s.net.cut {
		for to := range row {
			row[to] = false
		}
	}
	for _, row := range s.net.since {
		for to := range row {
			row[to] = s.now
		}
	}
	s.net.turn(s.o.Loss, s.o.Jitter)
	for _, m := range s.servers {
		m.disk.broken, m.disk.slow = false, 0
	}
	for _, c := range s.cameras {
		c.turn(true)
	}
	for _, h := range s.homes {
		h.hang(false)
		if h.leaving {
			h.stopped()
		}
	}
	s.authority.hang(false)
	s.authority.start()
	for _, m := range s.servers {
		m.hang(false)
		m.start()
	}
	for _, h := range s.homes {
		s.orderBack(h)
		s.endMaintenance(h)
	}
}

func (f *faults) home() *home       { return pick(f.dice, f.s.homes...) }
func (f *faults) standby() *standby { return pick(f.dice, f.s.standbys...) }

func (f *faults) killHome() func() {
	h := f.home()
	h.kill()
	return h.start
}

func (f *faults) restartHome() func() {
	h := f.home()
	h.kill()
	f.s.after(between(f.dice, 50*time.Millisecond, time.Second), h.start)
	return nil
}

func (f *faults) hangHome() func() {
	h := f.home()
	h.hang(true)
	return func() { h.hang(false) }
}

func (f *faults) powerHome() func() {
	h := f.home()
	h.losePower()
	return h.start
}

func (f *faults) leaveHome() func() {
	h := f.home()
	h.leave()
	return func() {
		if !h.leaving {
			h.start()
		}
	}
}

func (f *faults) killStandby() func() {
	m := f.standby()
	m.kill()
	return m.start
}

func (f *faults) restartStandby() func() {
	m := f.standby()
	m.kill()
	f.s.after(between(f.dice, 50*time.Millisecond, time.Second), m.start)
	return nil
}

func (f *faults) pauseStandby() func() {
	m := f.standby()
	m.hang(true)
	return func() { m.hang(false) }
}

func (f *faults) powerStandby() func() {
	m := f.standby()
	m.losePower()
	return m.start
}

// cutLink cuts the way between two servers, one way or both.
func (f *faults) cutLink() func() {
	a, b := f.dice.IntN(1+len(f.s.servers)), f.dice.IntN(1+len(f.s.servers))
	oneWay := chance(f.dice, 0.4)
	f.s.say("the way from %d to %d is cut, one way: %v", a, b, oneWay)
	f.s.net.set(a, b, true)
	if !oneWay {
		f.s.net.set(b, a, true)
	}
	return func() {
		f.s.say("the way from %d to %d is whole", a, b)
		f.s.net.set(a, b, false)
		f.s.net.set(b, a, false)
	}
}

// isolate pulls a server's cable: all but its cameras, or those too.
func (f *faults) isolate() func() {
	m := pick(f.dice, f.s.servers...)
	places := 1 + len(f.s.servers)
	if chance(f.dice, 0.3) {
		places = len(f.s.net.cut)
	}
	f.s.say("%s is cut off from %d places", m.id, places)
	all := func(cut bool) {
		for p := range places {
			if p != m.place {
				f.s.net.set(p, m.place, cut)
				f.s.net.set(m.place, p, cut)
			}
		}
	}
	all(true)
	return func() {
		f.s.say("%s is connected again", m.id)
		m.joined = f.s.now
		all(false)
	}
}

func (f *faults) loseCamera() func() {
	c := pick(f.dice, f.s.cameras...)
	c.turn(false)
	return func() { c.turn(true) }
}

// cutCamera cuts the way between a server and a camera.
func (f *faults) cutCamera() func() {
	m, c := pick(f.dice, f.s.servers...), pick(f.dice, f.s.cameras...)
	f.s.say("%s does not reach camera %s", m.id, c.id)
	f.s.net.set(m.place, c.place, true)
	f.s.net.set(c.place, m.place, true)
	return func() {
		f.s.say("%s reaches camera %s", m.id, c.id)
		f.s.net.set(m.place, c.place, false)
		f.s.net.set(c.place, m.place, false)
	}
}

func (f *faults) killManagement() func() {
	f.s.authority.kill()
	return f.s.authority.start
}

func (f *faults) hangManagement() func() {
	f.s.authority.hang(true)
	return func() { f.s.authority.hang(false) }
}

// restoreManagement goes back to a copy that was made some time ago.
func (f *faults) restoreManagement() func() {
	a := f.s.authority
	if a.backup == nil {
		a.backup = a.store.Copy()
	}
	f.s.after(between(f.dice, time.Second, 20*time.Second), func() {
		if !f.over && a.up {
			a.restore()
		}
	})
	return nil
}

func (f *faults) breakDisk() func() {
	m := pick(f.dice, f.s.servers...)
	m.disk.damage(true, 0)
	return func() { m.disk.damage(false, 0) }
}

// fillDisk is a short failure of all writes, again and again.
func (f *faults) fillDisk() func() {
	m := f.home()
	for i := range 3 {
		f.s.after(time.Duration(i)*3*time.Second, func() { m.disk.damage(!f.over, m.disk.slow) })
		f.s.after(time.Duration(i)*3*time.Second+1500*time.Millisecond, func() { m.disk.damage(false, m.disk.slow) })
	}
	return nil
}

func (f *faults) slowDisk() func() {
	m := pick(f.dice, f.s.servers...)
	m.disk.damage(m.disk.broken, between(f.dice, 200*time.Millisecond, 8*time.Second))
	return func() { m.disk.damage(m.disk.broken, 0) }
}

func (f *faults) stepClock() func() {
	m := pick(f.dice, f.s.servers...)
	m.offset += between(f.dice, -time.Hour, time.Hour)
	f.s.say("the clock of %s is set", m.id)
	return nil
}

// newDisk: a recording server starts with an empty disk.
func (f *faults) newDisk() func() {
	h := f.home()
	h.kill()
	f.s.say("%s gets another disk", h.id)
	h.disk.format()
	f.s.oracle.formatted(h.disk)
	return h.start
}

// worseNetwork is a while of loss and jitter, within what must be borne.
func (f *faults) worseNetwork() func() {
	n := f.s.net
	n.turn(0.05*f.dice.Float64(), between(f.dice, 0, 100*time.Millisecond))
	return func() { n.turn(f.s.o.Loss, f.s.o.Jitter) }
}

// damage makes a disk fail, or slow.
func (d *disk) damage(broken bool, slow time.Duration) {
	if d.broken != broken || d.slow != slow {
		d.m.s.say("the disk of %s: broken %v, slow %v", d.m.id, broken, slow)
		d.broken, d.slow, d.since = broken, slow, d.m.s.now
	}
}
