package merge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"understudy"
)

// Sink is the store that footage comes home to.
type Sink interface {
	// Incarnation names the store; a reformatted disk has another.
	Incarnation() string
	// Accept says why footage of a camera does not belong here; nil if it does.
	Accept(camera understudy.CameraID) error
	// Expired says why retention here would delete a segment at once; "" if it
	// would be kept. end is the sender's word.
	Expired(id understudy.SegmentID, end time.Time) string
	// Retired says why retention has deleted a segment that was here.
	Retired(id understudy.SegmentID) (why string, ok bool)
	// Has reads a segment back from the disk; not ok if it is not here whole.
	Has(id understudy.SegmentID) (size int64, sha256 [32]byte, ok bool)
	// Import begins or resumes taking a segment. It must not be asked for one that is quarantined.
	Import(id understudy.SegmentID, size int64, sha256 [32]byte) (Import, error)
	// Quarantined reports whether these very bytes were put aside.
	Quarantined(id understudy.SegmentID, size int64, sha256 [32]byte) bool
	// TakeNotes makes notes durable here; one that is here already changes nothing.
	TakeNotes(notes []understudy.Note) error
}

// Import is a segment on its way in; a storage.Import is one.
type Import interface {
	// Offset is where to go on: all before it is here.
	Offset() int64
	io.Writer // appends
	// Seal verifies, makes durable and takes into the store. CodeConflict if the
	// bytes are not those announced; Reject then says what becomes of them.
	Seal(ctx context.Context) error
	// Reject forgets what is wrong, so that it comes again, or, the last time,
	// puts all of it aside.
	Reject(last bool) error
	// Close gives up for now and keeps what came; after Seal it does nothing.
	io.Closer
}

// Receiver is home's end of all sessions.
type Receiver struct {
	Self understudy.ServerID
	Sink Sink
	// Report is told what people should know; nil tells nobody. It must not wait.
	Report func(understudy.Report)
	// Watched returns what is played from here; it may be nil, as if nothing was.
	Watched func() []Watched

	mu       sync.Mutex
	arrivals map[understudy.ServerID]*arrival
	failures map[object]int  // of bytes that did not have their hash
	alarmed  map[object]bool // other content under a name that is taken
}

// Bounds of what a receiver remembers, and of the sessions of one server. One
// more ends the oldest, which is one that a cut has left behind.
const (
	maxRemembered = 10000
	maxSessions   = 6
)

// arrival is what comes from one server, over all its sessions.
type arrival struct {
	sessions []net.Conn // the oldest first
	camera   understudy.CameraID
	left     left
	done     int64
	meter    meter
}

// Received is what came of a session.
type Received struct {
	Cameras map[understudy.CameraID]Tally // what was sealed
	Bytes   int64                         // that came over the wire
	Notes   int
}

// Tally is how much of a camera came home.
type Tally struct {
	Segments int
	Bytes    int64
}

// Receive answers the server peer at the other end of conn until that ends the
// session or ctx ends, and closes conn. A peer sends only what it recorded itself.
func (r *Receiver) Receive(ctx context.Context, conn net.Conn, peer understudy.ServerID) (Received, error) {
	defer conn.Close()
	l, free := newLink(ctx, conn)
	defer free()
	s := &receiving{link: l, Receiver: r, peer: peer, incarnation: r.Sink.Incarnation(),
		received: Received{Cameras: map[understudy.CameraID]Tally{}}}
	defer r.leave(peer, conn)
	r.enter(peer, conn)
	err := s.greet()
	for err == nil {
		err = s.step(ctx)
	}
	if errors.Is(err, io.EOF) && ctx.Err() == nil {
		return s.received, nil
	}
	return s.received, ended(ctx, err)
}

// Transfers returns what comes home now, by sender.
func (r *Receiver) Transfers() []understudy.Transfer {
	r.mu.Lock()
	defer r.mu.Unlock()
	var transfers []understudy.Transfer
	now := time.Now()
	for _, peer := range slices.Sorted(maps.Keys(r.arrivals)) {
		a := r.arrivals[peer]
		t := understudy.Transfer{From: peer, To: r.Self, Camera: a.camera, SegmentsLeft: a.left.Segments,
			BytesLeft: a.left.Bytes, BytesDone: a.done, BytesPerSecond: a.meter.rate(now)}
		t.Until = until(now, t)
		transfers = append(transfers, t)
	}
	return transfers
}

func (r *Receiver) enter(peer understudy.ServerID, conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.arrivals == nil {
		r.arrivals = map[understudy.ServerID]*arrival{}
	}
	if r.arrivals[peer] == nil {
		r.arrivals[peer] = &arrival{}
	}
	a := r.arrivals[peer]
	if a.sessions = append(a.sessions, conn); len(a.sessions) > maxSessions {
		a.sessions[0].Close() // its session ends, and leaves
	}
}

func (r *Receiver) leave(peer understudy.ServerID, conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.arrivals[peer]
	a.sessions = slices.DeleteFunc(a.sessions, func(c net.Conn) bool { return c == conn })
	if len(a.sessions) == 0 {
		delete(r.arrivals, peer)
	}
}

