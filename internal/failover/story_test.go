package failover

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// What is durable is told once a holding, in one report if it comes together.
func TestFirstsAreToldTogetherAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialled := 0
		s, reports := newSender(t, understudy.MergePolicy{}, &dialled)
		s.state.held = map[understudy.CameraID]holding{}
		hold := func(camera understudy.CameraID, epoch uint64) {
			s.state.held[camera] = holding{camera: understudy.AssignedCamera{Camera: understudy.Camera{ID: camera}, Epoch: epoch}, home: "rec-1", wanted: true}
		}
		told := func() (cameras []understudy.CameraID) {
			select {
			case r := <-reports:
				for _, m := range r.Milestones {
					if m.Kind != understudy.MilestoneDurable || m.Home != "rec-1" || m.Server != "fo-1" || m.At.IsZero() {
						t.Errorf("the milestone is %+v", m)
					}
					cameras = append(cameras, m.Camera)
				}
			default:
			}
			slices.Sort(cameras)
			return cameras
		}
		expect := func(what string, want ...understudy.CameraID) {
			t.Helper()
			if got := told(); !slices.Equal(got, want) {
				t.Errorf("%s: told %v, want %v", what, got, want)
			}
		}
		hold("a", 2)
		hold("b", 2)
		s.notice([]understudy.CameraID{"a"}, time.Now())
		expect("one of two is durable")
		s.notice([]understudy.CameraID{"a", "b"}, time.Now())
		expect("both are", "a", "b")
		s.notice([]understudy.CameraID{"a", "b"}, time.Now())
		expect("nothing is new")
		hold("c", 2)
		s.notice([]understudy.CameraID{"a", "b"}, time.Now())
		hold("a", 4)
		s.notice([]understudy.CameraID{"a", "b"}, time.Now())
		expect("the others may still come")
		time.Sleep(durablePause)
		s.notice([]understudy.CameraID{"a", "b"}, time.Now())
		expect("it is held again, and has waited for c long enough", "a")
	})
}

// With a camera's first durable sample goes how far its home had it when it was claimed of it.
func TestPromisesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialled := 0
		s, reports := newSender(t, understudy.MergePolicy{}, &dialled)
		mark := time.Now().Add(-time.Second)
		s.state.held = map[understudy.CameraID]holding{}
		s.state.watches = map[understudy.ServerID]*watch{"rec-1": {cameras: map[understudy.CameraID]progress{}}}
		for _, camera := range []understudy.CameraID{"a", "b"} {
			s.state.held[camera] = holding{camera: understudy.AssignedCamera{Camera: understudy.Camera{ID: camera}, Epoch: 2}, home: "rec-1", wanted: true}
			// In memory it may have come further.
			s.state.watches["rec-1"].cameras[camera] = progress{}.next(understudy.CameraState{Camera: camera,
				Watermark: understudy.Watermark{At: mark}, Buffered: understudy.Watermark{At: mark.Add(time.Minute)}}, 0, true)
		}
		s.state.leases = map[understudy.CameraID]understudy.Lease{"b": {Camera: "b", Holder: "fo-2", Epoch: 1}} // home has no say in it
		s.promises(understudy.Claim{Home: "rec-1", Cameras: []understudy.CameraEpoch{{Camera: "a"}, {Camera: "b"}}})
		s.notice([]understudy.CameraID{"a", "b"}, time.Now())
		r := <-reports
		for _, m := range r.Milestones {
			if want := map[understudy.CameraID]time.Time{"a": mark}[m.Camera]; !m.Promised.Equal(want) {
				t.Errorf("of camera %s %s is promised, want %s", m.Camera, m.Promised, want)
			}
		}
		if len(r.Milestones) != 2 {
			t.Errorf("the report is %+v", r)
		}
	})
}

// dated is a recorder whose disk had its samples durable at a time.
type dated struct {
	recorder
	since time.Time
}

func (d *dated) Recorded(understudy.CameraID) time.Time { return d.since }

// The disk says since when a sample is durable, which is before somebody looks.
func TestFirstsHaveTheTimeOfTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialled := 0
		s, reports := newSender(t, understudy.MergePolicy{}, &dialled)
		since := time.Now()
		s.config.Recorder = &dated{since: since}
		s.state.held = map[understudy.CameraID]holding{"a": {camera: understudy.AssignedCamera{Camera: understudy.Camera{ID: "a"}, Epoch: 2}, home: "rec-1", wanted: true}}
		time.Sleep(80 * time.Millisecond)
		s.notice([]understudy.CameraID{"a"}, time.Now())
		if r := <-reports; len(r.Milestones) != 1 || !r.Milestones[0].At.Equal(since) {
			t.Errorf("durable since %s, told as %+v", since, r.Milestones)
		}
	})
}

// A claim tells what led to it: of a server that is gone, its last answer.
func TestEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialled := 0
		s, _ := newSender(t, understudy.MergePolicy{}, &dialled)
		s.state.at = 100 * time.Second
		now := time.Now()
		for _, c := range []struct {
			name string
			w    watch
			want []understudy.Milestone
		}{
			{"killed", watch{known: true, heard: 99 * time.Second, refusals: refusalsMin, refusedAt: 99500 * time.Millisecond, verdict: verdict{Condition: Dead}}, []understudy.Milestone{
				{Kind: understudy.MilestoneHeard, Home: "rec-1", Server: "fo-1", At: now.Add(-time.Second)},
				{Kind: understudy.MilestoneSuspected, Home: "rec-1", Server: "fo-1", At: now.Add(-500 * time.Millisecond)}}},
			{"hangs", watch{known: true, heard: 97 * time.Second, suspected: 98 * time.Second, verdict: verdict{Condition: Dead}}, []understudy.Milestone{
				{Kind: understudy.MilestoneHeard, Home: "rec-1", Server: "fo-1", At: now.Add(-3 * time.Second)},
				{Kind: understudy.MilestoneSuspected, Home: "rec-1", Server: "fo-1", At: now.Add(-2 * time.Second)}}},
			{"leaves", watch{known: true, heard: 100 * time.Second, verdict: verdict{Condition: Leaving, Since: 99 * time.Second}}, []understudy.Milestone{
				{Kind: understudy.MilestoneLeaving, Home: "rec-1", Server: "fo-1", At: now.Add(-time.Second)}}},
			{"sick", watch{known: true, heard: 100 * time.Second, verdict: verdict{Condition: Sick}}, nil},
		} {
			s.state.watches = map[understudy.ServerID]*watch{"rec-1": &c.w}
			if got := s.evidence("rec-1", now); !slices.Equal(got, c.want) {
				t.Errorf("%s: told %+v, want %+v", c.name, got, c.want)
			}
		}
		if got := s.evidence("rec-9", now); got != nil {
			t.Errorf("of a server that nobody watches there is nothing to tell, told %+v", got)
		}
	})
}
