package recording

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"understudy"
)

const (
	maxHoldDown = 15 * time.Minute
	flapWindow  = time.Hour
	// maxFailbacks in any hour: with the takeover before each and one after the
	// last these are five changes of role, and a third failback would let a
	// takeover make a seventh.
	maxFailbacks = 2
	// calmStarts of a process within the hour say nothing: it was installed, and failed once.
	calmStarts = 2
	// straggle is how long cameras that are ready wait for others, so that one
	// claim and one sentence tell of all.
	straggle = 5 * time.Second
	// blink is how long the observer may have looked away. A process that was
	// stopped for longer does not know what happened meanwhile.
	blink = 3 * time.Second
	// lapse is for how long a camera with no session left may not answer, and goes on
	// counting as one: a lost packet or two make a question fail.
	lapse = 8 * time.Second
)

// health is since when each camera has been recorded here without a break, and
// since when its lease has been elsewhere, as far as this process has seen; no
// time where it is not so.
type health struct {
	looked  time.Time
	healthy map[understudy.CameraID]time.Time
	crowded map[understudy.CameraID]time.Time // instead, since when it has had no session left for this server
	refused map[understudy.CameraID]time.Time // when that was last so
	away    map[understudy.CameraID]time.Time
}

// observe takes a look at what runs and who holds the leases.
func (h *health) observe(now time.Time, self understudy.ServerID, state understudy.State, leases []understudy.Lease) {
	if now.Sub(h.looked) > blink {
		*h = health{healthy: map[understudy.CameraID]time.Time{}, crowded: map[understudy.CameraID]time.Time{},
			refused: map[understudy.CameraID]time.Time{}, away: map[understudy.CameraID]time.Time{}}
	}
	h.looked = now
	for _, c := range state.Cameras {
		healthy := state.Storage.Writable && c.Receiving && (c.Recording || c.Waiting)
		note(h.healthy, c.Camera, healthy, now)
		switch {
		case healthy:
			delete(h.refused, c.Camera)
		case c.Crowded:
			h.refused[c.Camera] = now
		}
		note(h.crowded, c.Camera, !healthy && state.Storage.Writable && now.Sub(h.refused[c.Camera]) <= lapse, now)
	}
	for _, l := range leases {
		note(h.away, l.Camera, l.Holder != self, now)
	}
	if len(h.healthy) > len(state.Cameras) { // some are here no longer
		gone := func(id understudy.CameraID, _ time.Time) bool {
			return !slices.ContainsFunc(state.Cameras, func(c understudy.CameraState) bool { return c.Camera == id })
		}
		maps.DeleteFunc(h.healthy, gone)
		maps.DeleteFunc(h.crowded, gone)
		maps.DeleteFunc(h.refused, gone)
	}
	if len(h.away) > len(leases) {
		maps.DeleteFunc(h.away, func(id understudy.CameraID, _ time.Time) bool {
			return !slices.ContainsFunc(leases, func(l understudy.Lease) bool { return l.Camera == id })
		})
	}
}

// note puts down since when a camera is so: as before, or from now on, or that it is not.
func note(since map[understudy.CameraID]time.Time, c understudy.CameraID, so bool, now time.Time) {
	switch {
	case !so:
		since[c] = time.Time{}
	case since[c].IsZero():
		since[c] = now
	}
}

// Failback decides when a home takes its cameras back, from one look after
// another, and when it gives up the session of a camera that allows one. It reads
// no clock and touches no socket.
type Failback struct {
	Self     understudy.ServerID
	HoldDown time.Duration
	seen     health
	woke     time.Time                         // when it began to look, or did again after it had stood still
	given    map[understudy.CameraID]time.Time // when the session of a camera was given up last
}

// Outlook is how things are at one look.
type Outlook struct {
	Now     time.Time
	State   understudy.State
	Home    understudy.RecordingServer // as the site has it
	Leases  []understudy.Lease         // of its cameras
	Planned bool                       // the last stop was on purpose
	Past    []time.Time                // when cameras were taken back before, oldest first
	Single  map[understudy.CameraID]bool
	// Crowded are the cameras that have no session left for another server, as it says.
	Crowded map[understudy.ServerID]map[understudy.CameraID]bool
}

func (f *Failback) situation(o Outlook) situation {
	return situation{now: o.Now, self: f.Self, state: o.State, server: o.Home, leases: o.Leases, holdDown: f.HoldDown,
		planned: o.Planned, failbacks: o.Past, single: o.Single, crowded: o.Crowded}
}

// Look returns which cameras to claim, or none, and why, in a sentence; without a
// sentence there is nothing to decide. alarm says that nothing goes home by itself
// for a while, and an operator should know.
func (f *Failback) Look(o Outlook) (cameras []understudy.CameraEpoch, sentence string, alarm bool) {
	d := f.look(f.situation(o))
	return d.Cameras, d.Sentence, d.Alarm
}

