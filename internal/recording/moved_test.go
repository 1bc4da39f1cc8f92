package recording

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"understudy"
)

// A camera that is moved to another recording server is recorded by both for a while, so
// that no frame is lost, and then by its new home alone. One that allows a single session is left at once.
func TestMovedCameraLosesNothing(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	authority := newManagement(t, site)
	a := cameras(t, "rec-1", "lobby", "yard")
	a.Cameras[1].Camera.Sessions = 1
	authority.furnish(t, a)
	if _, err := authority.PutRecordingServer(t.Context(), understudy.RecordingServer{ID: "rec-2", Name: "rec-2",
		Addresses: understudy.Addresses{Media: "10.0.0.2:7563", State: "10.0.0.2:11000", Merge: "10.0.0.2:5210"}}); err != nil {
		t.Fatal(err)
	}
	var first, second *Home
	begin := func(id understudy.ServerID, home **Home) *running {
		return site.start(site.join(id, understudy.RoleRecording), options{drive: func(r *running) func(context.Context) error {
			run := atHome(authority, home)(r)
			(*home).movedFor = 3 * time.Second
			return run
		}})
	}
	one, two := begin("rec-1", &first), begin("rec-2", &second)
	until(t, "both are recorded at home", one.recordsAll(a))
	move := func(c understudy.Camera) {
		c.Home = "rec-2"
		if _, err := authority.PutCamera(t.Context(), c, nil); err != nil {
			t.Fatal(err)
		}
	}
	move(a.Cameras[1].Camera)
	until(t, "the camera of one session is left", func() bool { return slices.Equal(one.Covered(), []understudy.CameraID{"lobby"}) })
	move(a.Cameras[0].Camera)
	until(t, "the new home records both", two.recordsAll(a))
	until(t, "the old home stops", func() bool { return len(first.config.Server.State().Cameras) == 0 })
	numbers := map[int]frame{}
	until(t, "the new home goes on", func() bool { return len(two.frames(t, "lobby")) >= 5 })
	for _, r := range []*running{one, two} {
		for _, f := range r.frames(t, "lobby") {
			numbers[int(f.number)] = f
		}
	}
	all := make([]frame, 0, len(numbers))
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		all = append(all, numbers[n])
	}
	gapless(t, all, 5)
	if kept := first.config.Server.Assignment(); len(kept.Cameras) != 0 {
		t.Errorf("the old home is left with %+v", kept.Cameras)
	}
}
