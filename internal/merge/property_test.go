package merge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"understudy"
	"understudy/internal/wire"
)

// cut is a connection that breaks after so many bytes from this side.
type cut struct {
	net.Conn
	left *atomic.Int64
}

func (c cut) Write(p []byte) (int, error) {
	if left := c.left.Add(-int64(len(p))); left < 0 {
		n := max(0, len(p)+int(left))
		n, _ = c.Conn.Write(p[:n])
		c.Close()
		return n, io.ErrClosedPipe
	}
	return c.Conn.Write(p)
}

// Whatever breaks, whenever: nothing is deleted that home does not have, whole
// and in the store it has now; once nothing breaks any more, all is home; and no
// byte that home still had was ever written there again.
func TestNothingIsLostNorSentTwiceWhateverBreaks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := newDisk("failover"), newDisk("store-0")
		all, notes := map[understudy.SegmentID][]byte{}, map[string]bool{}
		for i := range rapid.IntRange(1, 6).Draw(t, "segments") {
			id := segment(rapid.SampledFrom([]string{"lobby", "yard"}).Draw(t, "camera"), uint64(i+1))
			content := bytes.Repeat([]byte{byte(i + 1)}, rapid.IntRange(1, 3*maxChunk/2).Draw(t, "size"))
			from.segments[id], all[id] = content, content
			n := note(i, id.Camera)
			from.notes[n.ID], notes[n.ID] = n, true
		}
		reformatted := map[understudy.SegmentID]bool{} // was home, and went with the disk
		from.onDelete = func(id understudy.SegmentID) {
			if !bytes.Equal(to.content(id), all[id]) {
				t.Errorf("%s was deleted, and home does not have it", id)
			}
		}
		w := pair{t: t, from: from, to: to, receiver: &Receiver{Sink: to}, memory: &Memory{}}
		for round := range rapid.IntRange(0, 8).Draw(t, "broken rounds") {
			w.broken()
			switch rapid.SampledFrom([]string{"nothing", "home crashes", "sender crashes", "reformat"}).Draw(t, "then") {
			case "home crashes":
				to.crash(rapid.IntRange(0, maxChunk).Draw(t, "durable"))
				w.receiver = &Receiver{Sink: to}
			case "sender crashes":
				w.memory = &Memory{}
			case "reformat":
				for _, id := range to.ids() {
					reformatted[id] = from.content(id) == nil
				}
				for _, n := range to.noteList() {
					delete(notes, n.ID)
				}
				to.reformat(fmt.Sprintf("store-%d", round+1))
			}
		}
		sent, err := w.both(nil, nil)
		if err != nil || len(sent.Refused) != 0 || len(from.ids()) != 0 || len(from.noteList()) != 0 {
			t.Fatalf("nothing broke, and yet: %+v, %v, left: %v, %v", sent, err, from.ids(), from.noteList())
		}
		var home int64
		for id, content := range all {
			if !reformatted[id] && !bytes.Equal(to.content(id), content) {
				t.Errorf("%s did not come home as it was", id)
			}
			home += int64(len(to.content(id)))
		}
		for n := range notes {
			if _, ok := to.notes[n]; !ok {
				t.Errorf("note %s did not come home", n)
			}
		}
		if to.written != home+to.lost {
			t.Errorf("%d bytes were written at home, where %d are, and %d were lost: the others came twice", to.written, home, to.lost)
		}
	})
}

func note(n int, camera understudy.CameraID) understudy.Note {
	at := time.Date(2026, 11, 25, 12, n, 0, 0, time.UTC)
	return understudy.Note{ID: fmt.Sprintf("n%d", n), Camera: camera, Server: failoverServer, Kind: understudy.NoteEvent, From: at, To: at, Name: "door forced"}
}

// pair is a site of two.
type pair struct {
	t        *rapid.T
	from, to *disk
	receiver *Receiver
	memory   *Memory
}

// broken runs one or two batches at once, each connection of which may break anywhere.
func (w pair) broken() {
	var batches sync.WaitGroup
	for range rapid.IntRange(1, 2).Draw(w.t, "batches at once") {
		a, b := new(atomic.Int64), new(atomic.Int64)
		a.Store(rapid.Int64Range(0, 6*maxChunk).Draw(w.t, "sender breaks after"))
		b.Store(rapid.Int64Range(0, 4000).Draw(w.t, "home breaks after"))
		batches.Go(func() { _, _ = w.both(a, b) })
	}
	batches.Wait()
}

