package failover

import (
	"slices"
	"time"

	"understudy"
)

// A server that is well says so four times a second, and most of what is watched
// is well. Were all settled anew at each such answer, the work would grow with the
// square of a site. So what tells nothing new waits for a moment; silence does
// not, it is looked for in each step.
const (
	settleEvery = 100 * time.Millisecond // at most, while there is something to do
	settleIdle  = 300 * time.Millisecond // the same, while nobody is stood in for and everybody is well
)

// pace is how often all is settled anew while nothing new is seen.
func (s *State) pace() time.Duration {
	if s.idle {
		return settleIdle
	}
	return settleEvery
}

// isIdle reports that there is nothing to do here but to watch.
func (s *State) isIdle() bool {
	for _, w := range s.watched {
		if w.verdict.Condition != Well || w.suspected > 0 {
			return false
		}
	}
	return len(s.held)+len(s.trials)+len(s.last.Claims) == 0
}

// says reports whether a server that is well tells what it told before, but for
// how far its cameras have come.
func (w *watch) says(now *understudy.State) bool {
	same := w.verdict.Condition == Well && w.heard == w.quiet && w.suspected == 0 && w.unheard == 0 && w.refusals == 0 &&
		now.Storage.Writable && w.broken == 0 && now.Leaving == "" && len(now.Cameras) == len(w.cameras) && slices.Equal(now.Short, w.state.Short)
	for i := 0; same && i < len(now.Cameras); i++ {
		c := now.Cameras[i]
		p, seen := w.cameras[c.Camera]
		same = seen && c.Receiving == p.receiving && c.Crowded == p.crowded && c.Fault == p.fault && c.Run == p.run && c.Epoch == p.epoch
	}
	return same
}

func (o Own) same(as Own) bool {
	return slices.Equal(o.Covered, as.Covered) && slices.Equal(o.Busy, as.Busy) && slices.Equal(o.Crowded, as.Crowded) &&
		slices.Equal(o.Foreign, as.Foreign) && o.Writable == as.Writable
}
