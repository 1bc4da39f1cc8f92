package understudy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const frame = 40 * time.Millisecond

var midnight = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// scene is what a camera sends: frame k is a key frame at multiples of gop and
// has the same bytes as frame k+period, if there is a period and both or neither
// is a key frame.
type scene struct{ gop, period int }

func (s scene) mark(k int, skew time.Duration) SampleMark {
	content := k
	if s.period > 0 {
		content %= s.period
	}
	sum := sha256.Sum256([]byte(fmt.Sprint(content, k%s.gop == 0)))
	return SampleMark{At: midnight.Add(time.Duration(k)*frame + skew), Duration: frame, Key: k%s.gop == 0, Hash: SampleHash(sum[:16])}
}

// loop is after how many frames the same bytes come again, key frames included.
func (s scene) loop() int {
	loop := s.period
	for loop%s.gop != 0 {
		loop += s.period
	}
	return loop
}

// take is frames first to last-1 of a scene, recorded by a holder in segments of some GOPs.
type take struct {
	holder      ServerID
	epoch       uint64
	first, last int
}

func (s scene) record(takes []take, gops int, skew map[ServerID]time.Duration) []Segment {
	var segments []Segment
	for _, t := range takes {
		for k := t.first; k < t.last; {
			segment := Segment{ID: SegmentID{"lobby", t.epoch, t.holder, uint64(len(segments) + 1)}, Closed: true}
			for first := k; k < t.last && (k == first || k%(s.gop*gops) != 0); k++ {
				segment.Marks = append(segment.Marks, s.mark(k, skew[t.holder]))
			}
			segment.Start = segment.Marks[0].At
			segment.End = segment.Marks[len(segment.Marks)-1].At.Add(frame)
			segments = append(segments, segment)
		}
	}
	return segments
}

// frames tells which frames of the scene pieces play: a sample's number follows
// from its capture time, the holder's skew being known here.
func frames(pieces []Piece, segments []Segment, skew map[ServerID]time.Duration) []int {
	var played []int
	for _, p := range pieces {
		i := slices.IndexFunc(segments, func(s Segment) bool { return s.ID == p.Segment && len(s.Marks) >= p.First+p.Count })
		for _, m := range segments[i].Marks[p.First : p.First+p.Count] {
			played = append(played, int(m.At.Add(-skew[p.Segment.Holder]).Sub(midnight)/frame))
		}
	}
	return played
}

