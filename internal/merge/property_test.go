package merge

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

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
// and in the store it has now; and once nothing breaks any more, all is home.
func TestNothingIsLostWhateverBreaks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := newDisk("failover"), newDisk("store-0")
		all := map[understudy.SegmentID][]byte{}
		for i := range rapid.IntRange(1, 5).Draw(t, "segments") {
			id := segment(rapid.SampledFrom([]string{"lobby", "yard"}).Draw(t, "camera"), uint64(i+1))
			content := bytes.Repeat([]byte{byte(i + 1)}, rapid.IntRange(1, 3*maxChunk/2).Draw(t, "size"))
			from.segments[id], all[id] = content, content
		}
		reformatted := map[understudy.SegmentID]bool{} // was home, and went with the disk
		from.onDelete = func(id understudy.SegmentID) {
			if !bytes.Equal(to.content(id), all[id]) {
				t.Errorf("%s was deleted, and home does not have it", id)
			}
		}
		for round := range rapid.IntRange(0, 8).Draw(t, "broken rounds") {
			broken(t, from, to)
			switch rapid.SampledFrom([]string{"nothing", "crash", "reformat"}).Draw(t, "then") {
			case "crash":
				to.crash(rapid.IntRange(0, maxChunk).Draw(t, "durable"))
			case "reformat":
				for _, id := range to.ids() {
					reformatted[id] = from.content(id) == nil
				}
				to.reformat(fmt.Sprintf("store-%d", round+1))
			}
			to.damage = rapid.IntRange(0, 1).Draw(t, "damaged seals")
		}
		to.damage = 0
		sent, _, err := both(t, from, to, nil, nil)
		if err != nil || len(sent.Refused) != 0 || len(from.ids()) != 0 {
			t.Fatalf("nothing broke, and yet: %+v, %v, left: %v", sent, err, from.ids())
		}
		for id, content := range all {
			if !reformatted[id] && !bytes.Equal(to.content(id), content) {
				t.Errorf("%s did not come home as it was", id)
			}
		}
	})
}

// broken runs one or two sessions at once, each of which may break anywhere.
func broken(t *rapid.T, from, to *disk) {
	var sessions sync.WaitGroup
	for range rapid.IntRange(1, 2).Draw(t, "sessions at once") {
		a, b := new(atomic.Int64), new(atomic.Int64)
		a.Store(rapid.Int64Range(0, 6*maxChunk).Draw(t, "sender breaks after"))
		b.Store(rapid.Int64Range(0, 4000).Draw(t, "home breaks after"))
		sessions.Go(func() { _, _, _ = both(t, from, to, a, b) })
	}
	sessions.Wait()
}

func both(t *rapid.T, from, to *disk, a, b *atomic.Int64) (Sent, Received, error) {
	var x, y net.Conn = net.Pipe()
	if a != nil {
		x, y = cut{x, a}, cut{y, b}
	}
	type outcome struct {
		received Received
		err      error
	}
	done := make(chan outcome, 1)
	go func() {
		received, err := Receive(t.Context(), y, failoverServer, to)
		done <- outcome{received, err}
	}()
	sent, err := Send(t.Context(), x, from, from.ids(), SendOptions{})
	home := <-done
	if err == nil {
		err = home.err
	}
	return sent, home.received, err
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
	f.Add(frames(message{Hello: &hello{Version: version}}, message{Offer: &o}, []byte("footage"), message{Seal: &o}, message{Confirm: &o}))
	f.Add(frames(message{Hello: &hello{Version: 2}}))
	f.Add(frames(message{Hello: &hello{Version: version}}, message{Offer: &object{Segment: understudy.SegmentID{Camera: "../../etc", Holder: failoverServer}, Size: 1}}))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		to := newDisk("store-1")
		a, b := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, a) }()
		go func() {
			_, _ = a.Write(data)
			a.Close()
		}()
		_, _ = Receive(t.Context(), b, failoverServer, to)
		for _, id := range to.ids() {
			if id.Validate() != nil || id.Holder != failoverServer {
				t.Errorf("took %+v", id)
			}
		}
	})
}

// Whatever home answers, the sender neither panics nor deletes without a confirmation.
func FuzzSend(f *testing.F) {
	f.Add([]byte(`{"welcome":{"version":1,"incarnation":"x"}}`), []byte(`{"want":{"offset":3}}`), []byte(`{"receipt":{}}`))
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
		_, _ = Send(t.Context(), a, from, from.ids(), SendOptions{})
		if len(from.ids()) == 0 {
			t.Error("deleted on three made-up answers")
		}
	})
}
