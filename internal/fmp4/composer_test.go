package fmp4_test

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
)

// file is a segment in memory with what its holder's timeline says of it.
type file struct {
	understudy.Segment
	bytes []byte
}

// record makes a segment of samples whose capture times are those of a holder's clock.
func record(t testing.TB, holder understudy.ServerID, sequence uint64, clock time.Duration, tracks []understudy.Track, samples []fmp4.TimedSample) file {
	t.Helper()
	f := file{}
	f.ID = understudy.SegmentID{Camera: "lobby", Epoch: 1, Holder: holder, Sequence: sequence}
	samples = slices.Clone(samples)
	for i := range samples {
		moved := *samples[i].Sample
		moved.At = moved.At.Add(clock)
		samples[i].Sample = &moved
		if s := samples[i]; s.Track == understudy.VideoTrack {
			f.Marks = append(f.Marks, understudy.SampleMark{At: s.At, Duration: s.Duration, Key: s.Key, Hash: s.Hash})
		}
	}
	f.Start, f.End = f.Marks[0].At, f.Marks[len(f.Marks)-1].At.Add(f.Marks[len(f.Marks)-1].Duration)
	f.bytes = write(t, f.ID, tracks, samples, 20)
	return f
}

func compose(t testing.TB, files []file, pieces []understudy.Piece) []byte {
	t.Helper()
	var b bytes.Buffer
	c := fmp4.NewComposer(&b)
	for _, p := range pieces {
		i := slices.IndexFunc(files, func(f file) bool { return f.ID == p.Segment })
		if err := c.Add(bytes.NewReader(files[i].bytes), p); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func probe(t testing.TB, b []byte) [2][]fmp4test.Packet {
	t.Helper()
	name := t.TempDir() + "/composed.mp4"
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	fmp4test.Decode(t, name)
	return fmp4test.Probe(t, name)
}

// from returns the samples captured in [from, to) since the clip's start.
func between(samples []fmp4.TimedSample, from, to time.Duration) []fmp4.TimedSample {
	var some []fmp4.TimedSample
	for _, s := range samples {
		if at := s.At.Sub(fmp4test.Start); at >= from && at < to {
			some = append(some, s)
		}
	}
	return some
}

// Home fails in the middle of a GOP, a standby whose clock is wrong had
// recorded beside it and goes on alone, home comes back: one file without a
// hole, a repetition or a step of time.
func TestTwoHoldersBecomeOneFile(t *testing.T) {
	for _, clock := range []time.Duration{0, 1700 * time.Millisecond, -1700 * time.Millisecond} {
		tracks, samples := fmp4test.Clip(t, "h264", 5)
		files := []file{
			record(t, "rec1", 1, 0, tracks, between(samples, 0, 5430*time.Millisecond)),
			record(t, "fo1", 9, clock, tracks, between(samples, 4*time.Second, 8*time.Second)),
			record(t, "fo1", 10, clock, tracks, between(samples, 8*time.Second, 14*time.Second)),
			record(t, "rec1", 2, 0, tracks, between(samples, 12*time.Second, 20*time.Second)),
		}
		var list []understudy.Segment
		for _, f := range files {
			list = append(list, f.Segment)
		}
		b := compose(t, files, understudy.Join("rec1", list))
		h, _, got, whole := read(t, b)
		if h.Segment.Sequence != 0 || whole != int64(len(b)) {
			t.Errorf("clock %v: the header names %s, and %d of %d bytes are whole", clock, h.Segment, whole, len(b))
		}
		want := only(1, samples)
		if got := only(1, got); len(got) != len(want) {
			t.Fatalf("clock %v: %d pictures, want %d", clock, len(got), len(want))
		}
		for i, s := range only(1, got) {
			if s.Hash != want[i].Hash || !bytes.Equal(s.Payload, want[i].Payload) {
				t.Fatalf("clock %v: picture %d is another", clock, i)
			}
		}
		packets := probe(t, b)
		for i, p := range packets[0] {
			if want := want[i].At.Sub(fmp4test.Start); (p.Decode - packets[0][0].Decode - want).Abs() > time.Millisecond {
				t.Fatalf("clock %v: picture %d is decoded at %v, want %v", clock, i, p.Decode, want)
			}
		}
		if sound := len(only(2, samples)); len(packets[1]) < sound-12 || len(packets[1]) > sound {
			t.Errorf("clock %v: %d packets of sound of %d", clock, len(packets[1]), sound)
		}
	}
}

// A hole in the recordings is a hole of the same length in the file.
func TestAGapStaysAGap(t *testing.T) {
	tracks, samples := fmp4test.Clip(t, "h264", 3)
	files := []file{
		record(t, "rec1", 1, 0, tracks, between(samples, 0, 4*time.Second)),
		record(t, "rec1", 2, 0, tracks, between(samples, 7*time.Second, 12*time.Second)),
	}
	packets := probe(t, compose(t, files, understudy.Join("rec1", []understudy.Segment{files[0].Segment, files[1].Segment})))
	if got := packets[0][40].Decode - packets[0][39].Decode; (got - 3100*time.Millisecond).Abs() > time.Millisecond {
		t.Errorf("the step over the hole is %v, want 3.1 s", got)
	}
	for _, p := range packets[1] {
		if at := p.Decode - packets[0][0].Decode; at > 4100*time.Millisecond && at < 6900*time.Millisecond {
			t.Errorf("there is sound at %v, in the hole", at)
		}
	}
}

// Any piece of a segment holds exactly its samples.
func TestAnyPiece(t *testing.T) {
	tracks, samples := fmp4test.Clip(t, "h264", 2)
	f := record(t, "rec1", 1, 0, tracks, samples)
	rapid.Check(t, func(r *rapid.T) {
		first := rapid.IntRange(0, len(f.Marks)-1).Draw(r, "first")
		count := rapid.IntRange(1, len(f.Marks)-first).Draw(r, "count")
		b := compose(t, []file{f}, []understudy.Piece{{Segment: f.ID, First: first, Count: count}})
		_, _, got, _ := read(t, b)
		video := only(1, got)
		if len(video) != count {
			r.Fatalf("%d samples, want %d", len(video), count)
		}
		end := f.Marks[first+count-1].At.Add(f.Marks[first+count-1].Duration)
		for i, s := range video {
			if s.Hash != f.Marks[first+i].Hash {
				r.Fatalf("sample %d is another", i)
			}
		}
		for _, s := range only(2, got) {
			if s.At.Before(f.Marks[first].At) || !s.At.Before(end) {
				r.Fatalf("sound of %v is outside [%v, %v)", s.At, f.Marks[first].At, end)
			}
		}
	})
}

// Parts of a playlist are fragments only, whose times count from the playlist's base.
func TestPartsCountFromTheirBase(t *testing.T) {
	tracks, samples := fmp4test.Clip(t, "h264", 2)
	f := record(t, "rec1", 1, 0, tracks, samples)
	b, err := fmp4.MarshalInit(tracks)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 8 {
		var part bytes.Buffer
		c := fmp4.NewPartComposer(&part, f.Start, uint32(1+n*100))
		if err := c.Add(bytes.NewReader(f.bytes), understudy.Piece{Segment: f.ID, First: n * 10, Count: 10}); err != nil {
			t.Fatal(err)
		}
		if part.String()[4:8] != "moof" {
			t.Fatalf("part %d begins with %q", n, part.String()[4:8])
		}
		b = append(b, part.Bytes()...)
	}
	packets := probe(t, b)
	for i, p := range packets[0] {
		if want := time.Duration(i) * 100 * time.Millisecond; (p.Decode - packets[0][0].Decode - want).Abs() > time.Millisecond {
			t.Fatalf("picture %d is decoded at %v, want %v", i, p.Decode, want)
		}
	}
}

func TestAChangeOfCodecNeedsAnotherFile(t *testing.T) {
	tracks, samples := fmp4test.Clip(t, "h264", 1)
	other, others := fmp4test.Clip(t, "h265", 1)
	a, b := record(t, "rec1", 1, 0, tracks, samples), record(t, "rec1", 2, time.Hour, other, others)
	c := fmp4.NewComposer(new(bytes.Buffer))
	if err := c.Add(bytes.NewReader(a.bytes), understudy.Piece{Segment: a.ID, Count: len(a.Marks)}); err != nil {
		t.Fatal(err)
	}
	err := c.Add(bytes.NewReader(b.bytes), understudy.Piece{Segment: b.ID, Count: len(b.Marks)})
	if understudy.CodeOf(err) != understudy.CodeConflict {
		t.Errorf("H.265 after H.264: %v", err)
	}
	err = fmp4.NewComposer(new(bytes.Buffer)).Add(bytes.NewReader(a.bytes), understudy.Piece{Segment: a.ID, Count: len(a.Marks) + 1})
	if understudy.CodeOf(err) != understudy.CodeConflict {
		t.Errorf("more samples than there are: %v", err)
	}
}