func TestJoin(t *testing.T) {
	unique, still := scene{gop: 10}, scene{gop: 10, period: 10}
	cases := []struct {
		name  string
		scene scene
		takes []take
		skew  time.Duration // of b
		want  string        // holder and frames of each piece; + where it is joined by hash
	}{
		{"one holder", unique, []take{{"a", 1, 0, 100}}, 0, "a0-100"},
		{"a takeover with a gap", unique, []take{{"a", 1, 0, 43}, {"b", 2, 60, 100}}, 0, "a0-43 b60-100"},
		{"a takeover with an overlap is cut where home ends", unique, []take{{"a", 1, 0, 43}, {"b", 2, 30, 100}}, 3 * time.Millisecond, "a0-43 +b43-100"},
		{"home returns before the standby stops", unique,
			[]take{{"a", 1, 0, 43}, {"b", 2, 60, 175}, {"a", 3, 150, 200}}, -4 * time.Millisecond, "a0-43 b60-150 +a150-200"},
		{"home was there all the time", unique, []take{{"a", 1, 0, 200}, {"b", 2, 60, 175}}, 5 * time.Millisecond, "a0-200"},
		{"home comes later", unique, []take{{"b", 1, 0, 45}, {"a", 2, 40, 100}}, 5 * time.Millisecond, "b0-40 +a40-100"},
		{"clocks two seconds apart", unique, []take{{"a", 1, 0, 100}, {"b", 2, 80, 300}}, 2 * time.Second, "a0-100 +b100-300"},
		{"a still scene", still, []take{{"a", 1, 0, 43}, {"b", 2, 20, 175}, {"a", 3, 150, 200}}, 5 * time.Millisecond, "a0-43 +b43-150 +a150-200"},
		{"a still scene without an overlap", still, []take{{"a", 1, 0, 40}, {"b", 2, 40, 100}}, 5 * time.Millisecond, "a0-40 b40-100"},
		{"a loop with a gap, a loop later", scene{gop: 6, period: 40}, []take{{"a", 1, 3, 59}, {"b", 2, 63, 99}}, 5 * time.Millisecond, "a3-59 b66-99"},
		{"a loop, home returns", scene{gop: 6, period: 40},
			[]take{{"a", 1, 3, 59}, {"b", 2, 66, 108}, {"a", 3, 102, 348}}, -5 * time.Millisecond, "a3-59 b66-102 +a102-348"},
		{"a loop, clocks a second apart", scene{gop: 6, period: 40},
			[]take{{"a", 1, 0, 100}, {"b", 2, 60, 200}}, time.Second / 2, "a0-100 +b100-200"},
		{"a still scene with a gap", still, []take{{"a", 1, 0, 45}, {"b", 2, 50, 100}}, -5 * time.Millisecond, "a0-45 b50-100"},
		{"three holders", unique, []take{{"a", 1, 0, 30}, {"b", 2, 20, 60}, {"c", 3, 50, 100}}, 0, "a0-30 +b30-60 +c60-100"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			skew := map[ServerID]time.Duration{"b": c.skew}
			segments := c.scene.record(c.takes, 1000, skew)
			var got []string
			for _, p := range Join("a", segments) {
				f := frames([]Piece{p}, segments, skew)
				got = append(got, fmt.Sprintf("%s%s%d-%d", map[bool]string{true: "+"}[p.Joined], p.Segment.Holder, f[0], f[len(f)-1]+1))
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

// The first samples of a session are late, until the camera's clock is known: they
// are what their neighbours say they are, also where the scene repeats itself.
func TestJoinOfASessionThatBeganLate(t *testing.T) {
	for _, s := range []scene{{gop: 25}, {gop: 25, period: 150}} {
		skew := map[ServerID]time.Duration{"b": 3 * time.Millisecond}
		for _, late := range [][]time.Duration{{30, 15}, {35, 28, 8}, {43, 42, 22, 2}, {80, 70, 60, 50, 40, 30, 20, 10}} { // ms, of the first frames
			segments := s.record([]take{{"a", 1, 0, 200}, {"b", 2, 225, 400}, {"a", 3, 350, 600}}, 100, skew)
			marks := segments[2].Marks
			for n, by := range late {
				marks[n].At = marks[n].At.Add(by * time.Millisecond)
			}
			for n := range late {
				marks[n].Duration = marks[n+1].At.Sub(marks[n].At)
			}
			var got []string
			for _, p := range Join("a", segments) {
				got = append(got, fmt.Sprintf("%s%d+%d", p.Segment.Holder, p.First, p.Count))
			}
			if got, want := strings.Join(got, " "), "a0+200 b0+125 a0+250"; got != want {
				t.Errorf("%+v, frames %d ms late: got %s, want %s", s, late, got, want)
			}
		}
	}
}

// A camera that encodes each session anew has no equal hashes: the seam is at a
// key frame, and home's frames are all there.
func TestJoinWithoutEqualHashes(t *testing.T) {
	segments := scene{gop: 10}.record([]take{{"a", 1, 0, 43}, {"b", 2, 30, 100}}, 1000, nil)
	for i := range segments[1].Marks {
		segments[1].Marks[i].Hash[0] ^= 0xff
	}
	if got := frames(Join("a", segments), segments, nil); !slices.Equal(got, append(count(0, 43), count(50, 100)...)) {
		t.Errorf("played %v", got)
	}
}

// Packets that home lost inside a segment are there when another has them.
func TestJoinFillsLostFrames(t *testing.T) {
	segments := scene{gop: 10}.record([]take{{"a", 1, 0, 100}, {"b", 2, 0, 100}}, 1000, nil)
	home := &segments[0]
	home.Marks = slices.Delete(home.Marks, 33, 36)
	home.Marks[32].Duration = 4 * frame
	if got := frames(Join("a", segments), segments, nil); !slices.Equal(got, count(0, 100)) {
		t.Errorf("played %v", got)
	}
}

// A holder whose clock was set back hides no frames that only another has.
func TestJoinFillsAStepBackInTime(t *testing.T) {
	segments := scene{gop: 10}.record([]take{{"a", 1, 0, 40}, {"b", 2, 30, 60}, {"a", 3, 50, 100}}, 1000, nil)
	for i := range segments[2].Marks { // after a hang, a second too early
		segments[2].Marks[i].At = segments[2].Marks[i].At.Add(-time.Second)
	}
	segments[2].Start, segments[2].End = segments[2].Start.Add(-time.Second), segments[2].End.Add(-time.Second)
	var numbers []SampleHash
	for _, p := range Join("a", segments) {
		i := slices.IndexFunc(segments, func(s Segment) bool { return s.ID == p.Segment })
		for _, m := range segments[i].Marks[p.First : p.First+p.Count] {
			numbers = append(numbers, m.Hash)
		}
	}
	var want []SampleHash
	for k := range 100 {
		want = append(want, scene{gop: 10}.mark(k, 0).Hash)
	}
	if !slices.Equal(numbers, want) {
		t.Errorf("%d frames of %d", len(numbers), len(want))
	}
}

// Of two copies of a segment, one still being transferred, the longer counts.
func TestJoinTakesTheLongerCopy(t *testing.T) {
	segments := scene{gop: 10}.record([]take{{"b", 2, 0, 100}}, 1000, nil)
	short := segments[0]
	short.Marks = short.Marks[:40]
	if got := frames(Join("a", append([]Segment{short}, segments...)), segments, nil); !slices.Equal(got, count(0, 100)) {
		t.Errorf("played %v", got)
	}
}

func count(from, to int) []int {
	var n []int
	for k := from; k < to; k++ {
		n = append(n, k)
	}
	return n
}

// drawFootage draws a scene, who recorded what of it, and the frames that
// somebody recorded.
func drawFootage(t *rapid.T) (segments []Segment, skew map[ServerID]time.Duration, recorded []int) {
	s := scene{gop: rapid.IntRange(2, 12).Draw(t, "gop")}
	least := 1 // a period shows itself only to who records more of it than one
	if rapid.Bool().Draw(t, "repeats") {
		s.period = rapid.SampledFrom([]int{s.gop, 2 * s.gop, 3 * s.gop, 7, 20, 35}).Draw(t, "period")
		least = s.loop() + s.gop
	}
	skew = map[ServerID]time.Duration{}
	union := map[int]bool{}
	var takes []take
	for _, holder := range []ServerID{"a", "b", "c"} {
		skew[holder] = time.Duration(rapid.IntRange(-3, 3).Draw(t, "skew")) * time.Millisecond
		at := 0
		for n := rapid.IntRange(0, 3).Draw(t, "takes"); n > 0; n-- {
			first := at + s.gop*rapid.IntRange(0, 6).Draw(t, "pause")
			last := first + least + rapid.IntRange(0, 80).Draw(t, "length")
			takes = append(takes, take{holder, uint64(len(takes) + 1), first, last})
			at = (last + s.gop - 1) / s.gop * s.gop
			for k := first; k < last; k++ {
				union[k] = true
			}
		}
	}
	segments = s.record(takes, rapid.IntRange(1, 5).Draw(t, "gops"), skew)
	segments = rapid.Permutation(segments).Draw(t, "order")
	for k := range union {
		recorded = append(recorded, k)
	}
	slices.Sort(recorded)
	return segments, skew, recorded
}

func TestJoinProperties(t *testing.T) { rapid.Check(t, joinShowsAllOnce) }

func FuzzJoin(f *testing.F) { f.Fuzz(rapid.MakeFuzz(joinShowsAllOnce)) }

// joinShowsAllOnce: what somebody recorded is shown once, in pieces that can be decoded.
func joinShowsAllOnce(t *rapid.T) {
	segments, skew, recorded := drawFootage(t)
	pieces := Join("a", segments)
	if got := frames(pieces, segments, skew); !slices.Equal(got, recorded) {
		t.Fatalf("recorded %v\nplayed   %v\npieces %+v", recorded, got, pieces)
	}
	for i, p := range pieces {
		s := segments[slices.IndexFunc(segments, func(s Segment) bool { return s.ID == p.Segment })]
		switch {
		case p.From != s.Marks[p.First].At || p.To != s.Marks[p.First+p.Count-1].At.Add(frame):
			t.Fatalf("piece %d does not say when it is: %+v", i, p)
		case p.Joined:
		case s.Marks[p.First].Key:
		case i > 0 && pieces[i-1].Segment.Holder == p.Segment.Holder && pieces[i-1].First+pieces[i-1].Count == p.First:
		default:
			t.Fatalf("piece %d begins with a sample that cannot be decoded: %+v", i, p)
		}
	}
}

// archive is footage in memory.
type archive []Segment

func (a archive) Segments(_ context.Context, _ CameraID, from, to time.Time, _ bool) ([]Segment, error) {
	var touched []Segment
	for _, s := range a {
		if s.Start.Before(to) && s.End.After(from) {
			touched = append(touched, s)
		}
	}
	return touched, nil
}

func (a archive) OpenSegment(context.Context, SegmentID) (io.ReadSeekCloser, error) { return nil, nil }

// However it is read in steps, footage is what Join makes of the whole.
func TestFootageIsJoinInSteps(t *testing.T) {
	s := scene{gop: 50}
	minute := int(time.Minute / frame)
	skew := map[ServerID]time.Duration{"b": 7 * time.Millisecond}
	segments := s.record([]take{
		{"a", 1, 0, 12*minute + 77}, {"b", 2, 10 * minute, 31 * minute}, {"a", 3, 30 * minute, 33 * minute}, {"b", 4, 200 * minute, 205 * minute},
	}, 30, skew)
	play := func(from, to time.Time) []int {
		var pieces []Piece
		for r, err := range Footage(t.Context(), archive(segments), "a", "lobby", from, to) {
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Marks) != r.Count {
				t.Fatalf("%d marks of %d samples", len(r.Marks), r.Count)
			}
			pieces = append(pieces, r.Piece)
		}
		return frames(pieces, segments, skew)
	}
	whole := append(count(0, 33*minute), count(200*minute, 205*minute)...)
	if got := play(midnight.Add(-time.Hour), midnight.Add(24*time.Hour)); !slices.Equal(got, whole) {
		t.Errorf("%d frames of %d", len(got), len(whole))
	}
	at := func(k int) time.Time { return midnight.Add(time.Duration(k) * frame) }
	if got := play(at(120), at(180)); !slices.Equal(got, count(100, 180)) {
		t.Errorf("a range begins with the key frame before it and ends before its end; got %v", got)
	}
	if got := play(at(40*minute), at(50*minute)); len(got) != 0 {
		t.Errorf("nothing was recorded; got %v", got)
	}
}

// footageError is a server that fails after some answers.
type footageError struct {
	archive
	answers int
}

func (f *footageError) Segments(ctx context.Context, c CameraID, from, to time.Time, marks bool) ([]Segment, error) {
	if f.answers--; f.answers < 0 {
		return nil, Errorf(CodeUnavailable, "away")
	}
	return f.archive.Segments(ctx, c, from, to, marks)
}

func TestFootageEndsWithTheFirstError(t *testing.T) {
	segments := scene{gop: 50}.record([]take{{"a", 1, 0, int(20 * time.Minute / frame)}}, 30, nil)
	errs, runs := 0, 0
	for _, err := range Footage(t.Context(), &footageError{archive(segments), 3}, "a", "lobby", midnight, midnight.Add(time.Hour)) {
		if runs++; err != nil {
			errs++
		}
	}
	if errs != 1 || runs < 2 {
		t.Errorf("%d runs, %d errors", runs, errs)
	}
}

func TestGaps(t *testing.T) {
	at := func(s int) time.Time { return midnight.Add(time.Duration(s) * time.Second) }
	pieces := []Piece{{From: at(10), To: at(20)}, {From: at(20), To: at(30)}, {From: at(40), To: at(50)}}
	want := []Gap{newGap(at(0), at(10)), newGap(at(30), at(40)), newGap(at(50), at(60))}
	if got := Gaps(pieces, at(0), at(60), time.Second); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := Gaps(pieces, at(9), at(51), 10*time.Second); len(got) != 0 {
		t.Errorf("within the tolerance there are none; got %v", got)
	}
}

// A day of two holders, both recording all of it but for two holes each.
func BenchmarkJoinOfADay(b *testing.B) {
	s, hour := scene{gop: 50}, int(time.Hour/frame)
	segments := s.record([]take{
		{"a", 1, 0, 8*hour + 1}, {"a", 3, 9 * hour, 24 * hour}, {"b", 2, hour, 12*hour + 3}, {"b", 4, 13 * hour, 23 * hour},
	}, 30, map[ServerID]time.Duration{"b": 3 * time.Millisecond})
	for b.Loop() {
		Join("a", segments)
	}
}
