package storage

import (
	"testing"
	"time"
)

func TestSyncsAreCountedByHowLongTheyTook(t *testing.T) {
	one, two := &folder{}, &folder{}
	one.syncs.took(3 * time.Millisecond)
	one.syncs.took(5 * time.Millisecond) // a bound is within
	two.syncs.took(300 * time.Millisecond)
	two.syncs.took(time.Minute)
	count, seconds, within := (&Store{folders: []*folder{one, two}}).Syncs()
	if count != 4 || seconds < 60.307 || seconds > 60.309 {
		t.Errorf("counted %d syncs of %f s together", count, seconds)
	}
	for bound, want := range map[float64]uint64{0.001: 0, 0.005: 2, 0.25: 2, 0.5: 3, 10: 3} {
		if within[bound] != want {
			t.Errorf("%d took at most %g s, want %d", within[bound], bound, want)
		}
	}
}
