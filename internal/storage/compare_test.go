package storage

import (
	"context"
	"testing"
	"testing/synctest"

	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
)

// A camera that is compared with its index while it records keeps its open
// segment, also in the first life of a store, in which no number is used yet.
func TestAComparisonLeavesAloneWhatIsBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openMemory(t, fs.NewMemory())
		tracks, samples := fmp4test.Clip(t, "h264", 2)
		w, err := s.NewWriter("lobby", 1, tracks)
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range samples {
			if err := w.Write(sample.Sample); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		s.folders[0].suspect("lobby")
		if err := s.CompareNow(); err != nil {
			t.Fatal(err)
		}
		list, err := s.list("lobby", fmp4test.Start, samples[len(samples)-1].At)
		if err != nil || len(list) != 1 || list[0].Closed {
			t.Errorf("while it is written: %+v, %v", list, err)
		}
		if err := w.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
