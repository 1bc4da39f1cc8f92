package recording

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"understudy"
)

// told is an event of a story, in frames.
type told struct{ when, at, until int }

// Whatever events come, late, early, long and over each other, and whenever the
// rule changes: every frame that is wanted is on disk, none is there twice, and
// none that is far from all that was wanted.
func TestEveryWantedFrameIsThereOnce(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			rule := understudy.RecordingRule{Mode: understudy.RecordEvents,
				Before: time.Duration(random.IntN(200)) * frameEvery, After: time.Duration(random.IntN(100)) * frameEvery}
			const length = 1500
			var events []told
			for range random.IntN(6) {
				when := random.IntN(length - 200)
				e := told{when: when, at: when - 120 + random.IntN(200), until: 0}
				e.until = e.at + max(0, random.IntN(200)-100)
				events = append(events, e)
			}
			always := [2]int{-1, -1} // from a frame to another it is recorded always
			if random.IntN(3) == 0 {
				always[0] = random.IntN(length - 300)
				always[1] = always[0] + 20 + random.IntN(200)
			}
			onStage(t, rule, func(s *stage) {
				s.tell(rule, events, always, length)
				s.account(rule, events, always, length)
			})
		})
	}
}

// tell plays a story.
func (s *stage) tell(rule understudy.RecordingRule, events []told, always [2]int, length int) {
	for frame := range length {
		for i, e := range events {
			if e.when == frame {
				s.trigger(understudy.Trigger{ID: fmt.Sprint("event-", i), At: s.at(e.at), Until: s.at(e.until)})
			}
		}
		switch frame {
		case always[0]:
			s.assign(understudy.RecordingRule{}, 1)
		case always[1]:
			s.assign(rule, 1)
		}
		s.play(frame + 1)
	}
}

// account compares what is on disk with what a story wanted.
func (s *stage) account(rule understudy.RecordingRule, events []told, always [2]int, length int) {
	s.t.Helper()
	before, after := int(rule.Before/frameEvery), int(rule.After/frameEvery)
	late := int(lateness / frameEvery)
	wanted, near := make([]bool, length), make([]bool, length)
	mark := func(list []bool, from, to int) {
		for i := max(0, from); i < min(to, length); i++ {
			list[i] = true
		}
	}
	keyBefore := func(frame int) int { return max(0, frame) / gop * gop }
	keyAfter := func(frame int) int { return (max(0, frame) + gop - 1) / gop * gop }
	batch := int(recorderBatch/frameEvery) + 1 // the recorder learns of what is new with the next frames that it takes
	for _, e := range events {
		first, end := keyBefore(e.at-before), keyAfter(e.until+after)
		begins := first
		for _, d := range events { // what was left out when the footage of another began is gone when e is told late
			if began := max(d.when, d.at-before); began <= e.when+batch {
				begins = max(begins, min(keyBefore(d.at-before), end))
			}
		}
		mark(wanted, begins, end)
		mark(near, first-before-late-2*gop, end+before+late+2*gop)
	}
	if always[0] >= 0 {
		mark(wanted, always[0], always[1]-batch)
		mark(near, always[0]-before-late-2*gop, always[1]+2*gop)
	}
	seen := make([]int, length)
	for _, run := range s.recorded() {
		var first, last int
		if _, err := fmt.Sscanf(run, "%d-%d", &first, &last); err != nil {
			s.t.Fatal(err)
		}
		for i := first; i <= last; i++ {
			seen[i]++
		}
	}
	for i := range length {
		if seen[i] > 1 || wanted[i] && seen[i] == 0 || !near[i] && seen[i] > 0 {
			s.t.Fatalf("frame %d is %d times on disk, wanted: %t, near what is: %t\nbefore %d, after %d, events %+v, always %v, on disk %v",
				i, seen[i], wanted[i], near[i], before, after, events, always, s.onDisk())
		}
	}
}
