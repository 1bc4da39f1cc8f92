package sim

import (
	"context"
	"math/rand/v2"
	"time"

	"understudy"
	"understudy/internal/management"
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
	statuses   []understudy.ServerStatus // as published
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
	a.begin, a.finish = a.run, func() { a.subs, a.statuses = nil, nil }
	var err error
	if a.m, err = management.New(background, a.store, management.Options{}); err != nil {
		panic(err)
	}
	return a
}

func (a *authority) run() {
	a.status = make([]understudy.ServerStatus, len(a.s.servers))
	a.asked = make([]time.Duration, len(a.s.servers))
	a.look()
}

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
	a.after(watchEvery, a.look)
	for i, m := range a.s.servers {
		if a.asked[i] > 0 && a.s.now-a.asked[i] >= watchPatience {
			a.unreachable(i)
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
	kept := a.subs[:0]
	for _, sub := range a.subs {
		if sub.to.up && sub.to.boot == sub.boot {
			kept = append(kept, sub)
			a.tell(sub, statuses)
		}
	}
	a.subs = kept
}

func (a *authority) unreachable(i int) {
	a.asked[i] = 0
	a.status[i].Server, a.status[i].Reachable = a.s.servers[i].id, false
}

func (a *authority) ask(i int, m *machine) {
	a.asked[i] = max(1, a.s.now)
	asked, boot := a.asked[i], a.boot
	answer := func(f func()) {
		a.s.net.send(m.place, a.place, func() {
			a.do(boot, func() {
				if a.asked[i] == asked {
					f()
				}
			})
		})
	}
	a.s.net.send(a.place, m.place, func() {
		switch {
		case !m.powered:
		case !m.up:
			answer(func() { a.unreachable(i) })
		default:
			m.do(m.boot, func() {
				state := a.s.stateOf(m, understudy.Poll{})
				answer(func() {
					a.asked[i] = 0
					a.status[i] = understudy.ServerStatus{Server: m.id, Reachable: true, State: state}
				})
			})
		}
	})
}

// call asks the management server to do something; done is called once.
func (a *authority) call(from *machine, patience time.Duration, do func(*authority) error, done func(error)) {
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
				err := do(a)
				a.refresh()
				if a.loses > 0 && chance(a.dice, a.loses) {
					return // the deed is done, and the answer lost
				}
				a.s.net.send(a.place, from.place, func() { settle(err) })
			})
		}
	})
	a.s.after(patience, func() { settle(down) })
}

// claim is the real authority's, judged by the oracle.
func (a *authority) claim(c understudy.Claim) (understudy.ClaimAnswer, error) {
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
	var err error
	if a.m, err = management.New(background, a.store, management.Options{}); err != nil {
		panic(err)
	}
	a.s.oracle.restored()
	a.start()
	a.refresh()
}
