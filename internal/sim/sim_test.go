package sim

import "testing"

// A seed is one story: played twice, everything happens again, at the same times.
func TestASeedReplaysExactly(t *testing.T) {
	for seed := range uint64(20) {
		first, again := Play(seed, false), Play(seed, true)
		if first.Trace != again.Trace || first.Steps != again.Steps || first.Tally != again.Tally {
			t.Errorf("seed %d was played as %016x, then as %016x", seed, first.Trace, again.Trace)
		}
		if again.Log == "" {
			t.Errorf("seed %d has no story to read", seed)
		}
	}
}

// Other seeds are other stories.
func TestSeedsDiffer(t *testing.T) {
	seen := map[uint64]uint64{}
	for seed := range uint64(20) {
		trace := Play(seed, false).Trace
		if other, ok := seen[trace]; ok {
			t.Errorf("seeds %d and %d are one story", other, seed)
		}
		seen[trace] = seed
	}
}

// A few stories; make sim plays many more. What is never played proves nothing,
// so that the tally is looked at, too.
func TestStories(t *testing.T) {
	r := Many{Seeds: 60, Workers: 2, Wrong: func(o Outcome) { t.Error(o) }}.Play()
	if r.ShortestStory < shortest.Seconds() {
		t.Errorf("a story ended after %.0f s", r.ShortestStory)
	}
	n := r.Tally
	if n.Takeovers < 30 || n.Failbacks < 30 || n.Restores == 0 || n.Merged < 100 || n.Deleted < 100 || n.Lost == 0 || n.Doubled == 0 {
		t.Errorf("too little happens: %+v", n)
	}
}
