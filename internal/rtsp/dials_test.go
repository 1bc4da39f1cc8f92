package rtsp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/stream"
)

// A storm of cameras is called 64 at a time; those that do not answer keep
// others waiting for a second, and a camera that sends for no longer than that.
func TestDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDials()
		begun := time.Now()
		var ends []func()
		for range 64 {
			end, err := d.begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, end)
		}
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("64 cameras waited %s", waited)
		}
		limited, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if _, err := d.begin(limited); err == nil {
			t.Error("a 65th had its turn at once")
		}
		ends[0]()
		ends[0]()
		if _, err := d.begin(t.Context()); err != nil || time.Since(begun) != time.Second/2 {
			t.Errorf("after one has answered, the next waited %s: %v", time.Since(begun), err)
		}
		for range 63 { // the others have not, and have had their second
			if _, err := d.begin(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("those who do not answer held the others up for %s, want 1 s", waited)
		}
		time.Sleep(2 * time.Second)
		ends[1]() // long over
		if n := len(d.slots); n != 0 {
			t.Errorf("%d turns are lost", n)
		}
	})
}

// A source calls its camera only when it is its turn.
func TestASourceWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := &Dials{make(chan struct{}, 1)}
		dials.slots <- struct{}{}
		source := NewSource(Config{URL: "no address", Dials: dials}, stream.NewHub())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = source.Run(ctx)
		}()
		synctest.Wait()
		if fault := source.Fault(); fault != "" {
			t.Errorf("it has called already: %s", fault)
		}
		<-dials.slots
		synctest.Wait()
		if source.Fault() == "" {
			t.Error("it has not called")
		}
		cancel()
		<-done
	})
}

// A clock that is set must not make a camera silent or lively.
func TestLastIsMonotonic(t *testing.T) {
	source := NewSource(Config{}, stream.NewHub())
	source.Sample(&understudy.Sample{Track: understudy.VideoTrack})
	if last := source.Last(); last == last.Round(0) { //nolint:staticcheck // == tells a time with a monotonic reading from one without
		t.Errorf("%v has no monotonic reading", last)
	}
}
