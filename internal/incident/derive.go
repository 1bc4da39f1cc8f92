// Package incident tells the story of a failover: who saw what and when, who
// took over, what it cost, and when it was all over. The stories are derived
// from the event log each time anybody asks, so that there is no second truth
// that could disagree with it; what an incident cost is counted once more when
// it is over, and written into the log while the footage can still be counted.
package incident

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"understudy"
)

const (
	// before is how long before an incident what was seen of the home belongs to it.
	before = 30 * time.Second
	// slack is how far the clocks of two servers may lie apart.
	slack = 2 * time.Second
)

// draft is an incident as far as the log was read.
type draft struct {
	understudy.Incident
	cameras map[understudy.CameraID]*understudy.IncidentCamera
	away    map[understudy.CameraID]bool
	holders map[understudy.ServerID]bool
	verdict string // of the first takeover
	alone   bool   // no lease moved: the management server was away all the while
}

func newDraft(e understudy.Event, home understudy.ServerID, begun time.Time) *draft {
	return &draft{
		Incident: understudy.Incident{ID: fmt.Sprintf("%s-%d", home, e.Seq), Home: home, Seq: e.Seq, Begun: begun},
		cameras:  map[understudy.CameraID]*understudy.IncidentCamera{}, away: map[understudy.CameraID]bool{}, holders: map[understudy.ServerID]bool{},
	}
}

// reading is all that is remembered while the log is read.
type reading struct {
	drafts []*draft
	open   map[understudy.ServerID]*draft // by home: of which somebody holds cameras now
	orders map[understudy.ServerID]order  // to hand over, the last of each home
	// claimed are the incidents that takeovers are of, by the event's number.
	claimed map[uint64]*draft
}

// order is an order to hand over, and the event that gave it.
type order struct {
	understudy.HandOver
	event understudy.Event
}

// Derive makes the incidents of the events of a log, which come in order, the
// oldest first. An incident whose first takeover the log has forgotten is not
// told, and one that no lease tells of only when it has ended. It is a pure function: the same events make the same incidents.
func Derive(events []understudy.Event) []understudy.Incident {
	r := &reading{open: map[understudy.ServerID]*draft{}, orders: map[understudy.ServerID]order{}, claimed: map[uint64]*draft{}}
	for _, e := range events {
		r.leases(e)
	}
	r.alone(events)
	// A report may come late, and before the grant of what it tells of.
	for _, e := range events {
		r.milestones(e)
		if e.Kind == understudy.EventRefused {
			r.refusal(e)
		}
		r.accounts(e)
	}
	incidents := make([]understudy.Incident, len(r.drafts))
	for i, d := range r.drafts {
		incidents[i] = d.finish()
	}
	return incidents
}

// tells reports whether incidents are derived from a change.
func tells(c understudy.Change) bool {
	return c.Lease != nil || c.RecordingServer != nil || c.GoneCamera != "" || c.Milestone != nil || c.Account != nil
}

// leases follows who holds what.
func (r *reading) leases(e understudy.Event) {
	var taken, back []understudy.Lease
	for _, c := range e.Changes {
		switch {
		case c.Lease != nil && e.Kind == understudy.EventTakeover && c.Lease.Holder != e.Server:
			taken = append(taken, *c.Lease)
		case c.Lease != nil && e.Kind == understudy.EventFailback:
			back = append(back, *c.Lease)
		case c.Lease != nil:
			r.moved(e, *c.Lease)
		case c.RecordingServer != nil:
			r.ordered(e, c.RecordingServer.ID, c.RecordingServer.HandOver)
		case c.GoneCamera != "":
			if d := r.holding(c.GoneCamera); d != nil {
				r.close(d, c.GoneCamera, e.At)
			}
		}
	}
	if len(taken) > 0 {
		r.take(e, taken)
	}
	if len(back) > 0 {
		r.giveBack(e, back)
	}
}

