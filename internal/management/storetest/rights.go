package storetest

import (
	"testing"
	"time"

	us "understudy"
	"understudy/internal/management"
)

// rights are what users may do by roles of the site's own and on groups of cameras.
func rights(t *testing.T, s management.Store) {
	m := aSite(t, s)
	password := us.Secret("correct horse")
	guard := must[us.SiteRole](t)(m.PutRole(background, us.SiteRole{Name: "guard", Actions: []us.Action{us.ActionEvents, us.ActionPlayback, us.ActionStatus, us.ActionEvents}}))
	same(t, "guard", guard, us.SiteRole{Name: "guard", Actions: []us.Action{us.ActionPlayback, us.ActionEvents}})
	doors := must[us.CameraGroup](t)(m.PutCameraGroup(background, us.CameraGroup{ID: "doors", Cameras: []us.CameraID{"b", "a", "b"}}))
	same(t, "doors", doors, us.CameraGroup{ID: "doors", Name: "doors", Cameras: []us.CameraID{"a", "b"}})
	before := must[us.Site](t)(m.Site(background)).Seq
	must[us.SiteRole](t)(m.PutRole(background, guard))
	must[us.CameraGroup](t)(m.PutCameraGroup(background, doors))
	same(t, "events of what changed nothing", must[us.Site](t)(m.Site(background)).Seq, before)
	same(t, "camera groups", must[[]us.CameraGroup](t)(m.CameraGroups(background)), []us.CameraGroup{doors})
	if roles := must[[]us.SiteRole](t)(m.Roles(background)); len(roles) != 4 || !roles[0].BuiltIn || roles[3].Name != "guard" {
		t.Errorf("roles are %+v", roles)
	}

	bob := must[us.User](t)(m.PutUser(background, us.User{Name: "bob", Role: us.RoleViewer, Cameras: []us.CameraID{"c"}, CameraGroups: []us.CameraGroupID{"doors"},
		Also: []us.Grant{{Role: "guard", Cameras: []us.CameraID{"c"}}}}, &password))
	same(t, "users", must[[]us.User](t)(m.Users(background)), []us.User{bob})
	session := must[us.Session](t)(m.SignIn(background, "bob", password))
	visitor := must[us.Session](t)(m.BeginSession(background, must[us.Site](t)(m.Site(background)).Identity("bob@EXAMPLE.COM", bob.Grants()), time.Now().Add(time.Hour)))
	same(t, "a visitor", visitor.User.Grants(), bob.Grants())
	may := func(what string, action us.Action, camera us.CameraID, code us.Code) {
		t.Helper()
		for who, token := range map[string]us.Secret{"bob": session.Token, "a visitor": visitor.Token} {
			if err := must[us.Identity](t)(m.Identify(background, token)).May(action, camera); us.CodeOf(err) != code && (err != nil || code != "") {
				t.Errorf("%s: %s may %s %s: %v, want %q", what, who, action, camera, err, code)
			}
		}
	}
	may("by the group", us.ActionLive, "a", "")
	may("by name", us.ActionLive, "c", "")
	may("by the own role", us.ActionPlayback, "c", "")
	may("in another role", us.ActionPlayback, "a", us.CodeForbidden)
	may("nowhere", us.ActionExport, "", us.CodeForbidden)
	taken := must[us.Site](t)(m.Site(background)).Identity("root@EXAMPLE.COM", []us.Grant{{Role: us.RoleAdministrator, Cameras: []us.CameraID{us.AllCameras}}}).
		Without(us.Action.Changing)
	root := must[us.Identity](t)(m.Identify(background, must[us.Session](t)(m.BeginSession(background, taken, time.Now().Add(time.Hour))).Token))
	for _, action := range us.Actions() {
		if got, want := root.May(action, "a") == nil, action != us.ActionAdminister && action != us.ActionConfigure; got != want {
			t.Errorf("who began a session without administering may %s: %v, want %v", action, got, want)
		}
	}
	changeRights(t, m, may)
	wrongRights(t, m)
}

