package failover

import (
	"fmt"
	"slices"
	"time"

	"understudy"
)

// What the incident record needs to know beyond the leases: moments that only
// this server saw. The decision itself needs none of it.

// moment is what a new verdict means for the story of its server, if anything.
func (s *State) moment(id understudy.ServerID, was, is verdict) understudy.MilestoneKind {
	switch {
	case is.Condition == Blind:
		return understudy.MilestoneVeto
	case is.answers() && !was.answers() && s.standsInFor(id):
		return understudy.MilestoneBack
	}
	return ""
}

func (s *State) standsInFor(home understudy.ServerID) bool {
	return slices.ContainsFunc(s.duties[home].Cameras, func(c understudy.StandbyCamera) bool {
		return s.lease(c.Camera.ID, home).Holder == s.self
	})
}

// evidence is what led to a claim, as of now.
func (s *Server) evidence(home understudy.ServerID, now time.Time) []understudy.Milestone {
	w, ok := s.state.watches[home]
	if !ok {
		return nil
	}
	var told []understudy.Milestone
	add := func(kind understudy.MilestoneKind, at time.Duration) {
		told = append(told, understudy.Milestone{Kind: kind, Home: home, Server: s.self, At: now.Add(at - s.state.at)})
	}
	switch w.verdict.Condition {
	case Leaving:
		add(understudy.MilestoneLeaving, w.verdict.Since)
	case Dead:
		if w.known {
			add(understudy.MilestoneHeard, w.heard)
		}
		switch {
		case w.refusedEnough():
			add(understudy.MilestoneSuspected, w.refusedAt)
		case w.suspected > 0:
			add(understudy.MilestoneSuspected, w.suspected)
		}
	}
	return told
}

// promises remembers how far a home says that it has the cameras which are
// claimed of it. What it has less of when it is back, it has lost since.
func (s *Server) promises(c understudy.Claim) {
	w := s.state.watch(c.Home)
	for _, asked := range c.Cameras {
		if p, seen := w.cameras[asked.Camera]; seen && s.state.lease(asked.Camera, c.Home).Holder == c.Home {
			s.firsts.promised[asked.Camera] = p.durable
		}
	}
}

const (
	durablePause = 2 * time.Second // that cameras which are durable wait for the others, so that one report tells of many
	reportLot    = 200             // cameras of one report
)

// firsts are the first durable samples of cameras that are recorded in the
// place of another server: those that were told, and those that wait to be.
type firsts struct {
	told     map[understudy.CameraID]uint64 // epoch
	waiting  map[understudy.ServerID][]understudy.Milestone
	promised map[understudy.CameraID]time.Time // by the home, when the camera was claimed of it
}

// notice takes note of what is durable now, and tells of it when all of a home
// are, or the first has waited long enough.
func (s *Server) notice(covered []understudy.CameraID, now time.Time) {
	f := &s.firsts
	open := map[understudy.ServerID]bool{}
	for camera, h := range s.state.held {
		if !h.wanted || h.trial || h.home == s.self || f.told[camera] == h.camera.Epoch {
			continue
		}
		if !slices.Contains(covered, camera) {
			open[h.home] = true
			continue
		}
		at := now // of a camera whose samples wait in memory
		if since := s.config.Recorder.Recorded(camera); !since.IsZero() {
			at = since // the look comes a little later
		}
		f.told[camera] = h.camera.Epoch
		f.waiting[h.home] = append(f.waiting[h.home], understudy.Milestone{Kind: understudy.MilestoneDurable, Home: h.home, Camera: camera, At: at,
			Promised: f.promised[camera]})
		delete(f.promised, camera)
	}
	for home, firsts := range f.waiting {
		if open[home] && now.Sub(firsts[0].At) < durablePause {
			continue
		}
		delete(f.waiting, home)
		for lot := range slices.Chunk(firsts, reportLot) {
			s.tell(Said{Server: home, Public: true, Report: understudy.Report{Kind: understudy.EventServer, Milestones: lot, Sentence: fmt.Sprintf(
				"%s has durable recordings of %s of %s", s.self, counted(len(lot)), home)}})
		}
	}
	for camera := range f.told {
		if _, held := s.state.held[camera]; !held {
			delete(f.told, camera)
		}
	}
}

// dated gives the milestones of a report what the decision does not know: the
// time, and who tells it.
func (s *Server) dated(told []understudy.Milestone) []understudy.Milestone {
	told = slices.Clone(told)
	for i := range told {
		told[i].Server = s.self
		if told[i].At.IsZero() {
			told[i].At = time.Now()
		}
	}
	return told
}