// take adds a takeover to the incident of its home, or begins one.
func (r *reading) take(e understudy.Event, leases []understudy.Lease) {
	d := r.open[e.Server]
	if d == nil {
		d = newDraft(e, e.Server, earliest(e.Decided, e.At))
		d.verdict = leases[0].Sentence
		// What led to it may be long over by the time it is granted, and its reports stand before the grant.
		for _, c := range e.Changes {
			if m := c.Milestone; m != nil && m.Kind == understudy.MilestoneHeard && m.Home == e.Server {
				d.Begun = earliest(d.Begun, m.At)
			}
		}
		r.open[e.Server] = d
		r.drafts = append(r.drafts, d)
		if o := r.orders[e.Server]; o.Stands(e.At) {
			d.Planned, d.Drill, d.Begun = true, o.Drill, earliest(d.Begun, o.event.At)
			d.step(o.event, "ordered", o.event.At, "", nil, o.event.Sentence)
		}
	}
	r.claimed[e.Seq] = d
	holder := leases[0].Holder
	for _, l := range leases {
		c := d.cameras[l.Camera]
		if c == nil {
			c = &understudy.IncidentCamera{Camera: l.Camera}
			d.cameras[l.Camera] = c
		}
		end(c, l.Since)
		c.Tenures = append(c.Tenures, understudy.Tenure{Server: l.Holder, Epoch: l.Epoch, Decided: e.Decided, Since: l.Since})
		d.away[l.Camera], d.holders[l.Holder] = true, true
	}
	cameras := camerasOf(leases)
	if !e.Decided.IsZero() {
		d.step(e, "decided", e.Decided, holder, cameras, leases[0].Sentence)
	}
	d.step(e, "granted", e.At, holder, cameras, granted(e, holder, cameras))
}

// ordered takes note of an order to hand over, or of its end.
func (r *reading) ordered(e understudy.Event, home understudy.ServerID, o understudy.HandOver) {
	before := r.orders[home]
	if before.HandOver == o {
		return
	}
	r.orders[home] = order{o, e}
	if d := r.open[home]; d != nil && before.Stands(before.event.At) {
		d.step(e, "recalled", e.At, "", nil, e.Sentence)
	}
}

// giveBack takes cameras back to their home.
func (r *reading) giveBack(e understudy.Event, leases []understudy.Lease) {
	d := r.open[e.Server]
	if d == nil {
		return // the log has forgotten how it began
	}
	cameras := camerasOf(leases)
	if !e.Decided.IsZero() {
		d.step(e, "failback_decided", e.Decided, e.Server, cameras, leases[0].Sentence)
	}
	d.step(e, "failback", e.At, e.Server, cameras, fmt.Sprintf("%s holds %s again; clients are told to go there", e.Server, naming(cameras)))
	for _, camera := range cameras {
		r.close(d, camera, e.At)
	}
}

// moved follows a lease that changed for another reason: the camera went to
// another home, or all epochs were raised.
func (r *reading) moved(e understudy.Event, l understudy.Lease) {
	d := r.holding(l.Camera)
	if d == nil {
		return
	}
	tenures := d.cameras[l.Camera].Tenures
	if last := &tenures[len(tenures)-1]; last.Server == l.Holder {
		last.Epoch = l.Epoch
		return
	}
	r.close(d, l.Camera, e.At)
}

// holding returns the incident in which a camera is held by others now.
func (r *reading) holding(camera understudy.CameraID) *draft {
	for _, d := range r.open {
		if d.away[camera] {
			return d
		}
	}
	return nil
}

// close ends what is held of a camera; with the last one, home has all back.
func (r *reading) close(d *draft, camera understudy.CameraID, at time.Time) {
	if !d.away[camera] {
		return
	}
	end(d.cameras[camera], at)
	delete(d.away, camera)
	if len(d.away) == 0 {
		d.Back = at
		delete(r.open, d.Home)
	}
}

func end(c *understudy.IncidentCamera, at time.Time) {
	if n := len(c.Tenures); n > 0 && c.Tenures[n-1].Until.IsZero() {
		c.Tenures[n-1].Until = at
	}
}

// milestones adds what servers told of a failover to the incident it belongs to.
func (r *reading) milestones(e understudy.Event) {
	type group struct {
		kind   understudy.MilestoneKind
		home   understudy.ServerID
		server understudy.ServerID
	}
	var order []group
	told := map[group][]understudy.Milestone{}
	for _, c := range e.Changes {
		if m := c.Milestone; m != nil {
			g := group{m.Kind, m.Home, m.Server}
			if _, ok := told[g]; !ok {
				order = append(order, g)
			}
			told[g] = append(told[g], *m)
		}
	}
	for _, g := range order {
		r.milestone(e, told[g])
	}
}

