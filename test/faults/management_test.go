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