// Gives returns the cameras whose session is to be given up now for who serves them, for how long each is then left alone.
func (f *Failback) Gives(o Outlook) ([]understudy.CameraID, time.Duration) {
	var cameras []understudy.CameraID
	for _, g := range f.gives(f.situation(o)) {
		cameras = append(cameras, g.camera)
	}
	return cameras, lent
}

// gives returns the sessions that are in the way of who serves a camera as planned,
// and takes note that they are given up. A process that stood still reads words on
// waking that are as old as that, and waits for the next.
func (f *Failback) gives(s situation) []gift {
	if s.now.Sub(f.seen.looked) > dozed {
		f.woke = s.now
	}
	if s.now.Sub(f.woke) < dozed {
		return nil
	}
	s.given = f.given
	gifts := s.gifts()
	if len(gifts) > 0 && f.given == nil {
		f.given = map[understudy.CameraID]time.Time{}
	}
	for _, g := range gifts {
		f.given[g.camera] = s.now
	}
	return gifts
}

func (f *Failback) look(s situation) decision {
	f.seen.observe(s.now, s.self, s.state, s.leases)
	s.health = f.seen
	return decide(s)
}

// situation is what a failback is decided from.
type situation struct {
	now      time.Time
	self     understudy.ServerID
	state    understudy.State
	leases   []understudy.Lease // of the cameras whose home this is
	health   health             // observed at now
	holdDown time.Duration
	// planned: the server stopped on purpose before, so that nothing is wrong with it.
	planned   bool
	failbacks []time.Time // when it took cameras back before, oldest first
	starts    []time.Time // of this process that no stop was planned before, oldest first
	// server is this one as the site has it: the policy and an operator's orders.
	server  understudy.RecordingServer
	ordered bool                                                 // an operator has said that what is decided on goes home
	single  map[understudy.CameraID]bool                         // cameras that are known to allow one session only
	crowded map[understudy.ServerID]map[understudy.CameraID]bool // cameras that have no session left for another server
	given   map[understudy.CameraID]time.Time                    // when a session was given up last
}

// decision is which cameras to claim, or none, and why, in a sentence; without
// a sentence there is nothing to decide.
type decision struct {
	Cameras  []understudy.CameraEpoch
	Sentence string
	Waiting  bool // it records again, and only has to be steady
	Ordered  bool // by an operator: it is no flapping
	Alarm    bool // an operator should know: nothing goes home by itself for a while
}

// decide says whether home takes its cameras back now. Each camera must have
// been recorded here for the hold-down, counted from when its lease was seen
// elsewhere at the earliest; those that are ready wait a little for those that
// soon will be.
func decide(s situation) decision {
	var away []understudy.Lease
	for _, l := range s.leases {
		if l.Holder != s.self {
			away = append(away, l)
		}
	}
	slices.SortFunc(away, func(a, b understudy.Lease) int { return cmp.Compare(a.Camera, b.Camera) })
	switch {
	case len(away) == 0:
		return decision{}
	case s.server.HandOver.Stands(s.now):
		return decision{Sentence: fmt.Sprintf("%s takes nothing back: it was %s", s.self, s.server.HandOver)}
	case s.state.Leaving != "":
		return decision{Sentence: fmt.Sprintf("%s takes nothing back: it is about to stop (%s)", s.self, s.state.Leaving)}
	case !s.state.Storage.Writable:
		return decision{Sentence: fmt.Sprintf("%s takes nothing back: its storage is not writable (%s)", s.self, s.state.Storage.Sentence)}
	}
	if elsewhere := s.onOrder(away); len(elsewhere) > 0 {
		away, s.ordered = elsewhere, true
	}
	if !s.ordered {
		if d := s.waits(); d.Sentence != "" {
			return d
		}
	}
	hold, why := s.hold()
	var ready []understudy.Lease
	var silent []understudy.CameraID
	soon, longest := 0, time.Duration(0)
	for _, l := range away {
		since, wait, answers := s.health.healthy[l.Camera], hold, true
		if since.IsZero() {
			since, wait = s.health.crowded[l.Camera], s.holdCrowded(l.Camera, hold)
			answers = s.health.refused[l.Camera].Equal(s.now)
		}
		if since.IsZero() {
			silent = append(silent, l.Camera)
			continue
		}
		if taken := s.health.away[l.Camera]; taken.After(since) {
			since = taken
		}
		if steady := s.now.Sub(since); steady >= wait && answers {
			ready, longest = append(ready, l), max(longest, steady)
		} else {
			soon++
		}
	}
	others := soon + len(silent)
	switch {
	case len(ready) == 0 && soon == 0:
		return decision{Sentence: fmt.Sprintf("%s does not record %s again yet", s.self, named(silent))}
	case len(ready) == 0, others > 0 && longest < hold+straggle:
		return decision{Waiting: true, Sentence: fmt.Sprintf("%s records again and waits to take %s back: %s", s.self, counted(len(away), "camera"), why)}
	}
	return decision{Cameras: epochs(ready), Ordered: s.ordered, Sentence: s.claimSentence(ready, longest, why)}
}

