package recording

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"understudy"
)

// settle lets a recorder that takes samples some at a time take all that were sent.
const settle = 2 * recorderBatch

// mirrored lets another server record the camera; standIn takes it over.
func (s *stage) mirrored() { s.assignAs(understudy.AssignedCamera{Epoch: 1, Mirror: true}) }
func (s *stage) standIn()  { s.assignAs(understudy.AssignedCamera{Epoch: 2, Record: true}) }

func (s *stage) assignAs(a understudy.AssignedCamera) {
	a.Camera = s.server.assignment.Cameras[0].Camera
	s.camera.change(wantOf(a))
	synctest.Wait()
}

// passed tells that the other server has come to a frame, by a clock of its own.
func (s *stage) passed(frame int, skew time.Duration) {
	s.server.Passed("lobby", understudy.Watermark{At: s.at(frame).Add(skew), Hash: s.hash(frame)})
}

// Whatever the home had not made durable when it was last heard is on the disk
// of the one that takes over, from a key frame on, and so is all that follows.
func TestATakeoverWritesWhatHomeMayLose(t *testing.T) {
	still := func(frame int) uint64 { return uint64(frame % gop) }
	var eachSecond []int
	for frame := 30; frame <= 280; frame += gop {
		eachSecond = append(eachSecond, frame)
	}
	for _, c := range []struct {
		name   string
		names  func(int) uint64
		skew   time.Duration
		passed []int // frames that were told of, each a GOP after it was captured
		whole  bool
		want   string
	}{
		{"nothing was heard yet", nil, 0, nil, false, "0-299"},
		{"in a GOP", nil, 0, []int{110}, true, "100-299"},
		{"a key frame", nil, 0, []int{125}, true, "125-299"},
		{"again and again", nil, 0, []int{30, 60, 90, 120, 160}, true, "150-299"},
		{"a clock that is off, at first", nil, -40 * time.Second, []int{60, 110}, false, "0-299"},
		{"a clock that is off", nil, -40 * time.Second, eachSecond, true, "275-419"},
		{"a clock that is off, the other way", nil, 3 * time.Hour, eachSecond, true, "275-419"},
		{"a still scene keeps a GOP more", still, 0, []int{110}, true, "75-299"},
		{"a still scene, a clock a little off", still, 200 * time.Millisecond, []int{60, 110}, true, "75-299"},
	} {
		t.Run(c.name, func(t *testing.T) {
			onStage(t, understudy.RecordingRule{}, func(s *stage) {
				s.name = c.names
				s.mirrored()
				end := 200
				for _, frame := range c.passed {
					s.play(frame + gop)
					s.passed(frame, c.skew)
					end = max(end, frame+40)
				}
				s.play(end)
				time.Sleep(settle)
				if runs := s.onDisk(); len(runs) > 0 {
					t.Errorf("before the takeover there is %v on disk", runs)
				}
				if whole := s.camera.covered(); whole != c.whole {
					t.Errorf("that all is in memory is said to be %t", whole)
				}
				s.standIn()
				s.play(end + 100)
				s.want(c.want)
			})
		})
	}
}

// For any course of the other server, no frame behind the last one that it was
// heard to have is missing, and not much more than that is kept.
func TestNoFrameBehindTheWatermarkIsEverMissing(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		period := rapid.SampledFrom([]int{1 << 30, gop, 3 * gop}).Draw(r, "frames until the picture repeats")
		steps := rapid.SliceOfN(rapid.IntRange(1, 60), 1, 12).Draw(r, "frames between two watermarks")
		behind := rapid.IntRange(0, 2*gop).Draw(r, "frames that the other server is behind")
		onStage(t, understudy.RecordingRule{}, func(s *stage) {
			s.name = func(frame int) uint64 { return uint64(frame % period) }
			s.mirrored()
			sent, last := 0, -1
			for _, n := range steps {
				sent += n
				s.play(sent)
				if mark := sent - 1 - behind; mark > last {
					s.passed(mark, 0)
					last = mark
				}
			}
			s.standIn()
			s.play(sent + gop)
			runs := s.recorded()
			var from, to int
			if len(runs) == 1 {
				_, _ = fmt.Sscanf(runs[0], "%d-%d", &from, &to)
			}
			if len(runs) != 1 || from > max(last+1, 0) || to != sent+gop-1 {
				r.Errorf("on disk is %v; the other server has up to %d, and %d were sent", runs, last, sent+gop)
			}
		})
	})
}

// What does not fit into memory is on the disk, and when the other server is
// heard to follow again, it is not any more.
func TestAMirrorThatIsFullWritesAndGoesBack(t *testing.T) {
	fillAndGoBack(t, nil, "0-199", "250-274")
	fillAndGoBack(t, func(frame int) uint64 { return uint64(frame % (3 * gop)) }, "0-199", "225-274") // a GOP more
}

