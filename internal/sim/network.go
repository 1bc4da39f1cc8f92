package sim

import (
	"math/rand/v2"
	"time"
)

// network carries messages between places. A message that meets a cut is lost;
// a lost packet of an open connection is sent again, as TCP does.
type network struct {
	s       *story
	dice    *rand.Rand
	cut     [][]bool // from, to
	since   [][]time.Duration
	latency time.Duration
	jitter  time.Duration
	loss    float64
	late    time.Duration // until then what was sent while some was lost may still be on its way
}

const (
	resend  = 200 * time.Millisecond // TCP's shortest
	overdue = 3 * time.Second        // what was resent some times, and the word of the next second in its place
)

func newNetwork(s *story, places int) *network {
	n := &network{s: s, dice: dice(s.seed, ofNetwork), latency: s.o.Latency, jitter: s.o.Jitter, loss: s.o.Loss}
	for range places {
		n.cut = append(n.cut, make([]bool, places))
		n.since = append(n.since, make([]time.Duration, places))
	}
	return n
}

func (n *network) delay() time.Duration {
	d := n.latency
	if n.jitter > 0 {
		d += time.Duration(n.dice.Int64N(int64(n.jitter)))
	}
	if n.loss > 0 {
		for again := resend; n.dice.Float64() < n.loss; again *= 2 {
			d += again
		}
	}
	return d
}

func (n *network) send(from, to int, f func()) { n.carry(from, to, deed{do: f}) }

// reply sends to a process, if that still runs when it arrives.
func (n *network) reply(from int, to *machine, boot int, f func()) {
	n.carry(from, to.place, deed{of: to, boot: boot, do: f})
}

func (n *network) carry(from, to int, d deed) {
	if d.cut = &n.cut[from][to]; !*d.cut {
		n.s.plan(n.s.now+n.delay(), d)
	}
}

// both reports whether two places reach each other.
func (n *network) both(a, b int) bool { return !n.cut[a][b] && !n.cut[b][a] }

// whole reports whether two places have reached each other for that long.
func (n *network) whole(a, b int, d time.Duration) bool {
	return n.both(a, b) && n.s.now-max(n.since[a][b], n.since[b][a]) > d
}

func (n *network) set(from, to int, cut bool) {
	if n.cut[from][to] != cut {
		n.cut[from][to], n.since[from][to] = cut, n.s.now
	}
}

// turn lets the network lose so much, and take so much longer for some than for others, from now on.
func (n *network) turn(loss float64, jitter time.Duration) {
	if n.uneven() {
		n.late = n.s.now + overdue
	}
	n.loss, n.jitter = loss, jitter
}

// uneven reports a network that loses some, or takes longer for some than for others,
// or did just now: a word that is due may be late there.
func (n *network) uneven() bool {
	return n.loss > 0 || n.s.o.Loss > 0 || n.jitter > 20*time.Millisecond || n.s.now < n.late
}
