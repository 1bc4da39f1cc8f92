package faults_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/site"
)

// The management server may be dead when a recording server dies: the hot
// standby records all the same, people go on seeing, and what was decided
// without it is reconciled when it is back. Nothing is lost but the takeover's
// gap, nothing is there twice, and nothing is left behind.
func TestManagementIsDeadDuringATakeover(t *testing.T) {
	b := up(t, hot("north", "south"), nil)
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
	// It was decided long before anybody could grant it, and is told from then on.
	for _, c := range b.told(30*time.Second, "north", "south").Cameras {
		if !slices.Equal(tenures(c), []understudy.ServerID{"fo1"}) {
			t.Errorf("the incident tells of %+v", c.Tenures)
		} else if h := c.Tenures[0]; h.Decided.IsZero() || !h.Durable.Before(h.Since) || h.Durable.Before(h.Decided) || h.Provisional {
			t.Errorf("%s was decided %s, durable %s, granted %s", c.Camera, h.Decided, h.Durable, h.Since)
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
	b := up(t, hot("north", "south"), nil)
	v := b.watch("north")
	// Before the decision, about the claim, and after it.
	for _, after := range []time.Duration{100, 300, 600} {
		b.sees(15*time.Second, v, "rec1")
		b.do(site.FaultKill, "rec1")
		time.Sleep(after * time.Millisecond)
		b.do(site.FaultKill, site.Management)
		b.recordsNow(8*time.Second, "fo1", "south")
		b.sees(8*time.Second, v, "fo1")
		b.do(site.CureStart, "rec1") // before anybody could tell it what has happened
		b.recordsNow(6*time.Second, "rec1", "south")
		b.do(site.CureStart, site.Management)
		b.goesHome(25*time.Second, "rec1", 2)
		b.emptied(30*time.Second, "fo1")
	}
	for _, c := range b.Layout.Cameras {
		if holes := b.account(c.ID); len(holes) != 3 {
			t.Errorf("%s: want the holes of three takeovers, found %v", c.ID, holes)
		}
	}
	if t.Failed() {
		t.Log(b.story())
	}
}

// goesHome waits until the one recording server holds all leases of its part again.
// It takes it back by itself twice within the hour; what is taken over after that
// goes home when an operator says so.
func (b *broken) goesHome(limit time.Duration, home understudy.ServerID, count int) {
	b.Helper()
	ordered := map[uint64]bool{} // by the lease's epoch: an order stands for what was taken over before it
	b.within(limit, string(home)+" to hold its part again", func(ctx context.Context) bool {
		now, err := b.Client.Site(ctx)
		if err != nil {
			return false
		}
		back, err := b.Client.Events(ctx, understudy.EventQuery{Kind: understudy.EventFailback, Limit: 100})
		if err != nil {
			return false
		}
		for _, l := range now.Leases {
			if l.Holder == home || len(back) < 2 || ordered[l.Epoch] {
				continue
			}
			if _, err := b.Client.FailBack(ctx, home); err != nil {
				return false
			}
			ordered[l.Epoch] = true
		}
		return len(now.Holders()[home]) == count
	})
}

// A recording server that hangs while the management server is dead is stood in
// for, and wakes up into a site that has gone on.
func TestHangsWhileManagementIsDead(t *testing.T) {
	b := up(t, hot("north"), nil)
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

// A takeover that is over before the management server is back moved no lease;
// it is told, counted and concluded all the same, also when the server that stood
// in was killed before there was somebody to tell.
func TestATakeoverThatEndedUntoldIsToldAfterwards(t *testing.T) {
	b := up(t, hot("north"), nil)
	b.do(site.FaultKill, site.Management)
	b.do(site.FaultHang, "rec1")
	b.recordsNow(10*time.Second, "fo1", "north")
	time.Sleep(3 * time.Second)
	b.do(site.CureResume, "rec1")
	b.recordsNow(8*time.Second, "rec1", "north")
	b.emptied(60*time.Second, "fo1")
	time.Sleep(2 * time.Second) // what waits to be told is kept each second
	b.do(site.FaultKill, "fo1")
	b.do(site.CureStart, "fo1")
	b.do(site.CureStart, site.Management)
	var told []understudy.Incident
	b.within(60*time.Second, "the incident to be over", func(ctx context.Context) bool {
		told, _ = b.Client.Incidents(ctx, 0)
		return len(told) > 0 && told[0].Phase == understudy.IncidentOver
	})
	if len(told) != 1 {
		t.Fatalf("want one incident, found %+v", told)
	}
	i, err := b.Client.Incident(t.Context(), told[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	north := i.Cameras[0]
	if i.Home != "rec1" || north.Camera != "north" || len(north.Tenures) != 1 || !north.Tenures[0].Provisional || north.Tenures[0].Server != "fo1" || north.Tenures[0].Durable.IsZero() {
		t.Errorf("the incident tells of %+v", i)
	}
	if a := north.Account; a == nil || a.Milliseconds > 5000 || len(a.Missing) > 0 {
		t.Errorf("it was counted so: %+v", a)
	}
	now, err := b.Client.Site(t.Context())
	if lease, _ := now.Lease("north"); err != nil || lease.Holder != "rec1" || lease.Epoch != 1 {
		t.Errorf("the lease moved: %+v, %v", lease, err)
	}
	if t.Failed() {
		t.Log(b.story())
	}
}

// The same in cold standby, with two failover servers of one group: the first
// records from its sealed bundle, the second sees that it does and stands back.
// When the first dies, too, the second takes over from its own bundle.
func TestManagementIsDeadDuringAColdTakeover(t *testing.T) {
	layout := hot("north")
	layout.Failover = append(layout.Failover, understudy.FailoverServer{ID: "fo2"})
	layout.Groups = []understudy.FailoverGroup{{ID: "spares", Members: []understudy.ServerID{"fo1", "fo2"}}}
	layout.Recording[0].HotStandby, layout.Recording[0].PrimaryGroup = "", "spares"
	b := up(t, layout, nil)
	v := b.watch("north")
	b.sees(10*time.Second, v, "rec1")
	b.do(site.FaultKill, site.Management)
	b.do(site.FaultKill, "rec1")
	b.recordsNow(8*time.Second, "fo1", "north")
	b.sees(8*time.Second, v, "fo1")
	time.Sleep(3 * time.Second) // the second would have begun
	if length := b.recorded(t.Context(), "fo2", "north"); length > 0 {
		t.Errorf("fo2 recorded %s beside fo1, which is asked before it", length)
	}
	b.do(site.FaultKill, "fo1")
	b.recordsNow(10*time.Second, "fo2", "north")
	b.sees(8*time.Second, v, "fo2")
	b.do(site.CureStart, site.Management)
	b.holds(15*time.Second, "fo2", 1)
	b.do(site.CureStart, "fo1")
	b.do(site.CureStart, "rec1")
	b.holds(25*time.Second, "rec1", 1)
	b.emptied(40*time.Second, "fo1")
	b.emptied(40*time.Second, "fo2")
	if holes := b.account("north"); len(holes) != 2 {
		t.Errorf("want the holes of two takeovers, found %v", holes)
	}
	if !strings.Contains(b.story(), "opened its sealed bundle of rec1") {
		t.Error("the log does not say that a bundle was opened")
	}
	if t.Failed() {
		t.Log(b.story())
	}
}

// The management server's database is put back from a copy that is older than a
// takeover: no epoch goes back, and the leases agree again with who records.
func TestManagementIsRestoredFromAnOldCopy(t *testing.T) {
	b := up(t, hot("north", "south"), nil)
	b.do(site.FaultKill, site.Management)
	copied := map[string][]byte{}
	files, err := filepath.Glob(filepath.Join(b.Folder(site.Management), "site.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no database was found: %v", err)
	}
	for _, file := range files {
		if copied[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	b.do(site.CureStart, site.Management)
	b.do(site.FaultKill, "rec1")
	b.holds(15*time.Second, "fo1", 2)
	before := b.epochs()

	b.do(site.FaultKill, site.Management)
	now, err := filepath.Glob(filepath.Join(b.Folder(site.Management), "site.db*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range now {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	for file, content := range copied {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.do(site.CureStart, site.Management)
	b.within(30*time.Second, "every lease to be at fo1 again, under a higher epoch", func(ctx context.Context) bool {
		site, err := b.Client.Site(ctx)
		if err != nil || len(site.Holders()["fo1"]) != 2 {
			return false
		}
		for _, l := range site.Leases {
			if l.Epoch <= before[l.Camera] {
				return false
			}
		}
		return true
	})
	b.recordsNow(5*time.Second, "fo1", "north")
	b.do(site.CureStart, "rec1")
	b.holds(25*time.Second, "rec1", 2)
	b.emptied(40*time.Second, "fo1")
	for _, c := range b.Layout.Cameras {
		if holes := b.account(c.ID); len(holes) != 1 {
			t.Errorf("%s: want the one hole of the takeover, found %v", c.ID, holes)
		}
	}
	if t.Failed() {
		t.Log(b.story())
	}
}

// epochs are those of all leases.
func (b *broken) epochs() map[understudy.CameraID]uint64 {
	b.Helper()
	now, err := b.Client.Site(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	epochs := map[understudy.CameraID]uint64{}
	for _, l := range now.Leases {
		epochs[l.Camera] = l.Epoch
	}
	return epochs
}
