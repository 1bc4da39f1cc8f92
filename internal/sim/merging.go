package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"iter"
	"net"
	"time"

	"understudy"
	"understudy/internal/merge"
)

// sending is the way of one home's footage, over all batches.
type sending struct {
	memory  merge.Memory
	end     *pipeEnd // of the batch that runs
	running bool
	pause   time.Duration
	next    time.Duration
}

// sendHome sends what lies here to the homes that answer, a batch a home at a time.
func (f *standby) sendHome() {
	if len(f.want.SendHome) == 0 && len(f.sends) == 0 {
		return
	}
	for _, h := range f.s.homes {
		_, wanted := f.want.SendHome[h.id]
		run := f.sends[h.id]
		switch {
		case !wanted:
			if run != nil && run.end != nil {
				run.end.breakNow()
			}
			continue
		case run == nil:
			run = &sending{}
			f.sends[h.id] = run
		}
		if !run.running && f.s.now >= run.next {
			f.send(h, run)
		}
	}
}

func (f *standby) send(h *home, run *sending) {
	batch := merge.NewBatch(f.id, h.id, source{f}, f.disk.foreign(h.id), nil,
		merge.SendOptions{Grace: f.s.o.Grace, Sessions: 1, Memory: &run.memory, Clock: sessionClock{f.s}})
	if batch.Empty() {
		return
	}
	run.running = true
	f.connect(&h.machine, 5*time.Second, func(result int, c *conn) {
		if result != connected || !h.up || h.boot != c.boot { // it may have ended while its answer was on the way
			run.ended(f, false)
			return
		}
		c.close() // it was only to see whether somebody is there
		here, there := f.s.newPipe(&f.machine, &h.machine)
		run.end = here
		receiver := h.receiver
		there.run(func() { _, _ = receiver.Receive(background, there, f.id) }) // the sender is told, and tells
		here.run(func() {
			sent, err := batch.Run(background, func(context.Context) (net.Conn, error) { return here, nil })
			f.s.mix(uint64(sent.Segments), uint64(sent.Deleted))
			run.end = nil
			run.ended(f, err == nil && len(sent.Refused) == 0)
		})
	})
}

func (run *sending) ended(f *standby, all bool) {
	run.running = false
	run.pause = min(max(2*run.pause, time.Second), sendPauseMost)
	if all {
		run.pause = 0
	}
	run.next = f.s.now + run.pause
}

// pipe is a connection with a merge session at either end. Each end is a
// coroutine: it runs until it must wait, and goes on when what it waits for has
// come in virtual time.
type pipe struct {
	s    *story
	ends [2]*pipeEnd
}

type pipeEnd struct {
	pipe    *pipe
	m       *machine
	boot    int
	peer    *pipeEnd
	buffer  []byte
	closed  bool // by the peer
	broken  bool
	waiting bool
	done    bool
	last    time.Duration
	yield   func(struct{}) bool
	next    func() (struct{}, bool)
}

func (s *story) newPipe(a, b *machine) (here, there *pipeEnd) {
	p := &pipe{s: s}
	here, there = &pipeEnd{pipe: p, m: a, boot: a.boot}, &pipeEnd{pipe: p, m: b, boot: b.boot}
	here.peer, there.peer = there, here
	p.ends = [2]*pipeEnd{here, there}
	s.pipes = append(s.pipes, p)
	return here, there
}

// run begins a session at this end.
func (e *pipeEnd) run(session func()) {
	e.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		e.yield = yield
		session()
		e.done = true
	})
	e.resume()
}

func (e *pipeEnd) resume() {
	if e.done {
		return
	}
	s := e.pipe.s
	before := s.session
	s.session, e.waiting = e, false
	e.next()
	s.session = before
}

// park waits until somebody resumes this end.
func (e *pipeEnd) park() {
	e.waiting = true
	e.yield(struct{}{})
	e.waiting = false
	e.pipe.s.session = e
}

// wake lets this end go on, if its process still can.
func (e *pipeEnd) wake() {
	e.m.do(e.boot, func() {
		if e.waiting {
			e.resume()
		}
	})
}

// sleep waits for d; not ok if the session is over.
func (e *pipeEnd) sleep(d time.Duration) bool {
	until := e.pipe.s.now + d
	e.pipe.s.plan(until, deed{do: e.wake})
	for e.pipe.s.now < until && !e.broken {
		e.park()
	}
	return !e.broken
}

// breakNow ends the session at this end, and tells the other if it can be told.
func (e *pipeEnd) breakNow() {
	if e.broken {
		return
	}
	e.broken = true
	_ = e.Close()
	if e.waiting {
		e.resume()
	}
}

func (p *pipe) breakNow() {
	for _, e := range p.ends {
		e.broken = true
		for e.waiting {
			e.resume()
		}
	}
}

// breakPipes ends the sessions of a process that has ended.
func (s *story) breakPipes(m *machine) {
	kept := s.pipes[:0]
	for _, p := range s.pipes {
		for _, e := range p.ends {
			if e.m == m && !e.done {
				e.breakNow()
			}
		}
		if !p.ends[0].done || !p.ends[1].done {
			kept = append(kept, p)
		}
	}
	s.pipes = kept
}

// Read implements net.Conn.
func (e *pipeEnd) Read(b []byte) (int, error) {
	for len(e.buffer) == 0 {
		switch {
		case e.broken:
			return 0, net.ErrClosed
		case e.closed:
			return 0, io.EOF
		}
		e.park()
	}
	n := copy(b, e.buffer)
	e.buffer = e.buffer[n:]
	return n, nil
}

