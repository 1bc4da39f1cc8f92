package recording

import (
	"fmt"
	"testing"
	"time"

	"understudy"
)

// A session is given up for who serves the camera as planned, and finds none
// left; for nobody else, not without having it, and not again within a minute.
func TestGifts(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	planned := func() situation {
		return situation{now: now, self: "rec1",
			server:  understudy.RecordingServer{ID: "rec1", HandOver: understudy.HandOver{To: "fo1", Since: now.Add(-time.Second)}},
			leases:  []understudy.Lease{{Camera: "a", Holder: "fo1", Epoch: 2}, {Camera: "b", Holder: "rec1", Epoch: 1}},
			state:   understudy.State{Storage: understudy.StorageState{Writable: true}, Cameras: []understudy.CameraState{{Camera: "a", Receiving: true}, {Camera: "b", Receiving: true}}},
			crowded: map[understudy.ServerID]map[understudy.CameraID]bool{"fo1": {"a": true, "b": true}},
			given:   map[understudy.CameraID]time.Time{},
		}
	}
	for _, c := range []struct {
		name   string
		change func(*situation)
		want   string
	}{
		{"on order", func(*situation) {}, "[{a fo1}]"},
		{"it stops", func(s *situation) { s.server.HandOver = understudy.HandOver{}; s.state.Leaving = "stopped" }, "[{a fo1}]"},
		{"taken over against its will", func(s *situation) { s.server.HandOver = understudy.HandOver{} }, "[]"},
		{"taken over since it cannot write", func(s *situation) { s.server.HandOver = understudy.HandOver{}; s.state.Storage.Writable = false }, "[{a fo1}]"},
		{"the order is for another", func(s *situation) { s.server.HandOver.To = "fo2" }, "[]"},
		{"it has a session of its own there", func(s *situation) { s.crowded["fo1"] = nil }, "[]"},
		{"another one finds none", func(s *situation) {
			s.crowded = map[understudy.ServerID]map[understudy.CameraID]bool{"fo2": {"a": true}}
		}, "[]"},
		{"nothing comes here either", func(s *situation) { s.state.Cameras[0].Receiving = false }, "[]"},
		{"the lease has not moved", func(s *situation) { s.leases[0].Holder = "rec1" }, "[]"},
		{"given a moment ago, and it came back", func(s *situation) { s.given["a"] = now.Add(-lendAgain + 1) }, "[]"},
		{"given long ago", func(s *situation) { s.given["a"] = now.Add(-lendAgain) }, "[{a fo1}]"},
		{"the order has ended", func(s *situation) { s.server.HandOver.Until = now.Add(-1) }, "[]"},
	} {
		s := planned()
		c.change(&s)
		if got := fmt.Sprint(s.gifts()); got != c.want {
			t.Errorf("%s: gives up %s, want %s", c.name, got, c.want)
		}
	}
}
