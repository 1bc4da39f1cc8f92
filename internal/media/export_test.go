package media

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/media/mediatest"
)

// A download has a length and a name for its bytes, and goes on where it broke
// off; when something was recorded meanwhile it begins anew instead of becoming
// half of one file and half of another.
func TestAnExportGoesOn(t *testing.T) {
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 12, noon)
	l, server := newServer(t, record(t, 1, tracks, samples[:150]), record(t, 2, tracks, samples[200:]))
	for _, format := range []string{"", "&format=mp4", "&format=fmp4"} {
		address := server.URL + "/v1/cameras/lobby/export.mp4?from=" + at(2.5) + "&to=" + at(60) + format + "&token=all"
		response, whole := get(t, address)
		tag := response.Header.Get("ETag")
		if response.StatusCode != 200 || response.Header.Get("Accept-Ranges") != "bytes" || tag == "" {
			t.Fatalf("%s: %d %v", format, response.StatusCode, response.Header)
		}
		if name := response.Header.Get("Content-Disposition"); name != `attachment; filename="lobby-20260301-120002.mp4"` {
			t.Errorf("it is called %s", name)
		}
		if n := mediatest.Frames(t, mediatest.File(t, whole)); n != 100+100 {
			t.Errorf("%s: ffmpeg saw %d pictures of 200", format, n)
		}
		if front := bytes.Contains(whole[:60], []byte("moov")); !front {
			t.Errorf("%s: the index is not in front", format)
		}
		response, rest := get(t, address, "Range", "bytes=70001-", "If-Range", tag)
		if response.StatusCode != 206 || !bytes.Equal(rest, whole[70001:]) {
			t.Errorf("%s: the rest: %d, %d bytes of %d", format, response.StatusCode, len(rest), len(whole)-70001)
		}
	}
	address := server.URL + "/v1/cameras/lobby/export.mp4?from=" + at(0) + "&to=" + at(60) + "&token=all"
	before, whole := get(t, address)
	later := make([]*understudy.Sample, len(samples))
	for i, s := range samples {
		moved := *s
		moved.At = s.At.Add(20 * time.Second)
		later[i] = &moved
	}
	record(t, 3, tracks, later)(l.Store)
	tag := before.Header.Get("ETag")
	if response, all := get(t, address, "Range", "bytes=1000-", "If-Range", tag); response.StatusCode != 200 || len(all) <= len(whole) {
		t.Errorf("more was recorded: %d, %d bytes after %d", response.StatusCode, len(all), len(whole))
	}
	if response, _ := get(t, address, "Range", "bytes=1000-", "If-Match", tag); response.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("more was recorded: %d, want 412", response.StatusCode)
	}
}

// One file has one coding: what to do about another is said before a byte is sent.
func TestAnExportSaysWhereTheCodingChanges(t *testing.T) {
	h264, first := mediatest.Clip(t, understudy.CodecH264, 4, noon)
	h265, second := mediatest.Clip(t, understudy.CodecH265, 4, noon.Add(4*time.Second))
	_, server := newServer(t, record(t, 1, h264, first), record(t, 2, h265, second))
	response, body := get(t, server.URL+"/v1/cameras/lobby/export.mp4?from="+at(0)+"&to="+at(60)+"&token=all")
	if response.StatusCode != 409 || !bytes.Contains(body, []byte("2026-03-01T12:00:04Z")) || !bytes.Contains(body, []byte("two files")) {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

// A still is the key frame at or before the moment, and says when it was taken.
func TestStills(t *testing.T) {
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 12, noon)
	_, server := newServer(t, record(t, 1, tracks, samples))
	for when, want := range map[float64]int{3.5: 75, 7: 175, 7.01: 175, 500: 275, 0: 0} {
		response, body := get(t, server.URL+"/v1/cameras/lobby/still?token=all&at="+at(when))
		if got := response.Header.Get(captureTime); response.StatusCode != 200 || got != samples[want].At.Format(time.RFC3339Nano) {
			t.Fatalf("at %v: %d, captured at %s, want %s", when, response.StatusCode, got, samples[want].At)
		}
		fragment, err := fmp4.NewReader(bytes.NewReader(body)).Next()
		if err != nil || len(fragment.Samples) != 1 || fragment.Samples[0].Hash != samples[want].Hash {
			t.Errorf("at %v: another picture: %v", when, err)
		}
		if n := mediatest.Frames(t, mediatest.File(t, body)); n != 1 {
			t.Errorf("ffmpeg saw %d pictures", n)
		}
	}
	if response, _ := get(t, server.URL+"/v1/cameras/lobby/still?token=all&at="+at(-1)); response.StatusCode != 404 {
		t.Errorf("before all footage: %d", response.StatusCode)
	}
}
