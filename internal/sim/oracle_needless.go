package sim

import "understudy"

// begins: nobody begins to record a camera without a lease while its home serves it and
// is well, and is seen by who begins, or by a witness whom that one hears.
func (o *oracle) begins(f *standby, c *camera) {
	s := f.rec.sessions[c.index]
	h, now := c.home, o.s.now
	if s != nil && !s.wanted || o.s.leaseOf(c.index).Holder != h.id || o.handed(h, f) || o.forgotten {
		return
	}
	if !o.well(h) || !o.reaches(&h.machine, h, seenFor) || !f.alive() || now-f.changed < seenFor {
		return
	}
	if o.s.net.whole(h.place, f.place, seenFor) {
		o.s.fail("%s begins to record camera %s, and %s is well, records it and is seen", f.id, c.id, h.id)
	}
	if who := o.witness(h, f, c); who != "" && !o.s.net.uneven() {
		o.s.fail("%s begins to record camera %s, and %s sees that %s is well", f.id, c.id, who, h.id)
	}
}

// witness is who sees a home for a standby that does not, and is heard by it.
func (o *oracle) witness(h *home, f *standby, c *camera) string {
	seen := func(m *machine) bool {
		return m.alive() && o.s.now-m.changed > seenFor && o.s.net.whole(m.place, h.place, seenFor) && o.s.net.whole(m.place, f.place, seenFor)
	}
	if a := o.s.authority; seen(&a.machine) {
		return string(a.id)
	}
	for _, id := range o.s.authority.site.Standbys(understudy.Camera{ID: c.id, Home: h.id}) {
		if g := o.s.standby(id); g != f && seen(&g.machine) {
			return string(id)
		}
	}
	return ""
}
