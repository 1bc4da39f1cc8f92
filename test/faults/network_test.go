package faults_test

import (
	"context"
	"net"
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
	b := up(t, hot("north", "south"), nil)
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

// refusals is how long a server must refuse connections before it is held to be
// dead: that is three of them, 70 ms apart.
const refusals = 140 * time.Millisecond

// A failover server that stood still blames nobody for it, and a recording
// server that is back within a moment keeps its cameras.
func TestNobodyIsStoodInForWithoutNeed(t *testing.T) {
	b := up(t, hot("north"), nil)
	for _, length := range []time.Duration{time.Second, 4 * time.Second, 300 * time.Millisecond, 2 * time.Second} {
		b.do(site.FaultHang, "fo1")
		time.Sleep(length)
		b.do(site.CureResume, "fo1")
		time.Sleep(time.Second)
	}
	if n := b.takeovers(); n > 0 {
		t.Errorf("%d takeovers while rec1 was well; %s", n, b.story())
	}
	// How fast a process starts is the machine's affair: one that takes longer is rightly stood in for.
	long := 0
	for range 2 { // home takes its part back by itself as often
		if away := b.restart("rec1", b.Layout.Recording[0].Addresses.State); away > refusals {
			t.Logf("rec1 was away for up to %s", away)
			long++
		}
		b.recordsNow(8*time.Second, "rec1", "north")
		b.within(30*time.Second, "fo1 to leave the camera", func(ctx context.Context) bool {
			now, err := b.Client.Site(ctx)
			_, serves := b.state(ctx, "fo1", "north")
			return err == nil && len(now.Holders()["rec1"]) == 1 && !serves
		})
	}
	if n := b.takeovers(); n > long {
		t.Errorf("%d takeovers, and rec1 was away for longer than %s %d times; %s", n, refusals, long, b.story())
	}
	for _, h := range b.account("north") {
		if length := h.before.Sub(h.after); length > 4*time.Second {
			t.Errorf("a restart cost %s", length)
		}
	}
	if t.Failed() {
		t.Log(b.story())
	}
}

// restart kills a server and starts it again, and returns how long at most nobody
// was at its address.
func (b *broken) restart(server, address string) time.Duration {
	b.Helper()
	begun := time.Now()
	b.do(site.FaultKill, server)
	b.do(site.CureStart, server)
	b.within(20*time.Second, server+" to listen again", func(ctx context.Context) bool {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return time.Since(begun)
}

// takeovers counts what is told of them.
func (b *broken) takeovers() int {
	b.Helper()
	events, err := b.Client.Events(b.Context(), understudy.EventQuery{Kind: understudy.EventTakeover, Limit: 100})
	if err != nil {
		b.Fatal(err)
	}
	return len(events)
}
