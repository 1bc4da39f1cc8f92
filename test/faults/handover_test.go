package faults_test

import (
	"testing"
	"time"

	"understudy"
	"understudy/internal/site"
)

// A recording server is handed over on order and back: it is served elsewhere
// meanwhile and records on, and not one frame is lost either way.
func TestHandedOverAndBack(t *testing.T) {
	handedOverAndBack(t, hot("north", "south"))
}

// The same with a cold standby: the order brings it what it needs ahead of the claim.
func TestHandedOverToAColdStandbyAndBack(t *testing.T) {
	l := hot("north", "south")
	l.Recording[0].HotStandby, l.Recording[0].PrimaryGroup = "", "spare"
	l.Groups = []understudy.FailoverGroup{{ID: "spare", Members: []understudy.ServerID{"fo1"}}}
	handedOverAndBack(t, l)
}

func handedOverAndBack(t *testing.T, l site.Layout) {
	b := up(t, l, nil)
	server, err := b.Client.HandOver(t.Context(), "rec1", understudy.HandOver{To: "fo1", Reason: "new disks"})
	if err != nil {
		t.Fatal(err)
	}
	if !server.HandOver.Stands(time.Now()) {
		t.Fatalf("after the order, it is %+v", server.HandOver)
	}
	b.holds(30*time.Second, "fo1", 2)
	for range 3 { // both record, and go on
		for _, camera := range []understudy.CameraID{"north", "south"} {
			b.recordsNow(10*time.Second, "fo1", camera)
			b.recordsNow(10*time.Second, "rec1", camera)
		}
	}
	if _, err := b.Client.FailBack(t.Context(), "rec1"); err != nil {
		t.Fatal(err)
	}
	b.holds(30*time.Second, "rec1", 2)
	b.emptied(time.Minute, "fo1")
	for _, camera := range []understudy.CameraID{"north", "south"} {
		b.recordsNow(10*time.Second, "rec1", camera)
		if holes := b.account(camera); len(holes) > 0 {
			t.Errorf("camera %s lost frames: %v", camera, holes)
		}
	}
}
