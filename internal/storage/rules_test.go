package storage_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

// stocked is a store on virtual time with a clip of each camera, in segments of
// two seconds, as if captured before now.
func stocked(t *testing.T, disk *fs.Memory, cameras []understudy.CameraID, change ...func(*storage.Config)) (*running, time.Time) {
	t.Helper()
	return stockedAgo(t, 0, disk, cameras, change...)
}

// stockedAgo is stocked, with clips that were captured so long before.
func stockedAgo(t *testing.T, ago time.Duration, disk *fs.Memory, cameras []understudy.CameraID, change ...func(*storage.Config)) (*running, time.Time) {
	t.Helper()
	s := run(t, disk, append(change, func(c *storage.Config) { c.SegmentLength = 2 * time.Second })...)
	tracks, samples := fmp4test.Clip(t, "h265", 7)
	start := time.Now().Add(-ago)
	for i := range samples {
		again := *samples[i].Sample
		again.At = again.At.Add(start.Sub(fmp4test.Start))
		samples[i].Sample = &again
	}
	for _, camera := range cameras {
		record(t, s.Store, camera, 1, tracks, samples)
	}
	time.Sleep(30 * time.Second)
	return s, start
}

func here(t *testing.T, s *storage.Store, camera understudy.CameraID) []understudy.Segment {
	t.Helper()
	list, err := s.Segments(t.Context(), camera, time.Time{}, time.Now().Add(time.Hour), false)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func starts(list []understudy.Segment, from time.Time) (seconds []int) {
	for _, segment := range list {
		seconds = append(seconds, int(segment.Start.Sub(from).Seconds()))
	}
	return seconds
}

func ours(understudy.CameraID) understudy.ServerID { return server }

// Footage of events outlives its age, and locked footage outlives everything, each until its own time.
func TestFootageOfEventsOutlivesItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, start := stocked(t, fs.NewMemory(), []understudy.CameraID{"lobby"})
		all := starts(here(t, s.Store, "lobby"), start)
		s.SetKeep(func(understudy.CameraID) time.Duration { return time.Minute })
		s.SetProtect(func(understudy.CameraID) []storage.Protected {
			return []storage.Protected{
				{From: start.Add(8500 * time.Millisecond), To: start.Add(9500 * time.Millisecond), Until: start.Add(2 * time.Minute)},
				{From: start.Add(9 * time.Second), To: start.Add(10 * time.Second), Until: start.Add(time.Second)}, // over
				{From: start.Add(14500 * time.Millisecond), To: start.Add(15 * time.Second), Until: start.Add(3 * time.Minute), Locked: true},
			}
		})
		s.SetHome(ours)
		time.Sleep(20 * time.Second)
		if got := starts(here(t, s.Store, "lobby"), start); !slices.Equal(got, all) {
			t.Errorf("before their time %v of %v are left", got, all)
		}
		for _, step := range []struct {
			until time.Duration
			want  []int
		}{{110 * time.Second, []int{8, 14}}, {140 * time.Second, []int{14}}, {200 * time.Second, nil}} {
			time.Sleep(time.Until(start.Add(step.until)))
			if got := starts(here(t, s.Store, "lobby"), start); !slices.Equal(got, step.want) {
				t.Errorf("after %v segments of %v are left, want %v", step.until, got, step.want)
			}
		}
		s.stop()
		told := slices.DeleteFunc(s.reports, func(r string) bool { return !strings.Contains(r, "retention deleted") })
		if len(told) != 1 || !strings.Contains(told[0], "of camera lobby") || !strings.Contains(told[0], "kept no longer") {
			t.Errorf("retention told %q, want one sentence a day", told)
		}
	})
}

// What is protected long after its time goes when the protection ends, although not all is looked at each time.
func TestOldFootageGoesWhenItsProtectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, start := stockedAgo(t, 240*time.Hour, fs.NewMemory(), []understudy.CameraID{"lobby"})
		ends := time.Now().Add(70 * time.Minute)
		s.SetKeep(func(understudy.CameraID) time.Duration { return time.Minute })
		s.SetProtect(func(understudy.CameraID) []storage.Protected {
			return []storage.Protected{{From: start, To: start.Add(time.Hour), Until: ends}}
		})
		s.SetHome(ours)
		all := len(here(t, s.Store, "lobby"))
		time.Sleep(69 * time.Minute)
		if got := len(here(t, s.Store, "lobby")); got != all || all == 0 {
			t.Errorf("%d of %d protected segments are left", got, all)
		}
		time.Sleep(time.Hour)
		if got := len(here(t, s.Store, "lobby")); got != 0 {
			t.Errorf("%d segments outlived their protection by an hour", got)
		}
		s.stop()
	})
}

