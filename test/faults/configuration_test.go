package faults_test

import (
	"context"
	"testing"
	"time"

	"understudy"
	"understudy/internal/site"
)

// While a recording server is dead its site is changed: a camera is added, one is
// given another address, one moves to another server, one is deleted. What is
// changed applies to whoever holds it, and comes home.
func TestConfigurationWhileFailedOver(t *testing.T) {
	layout := hot("stays", "changes", "moves", "goes")
	layout.Groups = []understudy.FailoverGroup{{ID: "spares", Members: []understudy.ServerID{"fo1"}}}
	layout.Recording[0].HotStandby, layout.Recording[0].PrimaryGroup = "", "spares" // cold: what it needs has to come
	layout.Recording = append(layout.Recording, understudy.RecordingServer{ID: "rec2", Merge: soon})
	b := up(t, layout, nil)
	b.do(site.FaultKill, "rec1")
	b.holds(10*time.Second, "fo1", 4)
	b.recordsNow(8*time.Second, "fo1", "moves")

	url, _ := testCamera(t, b.network+"101:8554")
	other, _ := testCamera(t, b.network+"102:8554")
	put := func(id understudy.CameraID, change func(c *understudy.Camera)) {
		t.Helper()
		c, err := b.Client.Camera(t.Context(), id)
		if understudy.CodeOf(err) == understudy.CodeNotFound {
			c = understudy.Camera{ID: id}
		} else if err != nil {
			t.Fatal(err)
		}
		change(&c)
		if _, err := b.Client.PutCamera(t.Context(), c, nil); err != nil {
			t.Fatal(err)
		}
	}
	put("added", func(c *understudy.Camera) { c.Home, c.URL = "rec1", url })
	b.recordsNow(8*time.Second, "fo1", "added")
	put("changes", func(c *understudy.Camera) { c.URL = other })
	b.recordsNow(8*time.Second, "fo1", "changes")
	put("moves", func(c *understudy.Camera) { c.Home = "rec2" })
	b.recordsNow(8*time.Second, "rec2", "moves")
	if err := b.Client.DeleteCamera(t.Context(), "goes"); err != nil {
		t.Fatal(err)
	}
	b.within(20*time.Second, "fo1 to record what is left to it and no more", func(ctx context.Context) bool {
		for id, want := range map[understudy.CameraID]bool{"stays": true, "changes": true, "added": true, "moves": false, "goes": false} {
			if _, has := b.state(ctx, "fo1", id); has != want {
				return false
			}
		}
		return true
	})
	b.recordsNow(5*time.Second, "fo1", "stays")

	b.do(site.CureStart, "rec1")
	b.holds(25*time.Second, "rec1", 3)
	for _, id := range []understudy.CameraID{"stays", "changes", "added"} {
		b.recordsNow(8*time.Second, "rec1", id)
	}
	now, err := b.Client.Site(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l, _ := now.Lease("moves"); l.Holder != "rec2" {
		t.Errorf("the camera that moved is held by %s: %s", l.Holder, l.Sentence)
	}
	b.within(40*time.Second, "what was recorded meanwhile to be where it belongs", func(ctx context.Context) bool {
		for _, id := range []understudy.CameraID{"stays", "changes", "added", "moves"} {
			if b.recorded(ctx, "fo1", id) > 0 {
				return false
			}
		}
		return true
	})
	if holes := b.account("stays"); len(holes) != 1 {
		t.Errorf("want the one hole of the takeover, found %v", holes)
	}
	if t.Failed() {
		t.Log(b.story())
	}
}
