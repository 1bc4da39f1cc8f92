package drill

import (
	"strings"
	"testing"
	"time"

	"understudy"
)

// A drill on a site is refused, with the reason, while a real failure would not be covered.
func TestUncovered(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	type world struct {
		site       understudy.Site
		status     []understudy.ServerStatus
		incidents  []understudy.Incident
		preflights []understudy.Preflight
	}
	well := func() *world {
		w := &world{site: understudy.Site{
			Cameras:          []understudy.Camera{{ID: "a", Home: "rec1"}, {ID: "b", Home: "rec2"}},
			RecordingServers: []understudy.RecordingServer{{ID: "rec1", HotStandby: "fo1"}, {ID: "rec2"}},
			FailoverServers:  []understudy.FailoverServer{{ID: "fo1"}},
			Leases:           understudy.Leases{{Camera: "a", Holder: "rec1", Epoch: 1}, {Camera: "b", Holder: "rec2", Epoch: 1}},
		}}
		for _, id := range []understudy.ServerID{"fo1", "rec1", "rec2"} {
			w.status = append(w.status, understudy.ServerStatus{Server: id, Reachable: true, State: &understudy.State{Storage: understudy.StorageState{Writable: true}}})
		}
		w.incidents = []understudy.Incident{{ID: "rec1-3", Phase: understudy.IncidentOver}}
		w.preflights = []understudy.Preflight{{Server: "fo1", Findings: []understudy.Finding{{Home: "rec2", Red: true, Sentence: "of another home"}, {Home: "rec1", Sentence: "not red"}}}}
		return w
	}
	for _, c := range []struct {
		name   string
		change func(*world)
		want   string
	}{
		{"all is well", func(*world) {}, ""},
		{"no such server", func(w *world) { w.site.RecordingServers = w.site.RecordingServers[1:] }, "no recording server"},
		{"nobody stands by", func(w *world) { w.site.RecordingServers[0].HotStandby = "" }, "nobody stands by"},
		{"no camera may move", func(w *world) { w.site.Cameras[0].Failover = understudy.SupportNone }, "no camera"},
		{"another hands over", func(w *world) { w.site.RecordingServers[1].HandOver.Since = now }, "rec2 is handed over"},
		{"an order that is past", func(w *world) {
			w.site.RecordingServers[1].HandOver = understudy.HandOver{Since: now.Add(-time.Hour), Until: now}
		}, ""},
		{"somebody works on it", func(w *world) { w.site.RecordingServers[0].Maintenance.Until = now.Add(time.Hour) }, "under maintenance"},
		{"a standby stands in", func(w *world) { w.site.Leases[1].Holder = "fo1" }, "fo1 stands in for rec2"},
		{"a server is away", func(w *world) { w.status[2].Reachable = false }, "rec2 is away"},
		{"a server was never seen", func(w *world) { w.status = w.status[1:] }, "has not seen fo1"},
		{"a disk fails", func(w *world) { w.status[0].State.Storage.Writable = false }, "storage of fo1"},
		{"a server leaves", func(w *world) { w.status[1].State.Leaving = "SIGTERM" }, "about to leave"},
		{"footage is on its way", func(w *world) { w.status[0].State.Transfers = []understudy.Transfer{{From: "fo1", To: "rec1"}} }, "footage is on its way"},
		{"a camera is not well", func(w *world) {
			w.status[1].State.Cameras = []understudy.CameraState{{Camera: "a", Fault: "no frames"}}
		}, "camera a is not well"},
		{"an incident goes on", func(w *world) { w.incidents[0].Phase = understudy.IncidentComingHome }, "rec1-3 is not over"},
		{"the pre-flight is red", func(w *world) {
			w.preflights[0].Findings = append(w.preflights[0].Findings, understudy.Finding{Home: "rec1", Red: true, Sentence: "camera a refuses the password"})
		}, "refuses the password"},
	} {
		w := well()
		c.change(w)
		got := uncovered(w.site, w.status, w.incidents, w.preflights, "rec1", now)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: refused with %q, want %q", c.name, got, c.want)
		}
	}
}

// A rehearsal has passed only when nothing is missing of any camera.
func TestJudgeLive(t *testing.T) {
	whole := understudy.IncidentCamera{Camera: "a", Account: &understudy.CameraAccount{Complete: true}}
	short := understudy.IncidentCamera{Camera: "b", Account: &understudy.CameraAccount{Sentence: "40 ms missing"}}
	if r := judgeLive(understudy.Incident{Cameras: []understudy.IncidentCamera{whole}}); !r.Passed {
		t.Errorf("nothing is missing, and it is %+v", r)
	}
	for _, bad := range []understudy.IncidentCamera{short, {Camera: "c"}} {
		if r := judgeLive(understudy.Incident{Cameras: []understudy.IncidentCamera{whole, bad}}); r.Passed || !strings.Contains(r.Why, string(bad.Camera)) {
			t.Errorf("something is missing or not counted, and it is %+v", r)
		}
	}
}
