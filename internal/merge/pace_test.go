package merge

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// sendFor passes chunks for a while, each of which takes so long on the line,
// and returns how many bytes went.
func sendFor(t *testing.T, p *Pace, chunk int, each, length time.Duration) (bytes int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	for p.pass(ctx, chunk) == nil {
		time.Sleep(each)
		bytes += chunk
	}
	return bytes
}

func within(t *testing.T, what string, got, want int) {
	t.Helper()
	if got < want*9/10 || got > want*11/10 {
		t.Errorf("%s: %d bytes, want about %d", what, got, want)
	}
}

func TestAPaceKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := paced(1_000_000)
		within(t, "a fast line", sendFor(t, p, p.chunk(), time.Millisecond, 20*time.Second), 20_000_000)
		p.Limit(100_000)
		within(t, "after a change", sendFor(t, p, p.chunk(), time.Millisecond, 20*time.Second), 2_000_000)
	})
}

// A line that takes a megabyte in 10 ms gives 100 MB/s: a transfer without a
// rate takes half of that, less while something lags, and half again after.
func TestAPaceWithoutARateTakesHalfOfWhatIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := paced(0)
		send := func() int { return sendFor(t, p, maxChunk, 10*time.Millisecond, 20*time.Second) }
		free := 100 * 20 * maxChunk
		within(t, "well", send(), free/2)
		p.Feel("rec-1 lags")
		p.Feel("rec-1 lags")
		if p.Waiting() != "rec-1 lags" {
			t.Errorf("waiting is %q", p.Waiting())
		}
		within(t, "lagging", send(), free/8)
		for range 20 {
			p.Feel("rec-1 lags")
		}
		if sent := send(); sent == 0 {
			t.Error("nothing goes while something lags")
		}
		for range 20 {
			p.Feel("")
		}
		if p.Waiting() != "" {
			t.Errorf("waiting is %q", p.Waiting())
		}
		within(t, "well again", send(), free/2)
	})
}

func TestAZeroPaceIsWithoutABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Pace{}
		begun := time.Now()
		for range 10_000 {
			if err := p.pass(t.Context(), maxChunk); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(begun) > 0 {
			t.Errorf("took %s", time.Since(begun))
		}
	})
}

func TestAMeterIsTheRateOfTheLastSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m meter
		for range 30 {
			m.add(time.Now(), 500)
			time.Sleep(500 * time.Millisecond)
		}
		if got := m.rate(time.Now()); got != 1000 {
			t.Errorf("rate %d, want 1000", got)
		}
		time.Sleep(10 * time.Second)
		if got := m.rate(time.Now()); got != 0 {
			t.Errorf("rate %d after ten quiet seconds", got)
		}
	})
}
