package stream_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	us "understudy"
	"understudy/internal/stream"
)

// woken counts how often a reader was woken for n frames, 25 a second, of which
// each keyEvery-th is a key frame, and how late the latest was taken.
func woken(t *testing.T, n, keyEvery int) (times int, latest time.Duration) {
	t.Helper()
	hub := stream.NewHub()
	reader := hub.SubscribeLazily(16<<20, 400*time.Millisecond)
	hub.Tracks([]us.Track{{ID: us.VideoTrack, Codec: us.CodecH264}})
	done := make(chan struct{})
	seen := 0
	go func() {
		defer close(done)
		var last time.Time
		for {
			item, err := reader.Next(context.Background())
			if errors.Is(err, io.EOF) {
				return
			}
			if item.Sample == nil {
				continue
			}
			seen++
			latest = max(latest, time.Since(item.Sample.At))
			if now := time.Now(); !now.Equal(last) {
				last = now
				times++
			}
		}
	}()
	for i := range n {
		hub.Sample(&us.Sample{Track: us.VideoTrack, Key: i%keyEvery == 0, At: time.Now(), Payload: make([]byte, 100)})
		synctest.Wait()
		time.Sleep(40 * time.Millisecond)
	}
	time.Sleep(time.Second)
	synctest.Wait()
	if seen != n {
		t.Errorf("%d of %d samples had come before the hub was closed", seen, n)
	}
	hub.Close()
	<-done
	reader.Close()
	return times, latest
}

func TestALazyReaderIsWokenSeldomAndNeverLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times, latest := woken(t, 1500, 50)
		if times > 220 { // a minute: 3 or 4 a second; each time in the first moments
			t.Errorf("it was woken %d times in a minute", times)
		}
		if latest > 500*time.Millisecond {
			t.Errorf("a sample waited for %v", latest)
		}
	})
}

// A takeover counts from the first frame, and the second tells how long it lasts.
func TestALazyReaderIsEagerAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if times, latest := woken(t, 10, 50); times != 10 || latest != 0 {
			t.Errorf("the first 10 samples came in %d pieces, the latest after %v", times, latest)
		}
	})
}
