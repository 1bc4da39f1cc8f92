package storage

import (
	"testing"

	"understudy"
	"understudy/internal/fs"
)

// An import that could not begin leaves nothing: the segment is not taken for
// one that is on its way.
func TestAnImportThatCouldNotBeginIsForgotten(t *testing.T) {
	s := openMemory(t, fs.NewMemory())
	s.folders[0].health.setFull("the disk is full")
	id := understudy.SegmentID{Camera: "lobby", Epoch: 2, Holder: "fo1", Sequence: 31}
	if _, err := s.Import(id, 100, [32]byte{1}); understudy.CodeOf(err) != understudy.CodeUnavailable {
		t.Fatalf("without room: %v", err)
	}
	if s.folders[0].isBusy(id) {
		t.Error("the segment counts as being on its way")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
