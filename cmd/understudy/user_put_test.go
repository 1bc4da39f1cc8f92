package main

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"understudy"
)

// read is what a command prints by --json.
func read[T any](t *testing.T, stdin string, args ...string) T {
	t.Helper()
	var v T
	if out := does(t, stdin, append(args, "--json")...); json.Unmarshal([]byte(out), &v) != nil {
		t.Fatalf("%v printed no JSON of %T: %s", args, v, out)
	}
	return v
}

func (m *managementServer) withCameras(t *testing.T, home understudy.ServerID, cameras ...understudy.CameraID) {
	t.Helper()
	for _, id := range cameras {
		if _, err := m.service.PutCamera(t.Context(), understudy.Camera{ID: id, Home: home, URL: "rtsp://10.0.0.8/" + string(id)}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAUserKeepsWhatIsNotGiven: above all no right grows that nobody spoke of.
func TestAUserKeepsWhatIsNotGiven(t *testing.T) {
	m := signedInAt(t, "")
	m.joined(t, []understudy.ServerID{"rec1"}, nil)
	m.withCameras(t, "rec1", "lobby", "gate")
	does(t, "", "camera-group", "add", "doors", "lobby", "gate")
	const first = "correct horse battery\n"

	if s := said(t, first, "user", "add", "vera"); !strings.Contains(s, "--cameras") {
		t.Errorf("a new user is given no camera unless one says which: %q", s)
	}
	made := read[understudy.User](t, first, "user", "add", "vera", "--cameras", "@doors", "--also", "operator:gate")
	want := understudy.User{Name: "vera", Role: "viewer", Cameras: []understudy.CameraID{}, CameraGroups: []understudy.CameraGroupID{"doors"},
		Also: []understudy.Grant{{Role: "operator", Cameras: []understudy.CameraID{"gate"}}}, Created: made.Created}
	if !reflect.DeepEqual(made, want) {
		t.Fatalf("added as %+v, not %+v", made, want)
	}
	all, one := []understudy.CameraID{understudy.AllCameras}, []understudy.CameraID{"lobby"}
	for _, c := range []struct {
		args   []string
		change func(*understudy.User)
	}{
		{[]string{"--keep-password"}, func(*understudy.User) {}},
		{[]string{"--role", "operator", "--keep-password"}, func(u *understudy.User) { u.Role = "operator" }},
		{[]string{"--also", "administrator:*"}, func(u *understudy.User) { u.Also = []understudy.Grant{{Role: "administrator", Cameras: all}} }},
		{[]string{"--cameras", "lobby"}, func(u *understudy.User) { u.Cameras, u.CameraGroups = one, nil }},
		{[]string{"--cameras", ""}, func(u *understudy.User) { u.Cameras = []understudy.CameraID{} }},
		{[]string{"--also", ""}, func(u *understudy.User) { u.Also = nil }},
		{[]string{"--cameras", "*"}, func(u *understudy.User) { u.Cameras = all }},
		{[]string{"--role", "viewer"}, func(u *understudy.User) { u.Role = "viewer" }},
	} {
		c.change(&want)
		for _, verb := range []string{"edit", "put"} { // again, it changes nothing
			if now := read[understudy.User](t, "another battery\n", append([]string{"user", verb, "vera"}, c.args...)...); !reflect.DeepEqual(now, want) {
				t.Errorf("%v made it %+v, not %+v", c.args, now, want)
			}
		}
		if i := slices.IndexFunc(read[[]understudy.User](t, "", "user", "list"), func(u understudy.User) bool { return reflect.DeepEqual(u, want) }); i < 0 {
			t.Errorf("%v: what it printed is not what is there", c.args)
		}
	}
	if _, err := m.service.SignIn(t.Context(), "vera", "correct horse battery"); err != nil {
		t.Errorf("the password stays: %v", err)
	}
	if s := said(t, "another battery\n", "user", "put", "vera"); !strings.Contains(s, "--password") {
		t.Errorf("who sends a password and does not say that it shall change is told so: %q", s)
	}
	does(t, "another battery\n", "user", "put", "vera", "--password")
	if _, err := m.service.SignIn(t.Context(), "vera", "another battery"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if now := read[understudy.User](t, "", "user", "edit", "vera", "--keep-password"); !reflect.DeepEqual(now, want) {
		t.Errorf("a new password made it %+v", now)
	}
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n%+v, not\n%+v", what, got, want)
	}
}
