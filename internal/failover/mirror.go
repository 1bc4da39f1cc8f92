package failover

import (
	"slices"
	"time"

	"understudy"
)

// origin is one unbroken recording of a camera by another server. The watermarks
// of one origin say that all before them is recorded; a mark of the next one does not.
type origin struct {
	server understudy.ServerID
	boot   string
	run    uint64
}

// crowdedPause is how long a camera is left alone that had no session left for a mirror.
const crowdedPause = 10 * time.Minute

// mirror settles whose streams are kept open here. Where the server that records
// one begins anew, frames may be missing there that are in memory here: they are
// recorded, until both are seen to record the same again.
func (s *State) mirror() {
	anew := map[understudy.ServerID][]understudy.CameraID{}
	for _, camera := range s.mirrored {
		if !s.mirrors(camera) {
			delete(s.origins, camera)
			continue
		}
		now, mark, ok := s.origin(camera)
		before, known := s.origins[camera]
		switch {
		case !ok || mark.At.IsZero(): // nothing is known that could be missing
		case !known || before == now:
			s.origins[camera] = now
		default:
			material := s.material[camera]
			material.Epoch = s.lease(camera, material.Camera.Home).Epoch
			s.held[camera] = holding{camera: material, home: material.Camera.Home, freed: s.at}
			delete(s.origins, camera)
			anew[now.server] = append(anew[now.server], camera)
		}
	}
	for _, server := range sorted(anew) {
		s.say(understudy.EventServer, server, true,
			"%s began to record %s anew; what it may lack in between is in the memory of %s, which records it until both have the same again",
			server, naming(anew[server]), s.self)
	}
}

// mirrorable reports whether a camera's stream is to be kept open here while
// nobody needs it, as far as the camera is concerned.
func (s *State) mirrorable(camera understudy.CameraID) bool {
	return s.posts[camera].standby == understudy.StandbyMirror && s.material[camera].Record && s.at >= s.crowded[camera]
}

// mirrors reports whether a camera's stream is kept open here without recording it.
func (s *State) mirrors(camera understudy.CameraID) bool {
	_, held := s.held[camera]
	return s.mirrorable(camera) && !held && s.carries(camera)
}

// origin returns what the lease's holder, as last heard, has of a camera.
func (s *State) origin(camera understudy.CameraID) (origin, understudy.Watermark, bool) {
	holder := s.lease(camera, s.material[camera].Camera.Home).Holder
	w := s.watch(holder)
	p, ok := w.cameras[camera]
	return origin{server: holder, boot: w.state.Boot, run: p.run}, p.mark, ok
}

// noticeCrowded takes note of cameras that have no session for a mirror beside the
// one that records: they refuse it here while who serves them has one, or they
// refuse one to who serves them while it is open here, since this server was
// there first. Asking again would take the place of somebody else.
func (s *State) noticeCrowded() {
	var refused, taken []understudy.CameraID
	for _, camera := range s.own.Crowded {
		w := s.watch(s.lease(camera, s.material[camera].Camera.Home).Holder)
		if s.mirrors(camera) && w.cameras[camera].receiving {
			refused = append(refused, camera)
		}
	}
	for _, camera := range s.mirrored {
		w := s.watch(s.lease(camera, s.posts[camera].camera.Home).Holder)
		if w.cameras[camera].crowded && w.verdict.answers() && s.mirrors(camera) {
			taken = append(taken, camera)
		}
	}
	slices.Sort(refused)
	s.leaveAlone(refused, "cannot mirror %s: no session is left there beside the one that records")
	s.leaveAlone(taken, "stops mirroring %s: no session is left there for the one that is to record")
}

// leaveAlone ends the mirroring of cameras for a while, and tells of those of which it is news.
func (s *State) leaveAlone(cameras []understudy.CameraID, why string) {
	var news []understudy.CameraID
	for _, camera := range cameras {
		if _, before := s.crowded[camera]; !before {
			news = append(news, camera)
		}
		s.crowded[camera] = s.at + crowdedPause
	}
	if len(news) > 0 {
		s.say(understudy.EventCamera, s.material[news[0]].Camera.Home, true,
			"%s "+why+"; it stands by hot instead, and tries again each %s; allow more sessions on the camera, or set how many it has",
			s.self, naming(news), crowdedPause)
	}
}

// wantMirrored returns whose streams are kept open here while another server
// records them, and how far that one has come: what is behind that is in memory here.
func (s *State) wantMirrored() ([]understudy.AssignedCamera, map[understudy.CameraID]understudy.Watermark) {
	if len(s.mirrored) == 0 {
		return nil, nil
	}
	all := make([]understudy.AssignedCamera, 0, len(s.mirrored))
	passed := make(map[understudy.CameraID]understudy.Watermark, len(s.mirrored))
	for _, camera := range s.mirrored {
		if !s.mirrors(camera) {
			continue
		}
		m := s.material[camera]
		m.Epoch = s.lease(camera, m.Camera.Home).Epoch
		m.Record, m.Mirror = false, true
		all = append(all, m)
		_, passed[camera], _ = s.origin(camera)
	}
	return all, passed
}