func fillAndGoBack(t *testing.T, name func(int) uint64, want ...string) {
	t.Helper()
	onStage(t, understudy.RecordingRule{}, func(s *stage) {
		s.name, s.size = name, ringBytes/60
		s.mirrored()
		s.play(40)
		s.passed(10, 0)
		s.play(200) // more than fits; the other server stands
		if s.camera.covered() {
			t.Error("a ring that was written out is said to be whole in memory")
		}
		s.passed(195, 0)
		s.play(255) // from a key frame on it is in memory again
		time.Sleep(settle)
		s.passed(251, 0)
		s.play(265)
		time.Sleep(settle)
		if !s.camera.covered() {
			t.Error("the ring is not whole although the other server follows")
		}
		s.standIn()
		s.play(275)
		s.want(want...)
	})
}

// A camera that encodes each session anew has no names in common with the other
// server's: the times decide, with a margin.
func TestACameraThatEncodesAnewIsKeptByItsTimes(t *testing.T) {
	onStage(t, understudy.RecordingRule{}, func(s *stage) {
		s.mirrored()
		for frame := gop; frame <= 20*gop; frame += gop {
			s.play(frame)
			s.server.Passed("lobby", understudy.Watermark{At: s.at(frame - 10), Hash: understudy.SampleHash{0xff, byte(frame / gop)}})
		}
		s.standIn()
		s.play(21 * gop)
		// The last mark that the ring was cut for lies at frame 465 or 490; 5 s before it is a key frame.
		runs := s.recorded()
		if len(runs) != 1 || runs[0] != "350-524" && runs[0] != "325-524" {
			t.Errorf("on disk is %v", runs)
		}
	})
}

// Going back to memory loses nothing: what is being written goes on to a key frame.
func TestMirroringAgainAfterATakeover(t *testing.T) {
	onStage(t, understudy.RecordingRule{}, func(s *stage) {
		s.mirrored()
		s.play(60)
		s.passed(30, 0)
		s.play(80)
		s.standIn()
		s.play(110)
		time.Sleep(settle)
		s.mirrored() // home has it all from frame 90 on
		s.play(140)
		time.Sleep(settle)
		s.passed(130, 0)
		s.play(160)
		s.standIn() // and fails once more
		s.play(175)
		s.want("25-174")
	})
}

// A camera that is recorded on events waits for one after a takeover, with the
// time before it in memory.
func TestAMirroredCameraOfEventsHasTheTimeBefore(t *testing.T) {
	onStage(t, eventRule, func(s *stage) {
		s.mirrored()
		for frame := 20; frame < 300; frame += 5 {
			s.play(frame)
			s.passed(frame-5, 0) // the home's newest in memory
		}
		s.standIn()
		time.Sleep(settle)
		if runs := s.onDisk(); len(runs) > 0 {
			t.Errorf("without an event there is %v on disk", runs)
		}
		s.trigger(understudy.Trigger{}) // at frame 315
		s.play(400)
		s.want("250-349")
	})
}

// What was in memory at a takeover counts as recorded here while frames come. Of a
// camera that sends nobody any it proves nothing, and moves no lease.
func TestACameraThatSendsNobodyAnythingIsNotCovered(t *testing.T) {
	onStage(t, understudy.RecordingRule{}, func(s *stage) {
		s.mirrored()
		s.play(200)
		s.passed(190, 0)
		s.play(201)
		time.Sleep(settle)
		s.standIn()
		if !s.camera.covered() {
			t.Error("frames come, and what home may lose is in memory: it is not covered")
		}
		time.Sleep(receivingFor)
		if s.camera.covered() {
			t.Error("nothing has come for long, nothing became durable here: it is covered")
		}
		s.play(400)
		time.Sleep(settle)
		if !s.camera.covered() {
			t.Error("it is recorded here, and not covered")
		}
	})
}

// The state tells when a takeover would lose nothing: as soon as the ring reaches
// back to what the other server has durably, and not before.
func TestTheStateTellsWhenAMirrorIsComplete(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby")
	home := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	home.Apply(a)
	mirrored := withEpoch(a, 1)
	mirrored.Cameras[0].Record, mirrored.Cameras[0].Mirror = false, true
	standby := site.start(site.join("fo-1", understudy.RoleFailover), options{})
	standby.Apply(mirrored)
	until(t, "both take the camera", func() bool { return len(home.State().Cameras)+len(standby.State().Cameras) == 2 })
	state := func() understudy.CameraState { return standby.State().Cameras[0] }
	until(t, "samples wait in memory", func() bool { return state().Held > 0 })
	if s := state(); !s.Mirrored || s.Complete {
		t.Errorf("before home was heard: %+v", s)
	}
	until(t, "it is complete", func() bool {
		standby.Passed("lobby", home.State().Cameras[0].Watermark)
		return state().Complete
	})
	if s := home.State().Cameras[0]; s.Mirrored || s.Complete {
		t.Errorf("who records it says %+v", s)
	}
}
