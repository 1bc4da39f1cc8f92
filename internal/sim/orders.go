package sim

import (
	"time"

	"understudy"
)

// handOver is an operator who orders that a home's part be played by another,
// and ends it after a while, or has said beforehand when it ends.
func (f *faults) handOver(h *home) {
	a := f.s.authority
	if !a.alive() {
		return
	}
	to, err := a.site.StandIn(h.id, "", a.status)
	if err != nil {
		return // as the interface tells the operator
	}
	f.s.say("an operator hands %s over to %s", h.id, to)
	h.handed, h.handedTo = f.s.now, to
	length := between(f.dice, 10*time.Second, 30*time.Second)
	if chance(f.dice, 0.5) {
		a.order(a.m.HandOver(background, h.id, understudy.HandOver{To: to, Until: a.wall().Add(length)}))
		return
	}
	a.order(a.m.HandOver(background, h.id, understudy.HandOver{To: to}))
	f.s.after(length, func() { f.s.orderBack(h) })
}

// orderBack ends a hand-over, when there is somebody to tell.
func (s *story) orderBack(h *home) {
	a := s.authority
	switch self, _ := a.site.RecordingServer(h.id); {
	case self.HandOver.Since.IsZero():
	case a.alive():
		s.sendBack(h)
	default:
		s.after(operatorPause, func() { s.orderBack(h) })
	}
}

// sendBack is an operator who orders that a home takes its part back.
func (s *story) sendBack(h *home) {
	a := s.authority
	s.say("an operator orders %s back", h.id)
	a.order(a.m.FailBack(background, h.id))
	h.sentBack = a.wall()
}

// maintain is an operator who works on a home, and may restart it meanwhile.
func (f *faults) maintain() {
	h, a := f.home(), f.s.authority
	if !a.alive() {
		return
	}
	if chance(f.dice, 0.5) {
		f.overrun(h)
		return
	}
	f.s.beginMaintenance(h, time.Hour)
	f.s.after(between(f.dice, time.Second, 4*time.Second), h.kill)
	f.s.after(between(f.dice, 8*time.Second, 20*time.Second), h.start)
	f.s.after(between(f.dice, 20*time.Second, 30*time.Second), func() { f.s.endMaintenance(h) })
}

// overrun is a maintenance that takes longer than was said, perhaps while the
// management server is away.
func (f *faults) overrun(h *home) {
	length := between(f.dice, 6*time.Second, 15*time.Second)
	f.s.beginMaintenance(h, length)
	h.until = f.s.now + length
	f.s.after(between(f.dice, time.Second, 4*time.Second), h.kill)
	f.s.after(length+between(f.dice, -2*time.Second, 30*time.Second), h.start)
	if chance(f.dice, 0.4) {
		f.withoutManagement()
	}
}

// beginMaintenance is an operator who says for how long a home is worked on.
func (s *story) beginMaintenance(h *home, length time.Duration) {
	a := s.authority
	s.say("%s is under maintenance for %.1f s", h.id, length.Seconds())
	h.promised = a.wall().Add(length)
	a.order(a.m.Maintain(background, h.id, understudy.Maintenance{Until: h.promised}))
}

func (s *story) endMaintenance(h *home) {
	a := s.authority
	switch self, _ := a.site.RecordingServer(h.id); {
	case self.Maintenance.Until.IsZero():
	case a.alive():
		s.say("the maintenance of %s ends", h.id)
		a.order(a.m.Maintain(background, h.id, understudy.Maintenance{}))
		h.until = s.now
	default:
		s.after(operatorPause, func() { s.endMaintenance(h) })
	}
}

// order is given to the management server; everybody is told.
func (a *authority) order(_ understudy.RecordingServer, err error) {
	if err != nil {
		a.s.fail("an order is refused: %v", err)
	}
	a.s.tally.Orders++
	a.refresh()
}

// maintained reports whether nobody is to stand in for a home, or has been allowed
// to for less than a while.
func (o *oracle) maintained(h *home, while time.Duration) bool {
	self, _ := o.s.authority.site.RecordingServer(h.id)
	return self.Maintenance.Stands(o.s.clock().Add(-while)) || h.until > 0 && o.s.now-h.until < while
}

// handed reports whether an order stands that a standby plays a home's part, or did
// a moment ago: a restored database does not know of it, and who is to obey it may yet.
func (o *oracle) handed(h *home, f *standby) bool {
	self, _ := o.s.authority.site.RecordingServer(h.id)
	order := self.HandOver
	return order.Stands(o.s.clock()) && order.To == f.id || h.handedTo == f.id && o.s.now-h.handed < obeyedFor
}

// unaware reports whether a standby may take a home for being under maintenance: by
// its own clock it is, and nobody has just told it of the end.
func (o *oracle) unaware(f *standby, h *home) bool {
	a := o.s.authority
	told := a.alive() && o.s.now-a.changed > allowed && o.s.net.whole(a.place, f.place, allowed)
	return !told && f.wall().Before(h.promised.Add(allowed))
}

const (
	allowed = 3 * time.Second // to stand in, since a maintenance has ended
	endedIn = 5 * time.Second // until an order whose time is over stands no more
)

// ended: an order ends by its own time, if there is a management server to end it.
func (o *oracle) ended(h *home) {
	a := o.s.authority
	self, _ := a.site.RecordingServer(h.id)
	if !a.alive() || o.s.now-a.changed < endedIn {
		return
	}
	for _, until := range []time.Time{self.HandOver.Until, self.Maintenance.Until} {
		if late := o.s.clock().Sub(until); !until.IsZero() && late > endedIn {
			o.s.fail("the time of an order for %s was over %.1f s ago, and it stands", h.id, late.Seconds())
		}
	}
}

const obeyedFor = 12 * time.Second // in which an order is carried out

// obeyed: an order to hand over is carried out, when both are well.
func (o *oracle) obeyed(c *camera) {
	h, a, net := c.home, o.s.authority, o.s.net
	if o.s.now-h.handed < obeyedFor || h.handed == 0 || !o.well(h) || c.sessions > 1 || a.loses > 0 || !a.alive() || o.s.now-a.changed < obeyedFor {
		return
	}
	for _, f := range o.s.standbys {
		lease, _ := a.site.Lease(c.id)
		if o.handed(h, f) && lease.Holder == h.id && f.alive() && o.s.now-f.changed > 2*obeyedFor && !f.disk.broken && f.disk.slow == 0 && o.s.now-f.disk.since > obeyedFor &&
			net.whole(f.place, a.place, obeyedFor) && net.whole(f.place, h.place, obeyedFor) && net.whole(f.place, c.place, obeyedFor) && o.s.now-c.turned > obeyedFor {
			o.s.fail("%s was handed over to %s %.1f s ago, and still serves camera %s", h.id, f.id, (o.s.now - h.handed).Seconds(), c.id)
		}
	}
}
