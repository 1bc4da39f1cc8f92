package sim

import (
	"fmt"
	"time"

	"understudy"
)

// machine is a host with one server process on it.
type machine struct {
	s        *story
	id       understudy.ServerID
	place    int // in the network
	powered  bool
	up       bool // the process runs
	hung     bool // and stands still
	boot     int
	bootName string        // the boot id that it tells
	began    time.Duration // of this process
	changed  time.Duration // of up and hung
	offset   time.Duration // of the wall clock
	backlog  []func()      // what a process that stands still will do when it goes on
	peers    []*conn       // that others have opened to it
	disk     *disk
	rec      recorder
	highest  uint64        // epoch that it has ever seen
	joined   time.Duration // when it was last connected again after having been cut off from everybody; 0 never
	begin    func()        // starts the process
	finish   func()        // forgets what was in memory
	// answer is what the state port tells who polls it, besides what it records.
	answer func(understudy.Poll, []understudy.CameraState) understudy.State
}

func (m *machine) alive() bool { return m.up && !m.hung }

// wall is the machine's own clock.
func (m *machine) wall() time.Time { return epoch.Add(m.s.now + m.offset) }

// clock is a time that nobody sets.
func (s *story) clock() time.Time { return epoch.Add(s.now) }

// epoch is when every story begins.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// do runs f in the process: now, when it goes on, or never if it has ended since.
func (m *machine) do(boot int, f func()) {
	switch {
	case m.boot != boot || !m.up:
	case m.hung:
		m.backlog = append(m.backlog, f)
	default:
		f()
	}
}

// after plans what this process does later, if it still runs.
func (m *machine) after(d time.Duration, f func()) {
	m.s.plan(m.s.now+d, deed{of: m, boot: m.boot, do: f})
}

// every does f now, and each d for as long as this process runs.
func (m *machine) every(d time.Duration, f func()) { repeat(m.after, d, f) }

func (m *machine) start() {
	if m.up {
		return
	}
	m.s.say("%s starts", m.id)
	m.powered, m.up, m.hung = true, true, false
	m.boot++
	m.bootName = fmt.Sprint(m.id, "#", m.boot)
	m.began, m.changed, m.backlog = m.s.now, m.s.now, nil
	if m.disk != nil {
		m.disk.open()
	}
	m.begin()
}

// kill ends the process. Its host says so to whoever is connected.
func (m *machine) kill() {
	if !m.up {
		return
	}
	m.s.say("%s is killed", m.id)
	m.stop()
	for _, c := range m.peers {
		m.s.net.send(m.place, c.from.place, c.end)
	}
	m.peers = nil
	if m.disk != nil {
		m.disk.lose(false)
	}
}

// losePower ends the process and the host: nobody is told, and what was not synced is gone.
func (m *machine) losePower() {
	if m.powered {
		m.s.say("%s loses power", m.id)
	}
	if m.up {
		m.stop()
	}
	m.powered, m.peers = false, nil
	if m.disk != nil {
		m.disk.lose(true)
	}
}

func (m *machine) stop() {
	m.up, m.hung, m.changed, m.backlog = false, false, m.s.now, nil
	m.s.breakPipes(m)
	m.finish()
}

func (m *machine) hang(hung bool) {
	if !m.up || m.hung == hung {
		return
	}
	m.s.say("%s stands still: %v", m.id, hung)
	m.hung, m.changed = hung, m.s.now
	if hung {
		return
	}
	backlog := m.backlog
	m.backlog = nil
	for _, f := range backlog {
		m.do(m.boot, f)
	}
}

// conn is a connection to a server's state port, for one question at a time.
type conn struct {
	from, to  *machine
	asker     int // boot of from
	boot      int // of to
	ended     bool
	forgotten bool   // by what lies between: nothing comes of it any more
	broken    func() // told once

	poll     understudy.Poll
	answered func(*understudy.State)
	states   [2]understudy.State // in turn: whoever asked looks at the last answer still
	turn     int

	arrive, read, back, void func() // the ways of a question, made once
}

func newConn(from, to *machine, asker int) *conn {
	c := &conn{from: from, to: to, asker: asker, boot: to.boot}
	c.arrive, c.read, c.back, c.void = c.arrived, c.wasRead, c.cameBack, c.end
	return c
}

func (c *conn) end() {
	if c.ended {
		return
	}
	c.ended = true
	if c.broken != nil {
		c.broken()
	}
}

// close gives a connection up from this end.
func (c *conn) close() {
	c.ended = true
	for i, p := range c.to.peers {
		if p == c {
			c.to.peers = append(c.to.peers[:i], c.to.peers[i+1:]...)
			return
		}
	}
}

// What came of dialling.
const (
	connected = iota
	refused
	unanswered
)

// connect dials the state port of to; done is called once, within patience.
func (m *machine) connect(to *machine, patience time.Duration, done func(result int, c *conn)) {
	boot, settled := m.boot, false
	settle := func(result int, c *conn) {
		if settled {
			if c != nil {
				c.close()
			}
			return
		}
		settled = true
		m.do(boot, func() { done(result, c) })
	}
	m.s.net.send(m.place, to.place, func() {
		switch {
		case !to.powered:
		case !to.up:
			m.s.net.send(to.place, m.place, func() { settle(refused, nil) })
		default:
			to.do(to.boot, func() {
				c := newConn(m, to, boot)
				to.peers = append(to.peers, c)
				m.s.net.send(to.place, m.place, func() { settle(connected, c) })
			})
		}
	})
	m.s.after(patience, func() { settle(unanswered, nil) })
}

// ask polls over a connection; answered is called if an answer comes, broken if the other end says that it knows no such connection.
func (c *conn) ask(poll understudy.Poll, answered func(*understudy.State)) {
	c.poll, c.answered = poll, answered
	if c.forgotten {
		return
	}
	c.from.s.net.send(c.from.place, c.to.place, c.arrive)
}

// arrived: the question is at the other host.
func (c *conn) arrived() {
	switch {
	case !c.to.powered:
	case !c.to.up || c.to.boot != c.boot:
		c.reply(c.void)
	default:
		c.to.do(c.boot, c.read)
	}
}

// wasRead by the process.
func (c *conn) wasRead() {
	c.turn = 1 - c.turn
	state := &c.states[c.turn]
	*state = c.to.answer(c.poll, c.to.rec.states(state.Cameras[:0]))
	c.reply(c.back)
}

func (c *conn) cameBack() {
	if !c.ended {
		c.answered(&c.states[c.turn])
	}
}

func (c *conn) reply(f func()) { c.from.s.net.reply(c.to.place, c.from, c.asker, f) }
