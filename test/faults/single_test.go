package faults_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
)

// A camera that allows one session goes home after a takeover, is handed over on
// order and comes back: who has the session gives it up when the lease has moved,
// so each move costs a moment, and no more.
func TestACameraOfOneSessionMoves(t *testing.T) {
	const (
		single = understudy.CameraID("single")
		expiry = 4 * time.Second
		gop    = 2 * time.Second
		most   = 4 * time.Second // of a planned switch: two rounds of polls, and the wait for a key frame
	)
	b := up(t, hot("good"), nil)
	url, _ := testCamera(t, b.network+"101:8554", "--max-sessions", "1", "--session-expiry", expiry.String())
	if _, err := b.Client.PutCamera(t.Context(), understudy.Camera{ID: single, Home: "rec1", URL: url, Sessions: 1}, nil); err != nil {
		t.Fatal(err)
	}
	b.recordsNow(8*time.Second, "rec1", single)
	b.from = time.Now()
	b.do("kill", "rec1")
	b.recordsNow(expiry+gop+4*time.Second, "fo1", single)
	back := time.Now()
	b.do("start", "rec1")
	b.holds(30*time.Second, "rec1", 2)
	b.recordsNow(2*gop+2*time.Second, "rec1", single)

	if _, err := b.Client.HandOver(t.Context(), "rec1", understudy.HandOver{To: "fo1"}); err != nil {
		t.Fatal(err)
	}
	b.holds(20*time.Second, "fo1", 2)
	b.recordsNow(2*gop+2*time.Second, "fo1", single)
	if _, err := b.Client.FailBack(t.Context(), "rec1"); err != nil {
		t.Fatal(err)
	}
	b.holds(20*time.Second, "rec1", 2)
	b.recordsNow(2*gop+2*time.Second, "rec1", single)
	b.emptied(time.Minute, "fo1")
	// What the moves have cut and joined plays; the last one is being written.
	files := slices.DeleteFunc(b.files("rec1"), func(file string) bool { return !strings.Contains(file, "/"+string(single)+"/") })
	for _, file := range files[:len(files)-1] {
		b.silent("ffprobe", "-v", "error", file)
		b.silent("ffmpeg", "-v", "error", "-i", file, "-f", "null", "-")
	}
	for _, h := range b.account(single) {
		if gap := h.before.Sub(h.after); h.after.After(back) && gap > most {
			t.Errorf("a switch cost %d frames, %s", h.frames, gap)
		}
	}
	t.Log(b.story())
}
