package faults_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/site"
)

// cut drops every packet to an address, until the returned function mends it.
func cut(t *testing.T, host string) (mend func()) {
	t.Helper()
	rule := []string{"INPUT", "-d", host, "-j", "DROP"}
	if out, err := exec.Command("iptables", append([]string{"-I"}, rule...)...).CombinedOutput(); err != nil {
		t.Skipf("packets cannot be dropped here (is iptables there, are you root?): %s", out)
	}
	done := false
	mend = func() {
		if !done {
			done = true
			if out, err := exec.Command("iptables", append([]string{"-D"}, rule...)...).CombinedOutput(); err != nil {
				t.Errorf("the network could not be mended: %s", out)
			}
		}
	}
	t.Cleanup(mend)
	return mend
}

// A recording server that nobody can reach any more, and that still has its
// cameras, goes on recording; so does its standby. In the end the two agree on
// one timeline: nothing of it is lost, nothing is there twice.
func TestRecordingServerIsCutOff(t *testing.T) {
	b := up(t, "127.92.12.", hot("north", "south"), nil)
	v := b.watch("north")
	b.sees(10*time.Second, v, "rec1")
	host, _, _ := strings.Cut(b.Layout.Recording[0].Addresses.Media, ":")
	mend := cut(t, host)
	b.holds(10*time.Second, "fo1", 2)
	b.recordsNow(8*time.Second, "fo1", "north")
	b.sees(10*time.Second, v, "fo1")
	time.Sleep(5 * time.Second)
	mend()
	b.holds(30*time.Second, "rec1", 2)
	b.emptied(40*time.Second, "fo1")
	for _, c := range b.Layout.Cameras {
		if holes := b.account(c.ID); len(holes) != 0 {
			t.Errorf("%s: rec1 recorded all the time, and %v are missing", c.ID, holes)
		}
	}
	if t.Failed() {
		t.Log(b.story())
	}
}

// A failover server that stood still blames nobody for it, and a recording
// server that is back within a moment keeps its cameras.
func TestNobodyIsStoodInForWithoutNeed(t *testing.T) {
	b := up(t, "127.92.13.", hot("north"), nil)
	for _, length := range []time.Duration{time.Second, 4 * time.Second, 300 * time.Millisecond, 2 * time.Second} {
		b.do(site.FaultHang, "fo1")
		time.Sleep(length)
		b.do(site.CureResume, "fo1")
		time.Sleep(time.Second)
	}
	for range 3 {
		b.do(site.FaultKill, "rec1")
		b.do(site.CureStart, "rec1")
		b.recordsNow(8*time.Second, "rec1", "north")
	}
	events, err := b.Client.Events(t.Context(), understudy.EventQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == understudy.EventTakeover {
			t.Errorf("%s", e.Sentence)
		}
	}
	b.within(5*time.Second, "fo1 to leave the camera", func(ctx context.Context) bool {
		_, ok := b.state(ctx, "fo1", "north")
		return !ok
	})
	for _, h := range b.account("north") {
		if length := h.before.Sub(h.after); length > 4*time.Second {
			t.Errorf("a restart cost %s", length)
		}
	}
	if t.Failed() {
		t.Log(b.story())
	}
}
