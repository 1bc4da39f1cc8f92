package recording

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

// The camera of these tests sends 25 frames a second, each fifth a second a key frame.
const (
	frameEvery = 40 * time.Millisecond
	gop        = 25
)

// stage is one camera on virtual time, with a real recorder and a real store in memory.
type stage struct {
	t       *testing.T
	server  *Server
	camera  *camera
	tracks  []understudy.Track
	begin   time.Time
	frames  int                    // sent
	size    int                    // of a frame
	name    func(frame int) uint64 // its hash; nil is its number
	keepFor time.Duration
	end     func()
}

// events returns the notes of events; those of gaps are another test's.
func (s *stage) events() ([]understudy.Note, error) {
	notes, err := s.camera.store.Notes(s.t.Context(), "lobby", s.begin, s.begin.Add(time.Hour))
	return slices.DeleteFunc(notes, func(n understudy.Note) bool { return n.Kind != understudy.NoteEvent }), err
}

func onStage(t *testing.T, rule understudy.RecordingRule, f func(*stage)) {
	t.Helper()
	tracks, _ := fmp4test.Clip(t, "h264", 1)
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(t.Context(), storage.Config{Server: "rec-1", Folders: []storage.FolderConfig{{FS: fs.NewMemory()}}})
		if err != nil {
			t.Fatal(err)
		}
		s := &stage{t: t, tracks: tracks[:1], begin: time.Now(), size: 200}
		s.server = New(Config{ID: "rec-1", Role: understudy.RoleRecording, Store: store})
		s.assign(rule, 1)
		c := s.server.newCamera(s.server.assignment.Cameras[0])
		s.camera = c
		s.server.cameras.Store(&[]*camera{c})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{}, 3)
		go func() { defer func() { done <- struct{}{} }(); _ = store.Run(ctx) }()
		go func() { defer func() { done <- struct{}{} }(); _ = s.server.keepRules(ctx) }()
		go func() { defer func() { done <- struct{}{} }(); r := recorder{camera: c}; r.run() }()
		stopped := false
		s.end = func() {
			if !stopped {
				stopped = true
				c.hub.Close()
				time.Sleep(2 * time.Second) // a last sync
				cancel()
				for range 3 {
					<-done
				}
			}
		}
		c.intake.main.Tracks(s.tracks)
		f(s)
		s.end()
		if left := s.server.memory.bytes.Load(); left != 0 {
			t.Errorf("%d bytes are counted as in memory after the end", left)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// assign gives the camera a rule and an epoch.
func (s *stage) assign(rule understudy.RecordingRule, epoch uint64) {
	a := understudy.AssignedCamera{Record: true, Epoch: epoch, Camera: understudy.Camera{ID: "lobby", Home: "rec-1", URL: "rtsp://127.0.0.1/", Rule: rule, KeepFor: s.keepFor}.WithDefaults()}
	if err := a.Camera.Validate(); err != nil {
		s.t.Fatal(err)
	}
	s.server.Apply(understudy.Assignment{Server: "rec-1", Cameras: []understudy.AssignedCamera{a}})
	if s.camera != nil {
		s.camera.want.Store(wantOf(a))
	}
}

// at is when a frame is captured.
func (s *stage) at(frame int) time.Time { return s.begin.Add(time.Duration(frame) * frameEvery) }

// play sends frames up to the one of that number.
func (s *stage) play(to int) {
	for ; s.frames < to; s.frames++ {
		time.Sleep(time.Until(s.at(s.frames)))
		payload := make([]byte, s.size)
		binary.BigEndian.PutUint32(payload, uint32(s.size-4))
		binary.BigEndian.PutUint64(payload[8:], uint64(s.frames))
		sample := &understudy.Sample{Track: understudy.VideoTrack, At: s.at(s.frames), Key: s.frames%gop == 0, Payload: payload}
		sample.Hash = s.hash(s.frames)
		s.camera.intake.main.Sample(sample) // as the session with the camera does
		synctest.Wait()
	}
}

func (s *stage) hash(frame int) (hash understudy.SampleHash) {
	n := uint64(frame)
	if s.name != nil {
		n = s.name(frame)
	}
	binary.BigEndian.PutUint64(hash[:], n)
	return hash
}

func (s *stage) trigger(t understudy.Trigger) {
	s.t.Helper()
	if t.ID == "" {
		t.ID = fmt.Sprintf("event-%d", s.frames)
	}
	t.Camera = "lobby"
	if t.Name == "" {
		t.Name = "door"
	}
	t, err := t.Settled(time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.server.Trigger(t); err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
}

// recorded ends the recording and returns the runs of frames on disk, as first-last.
func (s *stage) recorded() []string {
	s.t.Helper()
	s.end()
	return s.onDisk()
}

func (s *stage) onDisk() []string {
	s.t.Helper()
	segments, err := s.camera.store.Segments(s.t.Context(), "lobby", time.Time{}, s.begin.Add(time.Hour), true)
	if err != nil {
		s.t.Fatal(err)
	}
	var frames []int
	for _, segment := range segments {
		for _, m := range segment.Marks {
			frame := int(binary.BigEndian.Uint64(m.Hash[:]))
			if s.name != nil { // a name says little: the time does
				frame = int((m.At.Sub(s.begin) + frameEvery/2) / frameEvery)
			}
			frames = append(frames, frame)
		}
	}
	var runs []string
	for i := 0; i < len(frames); {
		j := i
		for j+1 < len(frames) && frames[j+1] == frames[j]+1 {
			j++
		}
		runs = append(runs, fmt.Sprintf("%d-%d", frames[i], frames[j]))
		i = j + 1
	}
	return runs
}

func (s *stage) want(runs ...string) {
	s.t.Helper()
	if got := s.recorded(); !slices.Equal(got, runs) {
		s.t.Errorf("on disk are frames %v, want %v", got, runs)
	}
}

// before and after, in frames: 50 and 25.
var eventRule = understudy.RecordingRule{Mode: understudy.RecordEvents, Before: 2 * time.Second, After: time.Second}

func TestNothingIsWrittenWithoutAnEvent(t *testing.T) {
	onStage(t, eventRule, func(s *stage) {
		s.play(40)
		if mark, filled := s.camera.preroll.state(time.Now(), eventRule.Before); filled || mark.At.IsZero() {
			t.Errorf("before there is all of the time before an event it waits at %v, %t", mark, filled)
		}
		s.play(500)
		if state := s.camera.state(time.Now()); state.Recording {
			t.Errorf("a camera that waits says %+v", state)
		}
		if mark, ok := s.camera.preroll.state(time.Now(), eventRule.Before); !ok || mark.At.Before(s.at(499).Add(-recorderBatch)) {
			t.Errorf("it waits at %v, %t", mark, ok)
		}
		s.want()
	})
}

// From the key frame at or before the event less Before, to the last frame
// before the first key frame at or after its end and After.
func TestFootageOfAnEventIsExact(t *testing.T) {
	for _, c := range []struct {
		name         string
		told         int // when, in frames
		at, until    time.Duration
		first, last  int
		afterwardsTo int
	}{
		{name: "at a key frame", told: 200, at: 0, first: 150, last: 224, afterwardsTo: 400},
		{name: "between", told: 210, at: 0, first: 150, last: 249, afterwardsTo: 400},
		{name: "just before a key frame", told: 225, at: -40 * time.Millisecond, first: 150, last: 249, afterwardsTo: 400},
		{name: "told late", told: 300, at: -4 * time.Second, first: 150, last: 224, afterwardsTo: 400},
		{name: "that lasts", told: 200, until: 3 * time.Second, first: 150, last: 299, afterwardsTo: 400},
		{name: "soon after the beginning", told: 10, first: 0, last: 49, afterwardsTo: 400},
		{name: "a little ahead", told: 200, at: 8 * time.Second, first: 350, last: 424, afterwardsTo: 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			onStage(t, eventRule, func(s *stage) {
				s.play(c.told)
				at := s.at(c.told).Add(c.at)
				s.trigger(understudy.Trigger{At: at, Until: at.Add(c.until)})
				s.play(c.afterwardsTo)
				s.want(fmt.Sprintf("%d-%d", c.first, c.last))
				notes, err := s.events()
				if err != nil || len(notes) != 1 || !notes[0].From.Equal(at) || notes[0].Name != "door" {
					t.Errorf("the event is noted as %+v, %v", notes, err)
				}
			})
		})
	}
}

func TestEventsExtendEachOther(t *testing.T) {
	onStage(t, eventRule, func(s *stage) {
		s.play(200)
		s.trigger(understudy.Trigger{ID: "one"})
		s.play(210)
		s.trigger(understudy.Trigger{ID: "two"}) // ends at 235
		s.play(230)
		s.trigger(understudy.Trigger{ID: "one", At: s.at(200), Until: s.at(300)}) // until 325
		s.play(330)
		s.trigger(understudy.Trigger{ID: "three"}) // its time before is on disk: no frame twice, none missing
		s.play(500)
		s.want("125-374")
	})
}

// Who tells again, because no answer came, knows the id and no time.
func TestAnEventThatIsToldAgainStaysWhereItWas(t *testing.T) {
	onStage(t, eventRule, func(s *stage) {
		s.play(200)
		at := time.Now()
		s.trigger(understudy.Trigger{ID: "one", Name: "forced"})
		s.play(300)
		s.trigger(understudy.Trigger{ID: "one", Name: "forced"})
		s.play(500)
		s.want("125-224")
		if notes, err := s.events(); err != nil || len(notes) != 1 || !notes[0].From.Equal(at) || !notes[0].To.Equal(at) {
			t.Errorf("the event of %s is noted as %+v, %v", at, notes, err)
		}
	})
}

// A server that stands in for the live picture only has nowhere else to keep an event.
func TestAnEventOfACameraThatIsOnlyShownIsAMark(t *testing.T) {
	onStage(t, eventRule, func(s *stage) {
		shown := *s.camera.want.Load()
		shown.record = false
		s.camera.want.Store(&shown)
		s.play(200)
		s.trigger(understudy.Trigger{ID: "one"})
		s.play(300)
		s.want()
		if notes, err := s.events(); err != nil || len(notes) != 1 {
			t.Errorf("the event is noted as %+v, %v", notes, err)
		}
	})
}

func TestAnEventThatDoesNotCountIsAMark(t *testing.T) {
	rule := eventRule
	rule.Events = "alarm"
	onStage(t, rule, func(s *stage) {
		s.play(200)
		s.trigger(understudy.Trigger{Name: "door"})
		s.play(400)
		s.want()
		if notes, err := s.events(); err != nil || len(notes) != 1 {
			t.Errorf("the notes are %+v, %v", notes, err)
		}
	})
}

// A rule may change at any frame, and an epoch while footage is written.
func TestARuleChangesWithoutLosingFrames(t *testing.T) {
	onStage(t, understudy.RecordingRule{}, func(s *stage) {
		s.play(110)
		s.assign(eventRule, 1) // to the end of this GOP
		s.play(210)
		s.assign(understudy.RecordingRule{}, 1) // what waits in memory comes first: 2 s and 5 s for events told late
		s.play(260)
		s.assign(understudy.RecordingRule{}, 2)
		s.play(310)
		s.assign(eventRule, 2)
		s.trigger(understudy.Trigger{})
		s.play(500)
		s.want("0-349")
	})
}

func TestASessionThatEndsTakesItsTimeBeforeWithIt(t *testing.T) {
	onStage(t, eventRule, func(s *stage) {
		s.play(110)
		s.trigger(understudy.Trigger{At: s.at(110), Until: s.at(400)})
		s.play(150)
		time.Sleep(5 * time.Second) // the camera is away
		s.begin = s.begin.Add(5 * time.Second)
		s.camera.intake.main.Tracks(s.tracks)
		s.frames = 160 // begins inside a GOP
		s.play(400)
		s.want("50-149", "175-299")
	})
}

// An event while the camera is silent saves what came before at once: whoever
// silenced it may be in it.
func TestAnEventOfASilentCameraSavesTheTimeBefore(t *testing.T) {
	onStage(t, eventRule, func(s *stage) {
		s.play(110)
		time.Sleep(time.Second)
		s.trigger(understudy.Trigger{})
		time.Sleep(5 * time.Second)
		if got := s.onDisk(); !slices.Equal(got, []string{"75-109"}) {
			t.Errorf("durable is %v", got)
		}
	})
}

// What does not fit into memory is recorded, and goes when no event came.
func TestWhatDoesNotFitIntoMemoryIsRecordedAndDiscarded(t *testing.T) {
	rule := understudy.RecordingRule{Mode: understudy.RecordEvents, Before: 2 * time.Minute, After: time.Second}
	onStage(t, rule, func(s *stage) {
		s.size = 16 << 10 // 400 kB a second: 30 s fit
		s.play(25 * 60 * 5)
		first := s.onDisk()
		if len(first) != 1 {
			t.Fatalf("on disk are %v", first)
		}
		var from int
		if _, err := fmt.Sscanf(first[0], "%d-", &from); err != nil || from == 0 || from > 25*60*5-25*120 {
			t.Fatalf("5 min on, with 2 min before an event, frames %v are on disk", first)
		}
		s.trigger(understudy.Trigger{})
		s.play(25 * 60 * 10)
		got := s.onDisk()
		var begin, end int
		if len(got) != 2 {
			t.Fatalf("at last frames %v are on disk, want those of the event and those of the last minutes", got)
		}
		if _, err := fmt.Sscanf(got[0], "%d-%d", &begin, &end); err != nil || begin > 25*60*3 || end < 25*(60*5+1) {
			t.Errorf("of the event frames %v are left", got[0])
		}
	})
}

// Where memory is short, it is the room for events told late that goes first.
func TestRoomForLateEventsGoesFirst(t *testing.T) {
	rule := understudy.RecordingRule{Mode: understudy.RecordEvents, Before: 28 * time.Second, After: time.Second}
	onStage(t, rule, func(s *stage) {
		s.size = 16 << 10 // 30 s fit
		s.play(25 * 60)
		if got := s.onDisk(); len(got) > 0 {
			t.Errorf("without an event frames %v are on disk", got)
		}
		s.trigger(understudy.Trigger{At: s.at(25 * 60)})
		s.play(25 * 63)
		s.want(fmt.Sprintf("%d-%d", 25*32, 25*61-1))
	})
}

func TestAScheduleIsAnEventByItself(t *testing.T) {
	rule := eventRule
	rule.Schedule = "night=daily 00:01-00:02" // synctest begins at midnight UTC
	onStage(t, rule, func(s *stage) {
		s.play(25 * 90)
		if busy := s.server.Busy(); len(busy) > 0 {
			t.Errorf("a window that every server knows of keeps %v busy", busy)
		}
		s.trigger(understudy.Trigger{})
		if busy := s.server.Busy(); len(busy) != 1 {
			t.Errorf("an event that somebody told of keeps nothing busy: %v", busy)
		}
		s.play(25 * 150)
		s.want(fmt.Sprintf("%d-%d", 25*58, 25*121-1))
		notes, err := s.events()
		if err != nil || len(notes) != 2 || notes[0].Name != "night" || notes[0].To.Sub(notes[0].From) != time.Minute {
			t.Errorf("the window is noted as %+v, %v", notes, err)
		}
	})
}

// An event that was told before the camera was recorded here is applied, and noted, when it is.
func TestEventsBeforeATakeoverAreApplied(t *testing.T) {
	onStage(t, eventRule, func(s *stage) {
		s.camera.want.Store(&want{epoch: 1, rule: eventRule})
		s.play(60)
		at := time.Now()
		s.trigger(understudy.Trigger{At: at, Until: at.Add(4 * time.Second)})
		s.play(75)
		s.assign(eventRule, 2)
		s.server.noteOccasions(s.camera)
		s.play(400)
		s.want("75-199")
		if notes, err := s.events(); err != nil || len(notes) != 1 {
			t.Errorf("the notes are %+v, %v", notes, err)
		}
	})
}

// Footage of events outlives the rest, and what is locked outlives both.
func TestRetentionSparesEventsAndLocks(t *testing.T) {
	rule := understudy.RecordingRule{Mode: understudy.RecordBoth, Before: 10 * time.Second, After: 10 * time.Second, KeepEvents: 12 * time.Minute}
	onStage(t, rule, func(s *stage) {
		s.keepFor = 3 * time.Minute
		s.assign(rule, 1)
		s.server.setLocks([]understudy.Lock{{ID: "case", Camera: "lobby", From: s.begin.Add(90 * time.Second), To: s.begin.Add(100 * time.Second), Owner: "ada", Reason: "case"}})
		s.play(25 * 60 * 4)
		s.trigger(understudy.Trigger{})
		s.play(25 * 60 * 11)
		has := func(at time.Duration) bool {
			segments, err := s.camera.store.Segments(t.Context(), "lobby", s.begin.Add(at), s.begin.Add(at+time.Second), false)
			if err != nil {
				t.Fatal(err)
			}
			return len(segments) > 0
		}
		for at, want := range map[time.Duration]bool{10 * time.Second: false, 95 * time.Second: true, 4 * time.Minute: true, 6*time.Minute + 30*time.Second: false, 10 * time.Minute: true} {
			if has(at) != want {
				t.Errorf("after 11 min footage of %s is there: %t", at, has(at))
			}
		}
		s.play(25 * 60 * 19)
		if has(4*time.Minute) || !has(95*time.Second) {
			t.Errorf("after 19 min footage of the event is there: %t, and what is locked: %t", has(4*time.Minute), has(95*time.Second))
		}
	})
}
