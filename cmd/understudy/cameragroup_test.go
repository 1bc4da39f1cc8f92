package main

import (
	"strings"
	"testing"

	"understudy"
)

// A camera group keeps what is not given, and is emptied by who says so only.
func TestACameraGroupKeepsWhatIsNotGiven(t *testing.T) {
	m := signedInAt(t, "")
	m.joined(t, []understudy.ServerID{"rec1"}, nil)
	m.withCameras(t, "rec1", "lobby", "gate")
	doors := understudy.CameraGroup{ID: "doors", Name: "All doors", Cameras: []understudy.CameraID{"gate", "lobby"}}
	same(t, "a camera group", read[understudy.CameraGroup](t, "", "camera-group", "add", "doors", "lobby", "gate", "--name", "All doors"), doors)
	doors.Cameras = []understudy.CameraID{"gate"}
	same(t, "cameras of a camera group", read[understudy.CameraGroup](t, "", "camera-group", "put", "doors", "gate"), doors)
	doors.Name = "Doors"
	same(t, "the name of a camera group", read[understudy.CameraGroup](t, "", "camera-group", "edit", "doors", "--name", "Doors"), doors)
	doors.Cameras = []understudy.CameraID{}
	same(t, "no cameras of a camera group", read[understudy.CameraGroup](t, "", "camera-group", "edit", "doors", ""), doors)
	if s := said(t, "", "camera-group", "put", "doors"); !strings.Contains(s, "--name") {
		t.Errorf("nothing is said: %q", s)
	}
}
