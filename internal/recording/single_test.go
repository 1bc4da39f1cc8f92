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

// A process that stood still gives nothing up for the words that waited for it.
func TestNothingIsGivenOnWaking(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f := Failback{Self: "rec1"}
	given := func(after time.Duration) string {
		now := start.Add(after)
		o := Outlook{Now: now, Home: understudy.RecordingServer{ID: "rec1", HandOver: understudy.HandOver{To: "fo1", Since: start}},
			Leases:  []understudy.Lease{{Camera: "a", Holder: "fo1", Epoch: 2}},
			State:   understudy.State{Storage: understudy.StorageState{Writable: true}, Cameras: []understudy.CameraState{{Camera: "a", Receiving: true}}},
			Crowded: map[understudy.ServerID]map[understudy.CameraID]bool{"fo1": {"a": true}}}
		cameras, _ := f.Gives(o)
		f.Look(o)
		return fmt.Sprint(cameras)
	}
	for _, look := range []struct {
		after time.Duration
		want  string
	}{
		{0, "[]"}, {dozed - 1, "[]"}, // it has just started
		{dozed, "[a]"},
		{lendAgain + dozed, "[]"}, // it stood still for a minute
		{lendAgain + 2*dozed - 1, "[]"},
		{lendAgain + 2*dozed, "[a]"},
	} {
		if got := given(look.after); got != look.want {
			t.Errorf("after %s it gives up %s, want %s", look.after, got, look.want)
		}
	}
}

// For who has not said lately that it finds no session left none is given up: it may have died.
func TestTheWordForASessionIsFresh(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := coverage{seen: map[understudy.ServerID]covering{}}
	c.heard("fo1", understudy.Poll{Observer: "fo1", Crowded: []understudy.CameraID{"a"}}, now)
	if !c.crowding(now.Add(justTold))["fo1"]["a"] {
		t.Error("it has just said that it finds none left")
	}
	if old := c.crowding(now.Add(justTold + 1)); len(old) > 0 {
		t.Errorf("it has been silent for too long, and counts: %v", old)
	}
	if watched, _ := c.of(now.Add(justTold + 1)); !watched {
		t.Error("that it watches is known for longer")
	}
}

// A camera with no session left that does not answer once in a while is waited for as
// long as one that always does, and is claimed while it answers.
func TestACrowdedCameraMayMissAnAnswer(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name      string
		from, to  time.Duration // it does not answer
		claimedAt time.Duration
	}{
		{"it always answers", 0, 0, ownSession},
		{"not for a moment", 20 * time.Second, 20*time.Second + lapse, ownSession},
		{"not when it is due", ownSession - time.Second, ownSession + time.Second, ownSession + time.Second},
		{"not for long", 20 * time.Second, 21*time.Second + lapse, 21*time.Second + lapse + ownSession},
	} {
		f := Failback{Self: "rec1", HoldDown: time.Second}
		claimed := time.Duration(-1)
		for at := time.Duration(0); claimed < 0 && at < 3*time.Minute; at += time.Second {
			state := understudy.CameraState{Camera: "a", Crowded: at < c.from || at >= c.to}
			cameras, _, _ := f.Look(Outlook{Now: start.Add(at), Home: understudy.RecordingServer{ID: "rec1"},
				Leases: []understudy.Lease{{Camera: "a", Holder: "fo1", Epoch: 2}},
				State:  understudy.State{Storage: understudy.StorageState{Writable: true}, Cameras: []understudy.CameraState{state}}})
			if len(cameras) > 0 {
				claimed = at
			}
		}
		if claimed != c.claimedAt {
			t.Errorf("%s: claimed after %s, want %s", c.name, claimed, c.claimedAt)
		}
	}
}
