package understudy_test

import (
	"reflect"
	"testing"

	us "understudy"
)

// TestGrants: what a user may do is what some grant's role allows on some camera that
// the grant names or whose group it names, and nothing else.
func TestGrants(t *testing.T) {
	site := us.Site{
		CameraGroups: []us.CameraGroup{{ID: "doors", Cameras: []us.CameraID{"gate", "lobby"}}, {ID: "empty"}},
		Roles: []us.SiteRole{{Name: "chief", Actions: []us.Action{us.ActionAdminister}}, {Name: "guard", Actions: []us.Action{us.ActionPlayback, us.ActionEvents}},
			{Name: "installer", Actions: []us.Action{us.ActionConfigure}}},
	}
	members := map[us.CameraGroupID][]us.CameraID{"doors": {"gate", "lobby"}}
	of := map[us.UserRole][]us.Action{"guard": {us.ActionStatus, us.ActionPlayback, us.ActionEvents}, "installer": {us.ActionStatus, us.ActionConfigure},
		"chief": {us.ActionStatus, us.ActionAdminister}}
	for _, role := range us.UserRoles() {
		of[role] = role.Actions()
	}
	for _, grants := range [][]us.Grant{
		{},
		{{Role: "none-such", Cameras: []us.CameraID{us.AllCameras}}},
		{{Role: "guard", Cameras: []us.CameraID{"yard"}}},
		{{Role: "guard", CameraGroups: []us.CameraGroupID{"doors"}}},
		{{Role: us.RoleViewer, Cameras: []us.CameraID{us.AllCameras}}, {Role: "guard", CameraGroups: []us.CameraGroupID{"doors"}}, {Role: us.RoleOperator, Cameras: []us.CameraID{"yard"}}},
		{{Role: "guard", CameraGroups: []us.CameraGroupID{"empty", "none-such"}}},
		{{Role: "installer", Cameras: []us.CameraID{"yard"}}, {Role: us.RoleViewer, CameraGroups: []us.CameraGroupID{"doors"}}},
		{{Role: "chief", Cameras: []us.CameraID{"yard"}}},
		{{Role: us.RoleAdministrator, Cameras: []us.CameraID{"lobby"}}, {Role: "guard", Cameras: []us.CameraID{us.AllCameras}}},
	} {
		i := site.Identity("ada", grants)
		for _, action := range us.Actions() {
			for _, camera := range []us.CameraID{"", "gate", "lobby", "yard", us.AllCameras} {
				if got, want := i.May(action, camera) == nil, allowed(grants, of, members, action, camera); got != want {
					t.Errorf("%v: may %s %q: %v, want %v (%+v)", grants, action, camera, got, want, i)
				}
			}
		}
	}
}

// allowed says it the long way.
func allowed(grants []us.Grant, of map[us.UserRole][]us.Action, members map[us.CameraGroupID][]us.CameraID, action us.Action, camera us.CameraID) bool {
	for _, g := range grants {
		for _, a := range of[g.Role] {
			if a == us.ActionAdminister && action == us.ActionConfigure {
				return true
			}
			if a != action {
				continue
			}
			on := g.Cameras
			for _, id := range g.CameraGroups {
				on = append(on, members[id]...)
			}
			named := action == us.ActionStatus && camera == "" // of an empty group: there is nothing to see
			for _, c := range on {
				named = named || camera == "" || c == us.AllCameras || c == camera
			}
			if named || camera == "" && len(grants) == 1 {
				return true
			}
		}
	}
	return false
}

// TestHearing: what was given out before there was a right to hear gave it, on the same cameras.
func TestHearing(t *testing.T) {
	old := us.Identity{User: "v", Actions: []us.Action{us.ActionLive, us.ActionStatus}, Cameras: []us.CameraID{"gate", "lobby"},
		Also: map[us.Action][]us.CameraID{us.ActionPlayback: {"yard"}, us.ActionExport: {"vault"}}}
	hearing := old.Hearing()
	for _, action := range us.Actions() {
		for _, camera := range []us.CameraID{"gate", "lobby", "yard", "vault"} {
			want := old.May(action, camera) == nil || action == us.ActionAudio && camera != "vault"
			if got := hearing.May(action, camera) == nil; got != want {
				t.Errorf("may %s %s: %v, want %v", action, camera, got, want)
			}
		}
	}
	if nobody := (us.Identity{User: "v", Actions: []us.Action{us.ActionStatus}, Cameras: []us.CameraID{us.AllCameras}}).Hearing(); nobody.May(us.ActionAudio, "") == nil {
		t.Error("who sees nothing hears")
	}
}

// TestRightsAreForAdministrators: nobody else is told who may do what.
func TestRightsAreForAdministrators(t *testing.T) {
	doors, guard := us.CameraGroup{ID: "doors", Cameras: []us.CameraID{"lobby"}}, us.SiteRole{Name: "guard", Actions: []us.Action{us.ActionLive}}
	e := us.Event{Kind: us.EventConfig, Camera: "lobby", Changes: []us.Change{{CameraGroup: &doors}, {GoneCameraGroup: "old"}, {Role: &guard}, {GoneRole: "old"}, {User: &us.User{Name: "vera"}}, {GoneUser: "old"}, {GoneCamera: "lobby"}}}
	site := us.Site{CameraGroups: []us.CameraGroup{doors}, Roles: []us.SiteRole{guard}}
	all := []us.CameraID{us.AllCameras}
	for _, c := range []struct {
		who us.Identity
		all bool
	}{
		{us.Identity{User: "olga", Actions: us.RoleOperator.Actions(), Cameras: all}, false},
		{us.Identity{User: "conny", Actions: []us.Action{us.ActionStatus, us.ActionConfigure}, Cameras: all}, false},
		{us.Identity{User: "ada", Actions: us.RoleAdministrator.Actions(), Cameras: all}, true},
		{us.Identity{Server: "ch-1", Role: us.RoleChannel}, true},
	} {
		seen, ok := c.who.Visible(e)
		if want := map[bool]int{false: 1, true: 7}[c.all]; !ok || len(seen.Changes) != want {
			t.Errorf("%v sees %d changes, want %d", c.who, len(seen.Changes), want)
		}
		if got := !reflect.DeepEqual(c.who.VisibleSite(site).CameraGroups, us.Site{}.CameraGroups); got != c.all || (len(c.who.VisibleSite(site).Roles) > 0) != c.all {
			t.Errorf("%v sees camera groups and roles: %v", c.who, got)
		}
	}
}
