package stream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	us "understudy"
	"understudy/internal/stream"
)

var tracks = []us.Track{{ID: us.VideoTrack, Codec: us.CodecH264, TimeScale: 90000}}

func key(name string) *us.Sample {
	return &us.Sample{Track: us.VideoTrack, Key: true, Payload: []byte(name)}
}

func delta(name string) *us.Sample {
	return &us.Sample{Track: us.VideoTrack, Payload: []byte(name)}
}

func sound(name string) *us.Sample {
	return &us.Sample{Track: us.AudioTrack, Key: true, Payload: []byte(name)}
}

// read returns what the reader has now, as words.
func read(t *testing.T, r *stream.Reader) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // what is there is returned all the same
	words := ""
	for {
		item, err := r.Next(ctx)
		switch {
		case errors.Is(err, context.Canceled):
			return words
		case err != nil:
			return words + fmt.Sprintf("[%s]", us.CodeOf(err))
		case item.Tracks != nil:
			words += "|"
		default:
			words += string(item.Sample.Payload)
		}
	}
}

func TestAReaderBeginsWithTheCurrentGOP(t *testing.T) {
	h := stream.NewHub()
	early := h.Subscribe(1 << 20)
	if got := read(t, early); got != "" {
		t.Errorf("before the source began: %q", got)
	}
	h.Tracks(tracks)
	h.Sample(sound("x"))
	h.Sample(delta("y"))
	h.Sample(key("A"))
	h.Sample(delta("b"))
	h.Sample(key("C"))
	h.Sample(sound("d"))
	h.Sample(delta("e"))
	late := h.Subscribe(1 << 20)
	h.Sample(delta("f"))
	for _, c := range []struct {
		reader  *stream.Reader
		want    string
		dropped uint64
	}{{early, "|AbCdef", 2}, {late, "|Cdef", 0}} {
		if got := read(t, c.reader); got != c.want || c.reader.Dropped() != c.dropped {
			t.Errorf("read %q, dropped %d; want %q, %d", got, c.reader.Dropped(), c.want, c.dropped)
		}
	}
}

func TestANewSessionForgetsTheOldGOP(t *testing.T) {
	h := stream.NewHub()
	h.Tracks(tracks)
	h.Sample(key("A"))
	r := h.Subscribe(1 << 20)
	h.Tracks(tracks)
	late := h.Subscribe(1 << 20)
	h.Sample(delta("b"))
	h.Sample(key("C"))
	if got := read(t, r); got != "|A|C" {
		t.Errorf("read %q", got)
	}
	if got := read(t, late); got != "|C" {
		t.Errorf("the late reader read %q", got)
	}
}

func TestASlowReaderLosesWholeGOPsAndAGoneOneIsCutOff(t *testing.T) {
	h := stream.NewHub()
	h.Tracks(tracks)
	slow, gone, quick := h.Subscribe(1000), h.Subscribe(1000), h.Subscribe(1<<20)
	if got := read(t, slow); got != "|" {
		t.Errorf("read %q", got)
	}
	publish := func(names string) {
		for _, name := range names {
			if name >= 'A' && name <= 'Z' {
				h.Sample(key(string(name)))
			} else {
				h.Sample(delta(string(name)))
			}
		}
	}
	publish("Abcdefg") // each takes 161 bytes of the 1000
	publish("hiJkl")
	if got := read(t, slow); got != "Jkl" || slow.Dropped() != 9 {
		t.Errorf("the slow reader read %q and dropped %d, want Jkl and 9", got, slow.Dropped())
	}
	publish("mnopqrstUv")
	if got := read(t, slow); got != "Uv" {
		t.Errorf("the slow reader read %q, want Uv", got)
	}
	if got := read(t, gone); got != "[unavailable]" {
		t.Errorf("the reader that never read got %q", got)
	}
	if got := read(t, quick); got != "|AbcdefghiJklmnopqrstUv" || quick.Dropped() != 0 {
		t.Errorf("the quick reader felt the others: %q", got)
	}
}

func TestNextWaitsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := stream.NewHub()
		closed, r := h.Subscribe(1<<20), h.Subscribe(1<<20)
		got := make(chan error, 2)
		go func() { _, err := r.Next(t.Context()); got <- err }()
		synctest.Wait()
		h.Tracks(tracks)
		if err := <-got; err != nil {
			t.Errorf("the first item: %v", err)
		}
		h.Sample(key("A"))
		closed.Close()
		if _, err := closed.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("after Close: %v", err)
		}
		h.Close()
		if item, err := r.Next(t.Context()); err != nil || item.Sample == nil {
			t.Errorf("what was queued is lost: %v", err)
		}
		if _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("after the hub closed: %v", err)
		}
		if _, err := h.Subscribe(1).Next(t.Context()); err != nil {
			t.Errorf("a closed hub still shows what it had: %v", err)
		}
	})
}

// Whatever is published and however it is read, what a reader gets can be
// decoded: a session begins with a key sample, and nothing is missing between
// a key sample and the next.
func TestWhatIsReadCanBeDecoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := stream.NewHub()
		r := h.Subscribe(rapid.IntRange(300, 3000).Draw(t, "limit"))
		var expect *us.Sample // what must come next, unless a key sample or a session does
		next := map[*us.Sample]*us.Sample{}
		var last *us.Sample
		fresh := true
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				h.Tracks(tracks)
				last = nil
			case 1, 2:
				last = key("K")
				h.Sample(last)
			case 3, 4, 5:
				s := delta("d")
				if last != nil {
					next[last] = s
				}
				last = s
				h.Sample(s)
			default:
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				item, err := r.Next(ctx)
				switch {
				case err != nil:
				case item.Tracks != nil:
					fresh = true
				case item.Sample.Key:
					fresh, expect = false, item.Sample
				case fresh || next[expect] != item.Sample:
					t.Fatal("a sample came that cannot be decoded")
				default:
					expect = item.Sample
				}
			}
		}
	})
}
