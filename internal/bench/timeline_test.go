package bench

import (
	"testing"
	"time"

	"understudy/internal/storage"
)

// An index that a benchmark fills is one that the store reads: each day whole, the oldest and the newest.
func TestAFilledIndexIsRead(t *testing.T) {
	c := storage.Config{Folders: []storage.FolderConfig{{Dir: t.TempDir(), MinFreeBytes: 1}}, Server: benchServer}
	to := time.Now().UTC().Truncate(24 * time.Hour)
	from := to.AddDate(0, 0, -LeastDays)
	open := func() *storage.Store {
		t.Helper()
		s, err := storage.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if err := open().Close(); err != nil {
		t.Fatal(err)
	}
	if err := storage.FillIndex(c.Folders[0].Dir, minuteByMinute("lobby", from, to, 1)); err != nil {
		t.Fatal(err)
	}
	s := open()
	defer func() { _ = s.Close() }()
	b := timelineBench{store: s}
	for _, day := range []time.Time{from, to.AddDate(0, 0, -1)} {
		segments, err := s.Segments(t.Context(), "lobby", day, day.AddDate(0, 0, 1), false)
		if err != nil || len(segments) != 24*60 {
			t.Errorf("%s has %d segments, %v", day, len(segments), err)
		}
	}
	if n, err := b.day(t.Context(), benchCamera(0), from); err == nil {
		t.Errorf("a camera without footage has a day of %d segments", n)
	}
}
