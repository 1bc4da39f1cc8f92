package recording

import (
	"context"
	"time"

	"understudy"
)

const (
	// leaveBound is how long a planned stop waits for a standby.
	leaveBound = 10 * time.Second
	// movedBound is how long it then waits for the clients to be told.
	movedBound = time.Second
	leaveEvery = 25 * time.Millisecond
)

// Leave announces a planned stop and returns when the server may stop: when a
// standby covers every camera that it can and clients have been sent there,
// when nobody watches, or after 10 s. Until then recording goes on.
func (s *Server) Leave(ctx context.Context, reason string) {
	s.leaving.Store(&reason)
	begun := time.Now()
	s.log.Info("the server is about to stop; recording goes on until a standby records too", "reason", reason)
	var since time.Time // all is covered
	said := ""
	for {
		now := time.Now()
		wait, why := s.needed(now)
		if why != said {
			s.log.Debug("the server is about to stop", "reason", reason, "now", why)
			said = why
		}
		switch {
		case !wait && since.IsZero():
			since = now
		case wait:
			since = time.Time{}
		}
		if !wait && (!s.watched(now) || s.served() || now.Sub(since) >= movedBound) || now.Sub(begun) >= leaveBound || ctx.Err() != nil {
			s.log.Info("the server stops", "reason", reason, "after", now.Sub(begun), "because", why)
			return
		}
		pause(ctx, leaveEvery)
	}
}

func (s *Server) watched(now time.Time) bool {
	watched, _ := s.cover.of(now)
	return watched
}

// needed reports whether a camera would be lost if the server stopped now, and why or why not.
// A standby's first question comes within a moment of the announcement; a server
// that nobody has polled lately has no standby that is awake.
func (s *Server) needed(now time.Time) (bool, string) {
	watched, covered := s.cover.of(now)
	if !watched {
		return false, "no failover server watches"
	}
	var missing []understudy.CameraID
	for _, c := range *s.cameras.Load() {
		settings, _ := s.settings(c.id)
		if settings.WithDefaults().Failover != understudy.SupportFull || !c.want.Load().record {
			continue
		}
		if state := c.state(now); !covered[c.id] && (state.Recording || state.Waiting) {
			missing = append(missing, c.id)
		}
	}
	if len(missing) > 0 {
		return true, "waits until a failover server records " + named(missing)
	}
	return false, "every camera is covered"
}

// served reports whether clients are sent elsewhere for every camera that runs here.
func (s *Server) served() bool {
	shown := library{s.config.Store, s}
	for _, c := range *s.cameras.Load() {
		settings, _ := s.settings(c.id)
		if _, elsewhere := shown.Redirect(c.id); !elsewhere && settings.WithDefaults().Failover != understudy.SupportNone {
			return false
		}
	}
	return true
}
