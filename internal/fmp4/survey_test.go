package fmp4_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
)

// Whatever is damaged: the whole fragments before and behind are found, each
// once, and nothing else is.
func TestASurveyGoesOnBehindDamage(t *testing.T) {
	tracks, samples := fmp4test.Clip(t, "h264", 2)
	header, err := fmp4.MarshalHeader(fmp4.Header{Segment: understudy.SegmentID{Camera: "lobby", Epoch: 1, Holder: "rec1", Sequence: 1}, Start: samples[0].At}, tracks)
	if err != nil {
		t.Fatal(err)
	}
	file := header
	type piece struct {
		at, end int
		hashes  []understudy.SampleHash
	}
	var pieces []piece
	for n := 0; n*25 < len(samples); n++ {
		some := samples[n*25 : min(len(samples), (n+1)*25)]
		b, err := fmp4.MarshalFragment(tracks, uint32(n+1), samples[0].At, some)
		if err != nil {
			t.Fatal(err)
		}
		p := piece{at: len(file), end: len(file) + len(b)}
		for _, s := range some {
			if s.Track == understudy.VideoTrack {
				p.hashes = append(p.hashes, s.Hash)
			}
		}
		pieces, file = append(pieces, p), append(file, b...)
	}
	rapid.Check(t, func(t *rapid.T) {
		damaged := bytes.Clone(file)
		for range rapid.IntRange(0, 3).Draw(t, "damages") {
			at := rapid.IntRange(len(header), len(file)-1).Draw(t, "at")
			end := min(len(file), at+rapid.IntRange(1, 3000).Draw(t, "bytes"))
			for i := at; i < end; i++ {
				damaged[i] ^= byte(1 + i%255)
			}
		}
		damaged = damaged[:len(damaged)-rapid.SampledFrom([]int{0, 0, 1, 500}).Draw(t, "cut")]
		_, _, marks, whole, err := fmp4.Survey(bytes.NewReader(damaged))
		if err != nil {
			t.Fatal(err)
		}
		var want, got []understudy.SampleHash
		var joined []byte
		for _, p := range pieces {
			if p.end <= len(damaged) && bytes.Equal(damaged[p.at:p.end], file[p.at:p.end]) {
				want = append(want, p.hashes...)
			}
		}
		for _, m := range marks {
			got = append(got, m.Hash)
		}
		for _, e := range whole {
			joined = append(joined, damaged[e.Offset:e.Offset+e.Size]...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%d pictures are whole, %d were found", len(want), len(got))
		}
		_, _, again, end, err := fmp4.Scan(bytes.NewReader(joined), 0)
		if err != nil || end != int64(len(joined)) || len(again) != len(marks) {
			t.Fatalf("joined, the extents are %d bytes, of which %d are whole with %d of %d pictures, %v", len(joined), end, len(again), len(marks), err)
		}
	})
}
