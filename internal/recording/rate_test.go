package recording

import (
	"testing"
	"time"
)

func TestRateIsOfTheLastSeconds(t *testing.T) {
	var r rate
	now, bytes := time.Unix(1_700_000_000, 0), uint64(0)
	pass := func(d time.Duration, bitsPerSecond uint64) {
		for end := now.Add(d); now.Before(end); now = now.Add(watchEvery) {
			r.look(now, bytes)
			bytes += bitsPerSecond / 8 * uint64(watchEvery) / uint64(time.Second)
		}
	}
	pass(rateLeast-time.Second, 4_000_000)
	if got := r.bitsPerSecond(now, bytes); got != 0 {
		t.Errorf("after %s the rate is said to be %d, and is not known yet", rateLeast-time.Second, got)
	}
	pass(5*time.Second, 4_000_000)
	if got := r.bitsPerSecond(now, bytes); got != 4_000_000 {
		t.Errorf("of an even stream of 4 Mbit/s the rate is %d", got)
	}
	pass(25*time.Second, 0)
	if got := r.bitsPerSecond(now, bytes); got != 0 {
		t.Errorf("25 s after the stream ended the rate is %d", got)
	}
	pass(time.Hour, 1_000_000)
	if got := r.bitsPerSecond(now, bytes); got != 1_000_000 {
		t.Errorf("after an hour of 1 Mbit/s the rate is %d", got)
	}
}
