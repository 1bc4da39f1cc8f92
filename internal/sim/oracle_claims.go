package sim

import (
	"slices"
	"time"

	"understudy"
)

// seenFor is for how long a server must have been healthy, and reached, for a takeover to be wrong.
const seenFor = 6 * time.Second

// claimed judges what was granted, by what was true when it was.
func (o *oracle) claimed(before understudy.Site, c understudy.Claim, answer understudy.ClaimAnswer) {
	if len(answer.Refused) > 0 {
		o.s.tally.Refusals++
	}
	var moved []understudy.Lease // as they were
	for _, l := range answer.Granted {
		old, _ := before.Lease(l.Camera)
		if o.toldAgain(old, l) {
			continue
		}
		for _, wanted := range c.Cameras {
			if wanted.Camera == l.Camera && wanted.Epoch != old.Epoch && old.Epoch != l.Epoch {
				o.s.fail("%s expected epoch %d of camera %s and was granted it, though it was under %d", c.Claimant, wanted.Epoch, l.Camera, old.Epoch)
			}
		}
		if old.Epoch != l.Epoch {
			moved = append(moved, old)
		}
	}
	if len(moved) == 0 {
		return
	}
	o.forgotten = o.forgotten || o.unknowing()
	h := o.s.home(c.Home)
	if c.Kind == understudy.ClaimFailback {
		o.s.tally.Failbacks++
		o.returned(h, moved)
		return
	}
	o.s.tally.Takeovers++
	if o.s.o.Quiet {
		o.s.fail("%s took over from %s, and nothing was wrong: %s", c.Claimant, c.Home, c.Sentence)
		return
	}
	for _, old := range moved {
		o.takenOver(h, o.s.standby(c.Claimant), old, c.Sentence)
	}
}

// toldAgain: a claim that is repeated gets the answer of then, and the lease has
// moved on since. Who is told so keeps the later one.
func (o *oracle) toldAgain(now, granted understudy.Lease) bool {
	o.prepare()
	holder, known := o.holders[o.s.camera(granted.Camera).index][granted.Epoch]
	return known && holder == granted.Holder && granted.Epoch < now.Epoch
}

func (s *story) home(id understudy.ServerID) *home {
	for _, h := range s.homes {
		if h.id == id {
			return h
		}
	}
	return nil
}

func (s *story) standby(id understudy.ServerID) *standby {
	for _, f := range s.standbys {
		if f.id == id {
			return f
		}
	}
	return nil
}

// takenOver: nobody takes over from a healthy server that it, or the management
// server, has just seen at work; nor after having been cut off itself; nor before
// those that come first and are well.
func (o *oracle) takenOver(h *home, f *standby, old understudy.Lease, why string) {
	now, net, a := o.s.now, o.s.net, o.s.authority
	if old.Holder != h.id {
		other := o.s.standby(old.Holder)
		if o.standsIn(other, old.Camera) && now-other.changed > 2*seenFor && net.whole(other.place, f.place, seenFor) && now-f.changed > seenFor {
			o.s.fail("%s took camera %s from %s, which stood in for %s and was well: %s", f.id, old.Camera, other.id, h.id, why)
		}
		return
	}
	if o.handed(h, f) {
		return
	}
	if self, _ := a.site.RecordingServer(h.id); self.Maintenance.Stands(o.s.clock()) && !self.HandOver.Stands(o.s.clock()) {
		o.s.fail("%s took camera %s of %s, which is under maintenance: %s", f.id, old.Camera, h.id, why)
	}
	seen := a.alive() && now-a.changed > seenFor && net.whole(a.place, h.place, seenFor)
	if o.well(h) && now-f.began > seenFor {
		direct := net.whole(h.place, f.place, seenFor)
		witness := seen && net.whole(a.place, f.place, seenFor)
		if direct || witness {
			o.s.fail("%s took over from %s, which was healthy and seen (directly: %v, by the management server: %v): %s", f.id, h.id, direct, witness, why)
		}
		if o.regained(h, f) {
			o.s.fail("%s took over from %s, which was well and could be reached again no later than the management server: %s", f.id, h.id, why)
		}
		if seen && f.joined > 0 && now-f.joined < seenFor {
			o.s.fail("%s was cut off from everybody until %.1f s ago and took over from %s, which was well: %s", f.id, (now - f.joined).Seconds(), h.id, why)
		}
	}
	o.ranked(h, f, old.Camera)
}

// regained: a standby has just been cut off from the management server, and the way
// to a home was whole again before that one's, and for long enough to be asked anew. When
// everything is mended all are at once.
func (o *oracle) regained(h *home, f *standby) bool {
	net, a := o.s.net, o.s.authority
	back := func(m *machine) time.Duration { return max(net.since[f.place][m.place], net.since[m.place][f.place]) }
	const anew = verifyFor + 2*pollEvery
	return !o.s.faults.over && net.both(f.place, h.place) && net.both(f.place, a.place) &&
		o.s.now-back(&h.machine) > anew && o.s.now-back(&a.machine) < seenFor && back(&h.machine) <= back(&a.machine)
}

