package storetest

import (
	"strings"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/management"
)

// uses: what users did with footage is in the log in their name, from where they
// came, as a sentence that the log makes; for administrators. A server can say nothing else by it.
func uses(t *testing.T, s management.Store) {
	m := aSite(t, s)
	from := us.WithAsker(background, us.Identity{Server: "rec1", Role: us.RoleRecording, Address: "10.0.0.1"})
	use := us.Use{User: "ada@example.org", Action: us.ActionExport, Requests: 3, Began: aTime, Ended: aTime.Add(time.Minute),
		Footage: []us.Stretch{{From: aTime.Add(-time.Hour), To: aTime}}, Address: "192.0.2.7", TokenAddress: "192.0.2.7"}
	told := us.Report{Kind: us.EventAccess, Camera: "a", Sentence: "User ada was deleted.", Use: &use}
	want(t, m.Report(from, "rec1", told), "")
	several := use
	several.Footage, several.Cameras, several.More, several.Refused, several.Address, several.TokenAddress = nil, []us.CameraID{"a", "b"}, 7, true, "", ""
	want(t, m.Report(from, "fo1", us.Report{Kind: us.EventAccess, Sentence: "x", Use: &several}), "")
	own := us.Use{Server: "fo1", Refused: true, Requests: 1, Began: aTime, Ended: aTime, Routes: []string{"POST /api/v1/leases/claim"}, Address: "10.0.0.2"}
	want(t, m.ReportOwn(background, "", us.Report{Kind: us.EventAccess, Use: &own}), "")

	events := history(t, m)
	events = events[len(events)-3:]
	wanted := []us.Event{
		{Actor: "user:ada@example.org", Server: "rec1", Camera: "a", From: "192.0.2.7", Sentence: use.Sentence("a", "rec1")},
		{Actor: "user:ada@example.org", Server: "fo1", Sentence: several.Sentence("", "fo1")}, // and not from the server's address
		{Actor: "server:fo1", From: "10.0.0.2", Sentence: own.Sentence("", "")},
	}
	for i, e := range events {
		w := wanted[i]
		if e.Kind != us.EventAccess || e.Actor != w.Actor || e.Server != w.Server || e.Camera != w.Camera || e.From != w.From || e.Sentence != w.Sentence || strings.Contains(e.Sentence, "deleted") {
			t.Errorf("event %d is\n%+v, and should be\n%+v", i, e, w)
		}
		if _, seen := (us.Identity{User: "olga", Actions: us.RoleOperator.Actions(), Cameras: []us.CameraID{us.AllCameras}}).Visible(e); seen {
			t.Errorf("an operator sees %q", e.Sentence)
		}
		if seen, ok := (us.Identity{User: "root", Actions: us.RoleAdministrator.Actions(), Cameras: []us.CameraID{us.AllCameras}}).Visible(e); !ok || seen.From != w.From {
			t.Errorf("an administrator sees %+v", seen)
		}
	}
	if a := must[us.Audit](t)(m.VerifyAudit(background)); len(a.Faults) > 0 {
		t.Errorf("the chain is broken: %v", a.Faults)
	}
	for name, spoil := range map[string]func(*us.Report, *us.Use){
		"no use": func(r *us.Report, _ *us.Use) { r.Use = nil }, "another kind": func(r *us.Report, _ *us.Use) { r.Kind = us.EventServer },
		"no user": func(_ *us.Report, u *us.Use) { u.User = "" }, "a server": func(_ *us.Report, u *us.Use) { u.User, u.Server = "", "rec2" },
		"a user and a server": func(_ *us.Report, u *us.Use) { u.Server = "rec2" }, "routes": func(_ *us.Report, u *us.Use) { u.Routes = []string{"x"} },
		"two lines": func(_ *us.Report, u *us.Use) { u.User = "ada\nbob" }, "a long name": func(_ *us.Report, u *us.Use) { u.User = strings.Repeat("x", 321) },
		"another action": func(_ *us.Report, u *us.Use) { u.Action = us.ActionAdminister }, "live": func(_ *us.Report, u *us.Use) { u.Action = us.ActionLive },
		"refused of no action": func(_ *us.Report, u *us.Use) { u.Refused, u.Action = true, "x" }, "no camera": func(r *us.Report, _ *us.Use) { r.Camera = "" },
		"no request": func(_ *us.Report, u *us.Use) { u.Requests = 0 }, "back in time": func(_ *us.Report, u *us.Use) { u.Ended = aTime.Add(-1) },
		"no time":      func(_ *us.Report, u *us.Use) { u.Began = time.Time{} },
		"backwards":    func(_ *us.Report, u *us.Use) { u.Footage = []us.Stretch{{From: aTime, To: aTime.Add(-1)}} },
		"much":         func(_ *us.Report, u *us.Use) { u.Footage = make([]us.Stretch, us.MaxUseFootage+1) },
		"many":         func(_ *us.Report, u *us.Use) { u.Cameras = make([]us.CameraID, us.MaxUseCameras+1) },
		"a bad camera": func(_ *us.Report, u *us.Use) { u.Cameras = []us.CameraID{"../x"} }, "a bad address": func(_ *us.Report, u *us.Use) { u.Address = "a\nb" },
		"a long address": func(_ *us.Report, u *us.Use) { u.TokenAddress = strings.Repeat("x", 65) },
		"milestones":     func(r *us.Report, _ *us.Use) { r.Milestones = make([]us.Milestone, 1) },
	} {
		u := use
		bad := told
		bad.Use = &u
		spoil(&bad, &u)
		if err := m.Report(from, "rec1", bad); us.CodeOf(err) != us.CodeInvalid {
			t.Errorf("a report with %s: %v, want CodeInvalid", name, err)
		}
	}
}
