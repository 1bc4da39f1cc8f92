package failover

import (
	"fmt"
	"slices"
	"time"

	"understudy"
)

// What is done while the management server cannot be asked: cameras are recorded
// under the epoch that a claim would be granted, in cold standby from a bundle
// that was sealed for that day; and where several servers stand by for a camera,
// they look at each other instead of at the lease.

const (
	openAfter = time.Second     // of waiting for what is needed for a takeover, before a bundle is opened
	sortedOut = 5 * time.Second // since the management server answers again: who began without it has been granted its leases
)

// alone reports whether standbys look at each other instead of at the lease.
func (s *State) alone() bool { return !s.reached || s.at-s.reachedAt < sortedOut }

// solo is what was last told of a home that is stood in for with nobody to ask.
type solo string

const (
	provisional solo = "recorded without a lease"
	forestalled solo = "recorded by another standby"
)

// noticeLacking notes since when cameras of a home are to be recorded here of
// which nothing more is known than that they exist: their leases are asked for and
// nobody answers, or would be if the management server were heard, or they are
// granted and the answer was lost.
func (s *State) noticeLacking() {
	var lacking map[understudy.ServerID]time.Duration // most often none
	for _, home := range s.order {
		asks := !s.reached || len(s.claims[home].claim.Cameras) > 0 || s.deaf(home)
		if !slices.ContainsFunc(s.duties[home].Cameras, func(c understudy.StandbyCamera) bool { return s.lacksMaterial(home, c.Camera.ID, asks) }) {
			continue
		}
		if lacking == nil {
			lacking = map[understudy.ServerID]time.Duration{}
		}
		since, before := s.lacking[home]
		if !before {
			since = s.at
		}
		lacking[home] = since
	}
	s.lacking = lacking
}

func (s *State) lacksMaterial(home understudy.ServerID, camera understudy.CameraID, asks bool) bool {
	if _, known := s.material[camera]; known {
		return false
	}
	if s.leases[camera].Holder == s.self {
		return true
	}
	if !asks {
		return false
	}
	_, demanded := s.demanded(home, camera)
	return demanded
}

// toOpen lists the homes whose bundles are needed now: what is needed to record
// cameras of theirs is not known here, and the management server does not tell it.
func (s *State) toOpen() []understudy.ServerID {
	var homes []understudy.ServerID
	for _, home := range s.order {
		if since, lacking := s.lacking[home]; lacking && (!s.reached || s.at-since >= openAfter) {
			homes = append(homes, home)
		}
	}
	return homes
}

// observeOpened takes in what was in a bundle. What a claim's answer has brought meanwhile is newer.
func (s *State) observeOpened(b understudy.Bundle, cameras []understudy.AssignedCamera) {
	for _, c := range cameras {
		if _, known := s.material[c.Camera.ID]; !known {
			s.material[c.Camera.ID] = c
		}
	}
	s.say(understudy.EventServer, b.Home, true, "%s opened its sealed bundle of %s (%s, made %s) since the management server does not answer",
		s.self, b.Home, counted(len(cameras)), b.Made.UTC().Format("2006-01-02 15:04:05 MST"))
}

// peersOf are the other standbys of each camera of the duties, in the order in
// which they are asked.
func (s *State) peersOf() map[understudy.CameraID][]understudy.ServerID {
	peers := map[understudy.CameraID][]understudy.ServerID{}
	for _, d := range s.duties {
		for _, c := range d.Cameras {
			others := slices.DeleteFunc(s.site.Standbys(c.Camera), func(id understudy.ServerID) bool { return id == s.self })
			if len(others) > 0 {
				peers[c.Camera.ID] = others
			}
		}
	}
	return peers
}

// forestaller returns the standby that has taken a camera up already while
// nobody can be asked for its lease; nothing if none has. One that is asked
// before this server counts always, one after it only if it has shown some of the
// camera, and while this one does not record it itself: so of two that have both
// begun, one goes on.
func (s *State) forestaller(camera understudy.CameraID, epoch uint64) understudy.ServerID {
	if !s.alone() {
		return "" // the lease tells
	}
	h := s.held[camera]
	for i, peer := range s.peers[camera] {
		after := i >= s.posts[camera].rank
		if after && h.wanted && !h.trial {
			break
		}
		if s.hasTakenUp(peer, camera, epoch) && (!after || s.watch(peer).cameras[camera].begun) {
			return peer
		}
	}
	return ""
}

// hasTakenUp reports whether a standby is seen to have begun to record a camera
// under an epoch above its lease's, and got on with it.
func (s *State) hasTakenUp(peer understudy.ServerID, camera understudy.CameraID, epoch uint64) bool {
	w := s.watch(peer)
	p, listed := w.cameras[camera]
	return listed && w.verdict.answers() && w.state.Storage.Writable && p.epoch > epoch && s.at-p.moved <= startUp
}

// first returns the standby that is asked before this one and has taken a camera
// up while nobody can be asked for its lease. One after it is never put in its
// place: the two might each put the camera down for the other.
func (s *State) first(camera understudy.CameraID, epoch uint64) understudy.ServerID {
	if !s.alone() {
		return "" // the lease tells
	}
	for i, peer := range s.peers[camera] {
		if i < s.posts[camera].rank && s.hasTakenUp(peer, camera, epoch) {
			return peer
		}
	}
	return ""
}

// tellSolo says, once for each home, what is done for it without being asked to.
func (s *State) tellSolo() {
	for _, home := range s.order {
		now, sentence, cameras := s.solo(home)
		if now != s.told[home] && sentence != "" {
			s.say(understudy.EventServer, home, now == provisional, "%s", sentence)
			s.milestones(decided(home, cameras)...)
		}
		s.told[home] = now
	}
}

// decided are the moments at which cameras were taken up with nobody to ask. The
// claim that is granted hours later tells of another decision: whether they still are to be held.
func decided(home understudy.ServerID, cameras []understudy.CameraID) []understudy.Milestone {
	moments := make([]understudy.Milestone, 0, min(len(cameras), reportLot))
	for _, camera := range cameras[:cap(moments)] {
		moments = append(moments, understudy.Milestone{Kind: understudy.MilestoneDecided, Home: home, Camera: camera})
	}
	return moments
}

// solo is what is done for a home with nobody to ask, in words, and for which cameras.
func (s *State) solo(home understudy.ServerID) (solo, string, []understudy.CameraID) {
	if s.reached {
		return "", "", nil
	}
	var cameras []understudy.CameraID
	var epoch uint64
	for _, c := range s.duties[home].Cameras {
		id := c.Camera.ID
		if h := s.held[id]; h.wanted && !h.trial && h.camera.Provisional {
			cameras, epoch = append(cameras, id), h.camera.Epoch
		}
	}
	if len(cameras) > 0 {
		slices.Sort(cameras)
		return provisional, fmt.Sprintf("%s; the management server does not answer either: %s records %s of %s provisionally, under epoch %d, and asks for the lease until it is answered",
			s.watch(home).verdict.Sentence, s.self, naming(cameras), home, epoch), cameras
	}
	for _, c := range s.duties[home].Cameras {
		id := c.Camera.ID
		if !s.watch(home).verdict.takes(id) {
			continue
		}
		if peer := s.forestaller(id, s.lease(id, home).Epoch); peer != "" {
			return forestalled, fmt.Sprintf("the management server does not answer, and %s records cameras of %s already: %s stands back", peer, home, s.self), nil
		}
	}
	return "", "", nil
}
