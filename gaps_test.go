package understudy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func second(s float64) time.Time { return midnight.Add(time.Duration(s * float64(time.Second))) }

func span(holder ServerID, epoch uint64, from, to float64) Span {
	return Span{Holder: holder, At: holder, Epoch: epoch, From: second(from), To: second(to)}
}

func TestGapsAreExplained(t *testing.T) {
	note := func(by ServerID, cause GapCause, from, to float64) Note {
		return NewGapNote(by, "lobby", cause, second(from), second(to), string(cause)+" noted by "+string(by))
	}
	takeover := []Lease{{Holder: "a", Epoch: 1, Sentence: "first"}, {Holder: "b", Epoch: 2, Sentence: "a is dead"}, {Holder: "a", Epoch: 3, Sentence: "a is back"}}
	cases := []struct {
		name  string
		spans []Span
		notes []Note
		want  string // from-to cause/epoch
	}{
		{"a whole range", []Span{span("a", 1, 0, 100)}, nil, ""},
		{"nothing at all", nil, nil, "0-100 unknown/0"},
		{"a lost frame", []Span{span("a", 1, 0, 50), span("a", 1, 50.04, 100)}, nil, "50-50.04 camera/0"},
		{"nobody knows why", []Span{span("a", 1, 0, 50), span("a", 1, 55, 100)}, nil, "50-55 unknown/0"},
		{"the camera was away", []Span{span("a", 1, 0, 50), span("a", 1, 60, 100)}, []Note{note("a", GapCamera, 50.03, 59.99)}, "50-60 camera/0"},
		{"the camera is away", []Span{span("a", 1, 0, 50)}, []Note{note("a", GapCamera, 50.04, 50.04)}, "50-100 camera/0"},
		{"the camera was away, and nobody noted that it came back", []Span{span("a", 1, 0, 50), span("a", 1, 55, 80), span("a", 1, 85, 100)}, []Note{note("a", GapCamera, 50.04, 50.04)},
			"50-55 camera/0 80-85 unknown/0"},
		{"the range begins while the camera is away", []Span{span("a", 1, 5, 100)}, []Note{note("a", GapCamera, -60, -60)}, "0-5 camera/0"},
		{"a takeover", []Span{span("a", 1, 0, 50), span("b", 2, 50.9, 100)}, []Note{note("a", GapServer, 49.9, 120)}, "50-50.9 takeover/2"},
		{"a takeover whose footage began before the claim", []Span{span("a", 1, 0, 50), span("b", 1, 50.9, 100)}, nil, "50-50.9 takeover/2"},
		{"a failback with a gap", []Span{span("b", 2, 0, 50), span("a", 3, 51, 100)}, nil, "50-51 takeover/3"},
		{"nobody stood in", []Span{span("a", 1, 0, 50), span("a", 1, 80, 100)}, []Note{note("a", GapServer, 50, 80)}, "50-80 server/1"},
		{"first the camera, then the server", []Span{span("a", 1, 0, 50), span("a", 1, 80, 100)},
			[]Note{note("a", GapServer, 50, 80), note("a", GapCamera, 50, 60)}, "50-60 camera/0 60-80 server/1"},
		{"the camera was away when the server died", []Span{span("a", 1, 0, 50), span("b", 2, 70, 100)}, []Note{note("a", GapCamera, 50, 60)}, "50-60 camera/0 60-70 takeover/2"},
		{"retention lags behind", []Span{span("a", 1, 90, 100)}, []Note{{Kind: NoteGap, Cause: GapRetention, From: second(10), To: second(60)}}, "0-10 unknown/0 10-90 retention/0"},
		{"a disk that was slow", []Span{span("a", 1, 0, 50), span("a", 1, 54, 100)}, []Note{note("a", GapDisk, 50.5, 53)}, "50-54 disk/0"},
		{"events are no gaps", []Span{span("a", 1, 0, 50), span("a", 1, 55, 100)}, []Note{{Kind: NoteEvent, From: second(50), To: second(55), Cause: GapDisk}}, "50-55 unknown/0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, g := range ExplainGaps(c.spans, c.notes, takeover, second(0), second(100)) {
				got = append(got, fmt.Sprintf("%v-%v %s/%d", g.From.Sub(midnight).Seconds(), g.To.Sub(midnight).Seconds(), g.Cause, g.Epoch))
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

// The sentence of a takeover is the lease's, else that of a note of who took
// over, else one that says what is seen.
func TestATakeoverIsToldInASentence(t *testing.T) {
	spans := []Span{span("a", 1, 0, 50), span("b", 2, 50.9, 100)}
	told := NewGapNote("b", "lobby", GapTakeover, second(50.5), second(50.9), "told by b")
	for want, g := range map[string][]Gap{
		"by the lease":     ExplainGaps(spans, []Note{told}, []Lease{{Holder: "b", Epoch: 2, Sentence: "by the lease"}}, second(0), second(100)),
		"told by b":        ExplainGaps(spans, []Note{told}, nil, second(0), second(100)),
		"900 ms after the": ExplainGaps(spans, nil, nil, second(0), second(100)),
	} {
		if len(g) != 1 || !strings.Contains(g[0].Sentence, want) || g[0].Milliseconds != 900 {
			t.Errorf("%s: %+v", want, g)
		}
	}
}

// Whatever is noted: the gaps are exactly what the spans leave, each part has one
// cause that somebody told or that follows from the holders, and the order of notes is nothing.
func TestGapsTileTheHoles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var spans []Span
		for at := 0; at < 1000; {
			at += rapid.IntRange(0, 80).Draw(t, "hole")
			end := at + rapid.IntRange(1, 200).Draw(t, "length")
			spans = append(spans, span(rapid.SampledFrom([]ServerID{"a", "b"}).Draw(t, "holder"), uint64(rapid.IntRange(1, 4).Draw(t, "epoch")), float64(at), float64(min(end, 1000))))
			at = end
		}
		var notes []Note
		for range rapid.IntRange(0, 8).Draw(t, "notes") {
			from := rapid.IntRange(0, 1000).Draw(t, "from")
			cause := rapid.SampledFrom([]GapCause{GapCamera, GapServer, GapDisk, GapRule, GapRetention, GapDamage, GapTakeover}).Draw(t, "cause")
			notes = append(notes, NewGapNote("a", "lobby", cause, second(float64(from)), second(float64(from+rapid.IntRange(0, 300).Draw(t, "for"))), string(cause)))
		}
		from, to := second(0), second(1000)
		gaps := ExplainGaps(spans, notes, nil, from, to)
		at := from
		all := slices.Clone(spans)
		for _, g := range gaps {
			all = append(all, Span{From: g.From, To: g.To})
			if !g.To.After(g.From) || g.Milliseconds != g.To.Sub(g.From).Milliseconds() {
				t.Fatalf("a gap of nothing: %+v", g)
			}
			told := slices.ContainsFunc(notes, func(n Note) bool { return n.Cause == g.Cause })
			if !told && g.Cause != GapUnknown && g.Cause != GapTakeover && g.Cause != GapCamera {
				t.Fatalf("nobody told of %+v", g)
			}
		}
		slices.SortFunc(all, func(a, b Span) int { return a.From.Compare(b.From) })
		for _, s := range all {
			if !s.From.Equal(at) {
				t.Fatalf("at %s comes %s: %+v", at, s.From, all)
			}
			at = s.To
		}
		if !at.Equal(to) {
			t.Fatalf("ends at %s", at)
		}
		if again := ExplainGaps(spans, rapid.Permutation(notes).Draw(t, "order"), nil, from, to); !slices.Equal(gaps, again) {
			t.Fatalf("in another order\n%+v\n%+v", gaps, again)
		}
	})
}

