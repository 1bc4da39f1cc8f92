package merge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"understudy"
	"understudy/internal/wire"
)

// sender is one session of a batch.
type sender struct {
	link
	batch       *Batch
	incarnation string
	frame       []byte    // of data, with room for its header
	receipts    []pending // oldest first
}

// pending is a segment that home has, and that is not confirmed yet.
type pending struct {
	confirm confirm
	at      time.Time
}

// connect opens a session and waits for home's welcome.
func (b *Batch) connect(ctx context.Context, dial func(context.Context) (net.Conn, error)) (*sender, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	l, free := newLink(ctx, conn)
	defer free()
	s := &sender{link: l, batch: b}
	if err := s.greet(); err != nil {
		conn.Close()
		return nil, ended(ctx, err)
	}
	return s, nil
}

func (s *sender) greet() error {
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
	return nil
}

// run sends until the batch has no more, and closes the connection. The first
// session of a batch hands over the notes, and then calls more for the others.
func (s *sender) run(ctx context.Context, more func()) error {
	defer s.conn.Close()
	_, free := newLink(ctx, s.conn)
	defer free()
	return ended(ctx, s.session(ctx, more))
}

func (s *sender) session(ctx context.Context, more func()) error {
	if more != nil {
		if err := s.handNotes(); err != nil {
			return err
		}
		more()
	}
	grace := s.batch.options.Grace
	for {
		if err := s.confirmOlderThan(grace); err != nil {
			return err
		}
		if err := s.batch.options.Pace.pass(ctx, 0); err != nil {
			return err
		}
		segment, ok := s.batch.next()
		if !ok {
			return s.confirmRest(ctx)
		}
		if err := s.transfer(ctx, segment); err != nil {
			return err
		}
	}
}

// handNotes brings the notes home and deletes them here. Those of a camera that
// is not home's stay.
func (s *sender) handNotes() error {
	notes := s.batch.notes
	for len(notes) > 0 {
		n, size := 0, 0
		for ; n < len(notes); n++ {
			text, err := json.Marshal(notes[n])
			if err != nil {
				return understudy.Errorf(understudy.CodeInternal, "note %s cannot be sent: %w", notes[n].ID, err)
			}
			if size += len(text) + 1; size > maxNotes && n > 0 || notes[n].Camera != notes[0].Camera {
				break
			}
		}
		if err := s.handSome(notes[:n]); err != nil {
			return err
		}
		notes = notes[n:]
	}
	s.batch.update(func() { s.batch.notes = nil })
	return nil
}

func (s *sender) handSome(notes []understudy.Note) error {
	asked := s.now()
	if err := s.send(message{Notes: notes}); err != nil {
		return err
	}
	m, err := s.receive()
	switch {
	case err != nil:
		return err
	case m.Refusal != nil && hopeless(m.Refusal.Code):
		return m.Refusal.error()
	case m.Refusal != nil:
		return nil
	case m.Noted == nil || m.Noted.Notes != len(notes) || m.Noted.Incarnation != s.incarnation:
		return unexpected("a receipt of notes")
	}
	if err := s.still(asked); err != nil {
		return err
	}
	if err := s.batch.source.DeleteNotes(notes); err != nil {
		return err
	}
	s.batch.update(func() { s.batch.sent.Notes += len(notes) })
	return nil
}

// hopeless is what home would say of every other segment, too.
func hopeless(code understudy.Code) bool {
	return code == understudy.CodeUnavailable || code == understudy.CodeInternal
}

// transfer brings one segment to a receipt, or to a refusal.
func (s *sender) transfer(ctx context.Context, segment understudy.Segment) error {
	b := s.batch
	for attempt := 1; ; attempt++ {
		o, ok := b.options.Memory.object(b.source, segment.ID)
		if !ok {
			return s.missing(ctx, segment)
		}
		no, err := s.offer(ctx, o, segment.End)
		switch {
		case err != nil:
			return err
		case no == nil:
			return nil
		case no.Again && attempt < attempts:
			b.options.Memory.doubt(segment.ID) // it may be this disk that fails
			continue
		case hopeless(no.Code):
			return no.error()
		}
		return s.refused(segment, no)
	}
}

// missing: deleted meanwhile, or it cannot be read.
func (s *sender) missing(ctx context.Context, segment understudy.Segment) error {
	if file, err := s.batch.source.OpenSegment(ctx, segment.ID); err == nil {
		file.Close()
		return s.refused(segment, &refusal{Code: understudy.CodeConflict, Quarantined: true,
			Reason: fmt.Sprintf("segment %s cannot be read back whole here; it stays where it is: run understudy check on this server's store", segment.ID)})
	}
	s.batch.update(func() { s.batch.drop(segment.ID) })
	return nil
}

// refused leaves a segment where it is, unless its time has come at both ends.
func (s *sender) refused(segment understudy.Segment, no *refusal) error {
	b := s.batch
	if no.Retired || no.Expired && b.options.Expired != nil && b.options.Expired(segment) {
		return s.expired(segment.ID, no)
	}
	b.options.Memory.hold(segment.ID, b.options.Clock.Now().Add(holdFor))
	b.update(func() {
		b.drop(segment.ID)
		b.sent.Refused[segment.ID] = no.Reason
		if no.Quarantined {
			b.sent.Quarantined = append(b.sent.Quarantined, segment.ID)
		}
	})
	return nil
}

