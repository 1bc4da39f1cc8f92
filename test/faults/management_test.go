package faults_test

import (
	"testing"
	"time"

	"understudy/internal/site"
)

// The management server may be dead when a recording server dies: the hot
// standby records all the same, people go on seeing, and what was decided
// without it is reconciled when it is back. Nothing is lost but the takeover's
// gap, nothing is there twice, and nothing is left behind.
func TestManagementIsDeadDuringATakeover(t *testing.T) {
	b := up(t, "127.92.1.", hot("north", "south"), nil)
	v := b.watch("north")
	b.sees(10*time.Second, v, "rec1")
	b.do(site.FaultKill, site.Management)
	b.sees(2*time.Second, v, "rec1")
	b.do(site.FaultKill, "rec1")
	b.recordsNow(8*time.Second, "fo1", "north")
	b.sees(8*time.Second, v, "fo1")
	b.do(site.CureStart, site.Management)
	b.holds(15*time.Second, "fo1", 2)
	b.sees(2*time.Second, v, "fo1")
	b.do(site.CureStart, "rec1")
	b.holds(20*time.Second, "rec1", 2)
	b.emptied(30*time.Second, "fo1")
	b.sees(10*time.Second, v, "rec1")
	for _, c := range b.Layout.Cameras {
		if holes := b.account(c.ID); len(holes) != 1 || holes[0].before.Sub(holes[0].after) > 5*time.Second {
			t.Errorf("%s: want the one hole of the takeover, found %v", c.ID, holes)
		}
	}
	if t.Failed() {
		t.Log(b.story())
	}
}

// The management server is killed while the failover server asks it, or just
// before or after it has answered: whatever became of the claim, the cameras are
// recorded, and the leases agree with that when it is back.
func TestManagementDiesDuringATakeover(t *testing.T) {
	b := up(t, "127.92.10.", hot("north", "south"), nil)
	v := b.watch("north")
	for _, after := range []time.Duration{100, 300, 420, 700} {
		b.sees(15*time.Second, v, "rec1")
		b.do(site.FaultKill, "rec1")
		time.Sleep(after * time.Millisecond)
		b.do(site.FaultKill, site.Management)
		b.recordsNow(8*time.Second, "fo1", "south")
		b.sees(8*time.Second, v, "fo1")
		b.do(site.CureStart, "rec1") // before anybody could tell it what has happened
		b.recordsNow(6*time.Second, "rec1", "south")
		b.do(site.CureStart, site.Management)
		b.holds(25*time.Second, "rec1", 2)
		b.emptied(30*time.Second, "fo1")
	}
	for _, c := range b.Layout.Cameras {
		if holes := b.account(c.ID); len(holes) != 4 {
			t.Errorf("%s: want the holes of four takeovers, found %v", c.ID, holes)
		}
	}
	if t.Failed() {
		t.Log(b.story())
	}
}

// A recording server that hangs while the management server is dead is stood in
// for, and wakes up into a site that has gone on.
func TestHangsWhileManagementIsDead(t *testing.T) {
	b := up(t, "127.92.11.", hot("north"), nil)
	b.do(site.FaultKill, site.Management)
	b.do(site.FaultHang, "rec1")
	b.recordsNow(10*time.Second, "fo1", "north")
	b.do(site.CureResume, "rec1")
	b.recordsNow(8*time.Second, "rec1", "north")
	b.do(site.CureStart, site.Management)
	time.Sleep(3 * time.Second)
	b.holds(25*time.Second, "rec1", 1)
	b.emptied(30*time.Second, "fo1")
	if holes := b.account("north"); len(holes) > 1 {
		t.Errorf("want at most the hole of the takeover, found %v", holes)
	}
	if t.Failed() {
		t.Log(b.story())
	}
}