func (w pair) both(a, b *atomic.Int64) (Sent, error) {
	var sessions sync.WaitGroup
	batch := NewBatch(failoverServer, "rec-1", w.from, w.from.list(), w.from.noteList(), SendOptions{Memory: w.memory})
	sent, err := batch.Run(w.t.Context(), func(context.Context) (net.Conn, error) {
		var x, y net.Conn = net.Pipe()
		if a != nil {
			x, y = cut{x, a}, cut{y, b}
		}
		sessions.Go(func() { _, _ = w.receiver.Receive(w.t.Context(), y, failoverServer) })
		return x, nil
	})
	sessions.Wait()
	if left := w.receiver.Transfers(); len(left) > 0 && a == nil {
		w.t.Errorf("all sessions have ended, and home tells of %+v", left)
	}
	return sent, err
}

// Whatever arrives on the port, home neither panics nor takes what is not its own.
func FuzzReceive(f *testing.F) {
	frames := func(parts ...any) []byte {
		var b bytes.Buffer
		for _, part := range parts {
			if data, ok := part.([]byte); ok {
				_ = wire.WriteData(&b, data)
				continue
			}
			_ = wire.Write(&b, part)
		}
		return b.Bytes()
	}
	disk := newDisk("x")
	disk.segments[segment("lobby", 1)] = []byte("footage")
	size, sum, _ := disk.Has(segment("lobby", 1))
	o := object{Segment: segment("lobby", 1), Size: size, SHA256: sum}
	n := note(1, "lobby")
	f.Add(frames(message{Hello: &hello{Version: version}}, message{Offer: &offer{object: o}}, []byte("footage"), message{Seal: &o}, message{Confirm: &confirm{object: o}}))
	f.Add(frames(message{Hello: &hello{Version: version}}, message{Notes: []understudy.Note{n, n}}))
	f.Add(frames(message{Hello: &hello{Version: 2}}))
	f.Add(frames(message{Hello: &hello{Version: version}}, message{Offer: &offer{object: object{Segment: understudy.SegmentID{Camera: "../../etc", Holder: failoverServer}, Size: 1}, Left: left{-1, -1}}}))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		to := newDisk("store-1")
		a, b := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, a) }()
		go func() {
			_, _ = a.Write(data)
			a.Close()
		}()
		_, _ = (&Receiver{Sink: to}).Receive(t.Context(), b, failoverServer)
		for _, id := range to.ids() {
			if id.Validate() != nil || id.Holder != failoverServer {
				t.Errorf("took %+v", id)
			}
		}
		for _, n := range to.noteList() {
			if n.Validate() != nil {
				t.Errorf("took %+v", n)
			}
		}
	})
}

// Whatever home answers, the sender neither panics nor deletes without a confirmation.
func FuzzSend(f *testing.F) {
	f.Add([]byte(`{"welcome":{"version":3,"incarnation":"x"}}`), []byte(`{"want":{"offset":3}}`), []byte(`{"receipt":{}}`))
	f.Add([]byte(`{"refusal":{"code":"unavailable","reason":"later"}}`), []byte(`{}`), []byte(`null`))
	f.Fuzz(func(t *testing.T, first, second, third []byte) {
		from := newDisk("failover")
		from.segments[segment("lobby", 1)] = []byte("footage")
		a, b := net.Pipe()
		go func() {
			defer b.Close()
			for _, answer := range [][]byte{first, second, third} {
				if _, err := b.Write(append([]byte{'J', 0, 0, byte(len(answer) >> 8), byte(len(answer))}, answer...)); err != nil {
					return
				}
			}
		}()
		go func() { _, _ = io.Copy(io.Discard, b) }()
		batch := NewBatch(failoverServer, "rec-1", from, from.list(), []understudy.Note{note(1, "lobby")}, SendOptions{})
		_, _ = batch.Run(t.Context(), over(a))
		if len(from.ids()) == 0 {
			t.Error("deleted on three made-up answers")
		}
	})
}
