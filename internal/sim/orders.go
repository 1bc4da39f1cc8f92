package sim

import (
	"time"

	"understudy"
)

// handOver is an operator who orders that a home's part be played by another,
// and ends it after a while.
func (f *faults) handOver() {
	h, a := f.home(), f.s.authority
	if !a.alive() {
		return
	}
	to, err := a.site.StandIn(h.id, "", a.status)
	if err != nil {
		return // as the interface tells the operator
	}
	f.s.say("an operator hands %s over to %s", h.id, to)
	h.handed, h.handedTo = f.s.now, to
	a.order(a.m.HandOver(background, h.id, understudy.HandOver{To: to}))
	f.s.after(between(f.dice, 10*time.Second, 30*time.Second), func() { f.s.orderBack(h) })
}

// orderBack ends a hand-over, when there is somebody to tell.
func (s *story) orderBack(h *home) {
	a := s.authority
	switch self, _ := a.site.RecordingServer(h.id); {
	case self.HandOver.Since.IsZero():
	case a.alive():
		s.say("an operator orders %s back", h.id)
		a.order(a.m.FailBack(background, h.id))
	default:
		s.after(operatorPause, func() { s.orderBack(h) })
	}
}

// maintain is an operator who works on a home, and may restart it meanwhile.
func (f *faults) maintain() {
	h, a := f.home(), f.s.authority
	if !a.alive() {
		return
	}
	f.s.say("%s is under maintenance", h.id)
	a.order(a.m.Maintain(background, h.id, understudy.Maintenance{Until: a.wall().Add(time.Hour)}))
	f.s.after(between(f.dice, time.Second, 4*time.Second), h.kill)
	f.s.after(between(f.dice, 8*time.Second, 20*time.Second), h.start)
	f.s.after(between(f.dice, 20*time.Second, 30*time.Second), func() { f.s.endMaintenance(h) })
}

func (s *story) endMaintenance(h *home) {
	a := s.authority
	switch self, _ := a.site.RecordingServer(h.id); {
	case self.Maintenance.Until.IsZero():
	case a.alive():
		s.say("the maintenance of %s ends", h.id)
		a.order(a.m.Maintain(background, h.id, understudy.Maintenance{}))
		h.kept = s.now
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

// maintained reports whether nobody is to stand in for a home, or has only just been allowed to.
func (o *oracle) maintained(h *home) bool {
	self, _ := o.s.authority.site.RecordingServer(h.id)
	return !self.Maintenance.Until.IsZero() || h.kept > 0 && o.s.now-h.kept < sickFor
}

// handed reports whether an order stands that a standby plays a home's part, or did
// a moment ago: a restored database does not know of it, and who is to obey it may yet.
func (o *oracle) handed(h *home, f *standby) bool {
	self, _ := o.s.authority.site.RecordingServer(h.id)
	return !self.HandOver.Since.IsZero() && self.HandOver.To == f.id || h.handedTo == f.id && o.s.now-h.handed < obeyedFor
}

const obeyedFor = 12 * time.Second // in which an order is carried out

// obeyed: an order to hand over is carried out, when both are well.
func (o *oracle) obeyed(c *camera) {
	h, a, net := c.home, o.s.authority, o.s.net
	if o.s.now-h.handed < obeyedFor || h.handed == 0 || !o.well(h) || c.sessions > 0 || a.loses > 0 || !a.alive() || o.s.now-a.changed < obeyedFor {
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
