package recording

import (
	"slices"
	"time"

	"understudy"
)

// movedFor is how long a camera that another server was made the home of is recorded
// here as well: that one has to connect to it, and to wait for a key frame.
const movedFor = 10 * time.Second

// keepMoved adds to an assignment the cameras that moved to another home a moment ago, as
// they were assigned here. One that allows a single session is left at once: the new home
// could not have it otherwise. h.mu is held.
func (h *Home) keepMoved(a *understudy.Assignment, now time.Time) {
	for _, had := range h.config.Server.Assignment().Cameras {
		id := had.Camera.ID
		if slices.ContainsFunc(a.Cameras, func(c understudy.AssignedCamera) bool { return c.Camera.ID == id }) {
			delete(h.moved, id)
			continue
		}
		if camera, exists := h.site.Camera(id); !exists || camera.Sessions == 1 {
			continue
		}
		if _, known := h.moved[id]; !known {
			h.moved[id] = now.Add(h.movedFor)
		}
		if now.Before(h.moved[id]) {
			a.Cameras = append(a.Cameras, had)
		}
	}
}

// leaveMoved ends the recording of cameras that have been at their new home for long enough.
func (h *Home) leaveMoved(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a, left := h.config.Server.Assignment(), false
	for id, until := range h.moved {
		if now.Before(until) {
			continue
		}
		delete(h.moved, id)
		a.Cameras = slices.DeleteFunc(slices.Clone(a.Cameras), func(c understudy.AssignedCamera) bool { return c.Camera.ID == id })
		left = true
	}
	if left {
		h.config.Server.Apply(a)
	}
}