// milestone adds milestones of one kind, server and home.
func (r *reading) milestone(e understudy.Event, told []understudy.Milestone) {
	first := told[0]
	d := r.about(e, first)
	if d == nil {
		return
	}
	var cameras []understudy.CameraID
	at := first.At
	for _, m := range told {
		at = latest(at, m.At)
		if m.Camera == "" {
			continue
		}
		if c := d.cameras[m.Camera]; c != nil {
			cameras = append(cameras, m.Camera)
			mark(c, m)
		}
	}
	if first.Camera != "" && len(cameras) == 0 {
		return
	}
	slices.Sort(cameras)
	switch first.Kind {
	case understudy.MilestoneHeard:
		d.Begun = earliest(d.Begun, at)
	case understudy.MilestoneLeaving:
		d.Planned = true
	}
	d.step(e, string(first.Kind), at, first.Server, cameras, seen(e, first, cameras))
}

// about returns the incident that a milestone belongs to: the one whose claim
// carried it, else that of its home which went on by then, else the next one, if
// that began soon.
func (r *reading) about(e understudy.Event, m understudy.Milestone) *draft {
	if d := r.claimed[e.Seq]; d != nil && d.Home == m.Home {
		return d
	}
	if d := r.going(m, 0); d != nil {
		return d
	}
	if d := r.going(m, slack); d != nil {
		return d
	}
	for _, d := range r.drafts {
		if d.concerns(m) && m.At.Before(d.Begun) && !m.At.Before(d.Begun.Add(-before)) {
			return d
		}
	}
	return nil
}

// going returns the incident that went on at the time of a milestone, by clocks
// that lie apart by so much.
func (r *reading) going(m understudy.Milestone, apart time.Duration) *draft {
	for _, d := range slices.Backward(r.drafts) {
		if !d.concerns(m) || m.At.Before(d.Begun.Add(-apart)) {
			continue
		}
		// What is seen of a home that has everything is of the next incident, or of none.
		if d.finished(m) && !d.Back.IsZero() && m.At.After(d.Back.Add(apart)) {
			return nil
		}
		return d
	}
	return nil
}

func (d *draft) concerns(m understudy.Milestone) bool {
	return d.Home == m.Home && (m.Camera == "" || d.cameras[m.Camera] != nil)
}

// finished reports whether such a milestone cannot come after the failback.
func (d *draft) finished(m understudy.Milestone) bool {
	switch m.Kind {
	case understudy.MilestoneHeard, understudy.MilestoneSuspected, understudy.MilestoneVeto, understudy.MilestoneBack, understudy.MilestoneWaiting, understudy.MilestoneLeaving, understudy.MilestoneDecided:
		return true
	case understudy.MilestoneMergeBegun, understudy.MilestoneMergeEnded:
		return !d.holders[m.Server]
	}
	return false
}

// mark writes a milestone to the tenure that it is about.
func mark(c *understudy.IncidentCamera, m understudy.Milestone) {
	if m.Kind == understudy.MilestoneDecided {
		// It was decided without a lease: of the first one that was granted after it.
		for i := range c.Tenures {
			if t := &c.Tenures[i]; t.Server == m.Server && t.Since.After(m.At) {
				t.Decided = earliest(t.Decided, m.At)
				return
			}
		}
		return
	}
	for i := range slices.Backward(c.Tenures) {
		t := &c.Tenures[i]
		if t.Server != m.Server || m.At.Before(earliest(t.Decided, t.Since).Add(-before)) {
			continue
		}
		switch {
		case m.Kind == understudy.MilestoneDurable && (t.Durable.IsZero() || m.At.Before(t.Durable)):
			t.Durable, t.Promised = m.At, latest(t.Promised, m.Promised)
		case m.Kind == understudy.MilestoneProven:
			t.Proven = true
		}
		return
	}
}

