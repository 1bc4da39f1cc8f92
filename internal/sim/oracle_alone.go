package sim

import (
	"slices"
	"time"

	"understudy"
)

const (
	reconciledIn = 6 * time.Second  // until who holds a lease records under it, with the management server well
	settledIn    = 25 * time.Second // until of several one records a camera, with nobody to ask
)

// renamed: the log gets another name when its database is an old copy, and then
// only. An epoch that nobody has granted makes no database old. How old it is may be seen
// late: that still later epochs had been granted, after it was restored before.
func (o *oracle) renamed(before, now string) {
	known := uint64(0)
	for _, l := range o.s.authority.site.Leases {
		known = max(known, l.Epoch)
	}
	older := o.old != "" && slices.ContainsFunc(o.highest, func(epoch uint64) bool { return epoch > known })
	if before != "" && now != before && before != o.old && now != o.old && !older {
		o.s.fail("the management server took its database for an old copy, and it was never restored")
	}
}

// reconciled: what was begun without a lease goes on under the one that is granted.
func (o *oracle) reconciled(f *standby) {
	a, now := o.s.authority, o.s.now
	for i, s := range f.rec.sessions {
		if s == nil {
			continue
		}
		lease := o.s.leaseOf(i)
		well := a.alive() && now-a.changed > reconciledIn && f.alive() && now-f.changed > reconciledIn && o.s.net.whole(a.place, f.place, reconciledIn)
		if !well || s.wanted || lease.Holder != f.id || !s.provisional && s.epoch == lease.Epoch {
			s.astray = now
		}
		if now-s.astray > reconciledIn {
			o.s.fail("%s holds camera %s under epoch %d, and records it under %d (provisionally: %v)", f.id, s.cam.id, lease.Epoch, s.epoch, s.provisional)
		}
	}
}

// alone: with nobody to ask and home gone, of several who see each other one records a camera.
func (o *oracle) alone(c *camera) {
	a, now := o.s.authority, o.s.now
	if h := c.home; a.alive() || now-a.changed < settledIn || h.alive() || now-h.changed < settledIn {
		return
	}
	var one *standby
	for _, f := range o.s.standbys {
		s := f.rec.sessions[c.index]
		if s == nil || s.wanted || !s.provisional || s.steady == 0 || now-s.steady < settledIn || !f.alive() || now-f.changed < settledIn || now-f.disk.since < settledIn {
			continue
		}
		if one != nil && o.s.net.whole(one.place, f.place, settledIn) {
			o.s.fail("%s and %s have both recorded camera %s for %.0f s, with nobody to ask, and see each other", one.id, f.id, c.id, settledIn.Seconds())
		}
		one = f
	}
}

// leaseOf is the lease of a camera, by its index.
func (s *story) leaseOf(index int) understudy.Lease {
	lease, _ := s.authority.site.Lease(s.cameras[index].id)
	return lease
}
