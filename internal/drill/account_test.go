package drill

import (
	"testing"
	"time"

	"understudy"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// film makes frames with the given counters, one each 100 ms of counter.
func film(numbers ...uint64) []frame {
	var frames []frame
	for _, n := range numbers {
		frames = append(frames, frame{
			At: epoch.Add(time.Duration(n) * 100 * time.Millisecond), Number: n, Stamped: true,
			Hash: understudy.SampleHash{byte(n % 7)}, // loops each seven frames
		})
	}
	return frames
}

func TestAccountStamped(t *testing.T) {
	for name, c := range map[string]struct {
		numbers          []uint64
		lost, duplicates int
	}{
		"whole":              {[]uint64{3, 4, 5, 6}, 0, 0},
		"a hole":             {[]uint64{3, 4, 8, 9}, 3, 0},
		"twice":              {[]uint64{3, 4, 4, 5}, 0, 1},
		"a run played again": {[]uint64{3, 4, 5, 3, 4, 5, 6}, 0, 3},
		"hole and twice":     {[]uint64{1, 4, 4, 6}, 3, 1},
		"nothing":            {nil, 0, 0},
	} {
		a := accountStamped(film(c.numbers...))
		if a.lost() != c.lost || a.Duplicates != c.duplicates {
			t.Errorf("%s: lost %d, twice %d, want %d and %d", name, a.lost(), a.Duplicates, c.lost, c.duplicates)
		}
	}
}

func TestFramesWithoutAStampOfTheCameraAreForeign(t *testing.T) {
	frames := film(1, 2, 3, 4)
	frames[0].Stamped, frames[2].Stamped = false, false
	if a := accountStamped(frames); a.Foreign != 2 || a.lost() != 1 || a.Duplicates != 0 {
		t.Errorf("%+v, want two foreign frames, and the one in the middle lost", a)
	}
}

func TestAccountHashedFindsTheSameInALoopingSource(t *testing.T) {
	truth := film(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
	for name, c := range map[string]struct {
		exported                  []frame
		lost, duplicates, foreign int
	}{
		"whole":               {film(3, 4, 5, 6, 7, 8, 9, 10), 0, 0, 0},
		"a hole":              {film(3, 4, 8, 9, 10), 3, 0, 0},
		"before the observer": {append([]frame{{At: epoch, Hash: understudy.SampleHash{99}}}, film(1, 2, 3)...), 0, 0, 0},
		"foreign":             {append(film(3, 4), frame{At: epoch.Add(time.Second), Hash: understudy.SampleHash{99}}), 0, 0, 1},
	} {
		a := accountHashed(truth, c.exported)
		if a.lost() != c.lost || a.Duplicates != c.duplicates || a.Foreign != c.foreign {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestAccountHashedSeesARunPlayedAgain(t *testing.T) {
	truth := film(1, 2, 3, 4, 5, 6)
	a := accountHashed(truth, film(1, 2, 3, 2, 3, 4, 5, 6))
	if a.Duplicates != 2 || a.lost() != 0 {
		t.Errorf("%+v, want two duplicates and nothing lost", a)
	}
}

func TestALossBelongsToTheStretchInWhichItBegins(t *testing.T) {
	a := accountStamped(film(1, 2, 3, 10, 11, 12, 20, 21))
	at := func(n int) time.Time { return epoch.Add(time.Duration(n) * 100 * time.Millisecond) }
	if frames, gap := a.lostBetween(at(0), at(11)); frames != 6 || gap != 700*time.Millisecond {
		t.Errorf("lost %d frames over %s in the first stretch, want 6 over 700ms", frames, gap)
	}
	if frames, _ := a.lostBetween(at(11), at(100)); frames != 7 {
		t.Errorf("lost %d frames in the second stretch, want 7", frames)
	}
}
