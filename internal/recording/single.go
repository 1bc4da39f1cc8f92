package recording

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"understudy"
)

// A camera that has one session moves the other way round than all others: who
// has the session gives it up before the next one can record. What is lost is
// the time between the two, so each of them knows its turn: the lease moves
// first, then the session.

const (
	// lent is how long a camera is left alone by who gave its session up.
	lent = 5 * time.Second
	// justTold is how old the word is at most for which a session is given up: who has
	// been silent since may have died.
	justTold = 500 * time.Millisecond
	// dozed is for how long a process has not looked that stood still, and for how
	// long it then waits for new words.
	dozed = time.Second
	// lendAgain is how long it is then kept if it came back: whoever serves it
	// cannot take it, and must not cost it more.
	lendAgain = time.Minute
	// ownSession is how long a refusal may be due to a session of this very server
	// from before it died. Then the camera is not known to allow one only.
	ownSession = 65 * time.Second
)

// gift is a camera whose session is given up for who serves it.
type gift struct {
	camera understudy.CameraID
	to     understudy.ServerID
}

// gifts are the cameras whose session is in the way of who serves them as
// planned: on order, or because this server stops, or cannot write. Nobody else
// gives up what was taken over from it against its will: it may be the only one
// that records.
func (s situation) gifts() []gift {
	order := s.server.HandOver
	var all []gift
	for _, l := range s.leases {
		planned := s.state.Leaving != "" || !s.state.Storage.Writable || order.Stands(s.now) && order.To == l.Holder
		if l.Holder == s.self || !planned || !s.crowded[l.Holder][l.Camera] || s.now.Sub(s.given[l.Camera]) < lendAgain {
			continue
		}
		if slices.ContainsFunc(s.state.Cameras, func(c understudy.CameraState) bool { return c.Camera == l.Camera && c.Receiving }) {
			all = append(all, gift{l.Camera, l.Holder})
		}
	}
	return all
}

// give frees the session of a camera, and keeps this server from asking for
// another for a while. What came of it is written to its end.
func (s *Server) give(g gift) {
	sentence := fmt.Sprintf("%s gives its session with camera %s up: %s serves it, and the camera has none left for it", s.config.ID, g.camera, g.to)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.find(g.camera)
	i := slices.IndexFunc(s.assignment.Cameras, func(c understudy.AssignedCamera) bool { return c.Camera.ID == g.camera })
	if !ok || i < 0 || s.ctx == nil || s.ctx.Err() != nil {
		return
	}
	next := s.begins(s.assignment.Cameras[i], old, sentence, lent)
	after := slices.Clone(*s.cameras.Load())
	after[slices.Index(after, old)] = next
	old.cancel()
	s.cameras.Store(&after)
	s.noteOccasions(next)
	s.log.Info(sentence)
	s.config.Report(understudy.Report{Kind: understudy.EventCamera, Camera: g.camera, Sentence: sentence})
}

// begins makes a camera and runs it: once its predecessor has left it, if there is
// one, and the camera has been left alone for rest.
func (s *Server) begins(a understudy.AssignedCamera, old *camera, why string, rest time.Duration) *camera {
	c := s.newCamera(a)
	c.rest = rest
	if old != nil {
		c.after = old.silent // one session with a camera at a time
		c.gaps.why = why
	}
	ctx, cancel := context.WithCancel(s.ctx)
	c.cancel = cancel
	s.recorders.Go(func() { c.run(ctx) })
	return c
}

// crowding returns which cameras have no session left for whom, as they have just said.
func (c *coverage) crowding(now time.Time) map[understudy.ServerID]map[understudy.CameraID]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[understudy.ServerID]map[understudy.CameraID]bool{}
	for id, one := range c.seen {
		if now.Sub(one.at) <= justTold && len(one.crowded) > 0 {
			all[id] = maps.Clone(one.crowded)
		}
	}
	return all
}
