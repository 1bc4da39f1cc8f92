package management

import (
	"context"
	"fmt"
	"slices"
	"time"

	"understudy"
)

// witness is the management server's own pair of eyes: *poll.Watcher.
type witness interface {
	// Awake is CodeUnavailable while what this process knows may be old: it has
	// just started, or stood still itself, and has not looked at everybody since.
	Awake() error
	// Ask asks servers how they are, all at once, and returns the states of those
	// that answer within a moment.
	Ask(ctx context.Context, servers []understudy.ServerID) []understudy.State
}

// awake: a claim that waited while this process stood still may have lost its
// reason, and a database that was restored is found out by looking at the
// servers. Whoever still means it repeats it.
func (m *Management) awake() error {
	if m.witness == nil {
		return nil
	}
	return m.witness.Awake()
}

// atWork are the cameras that servers record now, with the newest sample of each.
type atWork map[understudy.ServerID]map[understudy.CameraID]time.Time

// look asks the holders that the claimant does not hear any more, before the
// transaction: it must not wait for them. A claim that was answered already, or
// will be refused whatever they say, is nobody's business.
func (m *Management) look(ctx context.Context, c understudy.Claim) (atWork, error) {
	if m.witness == nil || !slices.ContainsFunc(c.Cameras, func(w understudy.CameraEpoch) bool { return w.Lost }) {
		return nil, nil
	}
	var lost []understudy.ServerID
	err := m.store.View(ctx, func(r Reader) error {
		_, known, err := r.Claim(c.ID)
		if err != nil || known {
			return err
		}
		site, err := r.Site()
		if err == nil && entitled(site, c) == nil {
			lost = c.Lost(site)
		}
		return err
	})
	if err != nil || len(lost) == 0 {
		return nil, err
	}
	return working(m.witness.Ask(ctx, lost)), nil
}

// working says who is at work. One that cannot write, or is about to stop, is not.
func working(states []understudy.State) atWork {
	all := atWork{}
	for _, s := range states {
		if !s.Storage.Writable || s.Leaving != "" {
			continue
		}
		all[s.Server] = make(map[understudy.CameraID]time.Time, len(s.Cameras))
		for _, c := range s.Cameras {
			if c.Receiving && (c.Recording || c.Waiting) {
				all[s.Server][c.Camera] = c.Newest().At
			}
		}
	}
	return all
}

// veto returns why a camera stays with its holder: the claimant has lost that
// one, and this server has just heard it say that it has recorded the camera since.
func (w atWork) veto(c understudy.Claim, wanted understudy.CameraEpoch, holder understudy.ServerID) string {
	newest, working := w[holder][wanted.Camera]
	if !wanted.Lost || !working || !newest.After(wanted.Written) {
		return ""
	}
	return fmt.Sprintf("%s answers the management server and records camera %s: only %s does not hear it", holder, wanted.Camera, c.Claimant)
}
