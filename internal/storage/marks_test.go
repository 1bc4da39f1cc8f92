package storage

import (
	"testing"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
)

// The marks of a closed segment are read once, and are gone with it.
func TestMarksAreReadOnce(t *testing.T) {
	disk := fs.NewMemory()
	s, err := Open(t.Context(), Config{Folders: []FolderConfig{{Dir: "memory", FS: disk}}, Server: "rec1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	tracks, samples := fmp4test.Clip(t, "h264", 1)
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
	reads := 0
	disk.Fail(func(op fs.Op, _ string) error {
		if op == fs.OpRead {
			reads++
		}
		return nil
	})
	list := func() []understudy.Segment {
		t.Helper()
		segments, err := s.Segments(t.Context(), "lobby", fmp4test.Start, samples[len(samples)-1].At, true)
		if err != nil {
			t.Fatal(err)
		}
		return segments
	}
	first := list()
	if reads == 0 || len(first) != 1 || len(first[0].Marks) == 0 {
		t.Fatalf("%d reads, %+v", reads, first)
	}
	before := reads
	if second := list(); reads != before || len(second[0].Marks) != len(first[0].Marks) {
		t.Errorf("%d more reads for %d of %d marks", reads-before, len(second[0].Marks), len(first[0].Marks))
	}
	if err := s.Delete(first[0].ID, "a test"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.readMarks(first[0]); understudy.CodeOf(err) != understudy.CodeNotFound {
		t.Errorf("the marks outlive the segment: %v", err)
	}
}

// However much is asked for, a bounded number of marks stays.
func TestMarksAreBounded(t *testing.T) {
	var c marksCache
	for n := range uint64(100) {
		c.put(understudy.SegmentID{Camera: "lobby", Sequence: n}, seekTable{marks: make([]understudy.SampleMark, marksKept/10)})
	}
	last, first := understudy.SegmentID{Camera: "lobby", Sequence: 99}, understudy.SegmentID{Camera: "lobby"}
	if c.marks > marksKept || len(c.kept) != len(c.order) || c.get(last).marks == nil || c.get(first).marks != nil {
		t.Errorf("%d marks of %d segments are kept", c.marks, len(c.kept))
	}
	c.put(first, seekTable{marks: make([]understudy.SampleMark, marksKept)})
	if c.get(first).marks != nil {
		t.Error("one segment drove out all others")
	}
}
