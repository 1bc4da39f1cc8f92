package storage

import (
	"sync/atomic"
	"time"
)

// syncBounds are the steps, in seconds, by which the time of syncs is counted.
var syncBounds = [...]float64{0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// latency counts how long something took. It waits for nobody.
type latency struct {
	steps [len(syncBounds) + 1]atomic.Uint64 // the last is of what took longer
	total atomic.Int64                       // nanoseconds
}

func (l *latency) took(d time.Duration) {
	step := 0
	for step < len(syncBounds) && d.Seconds() > syncBounds[step] {
		step++
	}
	l.steps[step].Add(1)
	l.total.Add(int64(d))
}

// Syncs returns how long it took to make what was recorded durable, of all syncs
// of segments since the store was opened: how many there were, their seconds
// together, and how many took at most so many seconds.
func (s *Store) Syncs() (count uint64, seconds float64, within map[float64]uint64) {
	within = make(map[float64]uint64, len(syncBounds))
	for _, f := range s.folders {
		below := uint64(0)
		for i, bound := range syncBounds {
			below += f.syncs.steps[i].Load()
			within[bound] += below
		}
		count += below + f.syncs.steps[len(syncBounds)].Load()
		seconds += time.Duration(f.syncs.total.Load()).Seconds()
	}
	return count, seconds, within
}
