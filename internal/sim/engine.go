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
	deeds  []deed
	free   []int32 // places in deeds
	serial uint64
	hash   uint64
}

// event is without pointers, so that the heap is moved about cheaply.
type event struct {
	at     time.Duration
	serial uint64
	deed   int32 // its place
}

// deed is what happens: by itself, at the end of a link, if that is not cut then, or in a process, if that still runs.
type deed struct {
	cut  *bool
	of   *machine
	boot int
	do   func()
}

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.serial < o.serial }

// after plans f.
func (e *engine) after(d time.Duration, f func()) { e.plan(e.now+d, deed{do: f}) }

// every does f now, and each d.
func (e *engine) every(d time.Duration, f func()) { repeat(e.after, d, f) }

// repeat does f now, and each d as long as after does what it was given.
func repeat(after func(time.Duration, func()), d time.Duration, f func()) {
	var again func()
	again = func() {
		after(d, again)
		f()
	}
	again()
}

func (e *engine) plan(at time.Duration, d deed) {
	if len(e.free) == 0 {
		e.free = append(e.free, int32(len(e.deeds))) //nolint:gosec // there are some hundreds at a time
		e.deeds = append(e.deeds, deed{})
	}
	place := e.free[len(e.free)-1]
	e.free = e.free[:len(e.free)-1]
	e.deeds[place] = d
	e.serial++
	next := event{at: max(at, e.now), serial: e.serial, deed: place}
	e.heap = append(e.heap, next)
	child := len(e.heap) - 1
	for child > 0 {
		parent := (child - 1) / 4
		if !next.before(e.heap[parent]) {
			break
		}
		e.heap[child] = e.heap[parent]
		child = parent
	}
	e.heap[child] = next
}

// run lets time pass, unless stop says that it is over.
func (e *engine) run(until time.Duration, stop func() bool) {
	for len(e.heap) > 0 && e.heap[0].at <= until && !stop() {
		next := e.pop()
		e.now = next.at
		d := e.deeds[next.deed]
		e.deeds[next.deed] = deed{}
		e.free = append(e.free, next.deed)
		switch {
		case d.cut != nil && *d.cut:
		case d.of != nil:
			d.of.do(d.boot, d.do)
		default:
			d.do()
		}
	}
	if !stop() {
		e.now = max(e.now, until)
	}
}

func (e *engine) pop() event {
	top, last := e.heap[0], len(e.heap)-1
	moved := e.heap[last]
	e.heap = e.heap[:last]
	parent := 0
	for child := 1; child < last; child = 4*parent + 1 {
		least := child
		for other := child + 1; other < min(child+4, last); other++ {
			if e.heap[other].before(e.heap[least]) {
				least = other
			}
		}
		if !e.heap[least].before(moved) {
			break
		}
		e.heap[parent] = e.heap[least]
		parent = least
	}
	if last > 0 {
		e.heap[parent] = moved
	}
	return top
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
	ofMirrors
	ofAimed
	ofCables
	ofSessions
	ofNarrow
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
