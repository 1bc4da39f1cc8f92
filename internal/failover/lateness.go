package failover

import "time"

// A server that is late itself hears others late. Hashicorp's memberlist calls
// this its awareness: how late it is widens what it grants to all others.
const (
	lateStep   = 350 * time.Millisecond // between two steps; there is one each 100 ms at least
	lateMax    = 3
	lateGrant  = 500 * time.Millisecond // for each time that this server was late itself
	lateSettle = time.Second            // in which it counts once
	lateForget = 10 * time.Second       // without being late, and it counts for one less
)

// noticeLateness counts how often this server itself was late. A pause, after
// which all observations start over, is lateness, too.
func (s *State) noticeLateness(at time.Duration) {
	since := at - s.lateAt
	switch gap := at - s.at; {
	case gap >= lateStep && s.at > 0 && (s.late == 0 || since >= lateSettle):
		s.late, s.lateAt = min(s.late+1, lateMax), at
	case s.late > 0 && since >= lateForget:
		s.late, s.lateAt = s.late-1, at
	}
}

// granted is how long a server may be silent before it is suspected.
func (s *State) granted(w *watch) time.Duration {
	return min(w.timeout()+time.Duration(s.late)*lateGrant, silenceMax)
}
