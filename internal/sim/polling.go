package sim

import (
	"maps"
	"slices"
	"time"

	"understudy"
	"understudy/internal/failover"
)

// poller keeps asking one server, session after session.
type poller struct {
	f       *standby
	id      understudy.ServerID
	to      *machine
	gone    bool
	refused int
	conn    *conn
	session int // of dials and connections: what belongs to an older one is void
	began   time.Duration
	asked   time.Duration
	waiting bool            // for the answer
	answer  failover.Answer // the last
	again   func()          // asks, in this session
	heard   func(*understudy.State)
}

// watch makes the pollers those that are wanted, and verifies whom Step suspects.
func (f *standby) watch() {
	kept := f.pollers[:0]
	for _, p := range f.pollers {
		if _, ok := f.want.Watch[p.id]; ok {
			kept = append(kept, p)
			continue
		}
		p.gone = true
		if p.conn != nil {
			p.conn.close()
		}
	}
	f.pollers = kept
	if len(f.pollers) < len(f.want.Watch) {
		for _, m := range f.s.servers { // by id
			if _, ok := f.want.Watch[m.id]; ok && f.poller(m.id) == nil {
				p := &poller{f: f, id: m.id, to: m}
				f.pollers = append(f.pollers, p)
				f.after(0, p.dial)
			}
		}
	}
	if len(f.want.Verify) == 0 && len(f.verifies) == 0 {
		return
	}
	for id := range f.verifies {
		wanted := false
		for _, v := range f.want.Verify {
			wanted = wanted || v == id
		}
		if !wanted {
			delete(f.verifies, id)
		}
	}
	for _, id := range f.want.Verify {
		if p := f.poller(id); p != nil && !f.verifies[id] {
			f.verifies[id] = true
			f.after(0, f.fetch)
			f.after(0, func() { f.verify(p) })
		}
	}
}

// call calls the cameras of silent servers. Those that can be reached answer at
// once; for others it is waited as long as the shell does.
func (f *standby) call() {
	if len(f.want.Call) == 0 { // as most often
		return
	}
	for _, round := range slices.Sorted(maps.Keys(f.want.Call)) {
		if round <= f.called {
			continue
		}
		f.called = round
		over, took := failover.Observation{Called: round}, 4*f.s.o.Latency
		for _, c := range f.want.Call[round] {
			if cam := f.s.camera(c.ID); cam.on && f.s.net.both(f.place, cam.place) {
				over.Answered = append(over.Answered, c.ID)
			} else {
				took = callFor
			}
		}
		f.after(took, func() { f.step(over) })
	}
}

func (f *standby) poller(id understudy.ServerID) *poller {
	for _, p := range f.pollers {
		if p.id == id {
			return p
		}
	}
	return nil
}

func (p *poller) dial() {
	if p.gone {
		return
	}
	p.session++
	session := p.session
	p.began = p.f.elapsed()
	p.f.connect(p.to, verifyFor, func(result int, c *conn) {
		if p.gone || session != p.session {
			if c != nil {
				c.close()
			}
			return
		}
		switch result {
		case connected:
			p.conn, p.refused = c, 0
			c.broken = func() { p.f.do(p.f.boot, func() { p.end(session) }) }
			p.again = func() { p.ask(session) }
			p.heard = func(state *understudy.State) { p.hear(session, state) }
			p.again()
			p.bear(session)
		case refused:
			pause := pollEvery
			if p.refused++; p.refused < redialQuick {
				pause = redialEvery
			}
			p.fail(failover.Refused, pause)
		default:
			p.refused = 0
			p.fail(failover.Silent, pollEvery)
		}
	})
}

func (p *poller) fail(kind failover.FailureKind, pause time.Duration) {
	p.session++
	p.f.step(failover.Observation{Failure: &failover.Failure{Server: p.id, Began: p.began, Kind: kind, Why: "no answer"}})
	p.f.after(pause, p.dial)
}

// end gives a connection up: it ended, or a fresh one was answered.
func (p *poller) end(session int) {
	if p.gone || session != p.session || p.conn == nil {
		return
	}
	p.conn.close()
	p.conn, p.refused = nil, 0
	p.fail(failover.Broken, 0)
}

func (p *poller) ask(session int) {
	if p.gone || session != p.session {
		return
	}
	p.asked, p.waiting = p.f.s.now, true
	p.conn.ask(p.f.poll(), p.heard)
}

// hear takes an answer, and asks again in a while.
func (p *poller) hear(session int, state *understudy.State) {
	if p.gone || session != p.session {
		return
	}
	p.waiting = false
	p.answer = failover.Answer{Server: p.id, Began: p.asked - p.f.began, State: *state}
	p.f.step(failover.Observation{Answer: &p.answer})
	p.f.after(max(0, p.asked+pollEvery-p.f.s.now), p.again)
}

// bear ends a session in which a question has waited for too long.
func (p *poller) bear(session int) {
	if p.gone || session != p.session {
		return
	}
	patience := p.asked + pollPatience - p.f.s.now
	if p.waiting && patience <= 0 {
		p.end(session)
		return
	}
	if !p.waiting { // at the earliest of the next one
		patience = pollPatience
	}
	p.f.after(patience, func() { p.bear(session) })
}

// poll is what is asked on each connection.
func (f *standby) poll() understudy.Poll {
	return understudy.Poll{Observer: f.id, Covered: f.rec.covered(), Crowded: f.rec.crowded()}
}

// verify asks over fresh connections: an answer on any of them clears the server.
func (f *standby) verify(p *poller) {
	began, answered, over := f.elapsed(), false, false
	attempt := func() {
		if over || answered {
			return
		}
		f.connect(p.to, verifyFor, func(result int, c *conn) {
			if result != connected {
				return
			}
			asked := f.elapsed()
			c.ask(f.poll(), func(state *understudy.State) {
				c.close()
				if over || p.gone {
					return
				}
				f.step(failover.Observation{Answer: &failover.Answer{Server: p.id, Began: asked, State: *state}})
				if !answered {
					answered = true
					p.end(p.session)
				}
			})
		})
	}
	for at := time.Duration(0); at < verifyFor; at += pollEvery {
		f.after(at, attempt)
	}
	f.after(verifyFor, func() {
		if over = true; !answered {
			f.step(failover.Observation{Failure: &failover.Failure{Server: p.id, Began: began, Kind: failover.Unheard, Why: "no answer on fresh connections"}})
			p.end(p.session)
		}
	})
}
