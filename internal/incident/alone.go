package incident

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"understudy"
)

// A takeover that was decided while the management server was away, and ended
// before it was back, moved no lease. It is known by what the server that stood
// in told afterwards: what it took up, and that it put it down again.

// post is one server in the place of another, at one camera.
type post struct {
	home, server understudy.ServerID
	camera       understudy.CameraID
}

func postOf(m understudy.Milestone) post { return post{m.Home, m.Server, m.Camera} }

// alone adds what was stood in for without a lease: to the incident that went on
// then, or as one of its own. What goes on still will be granted, or put down.
func (r *reading) alone(events []understudy.Event) {
	put := map[post][]time.Time{}
	for _, m := range milestonesOf(events, understudy.MilestoneProven, understudy.MilestoneReleased) {
		put[postOf(m.Milestone)] = append(put[postOf(m.Milestone)], m.At)
	}
	for _, m := range milestonesOf(events, understudy.MilestoneDecided) {
		until := first(put[postOf(m.Milestone)], m.At)
		if m.Camera == "" || until.IsZero() || r.granted(m.Milestone, until) {
			continue
		}
		d := r.during(m.Home, m.At)
		if d == nil {
			d = newDraft(m.event, m.Home, m.At)
			d.alone = true
			r.drafts = append(r.drafts, d)
		}
		if d.cameras[m.Camera] != nil {
			continue // a step of what it is in already
		}
		d.holders[m.Server] = true
		d.cameras[m.Camera] = &understudy.IncidentCamera{Camera: m.Camera, Tenures: []understudy.Tenure{
			{Server: m.Server, Decided: m.At, Since: m.At, Until: until, Provisional: true}}}
		if d.alone {
			d.Back = latest(d.Back, until)
		}
	}
	slices.SortStableFunc(r.drafts, func(a, b *draft) int { return cmp.Compare(a.Seq, b.Seq) })
}

// said is a milestone with the event that tells it.
type said struct {
	understudy.Milestone
	event understudy.Event
}

func milestonesOf(events []understudy.Event, kinds ...understudy.MilestoneKind) []said {
	var all []said
	for _, e := range events {
		for _, c := range e.Changes {
			if c.Milestone != nil && slices.Contains(kinds, c.Milestone.Kind) {
				all = append(all, said{*c.Milestone, e})
			}
		}
	}
	return all
}

// first returns the first of some times after one; zero if there is none.
func first(times []time.Time, after time.Time) (found time.Time) {
	for _, t := range times {
		if t.After(after) {
			found = earliest(found, t)
		}
	}
	return found
}

// granted reports whether a lease came of what was decided, before it was put down.
func (r *reading) granted(m understudy.Milestone, until time.Time) bool {
	return slices.ContainsFunc(r.drafts, func(d *draft) bool {
		c := d.cameras[m.Camera]
		return c != nil && d.Home == m.Home && slices.ContainsFunc(c.Tenures, func(t understudy.Tenure) bool {
			return t.Server == m.Server && !t.Provisional && t.Since.After(m.At.Add(-slack)) && t.Since.Before(until.Add(slack))
		})
	})
}

// during returns the incident of a home that went on at a time.
func (r *reading) during(home understudy.ServerID, at time.Time) *draft {
	for _, d := range slices.Backward(r.drafts) {
		if d.Home == home && !at.Before(d.Begun) && (d.Back.IsZero() || !at.After(d.Back)) {
			return d
		}
	}
	return nil
}

// recordedAlone is the sentence of such an incident until all of it is home.
func recordedAlone(d *draft) string {
	return fmt.Sprintf("%s recorded %s of %s for %s, and put them down before the management server was back: no lease moved; what was recorded meanwhile goes home",
		servers(d.holders), counted(len(d.cameras)), d.Home, long(d.Back.Sub(d.Begun)))
}
