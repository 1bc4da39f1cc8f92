package directory

import (
	"strings"
	"testing"

	"understudy"
)

const (
	guards = "S-1-5-21-1-2-3-1105"
	desk   = "S-1-5-21-1-2-3-1106"
)

func TestRightsAreThoseOfAllGroupsAndOfNoOther(t *testing.T) {
	all := Grants{
		{Group: guards, Role: understudy.RoleOperator, Cameras: []understudy.CameraID{"lobby"}},
		{Group: desk, Role: understudy.RoleViewer, Cameras: []understudy.CameraID{understudy.AllCameras}},
		{User: "root@EXAMPLE.COM", Role: understudy.RoleAdministrator, Cameras: []understudy.CameraID{understudy.AllCameras}},
	}
	if err := all.Validate(); err != nil {
		t.Fatal(err)
	}
	both, err := all.rights("ada@EXAMPLE.COM", []string{desk, strings.ToLower(guards), "S-1-1-0"})
	if err != nil || both.User != "ada@EXAMPLE.COM" || both.May(understudy.ActionExport, "lobby") != nil || both.May(understudy.ActionExport, "yard") == nil ||
		both.May(understudy.ActionLive, "yard") != nil || both.May(understudy.ActionAdminister, "") == nil {
		t.Errorf("a guard at the desk is %+v, %v", both, err)
	}
	if root, err := all.rights("Root@example.com", nil); err != nil || root.May(understudy.ActionAdminister, "") != nil {
		t.Errorf("a user by name is %+v, %v", root, err)
	}
	if eve, err := all.rights("eve@EXAMPLE.COM", []string{guards + "0", ""}); understudy.CodeOf(err) != understudy.CodeForbidden || eve.User != "" {
		t.Errorf("who has no grant is refused, not %+v, %v", eve, err)
	}
}

func TestAWrongGrantIsNamed(t *testing.T) {
	star := []understudy.CameraID{understudy.AllCameras}
	for words, g := range map[string]Grant{
		"number 1 of grants":  {Role: understudy.RoleViewer, Cameras: star},
		"either a group or a": {Group: guards, User: "ada", Role: understudy.RoleViewer, Cameras: star},
		"not \"guest\"":       {Group: guards, Role: "guest", Cameras: star},
		"needs cameras":       {Group: guards, Role: understudy.RoleViewer},
		"id of a camera":      {Group: guards, Role: understudy.RoleViewer, Cameras: []understudy.CameraID{"Lobby!"}},
		"of up to 512 bytes":  {Group: strings.Repeat("x", maxName+1), Role: understudy.RoleViewer, Cameras: star},
	} {
		if err := (Grants{g}).Validate(); understudy.CodeOf(err) != understudy.CodeInvalid || !strings.Contains(err.Error(), words) {
			t.Errorf("%+v must be refused with %q, got %v", g, words, err)
		}
	}
}