func (r *Receiver) note(peer understudy.ServerID, f func(*arrival)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.arrivals[peer])
}

// failed counts a segment whose bytes did not have their hash, over all
// sessions, and reports whether that was once too often.
func (r *Receiver) failed(o object) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failures == nil || len(r.failures) >= maxRemembered {
		r.failures = map[object]int{}
	}
	r.failures[o]++
	if r.failures[o] < attempts {
		return false
	}
	delete(r.failures, o)
	return true
}

// alarm tells of a segment once.
func (r *Receiver) alarm(o object, sentence string) {
	r.mu.Lock()
	if r.alarmed == nil || len(r.alarmed) >= maxRemembered {
		r.alarmed = map[object]bool{}
	}
	told := r.alarmed[o]
	r.alarmed[o] = true
	r.mu.Unlock()
	if !told && r.Report != nil {
		r.Report(understudy.Report{Kind: understudy.EventStorage, Camera: o.Segment.Camera, Sentence: sentence})
	}
}

// receiving is one session at home.
type receiving struct {
	link
	*Receiver
	peer        understudy.ServerID
	incarnation string
	buffer      []byte
	received    Received
}

func (s *receiving) greet() error {
	m, err := s.receive()
	switch {
	case err != nil:
		return err
	case m.Hello == nil:
		return unexpected("a hello")
	}
	return s.welcome(*m.Hello)
}

func (s *receiving) welcome(h hello) error {
	if h.Version != version {
		err := understudy.Errorf(understudy.CodeInvalid, "%s speaks merge protocol %d, and this server %d; update the older one", s.peer, h.Version, version)
		return errors.Join(err, s.refuse(err))
	}
	return s.send(message{Welcome: &welcome{Version: version, Incarnation: s.Sink.Incarnation()}})
}

// step answers one message; io.EOF when there are no more.
func (s *receiving) step(ctx context.Context) error {
	m, err := s.receive()
	switch {
	case err != nil:
		return err
	case len(m.Notes) > 0:
		return s.take(m.Notes)
	case m.Offer != nil:
		return midway(s.offered(ctx, *m.Offer))
	case m.Confirm != nil:
		return s.confirm(*m.Confirm)
	case m.Hello != nil:
		return s.welcome(*m.Hello)
	}
	return unexpected("notes, an offer, a confirm or a hello")
}

// take answers notes when they are durable.
func (s *receiving) take(notes []understudy.Note) error {
	for _, n := range notes {
		if err := n.Validate(); err != nil {
			return s.refuse(err)
		}
		if err := s.Sink.Accept(n.Camera); err != nil {
			return s.refuse(err)
		}
	}
	if err := s.Sink.TakeNotes(notes); err != nil {
		return s.refuse(err)
	}
	s.received.Notes += len(notes)
	return s.send(message{Noted: &noted{Notes: len(notes), Incarnation: s.incarnation}})
}

func (s *receiving) offered(ctx context.Context, offered offer) error {
	o := offered.object
	o.Incarnation = ""
	if err := s.check(o); err != nil {
		return s.refuse(err)
	}
	s.note(s.peer, func(a *arrival) {
		a.camera, a.left = o.Segment.Camera, left{max(0, offered.Left.Segments), max(0, offered.Left.Bytes)}
	})
	if size, sum, ok := s.Sink.Has(o.Segment); ok {
		if size == o.Size && sum == o.SHA256 {
			return s.receipt(o)
		}
		err := understudy.Errorf(understudy.CodeConflict,
			"segment %s is here with other content (%d bytes, SHA-256 %x…, %s offered %d bytes, %x…); both copies are kept, compare them with understudy check",
			o.Segment, size, sum[:4], s.peer, o.Size, o.SHA256[:4])
		s.alarm(o, err.Error())
		return s.refuse(err)
	}
	if no := s.expired(o.Segment, offered.End); no != nil {
		return s.refuseWith(*no)
	}
	if s.Sink.Quarantined(o.Segment, o.Size, o.SHA256) {
		return s.refuseWith(refusal{Code: understudy.CodeConflict, Reason: quarantined(o, s.peer), Quarantined: true})
	}
	in, err := s.Sink.Import(o.Segment, o.Size, o.SHA256)
	if err != nil {
		return s.refuse(err)
	}
	defer in.Close()
	if err := s.send(message{Want: &want{Offset: in.Offset()}}); err != nil {
		return err
	}
	failed, err := s.fill(in, o.Size)
	if err != nil {
		return err
	}
	m, err := s.receive()
	switch {
	case err != nil:
		return err
	case m.Seal == nil || *m.Seal != o:
		return unexpected("a seal of " + o.Segment.String())
	case failed != nil:
		return s.refuse(failed)
	}
	if err := in.Seal(ctx); err != nil {
		return s.unsealed(in, o, err)
	}
	tally := s.received.Cameras[o.Segment.Camera]
	s.received.Cameras[o.Segment.Camera] = Tally{tally.Segments + 1, tally.Bytes + o.Size}
	return s.receipt(o)
}

