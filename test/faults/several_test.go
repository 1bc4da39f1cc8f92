package faults_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"understudy"
	"understudy/internal/site"
)

// Two recording servers die at once onto one failover server, which is the hot
// standby of one and the cold one of the other.
func TestTwoServersFailOntoOne(t *testing.T) {
	b := up(t, site.Layout{
		Recording: []understudy.RecordingServer{{ID: "rec1", HotStandby: "fo1", Merge: soon}, {ID: "rec2", PrimaryGroup: "spares", Merge: soon}},
		Failover:  []understudy.FailoverServer{{ID: "fo1"}},
		Groups:    []understudy.FailoverGroup{{ID: "spares", Members: []understudy.ServerID{"fo1"}}},
		Cameras:   []understudy.Camera{{ID: "north", Home: "rec1"}, {ID: "east", Home: "rec2"}},
	}, nil)
	b.do(site.FaultKill, "rec1")
	b.do(site.FaultKill, "rec2")
	b.holds(5*time.Second, "fo1", 2)
	b.recordsNow(6*time.Second, "fo1", "north")
	b.recordsNow(6*time.Second, "fo1", "east")
	b.do(site.CureStart, "rec2")
	b.holds(20*time.Second, "rec2", 1)
	b.recordsNow(6*time.Second, "fo1", "north")
	b.do(site.CureStart, "rec1")
	b.holds(20*time.Second, "rec1", 1)
	b.emptied(30*time.Second, "fo1")
	for _, c := range b.Layout.Cameras {
		if holes := b.account(c.ID); len(holes) != 1 || holes[0].before.Sub(holes[0].after) > 6*time.Second {
			t.Errorf("%s: want the one hole of the takeover, found %v", c.ID, holes)
		}
	}
	if t.Failed() {
		t.Log(b.story())
	}
}

// A failover server that dies while it stands in is itself replaced by the next
// one of its group, and what it recorded goes home when it is back.
func TestTheStandbyDiesToo(t *testing.T) {
	b := up(t, site.Layout{
		Recording: []understudy.RecordingServer{{ID: "rec1", PrimaryGroup: "spares", Merge: soon}},
		Failover:  []understudy.FailoverServer{{ID: "fo1"}, {ID: "fo2"}},
		Groups:    []understudy.FailoverGroup{{ID: "spares", Members: []understudy.ServerID{"fo1", "fo2"}}},
		Cameras:   []understudy.Camera{{ID: "north", Home: "rec1"}},
	}, nil)
	b.do(site.FaultKill, "rec1")
	b.holds(5*time.Second, "fo1", 1)
	b.recordsNow(6*time.Second, "fo1", "north")
	b.do(site.FaultKill, "fo1")
	b.holds(10*time.Second, "fo2", 1)
	b.recordsNow(6*time.Second, "fo2", "north")
	b.do(site.CureStart, "rec1")
	b.holds(20*time.Second, "rec1", 1)
	b.emptied(30*time.Second, "fo2")
	b.do(site.CureStart, "fo1")
	b.emptied(30*time.Second, "fo1")
	if holes := b.account("north"); len(holes) != 2 {
		t.Errorf("want the two holes of the two takeovers, found %v", holes)
	}
	// It is one incident, with a tenure of each.
	north := b.told(30*time.Second, "north").Cameras[0]
	if !slices.Equal(tenures(north), []understudy.ServerID{"fo1", "fo2"}) || !north.Tenures[0].Until.Equal(north.Tenures[1].Since) ||
		north.Tenures[0].Durable.IsZero() || north.Tenures[1].Durable.IsZero() {
		t.Errorf("the incident tells of %+v", north.Tenures)
	}
	if t.Failed() {
		t.Log(b.story())
	}
}

// A camera of which a standby shows live video only is not recorded there, and
// one that is not supported is not even opened.
func TestLiveOnlyAndNone(t *testing.T) {
	l := hot("full", "live", "none")
	l.Cameras[1].Failover, l.Cameras[2].Failover = understudy.SupportLive, understudy.SupportNone
	b := up(t, l, nil)
	live, none := b.watch("live"), b.watch("none")
	b.sees(10*time.Second, live, "rec1")
	b.sees(10*time.Second, none, "rec1")
	b.do(site.FaultKill, "rec1")
	b.recordsNow(6*time.Second, "fo1", "full")
	b.sees(6*time.Second, live, "fo1")
	time.Sleep(3 * time.Second)
	for _, c := range []understudy.CameraID{"live", "none"} {
		if length := b.recorded(t.Context(), "fo1", c); length != 0 {
			t.Errorf("%s of %s was recorded on fo1", length, c)
		}
	}
	now, err := b.Client.Site(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l, _ := now.Lease("none"); l.Holder != "rec1" {
		t.Errorf("the camera without failover moved to %s", l.Holder)
	}
	b.do(site.CureStart, "rec1")
	b.holds(20*time.Second, "rec1", 3)
	b.emptied(20*time.Second, "fo1")
	b.sees(5*time.Second, live, "rec1")
	b.sees(5*time.Second, none, "rec1")
	b.within(10*time.Second, "fo1 to leave the cameras", func(ctx context.Context) bool {
		list, err := b.Client.Status(ctx)
		for _, s := range list {
			if s.Server == "fo1" && s.State != nil {
				return err == nil && len(s.State.Cameras) == 0
			}
		}
		return false
	})
}
