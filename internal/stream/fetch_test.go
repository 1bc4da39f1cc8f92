package stream_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	us "understudy"
	"understudy/internal/stream"
)

// disk is where samples are stored, until it is lost.
type disk struct {
	content []byte
	lost    bool
	hangs   chan struct{} // not nil: reading waits for it
}

func (d *disk) ReadAt(p []byte, offset int64) (int, error) {
	if d.hangs != nil {
		<-d.hangs
	}
	if d.lost || offset >= int64(len(d.content)) {
		return 0, io.ErrUnexpectedEOF
	}
	return copy(p, d.content[offset:]), nil
}

// lent is a sample as a source lends it: its memory has other bytes as soon as
// nobody holds it.
func lent(name byte) *us.Sample {
	s := &us.Sample{Track: us.VideoTrack, Key: name >= 'A' && name <= 'Z', Payload: []byte{name}}
	s.Lend(func(payload []byte) { payload[0] = '!' })
	return s
}

// recorded is a hub, and a writer of what it publishes.
type recorded struct {
	hub      *stream.Hub
	disk     *disk
	held     []*us.Sample // published, not synced
	written  int          // of held
	sequence string
}

func (r *recorded) publish(name byte) {
	s := lent(name)
	s.Hold() // the writer
	r.held = append(r.held, s)
	r.sequence += string(name)
	r.hub.Sample(s)
	s.Release()
}

func (r *recorded) write() {
	for _, s := range r.held[r.written:] {
		s.Stored(r.disk, int64(len(r.disk.content)))
		r.disk.content = append(r.disk.content, s.Payload...)
	}
	r.written = len(r.held)
}

func (r *recorded) sync() {
	for _, s := range r.held[:r.written] {
		s.Release()
	}
	r.held, r.written = r.held[r.written:], 0
}

// A reader gets the same whatever of the GOP is in memory, on disk, or between;
// and what follows. When the disk is lost, it goes on with a later key frame.
func TestAReaderBeginsWithTheGOPWhereverItIs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := recorded{hub: stream.NewHub(), disk: &disk{}}
		r.hub.Tracks(tracks)
		readers := map[*stream.Reader]string{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"key", "delta", "delta", "write", "sync", "subscribe", "subscribe lazily"}).Draw(rt, "step") {
			case "key":
				r.publish(byte('A' + len(r.sequence)%26))
			case "delta":
				r.publish(byte('a' + len(r.sequence)%26))
			case "write":
				r.write()
			case "sync":
				r.sync()
			case "subscribe":
				readers[r.hub.Subscribe(1<<20)] = r.sequence
			case "subscribe lazily":
				readers[r.hub.SubscribeLazily(1<<20, time.Second)] = r.sequence
			}
		}
		r.disk.lost = rapid.Bool().Draw(rt, "lost")
		r.publish('Z')
		r.publish('z')
		for reader, before := range readers {
			gop := max(0, strings.LastIndexAny(before, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
			want := r.sequence[gop:]
			want = want[max(0, strings.IndexAny(want, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")):]
			got := readAll(rt, reader)
			if got == want {
				continue
			}
			if !r.disk.lost || !whole(got, want) {
				rt.Fatalf("read %q of %q, want %q (lost %v)", got, r.sequence, want, r.disk.lost)
			}
		}
	})
}

// whole reports whether got is want with one stretch left out, before a key frame.
func whole(got, want string) bool {
	for cut := range len(got) {
		if rest := got[cut:]; rest[0] >= 'A' && rest[0] <= 'Z' && strings.HasPrefix(want, got[:cut]) && strings.HasSuffix(want, rest) {
			return true
		}
	}
	return false
}

// readAll returns what is there, without the session.
func readAll(t *rapid.T, r *stream.Reader) (words string) {
	defer r.Close()
	for !strings.HasSuffix(words, "z") || !strings.Contains(words, "Z") {
		item, err := r.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if item.Sample != nil {
			words += string(item.Sample.Payload)
		}
	}
	return words
}

func TestWhatIsStoredIsNotKeptInMemory(t *testing.T) {
	r := recorded{hub: stream.NewHub(), disk: &disk{}}
	r.hub.Tracks(tracks)
	r.publish('A')
	payload := r.held[0].Payload
	r.write()
	if payload[0] != 'A' {
		t.Fatal("the memory went back before it was synced")
	}
	r.sync()
	if payload[0] != '!' {
		t.Fatal("the memory is still held")
	}
	r.publish('b')
	payload = r.held[0].Payload
	r.held[0].Release() // nobody stored it
	if payload[0] != 'b' {
		t.Fatal("the memory of a sample went back that is nowhere else")
	}
	r.hub.Tracks(tracks)
	if payload[0] != '!' {
		t.Fatal("the memory of an old session is still held")
	}
}

// A reader that is interrupted while the disk answers slowly loses nothing, and
// one whose disk does not answer begins with the next key frame.
func TestAReaderWaitsForTheDiskButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorded{hub: stream.NewHub(), disk: &disk{hangs: make(chan struct{})}}
		r.hub.Tracks(tracks)
		r.publish('A')
		r.publish('b')
		r.write()
		r.sync()
		patient, other := r.hub.Subscribe(1<<20), r.hub.Subscribe(1<<20)
		for _, reader := range []*stream.Reader{patient, other} {
			if item, err := reader.Next(t.Context()); err != nil || item.Tracks == nil {
				t.Fatalf("the session: %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := reader.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("interrupted: %v", err)
			}
			cancel()
		}
		if item, err := func() (stream.Item, error) { // its two seconds are over
			r.publish('c')
			r.publish('D')
			return other.Next(t.Context())
		}(); err != nil || string(item.Sample.Payload) != "D" || other.Dropped() != 3 {
			t.Errorf("the other reader read %v, %v and dropped %d", item.Sample, err, other.Dropped())
		}
		close(r.disk.hangs)
		synctest.Wait()
		if got := read(t, other); got != "" {
			t.Errorf("behind it came %q", got)
		}
		if item, err := patient.Next(t.Context()); err != nil || string(item.Sample.Payload) != "A" {
			t.Errorf("the patient reader read %v, %v", item.Sample, err)
		}
	})
}
