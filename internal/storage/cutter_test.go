package storage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"understudy"
)

var cutterTracks = []understudy.Track{{ID: 1}, {ID: 2}}

// script feeds a cutter with a little language: each word is a sample of video
// ("K" key, "p" other) or audio ("a"), at so many milliseconds since the start; "!" in
// front: samples before it were dropped.
func script(words string) *cutter {
	c := newCutter("lobby", time.Minute, cutterTracks)
	c.phase = 0
	for word := range strings.FieldsSeq(words) {
		word, cut := strings.CutPrefix(word, "!")
		var kind rune
		var ms int
		if _, err := fmt.Sscanf(word, "%c%d", &kind, &ms); err != nil {
			panic(err)
		}
		s := &understudy.Sample{Track: 1, Key: kind != 'p', At: epoch.Add(time.Duration(ms) * time.Millisecond), Payload: []byte{1}}
		if kind == 'a' {
			s.Track = 2
		}
		c.add(s, cut, time.Time{})
	}
	c.finish()
	return c
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// transcript tells what a cutter made: a line a fragment, "[" before one that
// begins a segment, "!" after one that is urgent, each sample with its time and duration.
func transcript(fragments []fragment) string {
	var b strings.Builder
	for _, f := range fragments {
		if f.begins {
			b.WriteString("[")
		}
		for i, s := range f.samples {
			kind := map[bool]string{true: "K", false: "p"}[s.Key]
			if s.Track == 2 {
				kind = "a"
			}
			if i > 0 {
				b.WriteString(" ")
			}
			fmt.Fprintf(&b, "%s%d+%d", kind, s.At.Sub(epoch).Milliseconds(), s.Duration.Milliseconds())
		}
		if f.urgent {
			b.WriteString("!")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestCutter(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"the first fragment is the first frame": {
			"K0 p100 p200",
			"[K0+100!\np100+100 p200+100\n"},
		"nothing before the first key frame": {
			"p0 a10 p100 K200 p300",
			"[K200+100!\np300+100\n"},
		"a key frame begins a fragment": {
			"K0 p100 p200 p300 p400 K500 p600",
			"[K0+100!\np100+100 p200+100 p300+100 p400+100\nK500+100 p600+100\n"},
		"a fragment has at most half a second": {
			"K0 p200 p400 p600 p800 p1000",
			"[K0+200!\np200+200 p400+200\np600+200 p800+200\np1000+200\n"},
		"every frame a key frame, as in motion JPEG": {
			"K0 K100 K200 K300 K400 K500 K600",
			"[K0+100!\nK100+100 K200+100 K300+100\nK400+100 K500+100 K600+100\n"},
		"a hole before a key frame ends the segment, and is in no duration": {
			"K0 p100 p200 K2000 p2100",
			"[K0+100!\np100+100 p200+100\n[K2000+100 p2100+100\n"},
		"a hole before another frame: the frame is kept, the next key frame begins a segment": {
			"K0 p100 p200 p2000 p2100 K2200",
			"[K0+100!\np100+100 p200+100\np2000+100 p2100+100\n[K2200+100\n"},
		"what was dropped is a hole, however short": {
			"K0 p100 p200 !K500 p600",
			"[K0+100!\np100+100 p200+100\n[K500+100 p600+100\n"},
		"the clock goes back before a key frame": {
			"K5000 p5100 p5200 K1000 p1100",
			"[K5000+100!\np5100+100 p5200+100\n[K1000+100 p1100+100\n"},
		"the clock goes back inside a GOP: order is kept until the next key frame": {
			"K5000 p5100 p1000 p1100 K1200 p1300",
			"[K5000+100!\np5100+1 p5101+1 p5102+100\n[K1200+100 p1300+100\n"},
		"sound goes with the picture it belongs to": {
			"K0 p100 p200 a250 a350 !K300 a450 p400 a550 p500",
			"[K0+100!\np100+100 a250+100 p200+100\n[K300+100 a350+100 a450+100 p400+100 p500+100 a550+100\n"},
		"a segment ends at a key frame after its time": {
			"K40000 p40200 p40400 K40500 p40700 K60000 p60200 K60400",
			"[K40000+200!\np40200+200 p40400+100\nK40500+200 p40700+200\n[K60000+200 p60200+200\nK60400+200\n"},
		"one that would be too short takes the next one's time, too": {
			"K50000 p50400 K50800 K51200 K59000 K61000",
			"[K50000+400!\np50400+400\nK50800+400\nK51200+400\n[K59000+400\n[K61000+400\n"},
		"a slow camera's distances are no holes": {
			"K0 p2000 p4000 K6000 p8000",
			"[K0+2000!\np2000+2000\np4000+2000\nK6000+2000\np8000+2000\n"},
	} {
		if got := transcript(script(c.in).take()); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// What a stalled camera sent goes to the disk once the next sample is overdue,
// at the camera's own pace.
func TestAStalledCamera(t *testing.T) {
	came := time.Now()
	for _, c := range []struct {
		step, quiet time.Duration
		out         int // of five samples
	}{
		{100 * time.Millisecond, 400 * time.Millisecond, 1},
		{100 * time.Millisecond, 600 * time.Millisecond, 5},
		{2 * time.Second, 3 * time.Second, 3},
		{2 * time.Second, 5 * time.Second, 5},
	} {
		cutter := newCutter("lobby", time.Minute, cutterTracks)
		for n := range 5 {
			cutter.add(&understudy.Sample{Track: 1, Key: n == 0, At: epoch.Add(time.Duration(n) * c.step)}, false, came)
		}
		cutter.flush(came.Add(c.quiet))
		out := 0
		for _, f := range cutter.take() {
			out += len(f.samples)
		}
		if out != c.out {
			t.Errorf("a frame each %v, %v after the last one: %d are out, want %d", c.step, c.quiet, out, c.out)
		}
	}
}

// Whatever comes: each video sample from the first key frame on goes out once,
// in order; capture times in a segment strictly increase; durations are positive;
// and nothing but a key frame begins a segment.
func TestCutterLosesNothing(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := newCutter("lobby", 10*time.Second, cutterTracks)
		at := epoch
		var want []*understudy.Sample
		begun := false
		for range rapid.IntRange(1, 200).Draw(r, "samples") {
			at = at.Add(time.Duration(rapid.OneOf(rapid.IntRange(1, 200), rapid.IntRange(-5000, 5000)).Draw(r, "step")) * time.Millisecond)
			s := &understudy.Sample{Track: rapid.IntRange(1, 2).Draw(r, "track"), At: at}
			s.Key = s.Track == 2 || rapid.IntRange(0, 9).Draw(r, "key") == 0
			s.Payload = []byte{byte(len(want)), byte(len(want) >> 8)}
			if begun = begun || s.Track == 1 && s.Key; begun && s.Track == 1 {
				want = append(want, s)
			}
			c.add(s, false, time.Time{})
		}
		c.finish()
		n := 0
		last := map[int]time.Time{}
		for _, f := range c.take() {
			if f.begins {
				clear(last)
				if s := f.samples[0]; s.Track != 1 || !s.Key {
					r.Fatalf("a segment begins with %+v", s.Sample)
				}
			}
			for _, s := range f.samples {
				if s.Duration <= 0 || s.Track == 1 && !s.At.After(last[1]) {
					r.Fatalf("%v lasts %v, after %v", s.At, s.Duration, last[s.Track])
				}
				last[s.Track] = s.At
				if s.Track == 1 {
					if string(s.Payload) != string(want[n].Payload) {
						r.Fatalf("sample %d is another", n)
					}
					n++
				}
			}
		}
		if n != len(want) {
			r.Fatalf("%d samples of %d came out", n, len(want))
		}
	})
}
