package bench

import (
	"testing"
	"time"

	"understudy/internal/storage"
)

// What a benchmark makes is footage like any other: the store finds and verifies all of it.
func TestMadeFootageIsFootage(t *testing.T) {
	dir := t.TempDir()
	open := func() *storage.Store {
		t.Helper()
		s, err := storage.Open(t.Context(), storage.Config{Folders: []storage.FolderConfig{{Dir: dir, MinFreeBytes: 1}}, Server: benchServer})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if err := open().Close(); err != nil {
		t.Fatal(err)
	}
	start := time.Now().UTC().Truncate(time.Minute).Add(-time.Hour)
	bytes, err := newFootage(dir, benchServer).write("lobby", 64, start, 2)
	if err != nil {
		t.Fatal(err)
	}
	s := open()
	list, err := s.Segments(t.Context(), "lobby", start, start.Add(time.Hour), true)
	if err != nil || len(list) != 2 || list[0].Size+list[1].Size != bytes || len(list[0].Marks) != frames || !list[1].End.Equal(start.Add(2*time.Minute)) {
		t.Errorf("of two minutes with %d bytes the store has %d segments, %v", bytes, len(list), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if found, err := storage.Check(t.Context(), dir, nil); err != nil || len(found.Faults) > 0 {
		t.Errorf("check found %q, %v", found.Faults, err)
	}
}
