package storetest

import (
	"testing"
	"time"

	us "understudy"
	"understudy/internal/management"
)

// incidents: what servers tell of a failover is in the log in their name, and
// what it cost is written down once, also by two who count at the same time.
func incidents(t *testing.T, s management.Store) {
	m := aSite(t, s)
	c := takeover("claim-incident", "fo1", "rec1", us.CameraEpoch{Camera: "a", Epoch: 1})
	c.Milestones = []us.Milestone{{Kind: us.MilestoneHeard, Home: "rec1", Server: "liar", At: aTime}}
	must[us.ClaimAnswer](t)(m.Claim(background, c))
	report := us.Report{Kind: us.EventServer, Sentence: "It records.", Milestones: []us.Milestone{{Kind: us.MilestoneDurable, Home: "rec1", Camera: "a", Server: "liar", At: aTime}}}
	if err := m.Report(background, "fo1", report); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]us.Milestone{
		"no home": {Kind: us.MilestoneBack, At: aTime}, "no kind": {Home: "rec1", At: aTime}, "no time": {Kind: us.MilestoneBack, Home: "rec1"},
		"a camera that cannot be": {Kind: us.MilestoneDurable, Home: "rec1", Camera: "Bad Name", At: aTime},
	} {
		if err := m.Report(background, "fo1", us.Report{Kind: us.EventServer, Sentence: name, Milestones: []us.Milestone{bad}}); us.CodeOf(err) != us.CodeInvalid {
			t.Errorf("a milestone with %s: %v, want CodeInvalid", name, err)
		}
	}
	want(t, m.Report(background, "fo1", us.Report{Kind: us.EventServer, Sentence: "too many", Milestones: make([]us.Milestone, 501)}), us.CodeInvalid)
	told := map[us.MilestoneKind]us.Milestone{}
	var opened uint64
	for _, e := range history(t, m) {
		for _, change := range e.Changes {
			if change.Milestone != nil {
				told[change.Milestone.Kind] = *change.Milestone
			}
		}
		if e.Kind == us.EventTakeover {
			opened = e.Seq
		}
	}
	if h, d := told[us.MilestoneHeard], told[us.MilestoneDurable]; len(told) != 2 || h.Server != "fo1" || d.Server != "fo1" || d.Camera != "a" || !d.At.Equal(aTime) {
		t.Errorf("the log must tell two milestones in the name of fo1, tells %+v", told)
	}
	accounts := []us.CameraAccount{{Incident: "rec1-x", Camera: "a", Milliseconds: 912, Sentence: "912 ms missing"}}
	for range 2 {
		if err := m.Conclude(background, "rec1", opened, "It is over.", accounts); err != nil {
			t.Fatal(err)
		}
	}
	other := []us.CameraAccount{{Incident: "rec1-y", Camera: "a"}}
	if err := m.Conclude(background, "rec1", opened, "The other one, too.", other); err != nil {
		t.Fatal(err)
	}
	want(t, m.Conclude(background, "rec1", opened, "Nothing was counted.", nil), us.CodeInvalid)
	over := must[[]us.Event](t)(m.Events(background, us.EventQuery{Kind: us.EventIncident, Camera: "a", Limit: 10}))
	if len(over) != 2 || over[0].Changes[0].Account.Milliseconds != 912 || over[0].At.After(time.Now()) {
		t.Errorf("each incident must be concluded once, the log has %+v", over)
	}
	isFolded(t, m)
}
