package sim

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"understudy"
	"understudy/internal/management"
	"understudy/internal/poll"
)

var background = context.Background()

// authority is the management server: the real one on its store in memory, the
// service channel and the look at everybody as models around it.
type authority struct {
	machine
	m          *management.Management
	store      *management.Memory
	backup     *management.Memory
	dice       *rand.Rand
	loses      float64 // of the answers, after the deed
	site       understudy.Site
	generation int // of site and stream: grows with each change
	stream     string
	subs       []*subscriber
	status     []understudy.ServerStatus // by id, of servers that were asked
	asked      []time.Duration           // 0: answered
	owed       []time.Duration           // since when an answer is due; 0: none is
	looked     []time.Duration           // when the last question was asked that has had its outcome
	pulse      poll.Pulse
	seen       []understudy.State // by those that were asked for a claim
}

// subscriber follows the service channel.
type subscriber struct {
	to      *machine
	boot    int
	deliver func(*understudy.Site, []understudy.ServerStatus)
	seen    int           // generation that it has been told
	last    time.Duration // nothing overtakes
}

const (
	watchEvery    = time.Second
	watchPatience = 2 * time.Second
	watchSettle   = 150 * time.Millisecond
)

func newAuthority(s *story) *authority {
	a := &authority{machine: machine{s: s, id: "management", place: 0}, store: management.NewMemory(), dice: dice(s.seed, ofManagement)}
	a.begin, a.finish = a.run, func() { a.subs = nil }
	a.open()
	return a
}

// open begins anew with what is in the database.
func (a *authority) open() {
	var err error
	if a.m, err = management.New(background, a.store, management.Options{Witness: a, Bundles: sealer{}, Clock: a.wall}); err != nil {
		panic(err)
	}
}

func (a *authority) run() {
	a.open()
	a.status = make([]understudy.ServerStatus, len(a.s.servers))
	a.asked = make([]time.Duration, len(a.s.servers))
	a.owed, a.looked, a.pulse = make([]time.Duration, len(a.s.servers)), make([]time.Duration, len(a.s.servers)), poll.Pulse{}
	a.every(poll.BeatEvery, a.beat)
	a.every(watchEvery, a.look)
}

// running is for how long the process has run.
func (a *authority) running() time.Duration { return a.s.now - a.began }

func (a *authority) beat() {
	a.pulse.Beat(a.running(), a.wall())
}

// Awake is poll.Watcher's.
func (a *authority) Awake() error {
	if a.pulse.Awake(a.running(), a.wall()) {
		return nil
	}
	return understudy.Errorf(understudy.CodeUnavailable, "the management server looks at everybody first")
}

// Ask returns what was answered before: in the model a transaction takes no time.
func (a *authority) Ask(context.Context, []understudy.ServerID) []understudy.State { return a.seen }

// refresh takes note of what a call has done to the site, and tells everybody.
func (a *authority) refresh() {
	site, err := a.m.Site(background)
	if err != nil {
		panic(err)
	}
	stream := a.m.Stream()
	if site.Seq == a.site.Seq && stream == a.stream {
		return
	}
	a.s.oracle.renamed(a.stream, stream)
	before := a.site
	a.site, a.stream = site, stream
	a.generation++
	a.s.oracle.leases(before.Leases, site.Leases)
	for _, sub := range a.subs {
		a.tell(sub, nil)
	}
}

// tell sends the site, if it is news, and what was seen of the servers.
func (a *authority) tell(sub *subscriber, status []understudy.ServerStatus) {
	net := a.s.net
	if !net.both(a.place, sub.to.place) {
		return // the connection is gone; it is followed again later
	}
	var site *understudy.Site
	generation := a.generation
	if sub.seen != generation {
		now := a.site
		site = &now
	}
	if site == nil && status == nil {
		return
	}
	sub.last = max(sub.last, a.s.now+net.delay())
	a.s.plan(sub.last, deed{do: func() {
		if !net.both(a.place, sub.to.place) || sub.to.boot != sub.boot || !sub.to.up {
			return
		}
		if site != nil {
			sub.seen = generation
		}
		sub.to.do(sub.boot, func() { sub.deliver(site, status) })
	}})
}

// subscribe follows the channel, from a process that has just started.
func (a *authority) subscribe(m *machine, deliver func(*understudy.Site, []understudy.ServerStatus)) {
	sub := &subscriber{to: m, boot: m.boot, deliver: deliver, seen: -1}
	var join func()
	join = func() { // again and again, for as long as the process runs: the management server may have restarted
		m.after(time.Second, join)
		if !a.up || !a.s.net.both(a.place, m.place) {
			return
		}
		for _, other := range a.subs {
			if other == sub {
				return
			}
		}
		sub.seen = -1
		a.subs = append(a.subs, sub)
		a.do(a.boot, func() { a.tell(sub, nil) })
	}
	join()
}

// look asks every server how it is, once a second, and publishes what was seen
// when the answers have had time to come.
func (a *authority) look() {
	for i, m := range a.s.servers {
		if a.asked[i] > 0 && a.s.now-a.asked[i] >= watchPatience {
			a.unreachable(i, true)
		}
		if a.asked[i] == 0 {
			a.ask(i, m)
		}
	}
	a.after(watchSettle, a.publish)
}

func (a *authority) publish() {
	statuses := make([]understudy.ServerStatus, 0, len(a.status))
	highest := uint64(0)
	for _, st := range a.status {
		if st.Server == "" {
			continue
		}
		statuses = append(statuses, st)
		if st.State != nil {
			highest = max(highest, st.State.Epoch)
		}
	}
	if a.m.Ratchet(background, highest) == nil {
		a.refresh()
	}
	if a.m.TendOrders(background) == nil {
		a.refresh()
	}
	if first, all := a.allLooked(); all {
		a.pulse.Looked(first, a.running(), a.wall())
	}
	kept := a.subs[:0]
	for _, sub := range a.subs {
		if sub.to.up && sub.to.boot == sub.boot {
			kept = append(kept, sub)
			a.tell(sub, statuses)
		}
	}
	a.subs = kept
}

