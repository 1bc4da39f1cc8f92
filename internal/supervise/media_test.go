package supervise

import (
	"strings"
	"testing"
	"time"

	"understudy"
)

// at is a watermark some seconds after the beginning.
func at(seconds int) understudy.Watermark {
	return understudy.Watermark{At: time.Unix(1_800_000_000+int64(seconds), 0)}
}

// server is what a server of two cameras says of itself; lobby is recorded on events.
type server struct {
	yard, lobby   understudy.Watermark
	away, broken  bool
	skip, mirrors bool
}

func (s server) state() understudy.State {
	return understudy.State{Server: "rec1", Role: understudy.RoleRecording, Storage: understudy.StorageState{Writable: !s.broken, Sentence: map[bool]string{true: "the disk is full"}[s.broken]}, Cameras: []understudy.CameraState{
		{Camera: "lobby", Receiving: true, Frames: 9, Watermark: s.lobby, Waiting: true},
		{Camera: "yard", Receiving: !s.away, Frames: 9, Watermark: s.yard, Recording: !s.away, Mirrored: s.mirrors},
	}}
}

// TestAlive looks once in five seconds; a server is told off only where a new start may help.
func TestAlive(t *testing.T) {
	wanted := map[understudy.CameraID]bool{"yard": true, "lobby": false}
	for name, c := range map[string]struct {
		at    func(look int) server
		stuck int // look at which it is found stuck; -1: never
	}{
		"records":               {func(n int) server { return server{yard: at(5 * n)} }, -1},
		"stands still":          {func(n int) server { return server{yard: at(5 * min(n, 3))} }, 10}, // more than 30 s after the third look
		"recovers":              {func(n int) server { return server{yard: at(5 * (n - n%6))} }, -1},
		"nothing since it came": {func(int) server { return server{yard: at(0)} }, -1},
		"the camera is away":    {func(n int) server { return server{yard: at(5 * min(n, 3)), away: n > 3} }, -1},
		"the disk fails":        {func(n int) server { return server{yard: at(5 * min(n, 3)), broken: n > 3} }, -1},
		"another records it":    {func(n int) server { return server{yard: at(5 * min(n, 3)), mirrors: n > 3} }, -1},
		"it was itself stopped": {func(n int) server { return server{yard: at(5 * min(n, 3)), skip: n%6 == 5} }, -1},
	} {
		m, now := &Media{}, time.Unix(1_800_000_000, 0)
		found := -1
		for n := range 30 {
			now = now.Add(5 * time.Second)
			s := c.at(n)
			if s.skip {
				now = now.Add(time.Minute)
			}
			if alive, why := m.look(now, s.state(), wanted); !alive {
				if found = n; !strings.Contains(why, "nothing has become durable for 35s although 1 cameras send") {
					t.Errorf("%s: %s", name, why)
				}
				break
			}
		}
		if found != c.stuck {
			t.Errorf("%s: found stuck at look %d, want %d", name, found, c.stuck)
		}
	}
}

func TestReady(t *testing.T) {
	assignment := understudy.Assignment{Cameras: []understudy.AssignedCamera{
		{Camera: understudy.Camera{ID: "yard"}, Record: true}, {Camera: understudy.Camera{ID: "lobby"}, Record: true}, {Camera: understudy.Camera{ID: "gate"}},
	}}
	leaving := server{}.state()
	leaving.Leaving = "it was asked to stop"
	for _, c := range []struct {
		state    understudy.State
		assigned understudy.Assignment
		ready    bool
		sentence string
	}{
		{server{}.state(), assignment, true, "records 2 of 2 cameras"},
		{server{away: true}.state(), assignment, true, "records 1 of 2 cameras"}, // up to the camera
		{server{broken: true}.state(), assignment, false, "the storage cannot be written: the disk is full"},
		{leaving, assignment, false, "is about to stop: it was asked to stop"},
		{understudy.State{Role: understudy.RoleFailover, Storage: understudy.StorageState{Writable: true}, Seen: make([]understudy.Sighting, 2)},
			understudy.Assignment{}, true, "stands by, and watches 2 servers that are well"},
	} {
		m := &Media{State: func() understudy.State { return c.state }, Assignment: func() understudy.Assignment { return c.assigned }}
		if ready, sentence := m.Ready(); ready != c.ready || sentence != c.sentence {
			t.Errorf("%v %q, want %v %q", ready, sentence, c.ready, c.sentence)
		}
	}
}