func TestHolesAreSeenToTheSample(t *testing.T) {
	marks := func() []SampleMark { return scene{gop: 50}.record([]take{{"a", 1, 0, 100}}, 1000, nil)[0].Marks }
	at := func(k int) time.Time { return midnight.Add(time.Duration(k) * frame) }
	whole, lost, silent, end := marks(), marks(), marks(), marks()
	lost = slices.Delete(lost, 33, 34)
	lost[32].Duration = 2 * frame // as it is stored
	silent = slices.Delete(silent, 60, 80)
	end[99].Duration = 3 * frame
	uneven := marks()
	for i := range uneven {
		uneven[i].Duration = time.Duration(20+i*37%60) * time.Millisecond
	}
	for i := 1; i < len(uneven); i++ {
		uneven[i].At = uneven[i-1].At.Add(uneven[i-1].Duration)
	}
	for name, c := range map[string]struct {
		marks []SampleMark
		want  []Hole
	}{
		"whole":             {whole, nil},
		"a lost frame":      {lost, []Hole{{at(33), at(34)}}},
		"nothing came":      {silent, []Hole{{at(60), at(80)}}},
		"lost at the end":   {end, []Hole{{at(100), at(102)}}},
		"no steady camera":  {uneven, nil},
		"two frames a day":  {[]SampleMark{{At: at(0), Duration: 12 * time.Hour}, {At: at(0).Add(12 * time.Hour), Duration: 13 * time.Hour}}, nil},
		"nothing":           {nil, nil},
		"one frame that is": {whole[:1], nil},
	} {
		if got := HolesIn(c.marks); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
