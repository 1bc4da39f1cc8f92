package understudy_test

import (
	"slices"
	"testing"

	us "understudy"
)

func TestMay(t *testing.T) {
	viewer := us.Identity{User: "v", Actions: us.RoleViewer.Actions(), Cameras: []us.CameraID{"lobby"}}
	operator := us.Identity{User: "o", Actions: us.RoleOperator.Actions(), Cameras: []us.CameraID{us.AllCameras}}
	admin := us.Identity{User: "a", Actions: us.RoleAdministrator.Actions(), Cameras: []us.CameraID{us.AllCameras}}
	server := us.Identity{Server: "rec1", Role: us.RoleRecording}
	channel := us.Identity{Server: "ch1", Role: us.RoleChannel}
	for _, c := range []struct {
		who    us.Identity
		action us.Action
		camera us.CameraID
		want   us.Code
	}{
		{us.Identity{}, us.ActionStatus, "", us.CodeUnauthenticated},
		{us.Identity{Actions: us.RoleAdministrator.Actions()}, us.ActionLive, "lobby", us.CodeUnauthenticated},
		{viewer, us.ActionLive, "lobby", ""},
		{viewer, us.ActionLive, "gate", us.CodeForbidden},
		{viewer, us.ActionPlayback, "lobby", us.CodeForbidden},
		{viewer, us.ActionStatus, "", ""},
		{operator, us.ActionExport, "gate", ""},
		{operator, us.ActionAdminister, "", us.CodeForbidden},
		{admin, us.ActionAdminister, "", ""},
		{server, us.ActionLive, "gate", ""},
		{server, us.ActionAdminister, "", us.CodeForbidden},
		{channel, us.ActionStatus, "", ""},
		{channel, us.ActionLive, "gate", us.CodeForbidden},
		{channel, us.ActionPlayback, "gate", us.CodeForbidden},
	} {
		err := c.who.May(c.action, c.camera)
		if got := codeOrNone(err); got != c.want {
			t.Errorf("%v may %s %q: %v, want code %q", c.who, c.action, c.camera, err, c.want)
		}
	}
}

func TestMayActAsIsTiedToIdAndRole(t *testing.T) {
	server := us.Identity{Server: "fo1", Role: us.RoleFailover}
	for _, c := range []struct {
		who  us.Identity
		id   us.ServerID
		role us.Role
		want us.Code
	}{
		{server, "fo1", us.RoleFailover, ""},
		{server, "fo2", us.RoleFailover, us.CodeForbidden},
		{server, "fo1", us.RoleRecording, us.CodeForbidden},
		{us.Identity{User: "root", Actions: us.RoleAdministrator.Actions()}, "fo1", us.RoleFailover, us.CodeForbidden},
		{us.Identity{}, "fo1", us.RoleFailover, us.CodeUnauthenticated},
	} {
		if got := codeOrNone(c.who.MayActAs(c.id, c.role)); got != c.want {
			t.Errorf("%v as %s (%s): code %q, want %q", c.who, c.id, c.role, got, c.want)
		}
	}
}

func codeOrNone(err error) us.Code {
	if err == nil {
		return ""
	}
	return us.CodeOf(err)
}

