package storage_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/storage"
)

// fill makes a store with an index of so many cameras, days and segments a day.
func fill(t testing.TB, dir string, cameras, days, segments int) {
	t.Helper()
	s := open(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	step := 24 * time.Hour / time.Duration(segments)
	start := fmp4test.Start.Truncate(24 * time.Hour)
	for c := range cameras {
		var list []understudy.Segment
		for n := range days * segments {
			list = append(list, understudy.Segment{
				ID:    understudy.SegmentID{Camera: understudy.CameraID(fmt.Sprintf("camera-%d", c)), Epoch: 1, Holder: server, Sequence: uint64(n*cameras+c)*64 + 1},
				Start: start.Add(time.Duration(n) * step), End: start.Add(time.Duration(n+1) * step), Size: 30 << 20, Codec: understudy.CodecH264,
			})
		}
		if err := storage.FillIndex(dir, list); err != nil {
			t.Fatal(err)
		}
	}
}

// A large index is not read at a start, and a day of it is found.
func TestALargeIndexIsReadWhenItIsNeeded(t *testing.T) {
	cameras, days := 3, 16
	if os.Getenv("UNDERSTUDY_LARGE_INDEX") != "" {
		cameras, days = 200, 30
	}
	dir := t.TempDir()
	fill(t, dir, cameras, days, 1440)
	began := time.Now()
	s := open(t, dir)
	t.Logf("opened in %v", time.Since(began))
	if got, want := s.State().UsedBytes, int64(cameras*days*1440)*30<<20; got != want {
		t.Errorf("%d bytes are used, want %d", got, want)
	}
	from := fmp4test.Start.Truncate(24*time.Hour).AddDate(0, 0, days/2)
	began = time.Now()
	list, err := s.Segments(t.Context(), "camera-1", from, from.AddDate(0, 0, 1), false)
	t.Logf("a day in %v", time.Since(began))
	if err != nil || len(list) != 1440 || !list[0].Start.Equal(from) {
		t.Errorf("%d segments of a day, %v", len(list), err)
	}
}