// unsealed refuses a segment that could not be sealed, and puts it aside when
// its bytes were wrong once too often.
func (s *receiving) unsealed(in Import, o object, err error) error {
	if understudy.CodeOf(err) != understudy.CodeConflict {
		return s.refuse(err)
	}
	last := s.failed(o)
	if err := in.Reject(last); err != nil {
		return s.refuse(err)
	}
	if !last {
		return s.refuseWith(refusal{Code: understudy.CodeConflict, Reason: reason(err), Again: true})
	}
	why := quarantined(o, s.peer)
	s.alarm(o, fmt.Sprintf("%s: %s", why, reason(err)))
	return s.refuseWith(refusal{Code: understudy.CodeConflict, Reason: why, Quarantined: true})
}

func quarantined(o object, from understudy.ServerID) string {
	return fmt.Sprintf("segment %s of %s failed its hash %d times and is quarantined: it stays on %s, and what came of it lies in incoming here; check both disks, then run understudy merge retry on this server to let it come again",
		o.Segment, from, attempts, from)
}

func (s *receiving) check(o object) error {
	if err := o.Segment.Validate(); err != nil {
		return err
	}
	if o.Segment.Holder != s.peer {
		return understudy.Errorf(understudy.CodeForbidden, "%s offered footage that %s recorded; each server sends its own", s.peer, o.Segment.Holder)
	}
	if o.Size <= 0 || o.Size > maxSegment {
		return understudy.Errorf(understudy.CodeInvalid, "a segment has 1 to %d bytes, and %s was offered with %d", int64(maxSegment), o.Segment, o.Size)
	}
	return s.Sink.Accept(o.Segment.Camera)
}

// fill writes what comes until size is reached, also the part of a frame that
// came before the connection was lost. What fails here is told when the sender
// listens again; until then the rest is read and dropped.
func (s *receiving) fill(in Import, size int64) (failed, err error) {
	if chunk := int(min(maxChunk, size)); len(s.buffer) < chunk {
		s.buffer = make([]byte, chunk)
	}
	for offset := in.Offset(); offset < size; {
		n, err := s.receiveData(s.buffer[:min(int64(len(s.buffer)), size-offset)])
		if failed == nil && n > 0 {
			_, failed = in.Write(s.buffer[:n])
		}
		offset += int64(n)
		s.received.Bytes += int64(n)
		s.note(s.peer, func(a *arrival) {
			a.meter.add(time.Now(), int64(n))
			a.done += int64(n)
			a.left.Bytes = max(0, a.left.Bytes-int64(n))
		})
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, understudy.Errorf(understudy.CodeInvalid, "expected footage, found an empty frame")
		}
	}
	return failed, nil
}

func (s *receiving) confirm(c confirm) error {
	o := c.object
	if err := s.check(o); err != nil {
		return s.refuse(err)
	}
	size, sum, ok := s.Sink.Has(o.Segment)
	same := o.Incarnation == s.incarnation && s.Sink.Incarnation() == s.incarnation
	if ok && size == o.Size && sum == o.SHA256 && same {
		return s.send(message{Confirmed: &o})
	}
	if no := s.expired(o.Segment, c.End); !ok && same && no != nil {
		return s.refuseWith(*no)
	}
	return s.refuse(understudy.Errorf(understudy.CodeConflict,
		"segment %s is not here any more as it was acknowledged; keep it and offer it again", o.Segment))
}

// expired refuses a segment that retention has deleted, or would at once; nil if neither.
func (s *receiving) expired(id understudy.SegmentID, end time.Time) *refusal {
	if why, ok := s.Sink.Retired(id); ok {
		return &refusal{Code: understudy.CodeNotFound, Reason: fmt.Sprintf("segment %s was here, and retention deleted it: %s", id, why), Retired: true}
	}
	if why := s.Sink.Expired(id, end); why != "" {
		return &refusal{Code: understudy.CodeNotFound, Reason: why, Expired: true}
	}
	return nil
}

// receipt acknowledges a segment that is durable.
func (s *receiving) receipt(o object) error {
	o.Incarnation = s.incarnation
	r := receipt{object: o}
	if s.Watched != nil {
		watched := s.Watched()
		r.Watched = watched[:min(len(watched), maxWatched)]
	}
	return s.send(message{Receipt: &r})
}

func (s *receiving) refuse(err error) error {
	return s.refuseWith(refusal{Code: understudy.CodeOf(err), Reason: reason(err)})
}

func (s *receiving) refuseWith(no refusal) error { return s.send(message{Refusal: &no}) }

func reason(err error) string { return fmt.Sprintf("%.1000s", err) }

// midway tells an end inside a segment from the end of a session.
func midway(err error) error {
	if errors.Is(err, io.EOF) {
		return understudy.Errorf(understudy.CodeUnavailable, "the sender left in the middle of a segment, which it can resume: %w", io.ErrUnexpectedEOF)
	}
	return err
}
