// Package sim plays a whole site as a heap of events on virtual time, without a
// goroutine that runs beside another: what decides is the code that ships
// (failover.State, recording.Failback, management.Management, both ends of a
// merge session), and everything that it stands on is a model: cameras,
// machines, disks, clocks, links, clients. A seed makes a story: the site, its
// faults, then healing that must converge. The oracle knows the models' truth
// and asks none of the code that it judges. One seed gives one story, always.
package sim

import (
	"fmt"
	"strings"
	"time"
)

// Outcome is what came of a story.
type Outcome struct {
	Seed    uint64
	Trace   uint64 // a hash of all that happened: the same for the same seed
	Virtual time.Duration
	Steps   int    // of failover servers
	Wrong   string // what the oracle found; empty when nothing
	At      time.Duration
	Log     string // the story as text, if it was asked for
	Tally   Tally
}

// Tally counts what happened, so that a simulator that plays nothing is noticed.
type Tally struct {
	Takeovers, Failbacks, Refusals, Restores int
	Frames, Lost, Doubled                    int // of all cameras, after the story
	Merged, Deleted                          int // segments
	Claims, Faults                           int
	Spills                                   int // of a mirror's ring
	Orders                                   int
	Opened                                   int // bundles
}

// Add sums two tallies.
func (t Tally) Add(o Tally) Tally {
	t.Takeovers += o.Takeovers
	t.Failbacks += o.Failbacks
	t.Refusals += o.Refusals
	t.Restores += o.Restores
	t.Frames += o.Frames
	t.Lost += o.Lost
	t.Doubled += o.Doubled
	t.Merged += o.Merged
	t.Deleted += o.Deleted
	t.Claims += o.Claims
	t.Faults += o.Faults
	t.Spills += o.Spills
	t.Orders += o.Orders
	t.Opened += o.Opened
	return t
}

// Play plays the story of a seed, and writes it down if log is set.
func Play(seed uint64, log bool) Outcome {
	s := newStory(seed, drawOptions(seed))
	if log {
		s.text = &strings.Builder{}
		s.say("%+v", s.o)
	}
	s.play()
	return s.outcome()
}

// PlayQuiet plays hours in which nothing is wrong but what must be borne: loss of
// up to 5 %, 100 ms of jitter, and pauses of the observers. Every takeover is a false one.
func PlayQuiet(seed uint64, length time.Duration) Outcome {
	o := drawOptions(seed)
	r := dice(seed, ofQuiet)
	o.Exact, o.Quiet, o.Faults, o.Tick = false, true, length, 100*time.Millisecond
	o.Loss, o.Jitter, o.LosesAnswers = 0.05*r.Float64(), between(r, 0, 100*time.Millisecond), 0
	s := newStory(seed, o)
	for _, c := range s.cameras {
		c.interval, c.gop = time.Second, 2 // media decides nothing here, and costs time
	}
	s.begin()
	s.run(o.Settle, s.over)
	s.faults.pauses()
	s.run(o.Settle+length, s.over)
	return s.outcome()
}

func (s *story) outcome() Outcome {
	s.end()
	out := Outcome{Seed: s.seed, Trace: s.hash, Virtual: s.now, Steps: s.steps, Tally: s.tally}
	if s.wrong != "" {
		out.Wrong, out.At = s.wrong, s.wrongAt
	}
	if s.text != nil {
		out.Log = s.text.String()
	}
	return out
}

// String is one line for a person.
func (o Outcome) String() string {
	if o.Wrong == "" {
		return fmt.Sprintf("seed %d: nothing wrong in %.0f s, trace %016x", o.Seed, o.Virtual.Seconds(), o.Trace)
	}
	return fmt.Sprintf("seed %d: at %.2f s: %s", o.Seed, o.At.Seconds(), o.Wrong)
}
