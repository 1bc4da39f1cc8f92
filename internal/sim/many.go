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
	WrongSeeds    []uint64 `json:"wrong_seeds,omitempty"`
	VirtualHours  float64  `json:"virtual_hours"`
	Steps         int      `json:"steps"`
	Seconds       float64  `json:"seconds"`
	SeedsASecond  float64  `json:"seeds_a_second"`
	Trace         string   `json:"trace"` // of all of them, in any order
	Tally         Tally    `json:"tally"`
	ShortestStory float64  `json:"shortest_story_seconds"`
}

const keptWrong = 20

// Many are stories to play.
type Many struct {
	From    uint64 // the first seed
	Seeds   int
	Workers int           // stories at once
	Quiet   time.Duration // each story is so long, and nothing is wrong in it; 0: things break
	First   bool          // stop at the first that goes wrong
	Wrong   func(Outcome) // told of the first few of those
}

// Play plays them.
func (m Many) Play() Report {
	began := time.Now()
	r := Report{From: m.From, ShortestStory: 1e9}
	var next atomic.Uint64
	var over atomic.Bool
	var mu sync.Mutex
	var running sync.WaitGroup
	var virtual time.Duration
	trace := uint64(0)
	for range max(1, m.Workers) {
		running.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= uint64(m.Seeds) || m.First && over.Load() {
					return
				}
				o := m.one(m.From + n)
				mu.Lock()
				r.Seeds++
				virtual += o.Virtual
				trace ^= o.Trace
				r.Steps += o.Steps
				r.Tally = r.Tally.Add(o.Tally)
				if o.Wrong != "" {
					r.Violations++
					over.Store(true)
					if len(r.Wrong) < keptWrong {
						r.Wrong = append(r.Wrong, o.String())
						r.WrongSeeds = append(r.WrongSeeds, o.Seed)
						m.Wrong(o)
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
	r.SeedsASecond = float64(r.Seeds) / r.Seconds
	r.Trace = fmt.Sprintf("%016x", trace)
	return r
}

func (m Many) one(seed uint64) Outcome {
	if m.Quiet > 0 {
		return PlayQuiet(seed, m.Quiet)
	}
	return Play(seed, false)
}

// String is a line for a person.
func (r Report) String() string {
	return fmt.Sprintf("%d seeds from %d: %d violations; %.1f virtual hours in %.1f s, %.0f seeds/s on %d cores; %+v",
		r.Seeds, r.From, r.Violations, r.VirtualHours, r.Seconds, r.SeedsASecond, runtime.GOMAXPROCS(0), r.Tally)
}
