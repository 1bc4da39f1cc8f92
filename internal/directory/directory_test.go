package directory

import (
	"context"
	"strings"
	"testing"

	"understudy"
)

const (
	guards = "S-1-5-21-1-2-3-1105"
	desk   = "S-1-5-21-1-2-3-1106"
)

// At the site of these tests there are the cameras lobby, gate and yard, the group
// doors, and the role guard.
func directory(all Grants) Directory {
	return Directory{Grants: all, Site: func(context.Context) (understudy.Site, error) {
		return understudy.Site{
			CameraGroups: []understudy.CameraGroup{{ID: "doors", Cameras: []understudy.CameraID{"gate", "lobby"}}},
			Roles:        []understudy.SiteRole{{Name: "guard", Actions: []understudy.Action{understudy.ActionPlayback}}},
		}, nil
	}}
}

func grant(role understudy.UserRole, cameras []understudy.CameraID, groups ...understudy.CameraGroupID) understudy.Grant {
	return understudy.Grant{Role: role, Cameras: cameras, CameraGroups: groups}
}

func TestRightsAreThoseOfAllGroupsAndOfNoOther(t *testing.T) {
	all := Grants{
		{Group: guards, Grant: grant(understudy.RoleOperator, []understudy.CameraID{"lobby"})},
		{Group: desk, Grant: grant(understudy.RoleViewer, []understudy.CameraID{understudy.AllCameras})},
		{Group: desk, Grant: grant("guard", nil, "doors")},
		{User: "root@EXAMPLE.COM", Grant: grant(understudy.RoleAdministrator, []understudy.CameraID{understudy.AllCameras})},
		{User: "early@EXAMPLE.COM", Grant: grant("porter", nil, "vaults")},
	}
	if err := all.Validate(); err != nil {
		t.Fatal(err)
	}
	d, ctx := directory(all), t.Context()
	both, err := d.Rights(ctx, "ada@EXAMPLE.COM", []string{desk, strings.ToLower(guards), "S-1-1-0"})
	if err != nil || both.User != "ada@EXAMPLE.COM" || both.May(understudy.ActionExport, "lobby") != nil || both.May(understudy.ActionExport, "yard") == nil ||
		both.May(understudy.ActionLive, "yard") != nil || both.May(understudy.ActionPlayback, "gate") != nil || both.May(understudy.ActionPlayback, "yard") == nil ||
		both.May(understudy.ActionAdminister, "") == nil || len(both.Grants) != 3 {
		t.Errorf("a guard at the desk is %+v, %v", both, err)
	}
	if root, err := d.Rights(ctx, "Root@example.com", nil); err != nil || root.May(understudy.ActionAdminister, "") != nil {
		t.Errorf("a user by name is %+v, %v", root, err)
	}
	if eve, err := d.Rights(ctx, "eve@EXAMPLE.COM", []string{guards + "0", ""}); understudy.CodeOf(err) != understudy.CodeForbidden || eve.User != "" {
		t.Errorf("who has no grant is refused, not %+v, %v", eve, err)
	}
	if early, err := d.Rights(ctx, "early@EXAMPLE.COM", nil); understudy.CodeOf(err) != understudy.CodeForbidden || !strings.Contains(err.Error(), "understudy role add porter") {
		t.Errorf("a role that is not there yet gives nothing, not %+v, %v", early, err)
	}
	site, _ := d.Site(ctx)
	if lacking := strings.Join(all.Lacking(site), "\n"); strings.Count(lacking, "early@EXAMPLE.COM") != 2 || strings.Contains(lacking, "guard") {
		t.Errorf("what the site lacks is %s", lacking)
	}
}

func TestAWrongGrantIsNamed(t *testing.T) {
	star := []understudy.CameraID{understudy.AllCameras}
	for words, g := range map[string]Grant{
		"number 1 of grants":   {Grant: grant(understudy.RoleViewer, star)},
		"either a group or a":  {Group: guards, User: "ada", Grant: grant(understudy.RoleViewer, star)},
		"needs a role":         {Group: guards, Grant: grant("", star)},
		"needs cameras":        {Group: guards, Grant: grant(understudy.RoleViewer, nil)},
		"id of a camera":       {Group: guards, Grant: grant(understudy.RoleViewer, []understudy.CameraID{"Lobby!"})},
		"id of a camera group": {Group: guards, Grant: grant(understudy.RoleViewer, nil, "Doors!")},
		"of up to 512 bytes":   {Group: strings.Repeat("x", maxName+1), Grant: grant(understudy.RoleViewer, star)},
	} {
		if err := (Grants{g}).Validate(); understudy.CodeOf(err) != understudy.CodeInvalid || !strings.Contains(err.Error(), words) {
			t.Errorf("%+v must be refused with %q, got %v", g, words, err)
		}
	}
}
