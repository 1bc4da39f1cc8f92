package storage

import (
	"testing"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
)

// The index does not grow with what is deleted, and still says what is here.
func TestTheIndexStaysSmall(t *testing.T) {
	disk := fs.NewMemory()
	open := func() *Store {
		s, err := Open(t.Context(), Config{Folders: []FolderConfig{{Dir: "memory", FS: disk}}, Server: "rec1"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	tracks, samples := fmp4test.Clip(t, "h265", 1)
	w, err := s.NewWriter("lobby", 1, tracks)
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples {
		if err := w.Write(sample.Sample); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := range uint64(3 * goneMost) {
		s.folders[0].recordGone(understudy.SegmentID{Camera: "lobby", Epoch: 1, Holder: "rec1", Sequence: 100 + n})
	}
	content, err := s.folders[0].readFile(indexPath("lobby"))
	if err != nil {
		t.Fatal(err)
	}
	if lines, _ := parseIndex(content); len(lines) != 1 || len(content) > 1000 {
		t.Errorf("an index of %d bytes has %d segments", len(content), len(lines))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer func() { _ = s.Close() }()
	if cameras := s.Cameras(); len(cameras) != 1 {
		t.Errorf("after a restart there is footage of %v", cameras)
	}
}
