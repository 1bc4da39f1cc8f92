package recording

import (
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// What is read counts as played for a while; reading on makes it one range of the newest step.
func TestWhatIsPlayedIsKnownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		at := func(minute int) time.Time {
			return time.Date(2026, 11, 25, 12, minute, 0, 0, time.UTC)
		}
		s.played.saw("lobby", at(0), at(5))
		time.Sleep(watchedFor / 2)
		s.played.saw("yard", at(0), at(5))
		s.played.saw("lobby", at(5), at(10))
		got := s.Watched()
		if len(got) != 2 || got[0].Camera != "lobby" || got[0].From != at(5) || got[1].Camera != "yard" {
			t.Errorf("played: %+v", got)
		}
		for n := range 2 * maxWatched {
			s.played.saw(understudy.CameraID("cam"), at(n*10), at(n*10+1))
		}
		if got := s.Watched(); len(got) != maxWatched {
			t.Errorf("%d ranges are remembered", len(got))
		}
		time.Sleep(watchedFor + time.Second)
		if got := s.Watched(); len(got) != 0 {
			t.Errorf("played long ago: %+v", got)
		}
	})
}
