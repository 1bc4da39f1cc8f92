package client

import (
	"testing"
	"time"

	"understudy"
)

// A timeline tells where the archive ends, and is one there all the same.
func TestATimelineTellsWhatIsArchived(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var segments []understudy.Segment
	for n := range 4 {
		from := start.Add(time.Duration(n) * time.Minute)
		segments = append(segments, understudy.Segment{ID: understudy.SegmentID{Camera: "lobby", Epoch: 1, Holder: "rec1", Sequence: uint64(n)},
			Start: from, End: from.Add(time.Minute), Archived: n < 3})
	}
	spans := (&footage{}).spans("rec1", segments, start, start.Add(time.Hour))
	if len(spans) != 2 || !spans[0].Archived || spans[1].Archived || !spans[0].To.Equal(spans[1].From) || spans[0].To.Sub(spans[0].From) != 3*time.Minute {
		t.Errorf("the spans are %+v", spans)
	}
}
