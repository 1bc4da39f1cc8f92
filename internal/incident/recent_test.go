package incident

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"understudy"
)

// TestReadOnIsReadAnew: however a log grows, also while it is read, and when another log
// takes its place, what was read bit by bit is what reads the whole.
func TestReadOnIsReadAnew(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := &shelf{}
		bits, all := &recent{site: s, most: 3}, &recent{site: s, most: lot}
		newest := func(from *recent) string {
			incidents, err := from.newest(t.Context())
			if err != nil {
				r.Fatal(err)
			}
			return fmt.Sprintf("%+v", incidents)
		}
		for range rapid.IntRange(1, 30).Draw(r, "looks") {
			if rapid.IntRange(0, 9).Draw(r, "restored") == 0 && len(s.events) > 0 {
				s.events = s.events[:rapid.IntRange(0, len(s.events)-1).Draw(r, "to")]
				s.salt += "restored " // its events from here on are others of the same numbers
			}
			s.asked = func() {
				for range rapid.IntRange(0, 2).Draw(r, "events") {
					s.something(r)
				}
			}
			newest(bits)
			newest(all)
			s.asked = nil
			if got, want := newest(bits), newest(&recent{site: s, most: 3}); got != want {
				r.Fatalf("read on: %s\nread anew: %s", got, want)
			}
			if got, want := newest(all), fmt.Sprintf("%+v", Derive(s.events)); got != want {
				r.Fatalf("read on: %s\nof the log itself: %s", got, want)
			}
		}
	})
}

// something happens, of which incidents are told or not.
func (s *shelf) something(r *rapid.T) {
	home := rapid.SampledFrom([]understudy.ServerID{"rec1", "rec2"}).Draw(r, "home")
	camera := understudy.CameraID("of-" + home)
	switch rapid.IntRange(0, 5).Draw(r, "what") {
	case 0:
		s.take(home, "fo1", camera)
	case 1:
		s.back(home, camera)
	case 2:
		s.tell(understudy.MilestoneDurable, home, "fo1", 0, camera)
	case 3:
		s.order(home, understudy.HandOver{})
	case 4:
		s.add(understudy.Event{Kind: understudy.EventConfig, Changes: []understudy.Change{{Camera: &understudy.Camera{ID: camera}}}})
	case 5:
		s.add(understudy.Event{Kind: understudy.EventAccess})
	}
}

// TestALookReadsWhatIsNew: a look at a log that did not change asks once, and for one event.
func TestALookReadsWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		for range 100 {
			s.take("rec1", "fo1", "a")
			s.back("rec1", "a")
		}
		r := &recent{site: s, most: 50}
		look := func() (read int) {
			before := s.read
			all, err := r.newest(t.Context())
			if err != nil || len(all) != 49 { // the first may have begun before what was read
				t.Fatalf("%d incidents: %v", len(all), err)
			}
			return s.read - before
		}
		if read := look(); read != 101 {
			t.Errorf("the first look read %d events", read)
		}
		if read := look(); read != 1 {
			t.Errorf("a look at the same log read %d events", read)
		}
		s.take("rec1", "fo1", "a")
		s.back("rec1", "a")
		if read := look(); read != 3 {
			t.Errorf("a look after two events read %d", read)
		}
		time.Sleep(readAnew + time.Second)
		if read := look(); read != 101 {
			t.Errorf("a look after a while, which reads anew, read %d events", read)
		}
	})
}
