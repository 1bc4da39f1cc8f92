package sim

import (
	"time"

	"understudy"
)

const (
	sickFor   = 25 * time.Second // without recording, and the lease has moved
	resumeFor = 5 * time.Second  // from the start of a failover server to the first frame
	goneFor   = 1200 * time.Millisecond
	silentFor = 3200 * time.Millisecond
	openFor   = time.Second // more that a cold standby may take, with nobody to ask
)

// sick: the lease of a camera that its home cannot record any more, though it
// lives, moves to who can.
func (o *oracle) sick(c *camera) {
	h, a, net := c.home, o.s.authority, o.s.net
	lease, _ := a.site.Lease(c.id)
	cut, broken := !net.both(h.place, c.place), h.disk.broken
	if lease.Holder != h.id || !h.alive() || h.leaving || o.maintained(h, sickFor) || !cut && !broken || !c.on || c.sessions > 0 || a.loses > 0 || !a.alive() {
		return
	}
	since := max(h.changed, c.turned, a.changed)
	if cut {
		since = max(since, net.since[h.place][c.place], net.since[c.place][h.place])
	} else {
		since = max(since, h.disk.since)
	}
	if o.s.now-since < sickFor {
		return
	}
	for _, f := range o.s.standbys {
		kind, _, ok := a.site.Standby(understudy.Camera{ID: c.id, Home: h.id}, f.id)
		if ok && kind != understudy.StandbyCold && f.alive() && o.s.now-f.changed > 2*sickFor && !f.disk.broken && f.disk.slow == 0 && o.s.now-f.disk.since > sickFor &&
			net.whole(f.place, a.place, sickFor) && net.whole(f.place, h.place, sickFor) && net.whole(f.place, c.place, sickFor) {
			o.s.fail("%s has not been able to record camera %s for %.1f s, %s can, and clients are still sent to the first", h.id, c.id, (o.s.now - since).Seconds(), f.id)
		}
	}
}

// restarted: what a failover server recorded when it ended it records again when
// it starts, whoever can be asked, unless somebody else does.
func (o *oracle) restarted(f *standby, recorded []bool) {
	boot, began := f.boot, o.s.now
	for i, before := range recorded {
		c := o.s.cameras[i]
		patience := resumeFor + time.Duration(c.gop)*c.interval
		if !before || c.sessions > 0 {
			continue
		}
		o.s.after(patience, func() {
			well := f.alive() && f.boot == boot && f.changed <= began && !f.disk.broken && f.disk.since < began && f.disk.slow == 0
			if well && c.on && c.turned < began && o.s.net.whole(f.place, c.place, patience) && o.s.now-c.last > patience {
				o.s.fail("%s recorded camera %s when it ended, and nobody has since it started %.1f s ago", f.id, c.id, patience.Seconds())
			}
		})
	}
}

// prompt: what happens to a home alone is noticed within a bound, by who comes first of those who stand by.
func (o *oracle) prompt() {
	for _, c := range o.victim.cameras {
		ready, slower := false, time.Duration(0)
		for _, f := range o.s.standbys {
			kind, rank, ok := o.s.authority.site.Standby(understudy.Camera{ID: c.id, Home: c.home.id}, f.id)
			if ready = ready || ok && rank == 0; ok && rank == 0 && kind == understudy.StandbyCold {
				slower = openFor
			}
		}
		bound := silentFor
		if o.swift {
			bound = goneFor
		}
		if !c.onPlay && !o.mirrored[c.index] {
			bound += time.Duration(c.gop) * c.interval
		}
		bound += slower
		if waited := o.waited[c.index]; ready && c.sessions == 0 && !o.planned && waited > bound {
			o.s.fail("it took %.2f s until somebody recorded camera %s after the fault of %s, and may take %.2f s", waited.Seconds(), c.id, c.home.id, bound.Seconds())
		}
	}
}
