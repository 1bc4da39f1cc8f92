package incident

import (
	"strings"
	"testing"
	"time"

	"understudy"
)

func TestAccount(t *testing.T) {
	at := func(s float64) time.Time { return noon.Add(time.Duration(s * float64(time.Second))) }
	span := func(holder understudy.ServerID, from, to float64) understudy.Span {
		return understudy.Span{Holder: holder, From: at(from), To: at(to)}
	}
	joined := func(s understudy.Span) understudy.Span { s.Joined = true; return s }
	gap := func(from, to float64, cause understudy.GapCause) understudy.Gap {
		return understudy.Gap{From: at(from), To: at(to), Milliseconds: int64((to - from) * 1000), Cause: cause}
	}
	for _, c := range []struct {
		name          string
		spans         []understudy.Span
		gaps          []understudy.Gap
		missing       []understudy.ServerID
		milliseconds  int64
		seams, proven int
		complete      bool
		sentence      string
	}{
		{"one gap, and a proven way back", []understudy.Span{span("rec1", 0, 10), span("fo1", 11, 20), joined(span("rec1", 20, 30))},
			[]understudy.Gap{gap(10, 11, understudy.GapTakeover)}, nil, 1000, 1, 1, false, "1000 ms missing: between the last frame"},
		{"nothing missing, all proven", []understudy.Span{span("rec1", 0, 10), joined(span("fo1", 10, 20)), joined(span("rec1", 20, 30))}, nil, nil, 0, 2, 2, true, "equal samples on both sides"},
		{"nothing missing, by the clocks", []understudy.Span{span("rec1", 0, 10), span("fo1", 10, 20)}, nil, nil, 0, 1, 0, true, "complete by time"},
		{"not asked for by the rule", []understudy.Span{span("rec1", 0, 10), span("rec1", 20, 30)}, []understudy.Gap{gap(10, 20, understudy.GapRule)}, nil, 0, 0, 0, true, "complete"},
		{"a camera that came late", []understudy.Span{span("rec1", 5, 30)}, []understudy.Gap{gap(0, 5, understudy.GapUnknown)}, nil, 0, 0, 0, true, "complete"},
		{"two causes", []understudy.Span{span("rec1", 0, 10), span("rec1", 14, 30)}, []understudy.Gap{gap(10, 12, understudy.GapCamera), gap(12, 14, understudy.GapServer)}, nil, 4000, 0, 0, false,
			"4000 ms missing: the camera was away; no server recorded"},
		{"a server that does not answer", []understudy.Span{span("rec1", 0, 10)}, nil, []understudy.ServerID{"fo1"}, 0, 0, 0, false, "cannot be said yet: fo1 did not answer; nothing is missing of what the others have"},
		{"nothing at all", nil, []understudy.Gap{gap(0, 30, understudy.GapServer)}, nil, 30000, 0, 0, false, "nothing is recorded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Account(understudy.Incident{ID: "rec1-1"}, understudy.Timeline{Camera: "a", From: at(0), To: at(30), Spans: c.spans, Gaps: c.gaps, Missing: c.missing})
			if a.Milliseconds != c.milliseconds || a.Seams != c.seams || a.Proven != c.proven || a.Complete != c.complete || !strings.Contains(a.Sentence, c.sentence) {
				t.Errorf("the account is %+v, want %+v", a, c)
			}
		})
	}
}

func TestSettled(t *testing.T) {
	var l teller
	l.take("rec1", "fo1", "a")
	l.back("rec1", "a")
	i := Derive(l.events)[0]
	site := understudy.Site{
		FailoverServers: []understudy.FailoverServer{{ID: "fo1"}, {ID: "fo2"}},
		Leases:          []understudy.Lease{{Camera: "a", Holder: "rec1", Epoch: 2}},
	}
	later := i.Back.Add(time.Second)
	state := func(change func(*understudy.State)) []understudy.ServerStatus {
		s := understudy.State{Server: "fo1", At: later}
		change(&s)
		return []understudy.ServerStatus{{Server: "fo1", Reachable: true, State: &s}}
	}
	for _, c := range []struct {
		name   string
		status []understudy.ServerStatus
		want   bool
	}{
		{"all is home", state(func(*understudy.State) {}), true},
		{"it was seen before the failback only", state(func(s *understudy.State) { s.At = i.Back.Add(-time.Second) }), false},
		{"it records on", state(func(s *understudy.State) { s.Cameras = []understudy.CameraState{{Camera: "a", Recording: true}} }), false},
		{"footage is left", state(func(s *understudy.State) {
			s.Transfers = []understudy.Transfer{{From: "fo1", To: "rec1", SegmentsLeft: 1}}
		}), false},
		{"footage of another home is left", state(func(s *understudy.State) {
			s.Transfers = []understudy.Transfer{{From: "fo1", To: "rec2", SegmentsLeft: 1}}
		}), true},
		{"nobody has seen it", nil, false},
	} {
		if got := Settled(i, site, c.status); got != c.want {
			t.Errorf("%s: settled is %v, want %v", c.name, got, c.want)
		}
	}
	if !Settled(i, understudy.Site{}, nil) {
		t.Error("a server that the site has no longer has nothing to send")
	}
	l.take("rec1", "fo1", "a")
	if Settled(Derive(l.events)[1], site, state(func(*understudy.State) {})) {
		t.Error("an incident that goes on is not settled")
	}
}
