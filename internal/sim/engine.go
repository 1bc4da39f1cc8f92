package sim

import (
	"math/rand/v2"
	"time"
)

// engine is virtual time: a heap of what is to happen, in the order of time and,
// at one time, in the order in which it was planned.
type engine struct {
	now    time.Duration
	heap   []event
	serial uint64
	hash   uint64
}

type event struct {
	at     time.Duration
	serial uint64
	do     func()
}

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.serial < o.serial }

// after plans f.
func (e *engine) after(d time.Duration, f func()) { e.plan(e.now+d, f) }

func (e *engine) plan(at time.Duration, f func()) {
	e.serial++
	e.heap = append(e.heap, event{at: max(at, e.now), serial: e.serial, do: f})
	child := len(e.heap) - 1
	for child > 0 {
		parent := (child - 1) / 4
		if !e.heap[child].before(e.heap[parent]) {
			return
		}
		e.heap[child], e.heap[parent] = e.heap[parent], e.heap[child]
		child = parent
	}
}

// run lets time pass, unless stop says that it is over.
func (e *engine) run(until time.Duration, stop func() bool) {
	for len(e.heap) > 0 && e.heap[0].at <= until && !stop() {
		next := e.pop()
		e.now = next.at
		next.do()
	}
	if !stop() {
		e.now = max(e.now, until)
	}
}

func (e *engine) pop() event {
	top, last := e.heap[0], len(e.heap)-1
	e.heap[0] = e.heap[last]
	e.heap[last] = event{}
	e.heap = e.heap[:last]
	for parent := 0; ; {
		least := parent
		for child := 4*parent + 1; child <= 4*parent+4 && child < last; child++ {
			if e.heap[child].before(e.heap[least]) {
				least = child
			}
		}
		if least == parent {
			return top
		}
		e.heap[parent], e.heap[least] = e.heap[least], e.heap[parent]
		parent = least
	}
}

// mix takes something that happened into the hash of the trace.
func (e *engine) mix(values ...uint64) {
	h := e.hash ^ uint64(e.now)
	for _, v := range values {
		h = (h ^ v) * 0x9E3779B97F4A7C15
		h ^= h >> 29
	}
	e.hash = h
}

// The generators: one for each subsystem, so that what one draws changes nothing for another.
const (
	ofOptions = iota + 1
	ofFaults
	ofNetwork
	ofCameras
	ofDisks
	ofManagement
	ofMachines
	ofQuiet
)

func dice(seed, subsystem uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, subsystem)) }

// between draws a duration from [low, high).
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(r.Int64N(int64(high-low)))
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }
