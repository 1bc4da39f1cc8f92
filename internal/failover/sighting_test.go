package failover

import (
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// What is told of others is as old as it is when it is asked for, not when it was noted.
func TestSightingsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		if told := s.seenNow(); told != nil {
			t.Errorf("told of %v before anybody was seen", told)
		}
		s.sightings.Store(&sightings{[]understudy.Sighting{{Server: "rec-1", Age: time.Second}}, time.Now()})
		time.Sleep(2 * time.Second)
		for range 2 { // asking changes nothing
			if told := s.seenNow(); len(told) != 1 || told[0].Age != 3*time.Second {
				t.Errorf("told %v", told)
			}
		}
	})
}

// Only servers that are well are told of: who is blind, or sees something wrong, is no witness.
func TestOnlyWellServersAreTold(t *testing.T) {
	s := NewState("fo-1", "n", time.Second)
	s.at = 5 * time.Second
	s.watches = map[understudy.ServerID]watch{}
	for _, c := range []condition{Unknown, Well, Suspect, Blind, Restarted, Leaving, Sick, Dead} {
		s.watches[understudy.ServerID(c)] = watch{heard: 4 * time.Second, verdict: verdict{Condition: c}}
	}
	if told := s.Sightings(); len(told) != 1 || told[0].Server != "well" || told[0].Age != time.Second {
		t.Errorf("told %v", told)
	}
}
