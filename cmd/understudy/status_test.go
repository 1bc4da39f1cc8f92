package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"understudy"
)

// Each camera is shown with who mirrors it, and whether a takeover would lose
// nothing now; a mirror that does not answer counts for nothing.
func TestStatusShowsMirrors(t *testing.T) {
	state := func(cameras ...understudy.CameraState) *understudy.State { return &understudy.State{Cameras: cameras} }
	now := siteStatus{
		Site: understudy.Site{Cameras: []understudy.Camera{{ID: "a", Home: "rec1"}, {ID: "b", Home: "rec1"}, {ID: "c", Home: "rec1"}, {ID: "d", Home: "rec1"}}},
		Status: []understudy.ServerStatus{
			{Server: "rec1", Reachable: true, State: state(understudy.CameraState{Camera: "a"})},
			{Server: "fo1", Reachable: true, State: state(understudy.CameraState{Camera: "a", Mirrored: true, Complete: true}, understudy.CameraState{Camera: "b", Mirrored: true})},
			{Server: "fo2", Reachable: false, State: state(understudy.CameraState{Camera: "c", Mirrored: true, Complete: true})},
			{Server: "fo3"},
		},
	}
	var out bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetOut(&out)
	if err := printStatus(cmd, now); err != nil {
		t.Fatal(err)
	}
	_, cameras, _ := strings.Cut(out.String(), "CAMERA  HOME")
	want := map[string]string{"a": "fo1: complete", "b": "fo1: not complete", "c": "", "d": ""}
	lines := strings.Split(strings.TrimSpace(cameras), "\n")[1:]
	for _, line := range lines {
		fields := strings.Fields(line) // camera, home, who mirrors it, epoch
		if got := strings.Join(fields[2:len(fields)-1], " "); got != want[fields[0]] {
			t.Errorf("camera %s is mirrored by %q, want %q", fields[0], got, want[fields[0]])
		}
	}
	if len(lines) != len(want) || !strings.HasPrefix(strings.TrimSpace(cameras), "SERVED BY  MIRRORED BY") {
		t.Errorf("it shows\n%s", &out)
	}
}