// changeRights changes groups and roles: it holds at once in sessions that go on.
func changeRights(t *testing.T, m *management.Management, may func(string, us.Action, us.CameraID, us.Code)) {
	must[us.SiteRole](t)(m.PutRole(background, us.SiteRole{Name: "guard", Actions: []us.Action{us.ActionExport}}))
	may("the role was changed", us.ActionExport, "c", "")
	may("the role was changed", us.ActionPlayback, "c", us.CodeForbidden)
	must[us.CameraGroup](t)(m.PutCameraGroup(background, us.CameraGroup{ID: "doors", Cameras: []us.CameraID{"b", "d"}}))
	may("the camera left the group", us.ActionLive, "a", us.CodeForbidden)
	may("the camera came into the group", us.ActionLive, "d", "")
	want(t, m.DeleteCamera(background, "d"), "")
	must[us.Camera](t)(m.PutCamera(background, us.Camera{ID: "d", Home: "rec1", URL: "rtsp://h/"}, nil))
	may("another camera has the id", us.ActionLive, "d", us.CodeForbidden)
	must[us.CameraGroup](t)(m.PutCameraGroup(background, us.CameraGroup{ID: "doors"}))
	may("the group is empty", us.ActionLive, "b", us.CodeForbidden)
	may("the group is empty", us.ActionStatus, "", "")
	want(t, m.DeleteCameraGroup(background, "doors"), us.CodeConflict)
	want(t, m.DeleteRole(background, "guard"), us.CodeConflict)
	want(t, m.DeleteUser(background, "bob"), "")
	want(t, m.DeleteCameraGroup(background, "doors"), "")
	want(t, m.DeleteRole(background, "guard"), "")
	site := must[us.Site](t)(m.Site(background))
	if len(site.CameraGroups)+len(site.Roles) > 0 {
		t.Errorf("still there: %+v, %+v", site.CameraGroups, site.Roles)
	}
	for _, e := range history(t, m) {
		for _, c := range e.Changes {
			if (c.Role != nil || c.CameraGroup != nil && c.Camera == nil && e.Camera == "") && e.Kind != us.EventAccess {
				t.Errorf("%q is of kind %s, which others than administrators see", e.Sentence, e.Kind)
			}
		}
	}
	isFolded(t, m)
}

func wrongRights(t *testing.T, m *management.Management) {
	password := us.Secret("correct horse")
	user := func(g us.Grant) error {
		return second(m.PutUser(background, us.User{Name: "x", Role: us.RoleViewer, Cameras: []us.CameraID{us.AllCameras}, Also: []us.Grant{g}}, &password))
	}
	for what, err := range map[string]error{
		"a role without actions":         second(m.PutRole(background, us.SiteRole{Name: "x"})),
		"an action that there is not":    second(m.PutRole(background, us.SiteRole{Name: "x", Actions: []us.Action{"fly"}})),
		"a strange name":                 second(m.PutRole(background, us.SiteRole{Name: "X y", Actions: []us.Action{us.ActionLive}})),
		"a group of no such camera":      second(m.PutCameraGroup(background, us.CameraGroup{ID: "x", Cameras: []us.CameraID{"nowhere"}})),
		"a group of all":                 second(m.PutCameraGroup(background, us.CameraGroup{ID: "x", Cameras: []us.CameraID{us.AllCameras}})),
		"a group with a strange name":    second(m.PutCameraGroup(background, us.CameraGroup{ID: "x y"})),
		"a user of no such role":         user(us.Grant{Role: "x"}),
		"a user of no such camera":       user(us.Grant{Role: us.RoleViewer, Cameras: []us.CameraID{"nowhere"}}),
		"a user of no such camera group": user(us.Grant{Role: us.RoleViewer, CameraGroups: []us.CameraGroupID{"nowhere"}}),
	} {
		if us.CodeOf(err) != us.CodeInvalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	want(t, second(m.PutRole(background, us.SiteRole{Name: us.RoleViewer, Actions: []us.Action{us.ActionExport}})), us.CodeConflict)
	want(t, m.DeleteRole(background, us.RoleOperator), us.CodeConflict)
	want(t, m.DeleteRole(background, "nowhere"), us.CodeNotFound)
	want(t, m.DeleteCameraGroup(background, "nowhere"), us.CodeNotFound)
}