// A camera that has too much loses its oldest, footage of events last and locked footage never.
func TestACameraKeepsSoManyBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, start := stocked(t, fs.NewMemory(), []understudy.CameraID{"lobby", "gate"})
		list := here(t, s.Store, "lobby")
		newest := list[len(list)-1].Size
		s.SetProtect(func(understudy.CameraID) []storage.Protected {
			return []storage.Protected{
				{From: start.Add(2500 * time.Millisecond), To: start.Add(3 * time.Second), Until: start.Add(time.Hour)},
				{From: start.Add(4500 * time.Millisecond), To: start.Add(5 * time.Second), Locked: true},
			}
		})
		var most atomic.Int64
		most.Store(newest + list[1].Size + list[2].Size)
		s.SetLimits(func(c understudy.CameraID) storage.Limits {
			if c == "lobby" {
				return storage.Limits{Bytes: most.Load()}
			}
			return storage.Limits{}
		})
		s.SetHome(ours)
		time.Sleep(20 * time.Second)
		last := int(list[len(list)-1].Start.Sub(start).Seconds())
		if got := starts(here(t, s.Store, "lobby"), start); !slices.Equal(got, []int{2, 4, last}) {
			t.Errorf("segments of %v are left, want the event's, the locked one and the newest", got)
		}
		if got := len(here(t, s.Store, "gate")); got != len(list) {
			t.Errorf("%d of %d segments are left of a camera without a bound", got, len(list))
		}
		most.Store(0) // nothing is bounded
		time.Sleep(20 * time.Second)
		most.Store(1)
		time.Sleep(20 * time.Second)
		if got := starts(here(t, s.Store, "lobby"), start); !slices.Equal(got, []int{4}) {
			t.Errorf("segments of %v are left, want the locked one", got)
		}
		s.stop()
		if why, ok := s.Retired(list[0].ID); !ok || !strings.Contains(why, "more footage than") {
			t.Errorf("of the oldest segment it is said that %q", why)
		}
		if _, ok := s.Retired(list[2].ID); ok {
			t.Error("what is still here is said to be deleted")
		}
	})
}

// A full disk loses what is expired first, then the oldest, then events; what
// has not gone home only if that is allowed, of low priority first and loudly; locked footage never.
func TestTheOrderInWhichAFullDiskLosesFootage(t *testing.T) {
	for name, allowed := range map[string]bool{"unmerged footage stays": false, "unmerged footage is given up": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { fillUp(t, allowed) })
		})
	}
}

func fillUp(t *testing.T, allowed bool) {
	disk := fs.NewMemory()
	cameras := []understudy.CameraID{"stale", "own", "event", "low", "high", "locked"} // in the order in which they go
	s, start := stocked(t, disk, cameras, func(c *storage.Config) { c.GiveUpUnmerged = allowed })
	free, err := disk.FreeBytes()
	if err != nil {
		t.Fatal(err)
	}
	used := 1<<40 - free
	s.SetKeep(func(c understudy.CameraID) time.Duration {
		return map[understudy.CameraID]time.Duration{"stale": 29 * time.Second}[c]
	})
	s.SetLimits(func(c understudy.CameraID) storage.Limits {
		return storage.Limits{Priority: map[understudy.CameraID]int{"low": 1, "high": 2}[c]}
	})
	s.SetProtect(func(c understudy.CameraID) []storage.Protected {
		if c != "event" && c != "locked" {
			return nil
		}
		return []storage.Protected{{From: start, To: start.Add(time.Hour), Until: start.Add(24 * time.Hour), Locked: c == "locked"}}
	})
	s.SetHome(func(c understudy.CameraID) understudy.ServerID {
		if c == "low" || c == "high" || c == "stale" {
			return "rec2"
		}
		return server
	})
	count := func() (left []int) {
		for _, camera := range cameras {
			left = append(left, len(here(t, s.Store, camera)))
		}
		return left
	}
	time.Sleep(time.Minute) // all of one has reached its age
	all := count()
	goes := map[bool]int{false: 3, true: 5}[allowed] // so many cameras lose all
	for s.State().Writable {
		disk.SetFree(used + 1<<20 - 1) // a byte too little
		time.Sleep(2 * time.Second)
		disk.SetFree(1 << 40)
		if free, err = disk.FreeBytes(); err != nil {
			t.Fatal(err)
		}
		if 1<<40-free >= used {
			break
		}
		used = 1<<40 - free
		for i, n := range count() {
			if i > 0 && n < all[i] && count()[i-1] > 0 {
				t.Fatalf("of %v segments %v are left of %v", all, count(), cameras)
			}
		}
	}
	for i, n := range count() {
		if i < goes && n > 0 || i >= goes && n != all[i] {
			t.Errorf("of %v segments %v are left of %v", all, count(), cameras)
			break
		}
	}
	disk.SetFree(used + 1<<20 - 1)
	time.Sleep(2 * time.Second)
	if state := s.State(); state.Writable || !strings.Contains(state.Sentence, "full") {
		t.Errorf("with only what must stay, the state is %+v", state)
	}
	time.Sleep(2 * time.Minute)
	s.stop()
	if got := s.reported("FOOTAGE WAS LOST") && s.reported("of camera low"); got != allowed {
		t.Errorf("a loss was told: %v; the reports are %q", got, s.reports)
	}
}
