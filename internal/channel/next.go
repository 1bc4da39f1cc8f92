package channel

import (
	"cmp"
	"slices"

	"understudy"
)

// step is what a connection has to send next.
type step struct {
	reset   string // not empty: what follows does not continue what came before
	last    bool   // nothing follows
	site    *understudy.Site
	events  []entry
	status  []understudy.ServerStatus
	place   understudy.Cursor // reached by it
	round   uint64            // of status
	more    bool              // there is more already
	changed <-chan struct{}   // closed when there is
}

// next returns what c has to be sent. It is quick: everybody waits for it.
func (h *Hub) next(c *connection) step {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return step{reset: "the service channel stops: connect again", last: true}
	}
	s := step{place: understudy.Cursor{Stream: h.stream, Seq: h.site.Seq}, round: h.round, changed: h.changed}
	if h.round != c.round {
		s.status = h.status
	}
	switch {
	case c.place == nil:
		s.reset = c.reason
	case c.place.Stream != h.stream:
		s.reset = "the cursor is of another log: everything begins anew"
	case c.place.Seq > h.site.Seq:
		s.reset = "the cursor is ahead of the log: everything begins anew"
	case c.place.Seq < h.floor && c.live:
		return step{reset: "the connection was too slow for what happened: connect again", last: true}
	case c.place.Seq < h.floor:
		s.reset = "the cursor is too old: everything begins anew"
	default:
		from, _ := slices.BinarySearchFunc(h.ring, c.place.Seq+1, func(e entry, seq uint64) int { return cmp.Compare(e.event.Seq, seq) })
		to := min(from+batch, len(h.ring))
		s.events = h.ring[from:to] // the ring is appended to and replaced, never changed in place
		if s.more = to < len(h.ring); s.more {
			s.place.Seq = h.ring[to-1].event.Seq
		}
		return s
	}
	site := h.site
	s.site = &site
	return s
}