// Write implements net.Conn.
func (e *pipeEnd) Write(b []byte) (int, error) {
	if e.broken || e.closed {
		return 0, net.ErrClosed
	}
	data := bytes.Clone(b)
	e.deliver(func() { e.peer.buffer = append(e.peer.buffer, data...) })
	return len(b), nil
}

// Close implements net.Conn.
func (e *pipeEnd) Close() error {
	e.deliver(func() { e.peer.closed = true })
	return nil
}

// deliver brings something to the other end, in order, again and again while the way is cut.
func (e *pipeEnd) deliver(f func()) {
	net := e.pipe.s.net
	e.last = max(e.last, e.pipe.s.now+net.delay())
	var try func()
	try = func() {
		if net.cut[e.m.place][e.peer.m.place] && !e.peer.done {
			e.last = e.pipe.s.now + 500*time.Millisecond
			e.pipe.s.plan(e.last, deed{do: try})
			return
		}
		f()
		e.peer.wake()
	}
	e.pipe.s.plan(e.last, deed{do: try})
}

// The rest of net.Conn: a model has no deadlines and no addresses.
func (e *pipeEnd) LocalAddr() net.Addr              { return nil }
func (e *pipeEnd) RemoteAddr() net.Addr             { return nil }
func (e *pipeEnd) SetDeadline(time.Time) error      { return nil }
func (e *pipeEnd) SetReadDeadline(time.Time) error  { return nil }
func (e *pipeEnd) SetWriteDeadline(time.Time) error { return nil }

// sessionClock is virtual time for the session that runs.
type sessionClock struct{ s *story }

func (c sessionClock) Now() time.Time { return epoch.Add(c.s.now) }

func (c sessionClock) Wait(_ context.Context, d time.Duration) error {
	if !c.s.session.sleep(d) {
		return net.ErrClosed
	}
	return nil
}

// source is a failover server's disk as merge sees it.
type source struct{ f *standby }

// Has implements merge.Source.
func (d source) Has(id understudy.SegmentID) (int64, [32]byte, bool) { return d.f.disk.has(id) }

func (d *disk) has(id understudy.SegmentID) (int64, [32]byte, bool) {
	g := d.find(id)
	if g == nil || !g.whole() {
		return 0, [32]byte{}, false
	}
	return int64(len(g.bytes())), sha256.Sum256(g.bytes()), true
}

// OpenSegment implements merge.Source.
func (d source) OpenSegment(_ context.Context, id understudy.SegmentID) (io.ReadSeekCloser, error) {
	g := d.f.disk.find(id)
	if g == nil {
		return nil, understudy.Errorf(understudy.CodeNotFound, "segment %s is not here", id)
	}
	return content{bytes.NewReader(g.bytes())}, nil
}

type content struct{ *bytes.Reader }

func (content) Close() error { return nil }

// Delete implements merge.Source.
func (d source) Delete(id understudy.SegmentID, why string) error {
	if g := d.f.disk.find(id); g != nil {
		d.f.s.say("%s deletes %s: %s", d.f.id, id, why)
		d.f.s.oracle.deletes(d.f, g)
		d.f.disk.delete(g)
		d.f.s.tally.Deleted++
	}
	return nil
}

// DeleteNotes implements merge.Source: a story has none.
func (source) DeleteNotes([]understudy.Note) error { return nil }

// sink is a recording server's disk as merge sees it.
type sink struct{ m *machine }

func (d sink) Incarnation() string                                    { return d.m.disk.incarnation }
func (d sink) Accept(understudy.CameraID) error                       { return nil }
func (d sink) Expired(understudy.SegmentID, time.Time) string         { return "" }
func (d sink) Retired(understudy.SegmentID) (string, bool)            { return "", false }
func (d sink) Has(id understudy.SegmentID) (int64, [32]byte, bool)    { return d.m.disk.has(id) }
func (d sink) Quarantined(understudy.SegmentID, int64, [32]byte) bool { return false }
func (d sink) TakeNotes([]understudy.Note) error                      { return nil }
func (d sink) Import(id understudy.SegmentID, size int64, sum [32]byte) (merge.Import, error) {
	if !d.m.disk.writable || d.m.disk.broken {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "the disk of %s cannot be written", d.m.id)
	}
	return &arriving{m: d.m, id: id, size: size, sum: sum}, nil
}

// arriving is a segment on its way in. What is not sealed is lost with the session.
type arriving struct {
	m       *machine
	id      understudy.SegmentID
	size    int64
	sum     [32]byte
	content []byte
}

func (a *arriving) Offset() int64 { return int64(len(a.content)) }
func (a *arriving) Close() error  { return nil }

func (a *arriving) Reject(bool) error {
	a.content = nil
	return nil
}

func (a *arriving) Write(p []byte) (int, error) {
	a.content = append(a.content, p...)
	return len(p), nil
}

// Seal is durable when it returns: the disk takes its time, and may fail meanwhile.
func (a *arriving) Seal(context.Context) error {
	d, s := a.m.disk, a.m.s
	if int64(len(a.content)) != a.size || sha256.Sum256(a.content) != a.sum {
		return understudy.Errorf(understudy.CodeConflict, "segment %s arrived damaged", a.id)
	}
	if !s.session.sleep(between(s.disks, 5*time.Millisecond, 60*time.Millisecond) + d.slow) {
		return net.ErrClosed
	}
	if d.broken {
		return understudy.Errorf(understudy.CodeUnavailable, "the disk of %s cannot be written", a.m.id)
	}
	d.take(a.id, a.content)
	s.tally.Merged++
	return nil
}
