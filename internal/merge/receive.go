package merge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"understudy"
)

// Sink is the store that footage comes home to.
type Sink interface {
	// Incarnation names the store; a reformatted disk has another.
	Incarnation() string
	// Accept says why a segment does not belong here; nil if it does.
	Accept(id understudy.SegmentID) error
	// Has reads a segment back from the disk; not ok if it is not here whole.
	Has(id understudy.SegmentID) (size int64, sha256 [32]byte, ok bool)
	// Import begins or resumes taking a segment.
	Import(id understudy.SegmentID, size int64, sha256 [32]byte) (Import, error)
}

// Import is a segment on its way in; a storage.Import is one.
type Import interface {
	// Offset is where to go on: all before it is here.
	Offset() int64
	io.Writer // appends
	// Seal verifies, makes durable and takes into the store. CodeConflict if the
	// bytes are not those announced; they are forgotten then.
	Seal(ctx context.Context) error
	// Close gives up for now and keeps what came; after Seal it does nothing.
	io.Closer
}

// Received is what came of a session.
type Received struct {
	Cameras map[understudy.CameraID]Tally // what was sealed
	Bytes   int64                         // that came over the wire
}

// Tally is how much of a camera came home.
type Tally struct {
	Segments int
	Bytes    int64
}

// Receive answers the server peer at the other end of conn until that ends the
// session or ctx ends, and closes conn. A peer sends only what it recorded itself.
func Receive(ctx context.Context, conn net.Conn, peer understudy.ServerID, sink Sink) (Received, error) {
	defer conn.Close()
	l, free := newLink(ctx, conn)
	defer free()
	r := &receiver{link: l, peer: peer, sink: sink, incarnation: sink.Incarnation(),
		received: Received{Cameras: map[understudy.CameraID]Tally{}}}
	err := r.greet()
	for err == nil {
		err = r.step(ctx)
	}
	if errors.Is(err, io.EOF) && ctx.Err() == nil {
		return r.received, nil
	}
	return r.received, ended(ctx, err)
}

type receiver struct {
	link
	peer        understudy.ServerID
	sink        Sink
	incarnation string
	buffer      []byte
	received    Received
}

func (r *receiver) greet() error {
	m, err := r.receive()
	switch {
	case err != nil:
		return err
	case m.Hello == nil:
		return unexpected("a hello")
	case m.Hello.Version != version:
		err := understudy.Errorf(understudy.CodeInvalid, "%s speaks merge protocol %d, and this server %d; update the older one", r.peer, m.Hello.Version, version)
		return errors.Join(err, r.refuse(err, false))
	}
	return r.send(message{Welcome: &welcome{Version: version, Incarnation: r.incarnation}})
}

// step answers one message; io.EOF when there are no more.
func (r *receiver) step(ctx context.Context) error {
	m, err := r.receive()
	switch {
	case err != nil:
		return err
	case m.Offer != nil:
		return midway(r.offered(ctx, *m.Offer))
	case m.Confirm != nil:
		return r.confirm(*m.Confirm)
	}
	return unexpected("an offer or a confirm")
}

func (r *receiver) offered(ctx context.Context, o object) error {
	o.Incarnation = ""
	if err := r.check(o); err != nil {
		return r.refuse(err, false)
	}
	if size, sum, ok := r.sink.Has(o.Segment); ok {
		if size == o.Size && sum == o.SHA256 {
			return r.receipt(o)
		}
		return r.refuse(understudy.Errorf(understudy.CodeConflict,
			"segment %s is here with other content (%d bytes, SHA-256 %x…, offered %d bytes, %x…); both copies are kept, compare them with understudy check",
			o.Segment, size, sum[:4], o.Size, o.SHA256[:4]), false)
	}
	in, err := r.sink.Import(o.Segment, o.Size, o.SHA256)
	if err != nil {
		return r.refuse(err, false)
	}
	defer in.Close()
	if err := r.send(message{Want: &want{Offset: in.Offset()}}); err != nil {
		return err
	}
	failed, err := r.take(in, o.Size)
	if err != nil {
		return err
	}
	m, err := r.receive()
	switch {
	case err != nil:
		return err
	case m.Seal == nil || *m.Seal != o:
		return unexpected("a seal of " + o.Segment.String())
	case failed != nil:
		return r.refuse(failed, false)
	}
	if err := in.Seal(ctx); err != nil {
		return r.refuse(err, understudy.CodeOf(err) == understudy.CodeConflict)
	}
	tally := r.received.Cameras[o.Segment.Camera]
	r.received.Cameras[o.Segment.Camera] = Tally{tally.Segments + 1, tally.Bytes + o.Size}
	return r.receipt(o)
}

func (r *receiver) check(o object) error {
	if err := o.Segment.Validate(); err != nil {
		return err
	}
	if o.Segment.Holder != r.peer {
		return understudy.Errorf(understudy.CodeForbidden, "%s offered footage that %s recorded; each server sends its own", r.peer, o.Segment.Holder)
	}
	if o.Size <= 0 || o.Size > maxSegment {
		return understudy.Errorf(understudy.CodeInvalid, "a segment has 1 to %d bytes, and %s was offered with %d", int64(maxSegment), o.Segment, o.Size)
	}
	return r.sink.Accept(o.Segment)
}

// take writes what comes until size is reached. What fails here is told when
// the sender listens again; until then the rest is read and dropped.
func (r *receiver) take(in Import, size int64) (failed, err error) {
	if r.buffer == nil {
		r.buffer = make([]byte, maxChunk)
	}
	for offset := in.Offset(); offset < size; {
		n, err := r.receiveData(r.buffer[:min(maxChunk, size-offset)])
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, understudy.Errorf(understudy.CodeInvalid, "expected footage, found an empty frame")
		}
		if failed == nil {
			_, failed = in.Write(r.buffer[:n])
		}
		offset += int64(n)
		r.received.Bytes += int64(n)
	}
	return failed, nil
}

func (r *receiver) confirm(o object) error {
	if err := r.check(o); err != nil {
		return r.refuse(err, false)
	}
	size, sum, ok := r.sink.Has(o.Segment)
	if !ok || size != o.Size || sum != o.SHA256 || o.Incarnation != r.incarnation || r.sink.Incarnation() != r.incarnation {
		return r.refuse(understudy.Errorf(understudy.CodeConflict,
			"segment %s is not here any more as it was acknowledged; keep it and offer it again", o.Segment), false)
	}
	return r.send(message{Confirmed: &o})
}

// receipt acknowledges a segment that is durable.
func (r *receiver) receipt(o object) error {
	o.Incarnation = r.incarnation
	return r.send(message{Receipt: &o})
}

func (r *receiver) refuse(err error, again bool) error {
	return r.send(message{Refusal: &refusal{Code: understudy.CodeOf(err), Reason: fmt.Sprintf("%.1000s", err), Again: again}})
}

// midway tells an end inside a segment from the end of a session.
func midway(err error) error {
	if errors.Is(err, io.EOF) {
		return understudy.Errorf(understudy.CodeUnavailable, "the sender left in the middle of a segment, which it can resume: %w", io.ErrUnexpectedEOF)
	}
	return err
}
