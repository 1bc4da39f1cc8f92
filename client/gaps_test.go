package client

import (
	"testing"
	"time"

	"understudy"
)

// What each server noted explains what all of them lack, whichever server says
// it, and events are marks on the timeline.
func TestNotesExplainGaps(t *testing.T) {
	home, standby, samples := twoHolders(t, understudy.CodecH264)
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": standby.address()}, "rec-1", 3))
	away := understudy.NewGapNote("rec-1", "lobby", understudy.GapCamera, samples[310].At, samples[310].At.Add(3*time.Second), "the camera's switch was off")
	door := understudy.Note{ID: "door-1", Camera: "lobby", Server: "fo-1", Kind: understudy.NoteEvent, Name: "door", From: noon.Add(14 * time.Second), To: noon.Add(15 * time.Second)}
	for _, h := range []*holder{home, standby} { // as while it goes home: on both
		if err := h.TakeNotes([]understudy.Note{door}); err != nil {
			t.Fatal(err)
		}
	}
	if err := home.TakeNotes([]understudy.Note{away}); err != nil {
		t.Fatal(err)
	}
	line, err := c.Timeline(t.Context(), "lobby", noon, noon.Add(24*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if len(line.Notes) != 1 || line.Notes[0].Name != "door" {
		t.Errorf("notes %+v", line.Notes)
	}
	if len(line.Gaps) != 1 || line.Gaps[0].Cause != understudy.GapCamera || line.Gaps[0].Sentence != away.Sentence || line.Gaps[0].Milliseconds != 607 {
		t.Errorf("gaps %+v", line.Gaps)
	}
	for epoch, want := range map[uint64]int{0: 1, 2: 0} {
		all, err := c.Gaps(t.Context(), nil, noon, noon.Add(24*time.Second), epoch)
		if err != nil || len(all) != want {
			t.Errorf("of epoch %d: %+v, %v", epoch, all, err)
		}
	}
}

// A day of segments of two holders, laid out and explained.
func BenchmarkTimelineOfADay(b *testing.B) {
	f := (&Client{}).footage(understudy.Site{})
	var segments []understudy.Segment
	for i := range 1440 {
		at := noon.Add(time.Duration(i) * time.Minute)
		for n, holder := range []understudy.ServerID{"rec-1", "fo-1"} {
			if n == 0 && i%720 < 60 {
				continue // home is away for an hour, twice
			}
			segments = append(segments, understudy.Segment{ID: understudy.SegmentID{Camera: "lobby", Holder: holder, Epoch: 1, Sequence: uint64(i)}, Start: at, End: at.Add(time.Minute)})
		}
	}
	for b.Loop() {
		spans := f.spans("rec-1", segments, noon, noon.Add(24*time.Hour))
		if len(spans) != 4 || len(seams(spans)) != 3 {
			b.Fatalf("%d spans", len(spans))
		}
		understudy.ExplainGaps(spans, nil, nil, noon, noon.Add(24*time.Hour))
	}
}
