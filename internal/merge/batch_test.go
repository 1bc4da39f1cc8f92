package merge

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/wire"
)

// What somebody plays, here or at home, is offered first; the rest from the oldest on.
func TestWhatIsPlayedComesFirst(t *testing.T) {
	from := newDisk("a")
	for n := range uint64(4) {
		from.segments[segment("lobby", n+1)] = []byte("footage")
	}
	segments := from.list()
	played := func(n int) Watched {
		return Watched{Camera: "lobby", From: segments[n].Start.Add(time.Second), To: segments[n].Start.Add(2 * time.Second)}
	}
	b := NewBatch(failoverServer, "rec-1", from, segments, nil, SendOptions{Watched: func() []Watched { return []Watched{played(2)} }})
	b.watched = []Watched{played(3), {Camera: "yard", From: segments[1].Start, To: segments[1].End}}
	for _, want := range []uint64{3, 4, 1, 2} {
		if s, ok := b.next(); !ok || s.ID.Sequence != want {
			t.Errorf("offers %s, want number %d", s.ID, want)
		}
	}
	if _, ok := b.next(); ok {
		t.Error("there is more than there is")
	}
}

// A home that wants only one session gets everything over that one.
func TestOneSessionIsEnough(t *testing.T) {
	from, to := newDisk("a"), newDisk("store-1")
	for n := range uint64(6) {
		from.segments[segment("lobby", n+1)] = []byte("footage")
	}
	receiver := &Receiver{Sink: to}
	var sessions sync.WaitGroup
	dials := 0
	var mu sync.Mutex
	sent, err := NewBatch(failoverServer, "rec-1", from, from.list(), nil, SendOptions{}).Run(t.Context(), func(context.Context) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if dials++; dials > 1 {
			return nil, errors.New("as many sessions as there may be are open")
		}
		a, b := net.Pipe()
		sessions.Go(func() { _, _ = receiver.Receive(t.Context(), b, failoverServer) })
		return a, nil
	})
	sessions.Wait()
	if err != nil || sent.Deleted != 6 || dials != 3 {
		t.Errorf("%+v, %v, after %d dials", sent, err, dials)
	}
}

// What home has refused is not read and offered each time, but again after a while.
func TestARefusedSegmentIsLeftAloneForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := newDisk("a"), newDisk("store-1")
		id := segment("lobby", 1)
		from.segments[id] = []byte("footage")
		to.refuse = func(understudy.CameraID) error {
			return understudy.Errorf(understudy.CodeForbidden, "lobby belongs to rec-2")
		}
		memory := &Memory{}
		batch := func() *Batch {
			return NewBatch(failoverServer, "rec-1", from, from.list(), nil, SendOptions{Memory: memory})
		}
		run := func() (Sent, error) {
			a, b := net.Pipe()
			go func() { _, _ = (&Receiver{Sink: to}).Receive(t.Context(), b, failoverServer) }()
			return batch().Run(t.Context(), over(a))
		}
		if sent, err := run(); err != nil || len(sent.Refused) != 1 {
			t.Fatalf("%+v, %v", sent, err)
		}
		if !memory.News(id, "x") || memory.News(id, "x") {
			t.Error("a sentence is told once")
		}
		if !batch().Empty() || batch().Transfer().Held != 1 {
			t.Errorf("it is offered again at once; %+v", batch().Transfer())
		}
		time.Sleep(holdFor)
		to.refuse = nil
		if sent, err := run(); err != nil || sent.Deleted != 1 {
			t.Errorf("after a while: %+v, %v", sent, err)
		}
	})
}

// Both ends tell how far a transfer is.
func TestATransferIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := newDisk("a"), newDisk("store-1")
		from.segments[segment("lobby", 1)], from.segments[segment("yard", 2)] = make([]byte, 10_000), make([]byte, 100_000)
		batch := NewBatch(failoverServer, "rec-1", from, from.list(), nil, SendOptions{Sessions: 1, Pace: paced(10_000), Grace: time.Second})
		receiver := &Receiver{Self: "rec-1", Sink: to}
		a, b := net.Pipe()
		done := make(chan error, 2)
		go func() {
			_, err := receiver.Receive(t.Context(), b, failoverServer)
			done <- err
		}()
		go func() {
			_, err := batch.Run(t.Context(), over(a))
			done <- err
		}()
		time.Sleep(6*time.Second + 500*time.Millisecond)
		synctest.Wait()
		for _, told := range append(receiver.Transfers(), batch.Transfer()) {
			if told.From != failoverServer || told.To != "rec-1" || told.Camera != "yard" || told.SegmentsLeft != 1 || told.BytesLeft+told.BytesDone != 110_000 ||
				told.BytesDone < 50_000 || told.BytesDone > 80_000 || told.BytesPerSecond < 7_000 || told.BytesPerSecond > 17_000 || time.Until(told.Until) > 8*time.Second {
				t.Errorf("told %+v", told)
			}
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if told := batch.Transfer(); told.SegmentsLeft != 0 || told.BytesLeft != 0 || told.BytesDone != 110_000 || !told.Until.IsZero() {
			t.Errorf("told at the end: %+v", told)
		}
		if len(receiver.Transfers()) != 0 {
			t.Error("home tells of a transfer that is over")
		}
	})
}

// A server whose connections die unnoticed is not kept out by its own past.
func TestANewSessionEndsTheOldestOfTheSameServer(t *testing.T) {
	receiver := &Receiver{Sink: newDisk("store-1")}
	var sessions sync.WaitGroup
	var ends []net.Conn
	ended := make(chan int, maxSessions+1)
	for n := range maxSessions + 1 {
		a, b := net.Pipe()
		ends = append(ends, a)
		sessions.Go(func() {
			_, _ = receiver.Receive(t.Context(), b, failoverServer)
			ended <- n
		})
		var m message
		if err := errors.Join(wire.Write(a, message{Hello: &hello{Version: version}}), wire.Read(a, maxMessage, &m)); err != nil {
			t.Fatal(err)
		}
	}
	if n := <-ended; n != 0 {
		t.Errorf("session %d was ended, want the first", n)
	}
	if len(ended) > 0 {
		t.Error("more than one was ended")
	}
	for _, end := range ends {
		end.Close()
	}
	sessions.Wait()
}

// A grace goes on over lost connections, for the store that gave the receipt.
func TestAGraceGoesOnOverLostConnections(t *testing.T) {
	m := &Memory{}
	begun := time.Now()
	o := object{Segment: segment("lobby", 1), Size: 7, Incarnation: "store-1"}
	if m.acknowledged(o, begun) != begun || m.acknowledged(o, begun.Add(time.Minute)) != begun {
		t.Error("it began anew")
	}
	o.Incarnation = "store-2"
	if later := begun.Add(time.Minute); m.acknowledged(o, later) != later {
		t.Error("another store's receipt counts")
	}
}
