package sim

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Report is what came of many stories.
type Report struct {
	From          uint64   `json:"from"`
	Seeds         int      `json:"seeds"`
	Violations    int      `json:"violations"`
	Wrong         []string `json:"wrong,omitempty"` // the first few
	VirtualHours  float64  `json:"virtual_hours"`
	Steps         int      `json:"steps"`
	Seconds       float64  `json:"seconds"`
	SeedsASecond  float64  `json:"seeds_a_second"`
	Trace         string   `json:"trace"` // of all of them, in any order
	Tally         Tally    `json:"tally"`
	ShortestStory float64  `json:"shortest_story_seconds"`
}

const keptWrong = 20

// PlayMany plays the seeds from from on, several at once; wrong is told of each that is.
func PlayMany(from uint64, seeds, workers int, wrong func(Outcome)) Report {
	began := time.Now()
	r := Report{From: from, Seeds: seeds, ShortestStory: 1e9}
	var next atomic.Uint64
	var mu sync.Mutex
	var running sync.WaitGroup
	var virtual time.Duration
	trace := uint64(0)
	for range max(1, workers) {
		running.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= uint64(seeds) {
					return
				}
				o := Play(from+n, false)
				mu.Lock()
				virtual += o.Virtual
				trace ^= o.Trace
				r.Steps += o.Steps
				r.Tally = r.Tally.Add(o.Tally)
				if o.Wrong != "" {
					r.Violations++
					if len(r.Wrong) < keptWrong {
						r.Wrong = append(r.Wrong, o.String())
						wrong(o)
					}
				} else {
					r.ShortestStory = min(r.ShortestStory, o.Virtual.Seconds())
				}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	r.VirtualHours = virtual.Hours()
	r.Seconds = time.Since(began).Seconds()
	r.SeedsASecond = float64(seeds) / r.Seconds
	r.Trace = fmt.Sprintf("%016x", trace)
	return r
}

// String is a line for a person.
func (r Report) String() string {
	return fmt.Sprintf("%d seeds from %d: %d violations; %.1f virtual hours in %.1f s, %.0f seeds/s on %d cores; %+v",
		r.Seeds, r.From, r.Violations, r.VirtualHours, r.Seconds, r.SeedsASecond, runtime.GOMAXPROCS(0), r.Tally)
}
