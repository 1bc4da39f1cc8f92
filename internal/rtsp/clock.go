package rtsp

import "time"

// Bounds of the clock.
const (
	maxSlew     = 20              // the timeline is bent by 1/maxSlew at most,
	firstSlew   = 2               // in the first slewWindow, when one sample's delay is all that is known, by 1/firstSlew
	slewWindow  = 2 * time.Second // over which the least delayed sample is looked for
	maxJump     = 5 * time.Second // a difference beyond is a restarted clock, not a delay
	maxNTPError = time.Second     // a camera clock further from ours is not believed
	minStep     = time.Millisecond
)

// clock turns one track's RTP timestamps into capture times. RTP gives the
// distances; where the line lies comes from the camera's own clock if it is
// sane, else from the arrival of the least delayed packets. The line is bent,
// never broken: capture times grow strictly, whatever the camera's clock does.
type clock struct {
	rate    int64
	started bool
	raw     uint32 // last RTP timestamp
	ticks   int64  // the same, unwrapped; the first is 0

	offset  time.Time     // capture time of tick 0, as it is believed now
	target  time.Time     // where offset is bent to
	at      time.Time     // last capture time given out
	last    time.Duration // greatest elapsed
	window  time.Duration // elapsed at which the current window began,
	heard   time.Time     // and the arrival: a backlog, which comes all at once, fills no window
	nearest time.Time     // least delayed candidate of the window
}

// unwrap returns timestamp as ticks since the first one.
func (c *clock) unwrap(timestamp uint32) int64 {
	if !c.started {
		c.raw = timestamp
	}
	c.ticks += int64(int32(timestamp - c.raw))
	c.raw = timestamp
	return c.ticks
}

// elapsed returns ticks as a duration, without overflow for as long as a camera runs.
func (c *clock) elapsed(ticks int64) time.Duration {
	return time.Duration(ticks/c.rate)*time.Second + time.Duration(ticks%c.rate)*time.Second/time.Duration(c.rate)
}

// capture returns the capture time of a sample whose decode time is dts ticks.
// arrival is when it was complete; ntp is the camera's own idea of the decode
// time, zero where unknown.
func (c *clock) capture(dts int64, arrival, ntp time.Time) time.Time {
	elapsed := c.elapsed(dts)
	believed := !ntp.IsZero() && ntp.Sub(arrival).Abs() <= maxNTPError
	candidate := arrival.Add(-elapsed)
	if believed {
		candidate = ntp.Add(-elapsed)
	}
	switch {
	case !c.started, elapsed < c.last-time.Second, c.offset.Sub(candidate) > maxJump:
		c.anchor(candidate, elapsed, arrival)
	case believed:
		c.target, c.window, c.heard, c.nearest = candidate, elapsed, arrival, candidate
	default:
		c.listen(candidate, elapsed, arrival)
	}
	c.bend(elapsed - c.last)
	c.started = true
	c.last = max(c.last, elapsed)
	at := c.offset.Add(elapsed)
	if !c.at.IsZero() && at.Sub(c.at) < minStep {
		at = c.at.Add(minStep)
	}
	c.at = at
	return at
}

// anchor begins the line anew.
func (c *clock) anchor(candidate time.Time, elapsed time.Duration, arrival time.Time) {
	c.offset, c.target, c.nearest = candidate, candidate, candidate
	c.window, c.heard, c.last = elapsed, arrival, elapsed
}

// listen aims at the least delayed sample: at once where one came earlier than
// was believed possible, at a later one when a whole window brought none earlier.
func (c *clock) listen(candidate time.Time, elapsed time.Duration, arrival time.Time) {
	if candidate.Before(c.nearest) {
		c.nearest = candidate
	}
	if c.nearest.Before(c.target) {
		c.target = c.nearest
	}
	if elapsed-c.window < slewWindow || arrival.Sub(c.heard) < slewWindow {
		return
	}
	if c.nearest.Sub(c.offset) > maxJump {
		c.anchor(candidate, elapsed, arrival)
		return
	}
	c.target, c.window, c.heard, c.nearest = c.nearest, elapsed, arrival, candidate
}

// bend moves the line towards the target, as far as is allowed in that time.
func (c *clock) bend(over time.Duration) {
	limit := max(0, over) / maxSlew
	if c.last < slewWindow {
		limit = max(0, over) / firstSlew
	}
	c.offset = c.offset.Add(min(limit, max(-limit, c.target.Sub(c.offset))))
}