// holdCrowded returns how long a camera must have had no session left. Unless it
// is known to allow one only, the one that is in the way may be this server's own.
func (s situation) holdCrowded(camera understudy.CameraID, hold time.Duration) time.Duration {
	if s.ordered || s.planned || s.single[camera] {
		return hold
	}
	return max(hold, ownSession)
}

// hold returns how long a camera must be steady, and why so long.
func (s situation) hold() (time.Duration, string) {
	switch {
	case s.ordered:
		return 0, "an operator ordered it, so there is no hold-down"
	case s.planned:
		return 0, "the stop was planned, so there is no hold-down"
	}
	hold := s.holdDown
	back, crashes := s.recent(s.failbacks), s.recent(s.starts)-calmStarts
	for range max(back, crashes) {
		hold = min(2*hold, maxHoldDown)
	}
	switch {
	case crashes > back:
		return hold, fmt.Sprintf("the hold-down is %s after %s within the hour", hold, counted(crashes+calmStarts, "start"))
	case back > 0:
		return hold, fmt.Sprintf("the hold-down is %s after %s within the hour", hold, counted(back, "failback"))
	}
	return hold, fmt.Sprintf("the hold-down is %s", hold)
}

// recent counts what was within the hour.
func (s situation) recent(times []time.Time) (count int) {
	for _, at := range times {
		if s.now.Sub(at) < flapWindow {
			count++
		}
	}
	return count
}

// onOrder returns the leases that went elsewhere before an operator said that
// what is elsewhere goes home, or as a hand-over that has ended.
func (s situation) onOrder(away []understudy.Lease) []understudy.Lease {
	before := s.server.TakesBack(s.now)
	return slices.DeleteFunc(slices.Clone(away), func(l understudy.Lease) bool { return l.Since.IsZero() || l.Since.After(before) })
}

// waits says why nothing goes home by itself now. A takeover is never put off,
// since it saves footage; that cameras do not change hands again and again is
// the failback's part.
func (s situation) waits() decision {
	if why := s.server.Failback.Waits(s.now); why != "" {
		return decision{Sentence: fmt.Sprintf("%s waits to take its part back: %s", s.self, why)}
	}
	if n := s.recent(s.failbacks); n >= maxFailbacks && !s.planned {
		first := s.failbacks[len(s.failbacks)-maxFailbacks]
		return decision{Alarm: true, Sentence: fmt.Sprintf("%s took its part back %d times within the hour and lost it again: it does not before %s, unless an operator says so (`understudy failback %s`)",
			s.self, n, first.Add(flapWindow).UTC().Format("15:04:05 MST"), s.self)}
	}
	return decision{}
}

func epochs(leases []understudy.Lease) []understudy.CameraEpoch {
	claimed := make([]understudy.CameraEpoch, len(leases))
	for i, l := range leases {
		claimed[i] = understudy.CameraEpoch{Camera: l.Camera, Epoch: l.Epoch}
	}
	return claimed
}

func (s situation) claimSentence(ready []understudy.Lease, steady time.Duration, why string) string {
	var recorded, crowded []understudy.CameraID
	var holders []string
	for _, l := range ready {
		if !s.health.crowded[l.Camera].IsZero() {
			crowded = append(crowded, l.Camera)
		} else {
			recorded = append(recorded, l.Camera)
		}
		holders = append(holders, string(l.Holder))
	}
	slices.Sort(holders)
	from := strings.Join(slices.Compact(holders), " and ")
	lasted := steady.Round(100 * time.Millisecond)
	freed := fmt.Sprintf("%s gives its session up for that, and a moment is lost", from)
	switch {
	case len(crowded) == 0:
		return fmt.Sprintf("%s has recorded %s again for %s (%s) and takes its part back from %s", s.self, named(recorded), lasted, why, from)
	case len(recorded) == 0:
		return fmt.Sprintf("%s could record %s again, where no session is left for it, for %s (%s) and takes its part back from %s: %s",
			s.self, named(crowded), lasted, why, from, freed)
	}
	return fmt.Sprintf("%s has recorded %s again for %s (%s) and takes its part back from %s, and with it %s, where no session is left for it: %s",
		s.self, named(recorded), lasted, why, from, named(crowded), freed)
}

// named lists a few cameras, and counts the rest.
func named(cameras []understudy.CameraID) string {
	const few = 4
	var names []string
	for _, c := range cameras[:min(few, len(cameras))] {
		names = append(names, string(c))
	}
	list := strings.Join(names, ", ")
	if rest := len(cameras) - few; rest > 0 {
		return fmt.Sprintf("%s and %s", list, counted(rest, "other camera"))
	}
	return list
}
