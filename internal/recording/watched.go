package recording

import (
	"context"
	"slices"
	"sync"
	"time"

	"understudy"
	"understudy/internal/merge"
	"understudy/internal/storage"
)

// watchedFor is how long after its last read a range counts as being played.
const watchedFor = 30 * time.Second

// maxWatched bounds the ranges that are remembered, the newest first.
const maxWatched = 64

// watched is the footage that clients are reading. On its way home, it goes first.
type watched struct {
	mu     sync.Mutex
	ranges []watchedRange // the newest last
}

type watchedRange struct {
	merge.Watched
	at time.Time
}

// saw notes that [from, to) of a camera is being read.
func (w *watched) saw(camera understudy.CameraID, from, to time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ranges = slices.DeleteFunc(w.ranges, func(r watchedRange) bool { return r.Camera == camera && !r.To.Before(from) && !r.From.After(to) })
	w.ranges = append(w.ranges, watchedRange{merge.Watched{Camera: camera, From: from, To: to}, time.Now()})
	if over := len(w.ranges) - maxWatched; over > 0 {
		w.ranges = slices.Delete(w.ranges, 0, over)
	}
}

// Watched returns the footage that was played from here in the last seconds, the newest first.
func (s *Server) Watched() []merge.Watched {
	w := &s.played
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.ranges = slices.DeleteFunc(w.ranges, func(r watchedRange) bool { return now.Sub(r.at) > watchedFor })
	var ranges []merge.Watched
	for _, r := range slices.Backward(w.ranges) {
		ranges = append(ranges, r.Watched)
	}
	return ranges
}

// shelf is what lies on this server alone.
type shelf struct {
	*storage.Store
	server *Server
}

// Segments notes what is being played: who only lists footage asks for no marks.
func (h shelf) Segments(ctx context.Context, camera understudy.CameraID, from, to time.Time, marks bool) ([]understudy.Segment, error) {
	if marks {
		h.server.played.saw(camera, from, to)
	}
	return h.Store.Segments(ctx, camera, from, to, marks)
}
