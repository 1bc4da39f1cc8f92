package storetest

import (
	"slices"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/management"
)

// recalls: whoever may do less from now on, or whose session was ended, has no media token
// that is believed; who may do as much as before keeps his.
func recalls(t *testing.T, s management.Store) {
	m := aSite(t, s)
	password := us.Secret("correct horse")
	must[us.SiteRole](t)(m.PutRole(background, us.SiteRole{Name: "guard", Actions: []us.Action{us.ActionLive, us.ActionPlayback}}))
	must[us.CameraGroup](t)(m.PutCameraGroup(background, us.CameraGroup{ID: "doors", Cameras: []us.CameraID{"a", "b"}}))
	put := func(name string, role us.UserRole, cameras []us.CameraID, groups ...us.CameraGroupID) {
		must[us.User](t)(m.PutUser(background, us.User{Name: name, Role: role, Cameras: cameras, CameraGroups: groups}, &password))
	}
	put("ada", us.RoleAdministrator, []us.CameraID{us.AllCameras})
	put("gus", "guard", []us.CameraID{"c"})
	put("dora", us.RoleViewer, nil, "doors")
	put("bob", us.RoleViewer, []us.CameraID{"c"})
	dora := []us.Grant{{Role: us.RoleViewer, CameraGroups: []us.CameraGroupID{"doors"}}}
	visitor := must[us.Session](t)(m.BeginSession(background, must[us.Site](t)(m.Site(background)).Identity("dora@EXAMPLE.COM", dora), time.Now().Add(time.Hour)))
	told := func(what string, users ...string) {
		t.Helper()
		events := history(t, m)
		last := events[len(events)-1]
		var recalled []string
		for _, c := range last.Changes {
			if c.Recall == nil {
				continue
			}
			recalled = append(recalled, c.Recall.User)
			if late := c.Recall.Before.Sub(last.At); late <= 0 || late > time.Second || c.Recall.Before.Nanosecond() != 0 {
				t.Errorf("%s: tokens of %s are recalled, %s after the event, of whole seconds", what, c.Recall.User, late)
			}
			if kept, _ := must[us.Site](t)(m.Site(background)).Recall(c.Recall.User); kept != *c.Recall {
				t.Errorf("%s: the site has %+v of %+v", what, kept, c.Recall)
			}
		}
		if slices.Sort(recalled); !slices.Equal(recalled, users) {
			t.Errorf("%s: tokens of %v are recalled, want %v", what, recalled, users)
		}
	}
	told("a visitor came")
	must[us.SiteRole](t)(m.PutRole(background, us.SiteRole{Name: "guard", Actions: []us.Action{us.ActionLive, us.ActionPlayback, us.ActionExport}}))
	told("a role allows more")
	must[us.SiteRole](t)(m.PutRole(background, us.SiteRole{Name: "guard", Actions: []us.Action{us.ActionLive}}))
	told("a role allows less", "gus")
	must[us.CameraGroup](t)(m.PutCameraGroup(background, us.CameraGroup{ID: "doors", Cameras: []us.CameraID{"a", "b", "c"}}))
	told("a camera came into a group")
	must[us.CameraGroup](t)(m.PutCameraGroup(background, us.CameraGroup{ID: "doors", Cameras: []us.CameraID{"b", "c"}}))
	told("a camera left a group", "dora", "dora@EXAMPLE.COM")
	want(t, m.EndSession(background, "", visitor.ID), "")
	told("a session was ended", "dora@EXAMPLE.COM")
	must[us.User](t)(m.PutUser(background, us.User{Name: "bob", Role: us.RoleViewer, Cameras: []us.CameraID{"b"}}, nil))
	told("a user has other cameras", "bob")
	want(t, m.DeleteCamera(background, "b"), "")
	told("a camera was deleted", "bob", "dora")
	want(t, m.DeleteUser(background, "gus"), "")
	told("a user was deleted", "gus")
	isFolded(t, m)
}

// forgetsRecalls: those that are a day older than the newest are not remembered.
func forgetsRecalls(t *testing.T, s management.Store) {
	m := New(t, s)
	begun := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, r := range []us.Recall{{User: "ada", Before: begun}, {User: "bob", Before: begun.Add(2 * time.Hour)}, {User: "eve", Before: begun.Add(25 * time.Hour)}} {
		want(t, s.Update(background, func(tx management.Tx) error {
			_, err := tx.Append(us.Event{At: r.Before, Kind: us.EventAccess, Sentence: "It is recalled.", Changes: []us.Change{{Recall: &r}}})
			return err
		}), "")
	}
	site := must[us.Site](t)(m.Site(background))
	if len(site.Recalls) != 2 || site.Recalls[0].User != "bob" || site.Recalls[1].User != "eve" {
		t.Errorf("remembered are %+v", site.Recalls)
	}
	isFolded(t, m)
}