// allLooked reports whether every server has answered or failed to, and when the
// first of these questions was asked.
func (a *authority) allLooked() (first time.Duration, all bool) {
	first = a.running()
	for i, st := range a.status {
		if st.Server == "" {
			return 0, false
		}
		first = min(first, a.looked[i])
	}
	return first, true
}

// outcome of the question to a server that was asked last.
func (a *authority) outcome(i int, st understudy.ServerStatus, silent bool) {
	a.looked[i], a.asked[i] = a.asked[i]-a.began, 0
	if !silent {
		a.owed[i] = 0
	}
	a.status[i] = st
}

func (a *authority) unreachable(i int, silent bool) {
	st := a.status[i]
	st.Server, st.Reachable = a.s.servers[i].id, false
	a.outcome(i, st, silent)
}

func (a *authority) ask(i int, m *machine) {
	a.asked[i] = max(1, a.s.now)
	if a.owed[i] == 0 {
		a.owed[i] = a.asked[i]
	}
	asked, boot := a.asked[i], a.boot
	answer := func(f func()) {
		a.s.net.reply(m.place, &a.machine, boot, func() {
			if a.asked[i] == asked {
				f()
			}
		})
	}
	a.s.net.send(a.place, m.place, func() {
		switch {
		case !m.powered:
		case !m.up:
			answer(func() { a.unreachable(i, false) })
		default:
			m.do(m.boot, func() {
				state := m.answer(understudy.Poll{}, m.rec.states(nil))
				answer(func() { a.outcome(i, understudy.ServerStatus{Server: m.id, Reachable: true, State: &state}, false) })
			})
		}
	})
}

// askAfresh asks servers over fresh connections, for a claim; done is called once.
func (a *authority) askAfresh(ids []understudy.ServerID, done func([]understudy.State)) {
	var states []understudy.State
	left := len(ids)
	if left == 0 {
		done(nil)
		return
	}
	for i, m := range a.s.servers {
		if slices.Contains(ids, m.id) {
			a.askOne(i, m, func(state *understudy.State) {
				if left--; state != nil {
					states = append(states, *state)
				}
				if left == 0 {
					done(states)
				}
			})
		}
	}
}

func (a *authority) askOne(i int, m *machine, done func(*understudy.State)) {
	patience, over := poll.Patience, false
	if a.owed[i] > 0 {
		patience -= a.s.now - a.owed[i]
	}
	end := func(state *understudy.State) {
		if !over {
			over = true
			done(state)
		}
	}
	attempt := func() {
		if over {
			return
		}
		a.connect(m, patience, func(result int, c *conn) {
			switch result {
			case refused:
				end(nil)
			case connected:
				c.ask(understudy.Poll{}, func(state *understudy.State) {
					c.close()
					end(state)
				})
			}
		})
	}
	for at := time.Duration(0); at < patience; at += pollEvery {
		a.after(at, attempt)
	}
	a.after(max(0, patience), func() { end(nil) })
}

// call asks the management server to do something; done is called once. What it
// does, it does when it calls reply, which may be later.
func (a *authority) call(from *machine, patience time.Duration, do func(a *authority, reply func(error)), done func(error)) {
	boot, settled := from.boot, false
	settle := func(err error) {
		if !settled {
			settled = true
			from.do(boot, func() { done(err) })
		}
	}
	down := understudy.Errorf(understudy.CodeUnavailable, "the management server cannot be reached")
	a.s.net.send(from.place, a.place, func() {
		switch {
		case !a.powered:
		case !a.up:
			a.s.net.send(a.place, from.place, func() { settle(down) })
		default:
			a.do(a.boot, func() {
				do(a, func(err error) {
					a.refresh()
					if a.loses > 0 && chance(a.dice, a.loses) {
						return // the deed is done, and the answer lost
					}
					a.s.net.send(a.place, from.place, func() { settle(err) })
				})
			})
		}
	})
	a.s.after(patience, func() { settle(down) })
}

// claim is the real authority's, judged by the oracle. Whom it asks afresh is
// asked before; what it decides is its own.
func (a *authority) claim(c understudy.Claim, done func(understudy.ClaimAnswer, error)) {
	a.askAfresh(c.Lost(a.site), func(seen []understudy.State) {
		a.seen = seen
		done(a.decide(c))
		a.seen = nil
	})
}

func (a *authority) decide(c understudy.Claim) (understudy.ClaimAnswer, error) {
	before := a.site
	answer, err := a.m.Claim(background, c)
	a.s.mix(uint64(len(answer.Granted)), uint64(len(answer.Refused)), uint64(len(c.ID)))
	if err != nil {
		a.s.say("the claim %s is refused: %v", c.ID, err)
		return answer, err
	}
	a.s.oracle.claimed(before, c, answer)
	if chance(a.dice, 0.02) { // a request that arrives twice
		again, err := a.m.Claim(background, c)
		a.s.oracle.repeated(c, answer, again, err)
	}
	return answer, nil
}

// restore puts an old copy of the database in the place of the new one.
func (a *authority) restore() {
	if a.backup == nil {
		return
	}
	a.s.say("the management server is restored from an old copy")
	a.s.tally.Restores++
	a.kill()
	a.store, a.backup = a.backup, nil
	a.start()
	a.s.oracle.restored()
	a.refresh()
}