// TestWithIsTheUnion: who has several roles may do what one of them allows on a
// camera, and nothing that none does.
func TestWithIsTheUnion(t *testing.T) {
	type role struct {
		role    us.UserRole
		cameras []us.CameraID
	}
	all := []us.CameraID{us.AllCameras}
	for _, roles := range [][]role{
		{},
		{{us.RoleViewer, all}},
		{{us.RoleViewer, all}, {us.RoleOperator, []us.CameraID{"lobby"}}},
		{{us.RoleOperator, []us.CameraID{"lobby"}}, {us.RoleViewer, all}},
		{{us.RoleOperator, []us.CameraID{"lobby"}}, {us.RoleOperator, []us.CameraID{"yard", "lobby"}}},
		{{us.RoleViewer, []us.CameraID{"lobby"}}, {us.RoleAdministrator, []us.CameraID{"gate"}}, {us.RoleOperator, []us.CameraID{"yard"}}},
		{{us.RoleAdministrator, all}, {us.RoleViewer, []us.CameraID{"lobby"}}},
		{{us.RoleViewer, nil}, {us.RoleViewer, []us.CameraID{"lobby"}}},
	} {
		union := us.Identity{User: "ada"}
		for _, r := range roles {
			union = union.With(r.role.Actions(), r.cameras)
		}
		for _, action := range us.RoleAdministrator.Actions() {
			for _, camera := range []us.CameraID{"lobby", "yard", "gate", us.AllCameras} {
				allowed := false
				for _, r := range roles {
					one := us.Identity{User: "ada", Actions: r.role.Actions(), Cameras: r.cameras}
					allowed = allowed || one.May(action, camera) == nil
				}
				if got := union.May(action, camera) == nil; got != allowed {
					t.Errorf("%v: may %s %s: %v, want %v (%+v)", roles, action, camera, got, allowed, union)
				}
			}
		}
		watching := union.Without(func(a us.Action) bool { return a != us.ActionStatus })
		for _, action := range us.RoleAdministrator.Actions() {
			if want := action == us.ActionStatus && union.May(action, "") == nil; (watching.May(action, "") == nil) != want {
				t.Errorf("%v: without all but status, %s is %v", roles, action, !want)
			}
		}
	}
}

// TestWhatIsVisibleIsWhatOneMaySee: of a whole site, and of its servers' status, at once.
func TestWhatIsVisibleIsWhatOneMaySee(t *testing.T) {
	cameras := []us.CameraID{"lobby", "yard", "gate"}
	var site us.Site
	status := []us.ServerStatus{{Server: "rec-1", State: &us.State{}}}
	for _, c := range cameras {
		site.Cameras = append(site.Cameras, us.Camera{ID: c})
		status[0].State.Cameras = append(status[0].State.Cameras, us.CameraState{Camera: c})
	}
	seeing, doors := us.RoleViewer.Actions(), []us.CameraID{"lobby", "gate"}
	for name, who := range map[string]us.Identity{
		"nobody":                             {Actions: seeing, Cameras: doors},
		"a viewer of two":                    {User: "ada", Actions: seeing, Cameras: doors},
		"a viewer of all":                    {User: "ada", Actions: seeing, Cameras: []us.CameraID{us.AllCameras}},
		"a viewer of none":                   {User: "ada", Actions: seeing},
		"one who may only watch":             {User: "ada", Actions: []us.Action{us.ActionLive}, Cameras: doors},
		"one who sees one and watches two":   {User: "ada", Actions: []us.Action{us.ActionLive}, Cameras: doors, Also: map[us.Action][]us.CameraID{us.ActionStatus: {"yard"}}},
		"one who sees one and, besides, all": {User: "ada", Actions: seeing, Cameras: doors, Also: map[us.Action][]us.CameraID{us.ActionStatus: {us.AllCameras}}},
		"a server":                           {Server: "fo-1", Role: us.RoleFailover},
		"a channel":                          {Server: "ch-1", Role: us.RoleChannel},
	} {
		var want []us.CameraID
		for _, c := range cameras {
			if who.May(us.ActionStatus, c) == nil {
				want = append(want, c)
			}
		}
		var ofSite, ofStatus []us.CameraID
		for _, c := range who.VisibleSite(site).Cameras {
			ofSite = append(ofSite, c.ID)
		}
		for _, c := range who.VisibleStatus(status)[0].State.Cameras {
			ofStatus = append(ofStatus, c.Camera)
		}
		if !slices.Equal(ofSite, want) || !slices.Equal(ofStatus, want) {
			t.Errorf("%s may see %v, and is shown %v of the site and %v of the status", name, want, ofSite, ofStatus)
		}
	}
}
