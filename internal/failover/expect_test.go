package failover

import (
	"slices"
	"testing"
	"time"

	"understudy"
)

// Viewers of a server come here from the first sign that it has failed, until it
// answers again.
func TestViewersAreExpectedFromTheFirstSign(t *testing.T) {
	s := &story{t: t, state: NewState("fo-1", "n", 2*time.Second), last: map[string]string{}, marks: map[shown]time.Duration{},
		frames: map[understudy.CameraID]uint64{}, cameras: map[understudy.CameraID]measured{}}
	play := func(words ...string) { s.do(words) }
	expect := func(when string, want ...understudy.ServerID) {
		t.Helper()
		if !slices.Equal(s.want.Expect, want) {
			t.Errorf("%s: expects viewers of %v, want %v", when, s.want.Expect, want)
		}
	}
	play("own")
	play("duty", "rec-1", "hot", "0", "a")
	expect("never heard")
	play("lease", "a=rec-1/1")
	play("until", "2.0", "rec-1,a")
	expect("well")
	play("broken", "rec-1")
	expect("its connection broke", "rec-1")
	play("until", "2.5", "rec-1,a")
	expect("it answers a new one")
	play("until", "4.0")
	expect("silent", "rec-1")
}
