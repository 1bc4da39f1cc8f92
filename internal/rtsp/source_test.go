package rtsp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// tries asks a camera that has no session left until it frees one, and returns
// when it was asked, since the first refusal.
func tries(t *testing.T, s *Source, freed time.Duration) (asked []time.Duration) {
	t.Helper()
	began := time.Now()
	for failures := 0; ; failures++ {
		if err := s.rest(t.Context(), failures, understudy.CodeUnavailable, began); err != nil {
			t.Fatal(err)
		}
		if asked = append(asked, time.Since(began)); time.Since(began) >= freed {
			return asked
		}
	}
}

// A server that lost power leaves its session with the camera, which keeps it for
// 60 s. So long it is asked each 2 s; who finds none after that shares the camera
// with somebody who stays, and asks each 5 s.
func TestADeadServersSessionIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := tries(t, NewSource(Config{}, nil), 60*time.Second)
		if last := asked[len(asked)-1]; last > 60*time.Second+longestPause*6/5 || len(asked) > 60 {
			t.Errorf("the session that came free after 60 s was found after %s, with %d tries", last, len(asked))
		}
		asked = tries(t, NewSource(Config{}, nil), 10*time.Minute)
		last := asked[len(asked)-1] - asked[len(asked)-2]
		if last < sharedPause*4/5 || last > sharedPause*6/5 {
			t.Errorf("after %s it is asked each %s", asked[len(asked)-1], last)
		}
	})
}

// Who was granted a camera asks it in quick succession for a while, at once,
// whatever it rested before. A camera that refuses the password is left alone.
func TestHasten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSource(Config{}, nil)
		granted := time.AfterFunc(20*time.Second+50*time.Millisecond, s.Hasten)
		defer granted.Stop()
		asked := tries(t, s, time.Minute)
		quick := 0
		for i, at := range asked[1:] {
			since, step := at-20*time.Second-50*time.Millisecond, at-asked[i]
			switch {
			case since < 0:
			case since <= hastyPause*6/5+step && quick == 0: // the rest it was in became shorter
				quick++
			case since <= hastyFor && step > hastyPause*6/5:
				t.Errorf("%s after the grant it rests for %s", since, step)
			case since <= hastyFor:
				quick++
			case since > hastyFor+longestPause*6/5 && step < longestPause*4/5:
				t.Errorf("%s after the grant it is still asked after %s", since, step)
			}
		}
		if least := int(hastyFor / (hastyPause * 6 / 5)); quick < least {
			t.Errorf("it was asked %d times in haste, want %d at least", quick, least)
		}

		began := time.Now()
		s.Hasten()
		if err := s.rest(t.Context(), 1, understudy.CodeUnauthenticated, time.Time{}); err != nil || time.Since(began) < unauthorizedPause*4/5 {
			t.Errorf("a camera that refuses the password is asked again after %s (%v)", time.Since(began), err)
		}
	})
}

// Who rests stops when it is told to, also after it was hastened.
func TestARestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		s, began := NewSource(Config{}, nil), time.Now()
		s.Hasten()
		if err := s.rest(ctx, 1, understudy.CodeUnauthenticated, time.Time{}); err == nil || time.Since(began) != time.Second {
			t.Errorf("it rested for %s, %v", time.Since(began), err)
		}
	})
}
