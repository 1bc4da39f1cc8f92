package failover

import (
	"slices"
	"time"

	"understudy"
)

// sighting is what another failover server told of a watched server.
type sighting struct {
	understudy.Sighting
	by    understudy.ServerID
	heard time.Duration // when the other one heard it, by this server's clock, at the earliest
}

// Sightings are the watched servers that were well when they last answered,
// for other failover servers to know.
func (s State) Sightings() []understudy.Sighting {
	all := make([]understudy.Sighting, 0, len(s.watched))
	for _, w := range s.watched {
		if w.verdict.Condition == Well {
			all = append(all, understudy.Sighting{Server: w.server, Boot: w.state.Boot, At: w.state.At, Running: w.state.Running, Age: s.at - w.heard})
		}
	}
	return all
}

// observeSightings takes in what another one tells. Its answer may have been on
// the way since it was asked.
func (s *State) observeSightings(a Answer) {
	for _, seen := range a.State.Seen {
		heard := a.Began - seen.Age
		if w, ok := s.watches[seen.Server]; ok && seen.Age >= 0 && seen.Server != a.Server && (w.sighted.by == "" || heard > w.sighted.heard) {
			w.sighted = sighting{Sighting: seen, by: a.Server, heard: heard}
		}
	}
}

// witness returns who has just seen the server at work, later than this server
// did; nobody if it is empty. Both times are the watched server's own.
func (w *watch) witness(at time.Duration) string {
	state, seen := w.told(at), w.sighted
	switch {
	case state != nil && state.Storage.Writable && state.Leaving == "":
		return "the management server"
	case !w.known:
		return ""
	case seen.by != "" && at-seen.heard < statusFresh && w.outruns(understudy.State{Boot: seen.Boot, At: seen.At, Running: seen.Running}):
		return string(seen.by)
	}
	return ""
}

// told returns the state in which the management server has just seen the server,
// later than this server did; nil if it has not.
func (w *watch) told(at time.Duration) *understudy.State {
	state := w.status.State
	if !w.status.Reachable || state == nil || at-w.statusAt >= statusFresh || w.known && !w.outruns(*state) {
		return nil
	}
	return state
}

// outruns reports whether an answer to somebody else is later than the last one to this server.
func (w *watch) outruns(state understudy.State) bool {
	ahead := statusAhead
	if w.refusedEnough() {
		ahead = refusedAhead
	}
	return later(state, w.state) >= ahead
}

// sightings are what State.Sightings returned, and when.
type sightings struct {
	list []understudy.Sighting
	at   time.Time
}

// seenNow tells other failover servers what this one last heard; it waits for nobody.
func (s *Server) seenNow() []understudy.Sighting {
	last := s.sightings.Load()
	if last == nil {
		return nil
	}
	now, passed := slices.Clone(last.list), time.Since(last.at)
	for i := range now {
		now[i].Age += passed
	}
	return now
}
