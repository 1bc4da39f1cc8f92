package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
)

// Servers and failover groups keep what is not given, whichever command changes them.
func TestServersKeepWhatIsNotGiven(t *testing.T) {
	m := signedInAt(t, "")
	m.joined(t, []understudy.ServerID{"rec1"}, []understudy.ServerID{"fo1", "fo2"})

	does(t, "", "group", "add", "spares", "fo1", "fo2", "--name", "All spares")
	spares := understudy.FailoverGroup{ID: "spares", Name: "All spares", Members: []understudy.ServerID{"fo2", "fo1"}}
	same(t, "members of a failover group", read[understudy.FailoverGroup](t, "", "group", "put", "spares", "fo2", "fo1"), spares)
	spares.Name = "Spares"
	same(t, "the name of a failover group", read[understudy.FailoverGroup](t, "", "group", "edit", "spares", "--name", "Spares"), spares)
	same(t, "failover groups", read[[]understudy.FailoverGroup](t, "", "group", "list"), []understudy.FailoverGroup{spares})
	if s := said(t, "", "group", "put", "spares"); !strings.Contains(s, "--name") {
		t.Errorf("nothing is said of a failover group: %q", s)
	}

	rec1 := read[understudy.RecordingServer](t, "", "server", "edit", "rec1", "--name", "Hall A", "--hot", "fo1", "--primary", "spares")
	rec1.Failback = understudy.FailbackPolicy{Mode: "window", Windows: "sun 02:00-04:00", Zone: "Europe/Berlin"}
	same(t, "failback", read[understudy.RecordingServer](t, "", "server", "failback", "rec1", "--mode", "window", "--windows", "sun 02:00-04:00", "--zone", "Europe/Berlin"), rec1)
	rec1.Failback.Windows = "mon 02:00-04:00"
	same(t, "windows of failback", read[understudy.RecordingServer](t, "", "server", "failback", "rec1", "--windows", "mon 02:00-04:00"), rec1)
	rec1.Failback.Zone = "Europe/Vienna"
	same(t, "the time zone of failback", read[understudy.RecordingServer](t, "", "server", "failback", "rec1", "--zone", "Europe/Vienna"), rec1)
	rec1.Merge = understudy.MergePolicy{BytesPerSecond: 50e6}
	same(t, "rate of merge", read[understudy.RecordingServer](t, "", "server", "merge", "rec1", "--rate", "50MB/s"), rec1)
	rec1.Merge.Grace = 30 * time.Second
	same(t, "grace of merge", read[understudy.RecordingServer](t, "", "server", "merge", "rec1", "--grace", "30s"), rec1)
	rec1.HotStandby, rec1.MirrorStandby = "", "fo1"
	same(t, "standby", read[understudy.RecordingServer](t, "", "server", "standby", "rec1", "--mirror", "fo1", "--hot", ""), rec1)
	rec1.Addresses.Media = "10.0.0.11:7563"
	same(t, "an address", read[understudy.RecordingServer](t, "", "server", "edit", "rec1", "--media-address", "10.0.0.11:7563"), rec1)
	rec1.Failback = understudy.FailbackPolicy{Mode: "manual"}
	same(t, "failback that has no windows", read[understudy.RecordingServer](t, "", "server", "failback", "rec1", "--mode", "manual"), rec1)

	fo1 := read[understudy.FailoverServer](t, "", "server", "edit", "fo1", "--cameras", "100", "--name", "Spare")
	fo1.Capacity.BitRate = 400e6
	same(t, "capacity", read[understudy.FailoverServer](t, "", "server", "capacity", "fo1", "--mbit", "400"), fo1)
	if s := said(t, "", "server", "edit", "fo1", "--mirror", "fo2"); !strings.Contains(s, "--mirror is of a recording server") {
		t.Errorf("a failover server has no mirror: %q", s)
	}
	if s := said(t, "", "server", "edit", "rec1", "--mbit", "1"); !strings.Contains(s, "--mbit is of a failover server") {
		t.Errorf("a recording server has no capacity: %q", s)
	}
	servers := read[[]listedServer](t, "", "server", "list")
	if len(servers) != 3 || servers[0].ID != "rec1" || servers[0].Addresses != rec1.Addresses || servers[0].Name != "Hall A" || servers[1].Role != understudy.RoleFailover {
		t.Errorf("server list: %+v", servers)
	}
	for _, s := range servers {
		if !slices.Equal(s.Groups, []understudy.GroupID{"spares"}) || s.Answers || s.Sentence == "" {
			t.Errorf("server list: %+v", s)
		}
	}
	if out := does(t, "", "server", "list"); !strings.Contains(out, "10.0.0.11:7563") || !strings.Contains(out, "no ") {
		t.Errorf("server list:\n%s", out)
	}
}
