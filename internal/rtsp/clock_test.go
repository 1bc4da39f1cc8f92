package rtsp

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// feed gives a clock n samples, one each interval of the camera's clock, that
// arrive late by what delay says, and returns the last capture time.
func feed(c *clock, first, n int, interval time.Duration, start time.Time, delay func(i int) time.Duration, ntp func(i int) time.Time) (at time.Time) {
	for i := first; i < first+n; i++ {
		elapsed := time.Duration(i) * interval
		ticks := int64(elapsed) * c.rate / int64(time.Second)
		var camera time.Time
		if ntp != nil {
			camera = ntp(i)
		}
		at = c.capture(ticks, start.Add(elapsed+delay(i)), camera)
	}
	return at
}

func TestTheLeastDelayedSampleDecidesWhereTheLineLies(t *testing.T) {
	c := &clock{rate: 90000}
	delays := func(i int) time.Duration {
		return time.Duration([]int{80, 30, 5, 40, 25, 60, 12, 33}[i%8]) * time.Millisecond
	}
	at := feed(c, 0, 250, 40*time.Millisecond, noon, delays, nil)
	want := noon.Add(249*40*time.Millisecond + 5*time.Millisecond)
	if off := at.Sub(want).Abs(); off > 10*time.Millisecond {
		t.Errorf("after 10 s the line is %s off", off)
	}
}

func TestACameraClockThatIsSaneDecides(t *testing.T) {
	for name, c := range map[string]struct {
		apart time.Duration // of the camera's clock and ours
		want  time.Duration // of the line and ours, after a while
	}{
		"sane":     {-300 * time.Millisecond, -300 * time.Millisecond},
		"an hour":  {time.Hour, 20 * time.Millisecond},
		"of 1970":  {-56 * 365 * 24 * time.Hour, 20 * time.Millisecond},
		"no clock": {0, 20 * time.Millisecond},
	} {
		clock := &clock{rate: 90000}
		late := func(int) time.Duration { return 20 * time.Millisecond }
		camera := func(i int) time.Time {
			if c.apart == 0 || i < 25 { // sender reports come after a second
				return time.Time{}
			}
			return noon.Add(time.Duration(i)*40*time.Millisecond + c.apart)
		}
		at := feed(clock, 0, 500, 40*time.Millisecond, noon, late, camera)
		if off := at.Sub(noon.Add(499*40*time.Millisecond + c.want)).Abs(); off > 5*time.Millisecond {
			t.Errorf("%s: the line is %s off", name, off)
		}
	}
}

func TestAClockThatDriftsIsFollowed(t *testing.T) {
	c := &clock{rate: 90000}
	drift := func(i int) time.Duration { return time.Duration(i) * 40 * time.Microsecond } // one in a thousand
	at := feed(c, 0, 25*600, 40*time.Millisecond, noon, drift, nil)
	want := noon.Add(14999*40*time.Millisecond + drift(14999))
	if off := at.Sub(want).Abs(); off > 10*time.Millisecond {
		t.Errorf("after 10 min the line is %s off", off)
	}
}

func TestACameraThatRestartsItsTimestampsGoesOn(t *testing.T) {
	for name, jump := range map[string]uint32{"back": 1 << 30, "forward": 3 << 30, "far": 1<<31 + 5} {
		c := &clock{rate: 90000}
		var before time.Time
		timestamp := uint32(7)
		for i := range 100 {
			if i == 50 {
				timestamp += jump
			}
			at := c.capture(c.unwrap(timestamp), noon.Add(time.Duration(i)*40*time.Millisecond), time.Time{})
			if i > 0 && (!at.After(before) || at.Sub(before) > 100*time.Millisecond) {
				t.Errorf("%s: sample %d lies %s after the one before", name, i, at.Sub(before))
			}
			before = at
			timestamp += 3600
		}
	}
}

func TestAStallDoesNotMoveTheLine(t *testing.T) {
	c := &clock{rate: 90000}
	stall := func(i int) time.Duration { // the network holds everything back for 4 s, and then delivers it at once
		if i >= 100 && i < 200 {
			return time.Duration(200-i) * 40 * time.Millisecond
		}
		return 0
	}
	at := feed(c, 0, 300, 40*time.Millisecond, noon, stall, nil)
	if off := at.Sub(noon.Add(299 * 40 * time.Millisecond)).Abs(); off > 50*time.Millisecond {
		t.Errorf("after the stall the line is %s off", off)
	}
}

func TestCaptureTimesGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &clock{rate: rapid.SampledFrom([]int64{8000, 44100, 90000}).Draw(t, "rate")}
		var before time.Time
		for range 200 {
			arrival := noon.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "arrival")))
			var ntp time.Time
			if rapid.Bool().Draw(t, "report") {
				ntp = arrival.Add(time.Duration(rapid.Int64Range(-int64(2*time.Second), int64(2*time.Second)).Draw(t, "ntp")))
			}
			at := c.capture(c.unwrap(rapid.Uint32().Draw(t, "timestamp")), arrival, ntp)
			if !before.IsZero() && !at.After(before) {
				t.Fatalf("%s follows %s", at, before)
			}
			before = at
		}
	})
}

// A process that was stopped finds seconds of pictures that came meanwhile, all
// at once, and late.
func TestABacklogDoesNotMoveTheLine(t *testing.T) {
	for name, ntp := range map[string]func(i int) time.Time{
		"camera's clock": func(i int) time.Time { return noon.Add(time.Duration(i) * 40 * time.Millisecond) },
		"arrival":        nil,
	} {
		const hung, back = 250, 550 // frames: for 12 s
		c := &clock{rate: 90000}
		for i := range 700 {
			delay := func(i int) time.Duration {
				if i >= hung && i < back {
					return time.Duration(back-i) * 40 * time.Millisecond
				}
				return 0
			}
			at := feed(c, i, 1, 40*time.Millisecond, noon, delay, ntp)
			if off := at.Sub(noon.Add(time.Duration(i) * 40 * time.Millisecond)).Abs(); off > 20*time.Millisecond {
				t.Fatalf("%s: frame %d, of a backlog from %d to %d, is %s off", name, i, hung, back, off)
			}
		}
	}
}