// refusal adds a claim that was refused while an incident went on, or just before.
func (r *reading) refusal(e understudy.Event) {
	for _, d := range slices.Backward(r.drafts) {
		if d.Home != e.Server || e.At.Before(d.Begun.Add(-before)) {
			continue
		}
		if d.Back.IsZero() || e.At.Before(d.Back) {
			d.step(e, "refused", e.At, "", nil, e.Sentence)
		}
		return
	}
}

// accounts ends the incident that an event concludes.
func (r *reading) accounts(e understudy.Event) {
	var accounts []understudy.CameraAccount
	for _, c := range e.Changes {
		if c.Account != nil {
			accounts = append(accounts, *c.Account)
		}
	}
	told := false
	for _, a := range accounts {
		for _, d := range r.drafts {
			if d.ID != a.Incident {
				continue
			}
			if camera := d.cameras[a.Camera]; camera != nil {
				camera.Account = &a
			}
			if !told {
				d.Over, d.Sentence, told = e.At, e.Sentence, true
				d.step(e, "over", e.At, "", nil, "all footage is home and was counted: "+cost(accounts))
			}
		}
	}
}

func (d *draft) step(e understudy.Event, kind string, at time.Time, server understudy.ServerID, cameras []understudy.CameraID, sentence string) {
	d.Steps = append(d.Steps, understudy.IncidentStep{At: at, Kind: kind, Server: server, Cameras: cameras, Sentence: sentence, Seq: e.Seq})
}

// finish orders what was found, and says how far it is.
func (d *draft) finish() understudy.Incident {
	for _, camera := range slices.Sorted(maps.Keys(d.cameras)) {
		d.Cameras = append(d.Cameras, *d.cameras[camera])
	}
	slices.SortStableFunc(d.Steps, func(a, b understudy.IncidentStep) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Seq, b.Seq)) })
	d.gather()
	// The end of the way home is when the last footage was there, not when it was counted.
	if !d.Over.IsZero() {
		for _, s := range slices.Backward(d.Steps) {
			if s.Kind == string(understudy.MilestoneMergeEnded) && !s.At.Before(d.Back) {
				d.Over = earliest(d.Over, s.At)
				break
			}
		}
	}
	switch {
	case len(d.away) > 0:
		d.Phase, d.Sentence = understudy.IncidentStandingIn, standingIn(d)
	case d.Over.IsZero() && d.alone:
		d.Phase, d.Sentence = understudy.IncidentComingHome, recordedAlone(d)
	case d.Over.IsZero():
		d.Phase, d.Sentence = understudy.IncidentComingHome, comingHome(d)
	default:
		d.Phase = understudy.IncidentOver
	}
	return d.Incident
}

// together is how near steps of one kind are told as one: of two hundred cameras
// each is put down by itself.
const together = 3 * time.Second

// gather makes one step of those that say the same of one camera each.
func (d *draft) gather() {
	var steps []understudy.IncidentStep
	for _, s := range d.Steps {
		kind := understudy.MilestoneKind(s.Kind)
		i := slices.IndexFunc(steps, func(o understudy.IncidentStep) bool {
			return o.Kind == s.Kind && o.Server == s.Server && len(o.Cameras) > 0 && s.At.Sub(o.At) <= together
		})
		if i < 0 || kind != understudy.MilestoneDurable && kind != understudy.MilestoneProven && kind != understudy.MilestoneReleased {
			steps = append(steps, s)
			continue
		}
		one := &steps[i]
		one.At = s.At
		one.Cameras = slices.Compact(slices.Sorted(slices.Values(slices.Concat(one.Cameras, s.Cameras))))
		one.Sentence = seen(understudy.Event{}, understudy.Milestone{Kind: kind, Home: d.Home, Server: s.Server}, one.Cameras)
	}
	slices.SortStableFunc(steps, func(a, b understudy.IncidentStep) int { return a.At.Compare(b.At) })
	d.Steps = steps
}

func camerasOf(leases []understudy.Lease) []understudy.CameraID {
	cameras := make([]understudy.CameraID, len(leases))
	for i, l := range leases {
		cameras[i] = l.Camera
	}
	slices.Sort(cameras)
	return cameras
}

// earliest returns the earlier of two times that are known.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
