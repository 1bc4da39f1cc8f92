package failover

import (
	"fmt"
	"slices"
	"time"

	"understudy"
)

// withAnOrder are the homes of which an operator has ordered something, as the
// site tells of them, or a duty while the site does not.
func (s *State) withAnOrder() map[understudy.ServerID]understudy.RecordingServer {
	all := map[understudy.ServerID]understudy.RecordingServer{}
	for id, d := range s.duties {
		if _, told := s.site.RecordingServer(id); !told && orderedOf(d.Home) {
			all[id] = d.Home
		}
	}
	for _, r := range s.site.RecordingServers {
		if orderedOf(r) {
			all[r.ID] = r
		}
	}
	return all
}

func orderedOf(r understudy.RecordingServer) bool {
	return r.HandOver != understudy.HandOver{} || r.Maintenance != understudy.Maintenance{}
}

// handedOver returns the order that a home's part be played by somebody else, if one stands.
func (s *State) handedOver(home understudy.ServerID) (understudy.HandOver, bool) {
	o := s.ordered[home].HandOver
	return o, !o.Since.IsZero() && !s.over(o.Until)
}

// maintained reports whether somebody works on a home that was not handed over:
// nothing is taken over from it.
func (s *State) maintained(home understudy.ServerID) (understudy.Maintenance, bool) {
	m := s.ordered[home].Maintenance
	_, handed := s.handedOver(home)
	return m, !m.Until.IsZero() && !s.over(m.Until) && !handed
}

// over reports whether the time of an order that the site still has is over. The
// management server ends it for everybody at once; only who is not told of
// anything goes by its own clock, which may be wrong.
func (s *State) over(until time.Time) bool {
	return s.untold() && !until.IsZero() && !s.wall.Before(until)
}

// withOrders adds to a verdict what an operator has ordered of the server.
func (s *State) withOrders(id understudy.ServerID, v verdict) verdict {
	if len(s.ordered) == 0 { // as most often
		return v
	}
	if o, ok := s.handedOver(id); ok && (v.Condition == Well || v.Condition == Restarted || v.Condition == Sick && len(v.Cameras) > 0) {
		return verdict{Condition: HandedOver, Sentence: fmt.Sprintf("%s was %s", id, o)}
	}
	if o, ok := s.maintained(id); ok && (v.Condition == Dead || v.Condition == Sick || v.Condition == Leaving) {
		v.Kept = true
		v.Sentence += fmt.Sprintf("; it is %s, so nothing is taken over", o)
	}
	return v
}

// awaited reports whether a camera that is taken over as planned is better
// claimed later: a planned stop or an order loses nobody the picture, so clients
// are moved to where it already is.
func (s *State) awaited(home understudy.ServerID, camera understudy.CameraID, d demand) bool {
	_, loaded := s.material[camera]
	switch {
	case !d.planned || slices.Contains(s.own.Covered, camera):
		return false
	case s.at-d.since < coverPlanned:
		return loaded || d.ordered
	}
	// A server that leaves is claimed from as it is. One that goes on recording keeps
	// what it alone has, unless that is its session: it gives that up for the lease.
	return d.ordered && s.watch(home).cameras[camera].receiving && !slices.Contains(s.own.Crowded, camera)
}
