package merge

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"understudy"
)

// Source is the store that footage leaves; a storage.Store is one.
type Source interface {
	// Has reads a closed segment back from the disk; not ok if it is not here whole.
	Has(id understudy.SegmentID) (size int64, sha256 [32]byte, ok bool)
	OpenSegment(ctx context.Context, id understudy.SegmentID) (io.ReadSeekCloser, error)
	// Delete removes a segment; why is a sentence for the log.
	Delete(id understudy.SegmentID, why string) error
}

// SendOptions are what a site may set; the zero value sends as fast as it can
// and confirms at once.
type SendOptions struct {
	// Grace is the time between receipt and confirmation.
	Grace time.Duration
	// BytesPerSecond bounds the transfer; 0 does not.
	BytesPerSecond int64
}

// Sent is what came of a session.
type Sent struct {
	Segments int   // that home has now
	Bytes    int64 // that went over the wire
	Deleted  int   // segments, here, after home confirmed them
	// Refused has a sentence for each segment that home did not take.
	Refused map[understudy.SegmentID]string
}

// Send offers segments to home at the other end of conn, which is TLS to that
// very server, and returns when each was deleted here or refused there. It
// closes conn. What is lacking after an error is offered again by the next
// Send. CodeUnavailable: home cannot take anything now.
func Send(ctx context.Context, conn net.Conn, source Source, segments []understudy.SegmentID, o SendOptions) (Sent, error) {
	defer conn.Close()
	l, free := newLink(ctx, conn)
	defer free()
	s := &sender{link: l, source: source, options: o, begun: time.Now(), sent: Sent{Refused: map[understudy.SegmentID]string{}}}
	err := s.run(ctx, segments)
	return s.sent, ended(ctx, err)
}

type sender struct {
	link
	source      Source
	options     SendOptions
	begun       time.Time
	incarnation string
	receipts    []receipt // oldest first
	sent        Sent
}

// receipt is a segment that home has, and that is not confirmed yet.
type receipt struct {
	object object
	at     time.Time
}

func (s *sender) run(ctx context.Context, segments []understudy.SegmentID) error {
	if err := s.send(message{Hello: &hello{Version: version}}); err != nil {
		return err
	}
	m, err := s.receive()
	switch {
	case err != nil:
		return err
	case m.Refusal != nil:
		return m.Refusal.error()
	case m.Welcome == nil || m.Welcome.Version != version || m.Welcome.Incarnation == "":
		return unexpected("a welcome")
	}
	s.incarnation = m.Welcome.Incarnation
	for _, id := range segments {
		if err := s.confirmOlderThan(s.options.Grace); err != nil {
			return err
		}
		if err := s.transfer(ctx, id); err != nil {
			return err
		}
	}
	return s.confirmRest(ctx)
}

// transfer brings one segment to a receipt, or to a refusal.
func (s *sender) transfer(ctx context.Context, id understudy.SegmentID) error {
	size, sum, ok := s.source.Has(id)
	if !ok {
		return nil // deleted meanwhile, or damaged: then storage has told so
	}
	o := object{Segment: id, Size: size, SHA256: sum}
	for attempt := 1; ; attempt++ {
		no, err := s.offer(ctx, o)
		switch {
		case err != nil:
			return err
		case no == nil:
			return nil
		case no.Again && attempt < attempts:
			continue
		case no.Code == understudy.CodeUnavailable || no.Code == understudy.CodeInternal:
			return no.error() // it would say so of every other segment too
		}
		s.sent.Refused[id] = no.Reason
		return nil
	}
}

// offer tries once. A refusal is not an error: the next segment may be taken.
func (s *sender) offer(ctx context.Context, o object) (*refusal, error) {
	if err := s.send(message{Offer: &o}); err != nil {
		return nil, err
	}
	m, err := s.receive()
	if err != nil {
		return nil, err
	}
	if m.Want != nil {
		if m.Want.Offset < 0 || m.Want.Offset > o.Size {
			return nil, understudy.Errorf(understudy.CodeInvalid, "home wants %s from byte %d on, and it has %d", o.Segment, m.Want.Offset, o.Size)
		}
		if err := s.stream(ctx, o, m.Want.Offset); err != nil {
			return nil, err
		}
		if err := s.send(message{Seal: &o}); err != nil {
			return nil, err
		}
		if m, err = s.receive(); err != nil {
			return nil, err
		}
	}
	switch {
	case m.Refusal != nil:
		return m.Refusal, nil
	case m.Receipt == nil || !s.answers(m.Receipt, o):
		return nil, unexpected("a receipt of " + o.Segment.String())
	}
	s.sent.Segments++
	s.receipts = append(s.receipts, receipt{object: *m.Receipt, at: time.Now()})
	return nil, nil
}

// answers reports whether r is about o and of the store that welcomed us.
func (s *sender) answers(r *object, o object) bool {
	o.Incarnation = s.incarnation
	return *r == o
}

func (s *sender) stream(ctx context.Context, o object, offset int64) error {
	file, err := s.source.OpenSegment(ctx, o.Segment)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "segment %s could not be read from byte %d on: %w", o.Segment, offset, err)
	}
	buffer := make([]byte, maxChunk)
	for offset < o.Size {
		chunk := buffer[:min(int64(len(buffer)), o.Size-offset)]
		if _, err := io.ReadFull(file, chunk); err != nil {
			return understudy.Errorf(understudy.CodeUnavailable, "segment %s could not be read at byte %d: %w", o.Segment, offset, err)
		}
		if err := s.sendData(chunk); err != nil {
			return err
		}
		offset += int64(len(chunk))
		s.sent.Bytes += int64(len(chunk))
		if err := s.pace(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pace waits until what was sent is no more than the rate allows.
func (s *sender) pace(ctx context.Context) error {
	if s.options.BytesPerSecond <= 0 {
		return ctx.Err()
	}
	due := time.Duration(float64(s.sent.Bytes) / float64(s.options.BytesPerSecond) * float64(time.Second))
	return wait(ctx, due-time.Since(s.begun))
}

func (s *sender) confirmOlderThan(age time.Duration) error {
	for len(s.receipts) > 0 && time.Since(s.receipts[0].at) >= age {
		if err := s.confirm(s.receipts[0].object); err != nil {
			return err
		}
		s.receipts = s.receipts[1:]
	}
	return nil
}

func (s *sender) confirmRest(ctx context.Context) error {
	for len(s.receipts) > 0 {
		if err := wait(ctx, s.options.Grace-time.Since(s.receipts[0].at)); err != nil {
			return err
		}
		if err := s.confirmOlderThan(s.options.Grace); err != nil {
			return err
		}
	}
	return nil
}

// confirm deletes a segment that home has read back; one that home lost again stays.
func (s *sender) confirm(o object) error {
	if err := s.send(message{Confirm: &o}); err != nil {
		return err
	}
	m, err := s.receive()
	switch {
	case err != nil:
		return err
	case m.Refusal != nil:
		s.sent.Segments--
		s.sent.Refused[o.Segment] = m.Refusal.Reason
		return nil
	case m.Confirmed == nil || !s.answers(m.Confirmed, o):
		return unexpected("a confirmation of " + o.Segment.String())
	}
	why := fmt.Sprintf("home has it: %d bytes with SHA-256 %x… were read back there, in store %s", o.Size, o.SHA256[:4], o.Incarnation)
	if err := s.source.Delete(o.Segment, why); err != nil {
		return err
	}
	s.sent.Deleted++
	return nil
}

func (r *refusal) error() error {
	return understudy.Errorf(r.Code, "home refused: %.1000s", r.Reason)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
