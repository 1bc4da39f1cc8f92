package client

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"understudy"
	"understudy/internal/media/mediatest"
)

// An export that broke off anywhere becomes, byte for byte, the one that did not.
func TestAnExportThatBrokeOffGoesOn(t *testing.T) {
	home := newHolder(t, "rec-1")
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 12, noon)
	home.record(t, 1, tracks, samples[:200], 0)
	home.record(t, 2, tracks, samples[225:], 0)
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": refused(t)}, "rec-1", 1))
	var whole bytes.Buffer
	from, to := noon.Add(1500*time.Millisecond), noon.Add(time.Minute)
	if _, err := c.Export(t.Context(), "lobby", from, to, &whole, nil); err != nil {
		t.Fatal(err)
	}
	resume := func(beginning []byte) ([]byte, error) {
		name := filepath.Join(t.TempDir(), "export.mp4.part")
		if err := os.WriteFile(name, beginning, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var done, total int64
		result, err := c.ResumeExport(t.Context(), "lobby", from, to, file, func(d, all int64) { done, total = d, all })
		if err == nil && (done != total || result.Bytes != int64(whole.Len())) {
			t.Errorf("progress ended at %d of %d, and %d bytes are told", done, total, result.Bytes)
		}
		got, failed := os.ReadFile(name)
		if failed != nil {
			t.Fatal(failed)
		}
		return got, err
	}
	for _, n := range []int{2, 1000, resumeOverlap + 1, 200_000, whole.Len() - 1} {
		if got, err := resume(whole.Bytes()[:n]); err != nil || !bytes.Equal(got, whole.Bytes()) {
			t.Errorf("after %d bytes of %d: %d bytes, %v", n, whole.Len(), len(got), err)
		}
	}
	for name, beginning := range map[string][]byte{
		"another end": append(slices.Clone(whole.Bytes()[:150_000]), 1, 2, 3),
		"too long":    append(slices.Clone(whole.Bytes()), 0),
		"nothing":     nil,
	} {
		if got, err := resume(beginning); understudy.CodeOf(err) != understudy.CodeConflict || !bytes.Equal(got, beginning) {
			t.Errorf("%s: %v, and the file has %d bytes", name, err, len(got))
		}
	}
	var plain bytes.Buffer
	if err := Faststart(bytes.NewReader(whole.Bytes()), &plain); err != nil {
		t.Fatal(err)
	}
	if n := mediatest.Frames(t, mediatest.File(t, plain.Bytes())); n != 300-25-25 {
		t.Errorf("ffmpeg saw %d pictures, want %d", n, 300-25-25)
	}
}

// Where the coding changes one file ends, and tells where the next begins.
func TestAnExportOfTwoCodingsIsTwoFiles(t *testing.T) {
	home := newHolder(t, "rec-1")
	tracks, first := mediatest.Clip(t, understudy.CodecH264, 4, noon)
	home.record(t, 1, tracks, first, 0)
	tracks, second := mediatest.Clip(t, understudy.CodecH265, 4, noon.Add(4*time.Second))
	home.record(t, 2, tracks, second, 0)
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address()}, "rec-1", 1))
	var file bytes.Buffer
	result, err := c.Export(t.Context(), "lobby", noon, noon.Add(time.Minute), &file, nil)
	if understudy.CodeOf(err) != understudy.CodeConflict || result.Frames != 100 || !result.Changed.Equal(second[0].At) {
		t.Fatalf("%d frames, changed at %s: %v", result.Frames, result.Changed, err)
	}
	if got := exported(t, file.Bytes()); !slices.Equal(got, hashes(first)) {
		t.Errorf("the first file has %d frames of %d", len(got), len(first))
	}
	file.Reset()
	if _, err := c.Export(t.Context(), "lobby", result.Changed, noon.Add(time.Minute), &file, nil); err != nil {
		t.Fatal(err)
	}
	if got := exported(t, file.Bytes()); !slices.Equal(got, hashes(second)) {
		t.Errorf("the second file has %d frames of %d", len(got), len(second))
	}
}

// A still comes from whichever server has it, with the time of its capture.
func TestAStill(t *testing.T) {
	home := newHolder(t, "rec-1")
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 4, noon)
	home.record(t, 1, tracks, samples, 0)
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": refused(t)}, "fo-1", 2))
	still, err := c.Still(t.Context(), "lobby", noon.Add(2500*time.Millisecond))
	if err != nil || still.Type != "video/mp4" || !still.Captured.Equal(samples[50].At) {
		t.Fatalf("%s captured at %s: %v", still.Type, still.Captured, err)
	}
	if n := mediatest.Frames(t, mediatest.File(t, still.Body)); n != 1 {
		t.Errorf("ffmpeg saw %d pictures", n)
	}
	for camera, at := range map[understudy.CameraID]time.Time{"lobby": noon.Add(-time.Hour), "cellar": noon} {
		if _, err := c.Still(t.Context(), camera, at); err == nil {
			t.Errorf("there is a still of %s at %s", camera, at)
		}
	}
}