// standsIn: the standby has recorded the camera for a while, and nothing was wrong with it.
func (o *oracle) standsIn(f *standby, id understudy.CameraID) bool {
	s := f.rec.sessions[o.s.camera(id).index]
	return f.alive() && s != nil && s.steady > 0 && o.s.now-s.steady > 2*seenFor && s.mark != s.first &&
		!f.disk.broken && f.disk.slow == 0 && o.s.now-f.disk.since > 2*seenFor
}

// ranked: those that come first are left the time to claim.
func (o *oracle) ranked(h *home, f *standby, id understudy.CameraID) {
	if o.s.net.uneven() {
		return
	}
	order := o.s.authority.site.Standbys(understudy.Camera{ID: id, Home: h.id})
	for _, before := range order {
		if before == f.id {
			return
		}
		b, a, long := o.s.standby(before), o.s.authority, 15*time.Second
		if kind, _, _ := a.site.Standby(understudy.Camera{ID: id, Home: h.id}, before); kind == understudy.StandbyCold && h.alive() {
			continue // it has not what it needs to try a camera of a home that lives
		}
		if b.rec.sessions[o.s.camera(id).index].turnedAway(0) {
			continue // the camera has no session left for it
		}
		if o.reaches(&b.machine, h, long) && b.alive() && o.s.now-b.changed > long && !b.disk.broken && o.s.now-b.disk.since > long && o.s.net.whole(b.place, a.place, long) &&
			o.s.net.whole(b.place, h.place, long) && a.alive() && o.s.now-a.changed > long && o.s.now-f.changed > long {
			o.s.fail("%s took camera %s of %s, and %s comes before it and is well", f.id, id, h.id, before)
			return
		}
	}
}

// reaches reports whether a server has reached all cameras of a home for a while.
func (o *oracle) reaches(m *machine, h *home, while time.Duration) bool {
	return !slices.ContainsFunc(h.cameras, func(c *camera) bool {
		return !c.on || o.s.now-c.turned < while || !o.s.net.whole(m.place, c.place, while)
	})
}

// returned: home takes back what it has recorded for the whole hold-down, or what
// the camera has no session left for.
func (o *oracle) returned(h *home, moved []understudy.Lease) {
	if h.askedBy != h.boot { // the process that asked has ended since
		return
	}
	for _, old := range moved {
		s := h.rec.sessions[o.s.camera(old.Camera).index]
		if !h.alive() { // it asked, and has ended since
			continue
		}
		if s != nil && (s.turnedAway(seenFor) || s.cam.sessions == 1 && s.slot != nil && o.s.now-s.opened < seenFor) { // who serves it has the session, and gives it up for home, or just has
			continue
		}
		if s == nil || s.heard == 0 || o.s.now-s.heard > seenFor {
			o.s.fail("%s took camera %s back and receives nothing of it", h.id, old.Camera)
		}
	}
	if h.planning || !h.alive() || o.ordered(h, moved) {
		return
	}
	if len(h.failbacks) >= 2 { // a story is shorter than an hour: with the takeovers around it a third makes seven changes
		o.s.fail("%s took cameras back by itself for the third time within the hour", h.id)
	}
	hold := o.s.o.HoldDown
	for range h.failbacks {
		hold = min(2*hold, 15*time.Minute)
	}
	if ran := o.s.now - h.began; ran < hold {
		o.s.fail("%s took its cameras back after %.2f s, and its hold-down was %.2f s", h.id, ran.Seconds(), hold.Seconds())
	}
}

// served: the lease of a camera whose home is gone does not stay there, if those who stand in can reach all they need.
func (o *oracle) served(c *camera) {
	h, a, net, long := c.home, o.s.authority, o.s.net, 15*time.Second
	lease, _ := a.site.Lease(c.id)
	bound := 12*time.Second + 4*o.s.o.RankDelay
	if lease.Holder != h.id || o.maintained(h, sickFor) || h.alive() || o.s.now-h.changed < bound || !a.alive() || o.s.now-a.changed < bound || a.loses > 0 {
		return
	}
	ready := false
	for _, f := range o.s.standbys {
		_, _, ok := a.site.Standby(understudy.Camera{ID: c.id, Home: h.id}, f.id)
		ready = ready || ok && f.alive() && o.s.now-f.changed > bound+long && net.whole(f.place, a.place, bound) && net.whole(f.place, h.place, bound)
	}
	if ready {
		o.s.fail("%s has been gone for %.1f s, and clients are still sent there for camera %s", h.id, (o.s.now - h.changed).Seconds(), c.id)
	}
}

// ordered reports whether an operator has said that what moved goes home.
func (o *oracle) ordered(h *home, moved []understudy.Lease) bool {
	self, _ := o.s.authority.site.RecordingServer(h.id)
	return !slices.ContainsFunc(moved, func(l understudy.Lease) bool {
		return l.Since.After(self.TakesBack(o.s.clock())) && l.Since.After(h.sentBack)
	})
}
