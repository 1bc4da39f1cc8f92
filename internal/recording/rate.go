package recording

import (
	"sync"
	"time"
)

// The window of an average: long enough for a GOP of many seconds, short enough
// to notice a scene that has become lively.
const (
	ratePoints = 5
	rateEvery  = 5 * time.Second
	rateLeast  = 10 * time.Second
)

// rate is how many bits of a camera come in a second. The packets' way only
// counts; whoever watches progress takes the count now and then.
type rate struct {
	mu     sync.Mutex
	points []ratePoint // the oldest first
}

type ratePoint struct {
	at    time.Time
	bytes uint64
}

// look takes the count of bytes as it is now.
func (r *rate) look(now time.Time, bytes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.points); n > 0 && now.Sub(r.points[n-1].at) < rateEvery {
		return
	}
	if len(r.points) == ratePoints {
		r.points = append(r.points[:0], r.points[1:]...)
	}
	r.points = append(r.points, ratePoint{at: now, bytes: bytes})
}

// bitsPerSecond is the average over what was looked at; 0 before there is enough of it.
func (r *rate) bitsPerSecond(now time.Time, bytes uint64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.points) == 0 || now.Sub(r.points[0].at) < rateLeast {
		return 0
	}
	return int64(8 * float64(bytes-r.points[0].bytes) / now.Sub(r.points[0].at).Seconds())
}
