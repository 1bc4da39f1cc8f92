package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"understudy"
)

// Roles, camera groups and users with several grants, as a person makes, lists,
// declares and removes them.
func TestRightsByCommand(t *testing.T) {
	m := signedInAt(t, "")
	m.joined(t, []understudy.ServerID{"rec1"}, nil)
	for _, id := range []string{"lobby", "gate"} {
		_, err := m.service.PutCamera(t.Context(), understudy.Camera{ID: understudy.CameraID(id), Home: "rec1", URL: "rtsp://10.0.0.8/" + id}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	does(t, "", "role", "add", "guard", "--actions", "live,playback")
	does(t, "", "camera-group", "add", "doors", "lobby", "gate", "--name", "All doors")
	does(t, "correct horse battery\n", "user", "add", "bob", "--role", "viewer", "--cameras", "*", "--also", "guard:@doors", "--also", "operator:gate")
	for command, want := range map[string][]string{
		"role list":         {"viewer", "every site's", "guard", "this site's", "live, playback"},
		"camera-group list": {"doors", "All doors", "gate, lobby"},
		"user list":         {"ada", "bob", "@doors", "operator"},
		"role list --json":  {`"name": "guard"`, `"built_in": true`},
	} {
		got := does(t, "", strings.Fields(command)...)
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("%s lacks %q:\n%s", command, text, got)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "site.yaml")
	does(t, "", "export-config", "-o", file)
	if got := does(t, "", "apply", "-f", file, "--prune", "--yes"); !strings.Contains(got, "nothing to change") {
		t.Errorf("what was exported changed something:\n%s", got)
	}
	exported, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(exported), "role: guard, camera_groups: [doors]") {
		t.Errorf("%v\n%s", err, exported)
	}
	does(t, "", "user", "edit", "bob", "--role", "viewer", "--cameras", "lobby", "--also", "", "--keep-password")
	does(t, "", "camera-group", "remove", "doors")
	does(t, "", "role", "remove", "guard")
	if got := does(t, "", "user", "list"); strings.Contains(got, "guard") {
		t.Errorf("bob has a role that is gone:\n%s", got)
	}
}
