package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// All cameras of a round are called at once. Who answers is told in time for the
// verdict, and once more when others answer later; who never does costs no more.
func TestCallsAreToldInTimeAndOnceMore(t *testing.T) {
	after := map[understudy.CameraID]time.Duration{"quick": 10 * time.Millisecond, "slow": time.Second, "never": time.Hour}
	for _, c := range []struct {
		cameras []understudy.CameraID
		want    string
	}{
		{[]understudy.CameraID{"quick"}, "10ms [quick]"},
		{[]understudy.CameraID{"quick", "never"}, "600ms [quick]"},
		{[]understudy.CameraID{"never"}, "600ms []"},
		{[]understudy.CameraID{"slow"}, "600ms [], 1s [slow]"},
		{[]understudy.CameraID{"slow", "quick", "never"}, "600ms [quick], 2.5s [quick slow]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			s := &Server{seen: make(chan Observation, 8), config: Config{Reach: func(ctx context.Context, c understudy.Camera) error {
				select {
				case <-time.After(after[c.ID]):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}}}
			var cameras []understudy.Camera
			for _, id := range c.cameras {
				cameras = append(cameras, understudy.Camera{ID: id})
			}
			for range 3 { // it is wanted until it is answered, and called once
				s.call(t.Context(), map[int][]understudy.Camera{1: cameras})
			}
			done := make(chan struct{})
			go func() { s.children.Wait(); close(done) }()
			var told []string
			for over := false; !over; {
				select {
				case o := <-s.seen:
					if o.Called != 1 || !slices.IsSorted(o.Answered) {
						t.Errorf("observed was %+v", o)
					}
					told = append(told, fmt.Sprintf("%s %v", time.Since(begun), o.Answered))
				case <-done:
					over = true
				}
			}
			if got := strings.Join(told, ", "); got != c.want {
				t.Errorf("%v: told %s, want %s", c.cameras, got, c.want)
			}
		})
	}
}

// The end of the server ends its calls.
func TestCallsEndWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := errors.New("never")
		s := &Server{seen: make(chan Observation), config: Config{Reach: func(ctx context.Context, _ understudy.Camera) error {
			<-ctx.Done()
			ended = ctx.Err()
			return ended
		}}}
		s.call(ctx, map[int][]understudy.Camera{7: {{ID: "a"}}})
		synctest.Wait()
		cancel()
		s.children.Wait()
		if !errors.Is(ended, context.Canceled) {
			t.Errorf("the call ended with %v", ended)
		}
	})
}