func (s *sender) expired(id understudy.SegmentID, no *refusal) error {
	if err := s.batch.source.Delete(id, "its time has come at home: "+no.Reason); err != nil {
		return err
	}
	s.batch.update(func() {
		s.batch.drop(id)
		s.batch.sent.Expired++
	})
	return nil
}

// offer tries once. A refusal is not an error: the next segment may be taken.
func (s *sender) offer(ctx context.Context, o object, end time.Time) (*refusal, error) {
	var l left
	s.batch.update(func() {
		s.batch.reached(o.Segment, 0) // until home says otherwise
		l = s.batch.left()
	})
	if err := s.send(message{Offer: &offer{object: o, End: end, Left: l}}); err != nil {
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
	case m.Receipt == nil || !s.answers(m.Receipt.object, o):
		return nil, unexpected("a receipt of " + o.Segment.String())
	}
	s.batch.arrived(o.Segment, m.Receipt.Watched)
	s.receipts = append(s.receipts, pending{confirm: confirm{m.Receipt.object, end}, at: s.batch.options.Memory.acknowledged(m.Receipt.object, s.batch.options.Clock.Now())})
	return nil, nil
}

// answers reports whether r is about o and of the store that welcomed us.
func (s *sender) answers(r, o object) bool {
	o.Incarnation = s.incarnation
	return r == o
}

func (s *sender) stream(ctx context.Context, o object, offset int64) error {
	file, err := s.batch.source.OpenSegment(ctx, o.Segment)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "segment %s could not be read from byte %d on: %w", o.Segment, offset, err)
	}
	s.batch.update(func() { s.batch.reached(o.Segment, offset) })
	for offset < o.Size {
		n := int(min(int64(s.batch.options.Pace.chunk()), o.Size-offset))
		s.frame = slices.Grow(s.frame[:0], wire.DataRoom+n)[:wire.DataRoom+n]
		if _, err := io.ReadFull(file, s.frame[wire.DataRoom:]); err != nil {
			return understudy.Errorf(understudy.CodeUnavailable, "segment %s could not be read at byte %d: %w", o.Segment, offset, err)
		}
		if err := s.batch.options.Pace.pass(ctx, n); err != nil {
			return err
		}
		if err := s.sendData(s.frame); err != nil {
			return err
		}
		offset += int64(n)
		s.batch.moved(o.Segment, n, offset)
	}
	return nil
}

func (s *sender) confirmOlderThan(age time.Duration) error {
	for len(s.receipts) > 0 && s.age(s.receipts[0]) >= age {
		if err := s.confirm(s.receipts[0].confirm); err != nil {
			return err
		}
		s.receipts = s.receipts[1:]
	}
	return nil
}

func (s *sender) confirmRest(ctx context.Context) error {
	grace := s.batch.options.Grace
	for len(s.receipts) > 0 {
		if err := s.wait(ctx, grace-s.age(s.receipts[0])); err != nil {
			return err
		}
		if err := s.confirmOlderThan(grace); err != nil {
			return err
		}
	}
	return nil
}

// confirm deletes a segment that home has read back; one that home lost again
// stays. One that retention has taken at home meanwhile was there, and has had its time.
func (s *sender) confirm(c confirm) error {
	asked := s.now()
	if err := s.send(message{Confirm: &c}); err != nil {
		return err
	}
	m, err := s.receive()
	id := c.Segment
	switch {
	case err != nil:
		return err
	case m.Refusal != nil && (m.Refusal.Retired || m.Refusal.Expired):
		return s.expired(id, m.Refusal)
	case m.Refusal != nil:
		s.batch.update(func() {
			s.batch.sent.Segments--
			s.batch.sent.Refused[id] = m.Refusal.Reason
		})
		return nil
	case m.Confirmed == nil || !s.answers(*m.Confirmed, c.object):
		return unexpected("a confirmation of " + id.String())
	}
	if err := s.still(asked); err != nil {
		return err
	}
	why := fmt.Sprintf("home has it: %d bytes with SHA-256 %x… were read back there, in store %s", c.Size, c.SHA256[:4], c.Incarnation)
	if err := s.batch.source.Delete(id, why); err != nil {
		return err
	}
	s.batch.update(func() { s.batch.sent.Deleted++ })
	return nil
}

// freshAnswer is how old an answer may be for which something is deleted.
const freshAnswer = time.Second

// still makes sure that home is the one that gave an answer: one that took long
// may have waited here while this process stood still, and home may have another
// disk since. Then home says again who it is, over the same connection.
func (s *sender) still(asked time.Time) error {
	answered := s.incarnation
	for n := 0; elapsed(asked, s.now()) > freshAnswer; n++ {
		if n == attempts {
			return understudy.Errorf(understudy.CodeUnavailable, "home takes longer than %s to say who it is, so nothing is deleted for what it said before; it is asked again later", freshAnswer)
		}
		asked = s.now()
		if err := s.greet(); err != nil {
			return err
		}
		if s.incarnation != answered {
			return understudy.Errorf(understudy.CodeUnavailable, "home has another store (%s) than when it answered (%s): what it confirmed is offered again", s.incarnation, answered)
		}
	}
	return nil
}

// elapsed counts the time of a suspended machine, too, which is in the wall clock alone.
func elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

func (r *refusal) error() error {
	return understudy.Errorf(r.Code, "home refused: %.1000s", r.Reason)
}

func (s *sender) now() time.Time { return s.batch.options.Clock.Now() }

func (s *sender) age(p pending) time.Duration { return s.now().Sub(p.at) }

func (s *sender) wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	return s.batch.options.Clock.Wait(ctx, d)
}
