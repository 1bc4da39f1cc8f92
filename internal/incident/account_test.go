package incident

import (
	"fmt"
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

// Where the second stream stood in nothing is missing, and it is told.
func TestAccountOfASecondStream(t *testing.T) {
	stood := understudy.NewStandInNote("fo1", "a", noon.Add(11*time.Second), noon.Add(71*time.Second+500*time.Millisecond), "fo1 recorded its second one")
	a := Account(understudy.Incident{ID: "rec1-1"}, understudy.Timeline{Camera: "a", From: noon, To: noon.Add(90 * time.Second),
		Spans: []understudy.Span{{Holder: "fo1", From: noon, To: noon.Add(90 * time.Second)}},
		Notes: []understudy.Note{stood, {Kind: understudy.NoteEvent, From: noon, To: noon, Name: "door"}}})
	if want := "complete: one server recorded all of it; in less than full quality from 12:00:11.0 to 12:01:11.5 UTC: fo1 recorded its second one"; !a.Complete || a.Sentence != want {
		t.Errorf("%t: %q, want %q", a.Complete, a.Sentence, want)
	}
	if len(a.StandIns) != 1 || a.StandIns[0].ID != stood.ID {
		t.Errorf("it stood in: %+v", a.StandIns)
	}
}

// Home was taken over twice, and said each time how far it had the camera. What
// it lacks before that it has lost since, also where that begins before the range.
func TestAccountOfWhatHomeLostSince(t *testing.T) {
	at := func(s float64) time.Time { return noon.Add(time.Duration(s * float64(time.Second))) }
	span := func(holder understudy.ServerID, from, to float64) understudy.Span {
		return understudy.Span{Holder: holder, From: at(from), To: at(to)}
	}
	i := understudy.Incident{ID: "rec1-1", Home: "rec1", Cameras: []understudy.IncidentCamera{{Camera: "a", Tenures: []understudy.Tenure{
		{Server: "fo1", Since: at(11), Until: at(20), Promised: at(10)}, {Server: "fo1", Since: at(31), Promised: at(30)}}}}}
	for _, c := range []struct {
		name       string
		spans      []understudy.Span
		want       string // cause and milliseconds of the gaps
		reaches    bool
		incomplete bool
	}{
		{"all is there", []understudy.Span{span("rec1", 0, 10.5), span("fo1", 10.5, 20), span("rec1", 20, 30.5), span("fo1", 30.5, 40)}, "", false, false},
		{"what a takeover costs", []understudy.Span{span("rec1", 0, 10.5), span("fo1", 12, 20), span("rec1", 20, 30.5), span("fo1", 31.5, 40)},
			" takeover 1500 takeover 1000", false, true},
		{"lost before the first", []understudy.Span{span("rec1", 0, 4), span("fo1", 12, 20), span("rec1", 20, 30.5), span("fo1", 30.5, 40)},
			" damage 6000 takeover 2000", false, true},
		{"lost before the second", []understudy.Span{span("rec1", 0, 10.5), span("fo1", 12, 20), span("rec1", 20, 25), span("fo1", 30, 40)},
			" takeover 1500 damage 5000", false, true},
		{"lost from before the range on", []understudy.Span{span("fo1", 12, 20), span("rec1", 20, 40)}, " damage 10000 takeover 2000", true, true},
		{"a pause of the camera, before", []understudy.Span{span("rec1", 0, 4), span("rec1", 6, 10.5), span("fo1", 12, 40)}, " takeover 2000 takeover 1500", false, true},
		{"a gap of who stood in", []understudy.Span{span("rec1", 0, 10.5), span("fo1", 10.5, 20), span("fo1", 22, 40)}, " takeover 2000", false, true},
	} {
		line := understudy.Timeline{Camera: "a", From: at(0), To: at(40), Spans: c.spans}
		end := line.From
		for _, s := range c.spans {
			if s.From.After(end) {
				line.Gaps = append(line.Gaps, understudy.Gap{From: end, To: s.From, Milliseconds: s.From.Sub(end).Milliseconds(), Cause: understudy.GapTakeover})
			}
			end = s.To
		}
		a := Account(i, line)
		got, total := "", int64(0)
		for _, g := range a.Gaps {
			got += fmt.Sprintf(" %s %d", g.Cause, g.Milliseconds)
			total += g.Milliseconds
		}
		if got != c.want || a.Milliseconds != total || a.Complete == c.incomplete || reachesBack(i, line) != c.reaches {
			t.Errorf("%s: gaps%s, want%s; it reaches back: %t; the account is %+v", c.name, got, c.want, reachesBack(i, line), a)
		}
	}
}

func TestSettled(t *testing.T) {
	var l teller
	l.take("rec1", "fo1", "a")
	l.back("rec1", "a")
	i := Derive(l.events)[0]
	site := understudy.Site{
		FailoverServers: []understudy.FailoverServer{{ID: "fo1"}, {ID: "fo2"}},
		Leases:          understudy.Leases{{Camera: "a", Holder: "rec1", Epoch: 2}},
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
