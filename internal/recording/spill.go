package recording

import (
	"sync"
	"time"
)

// spill is what was recorded of a camera for no event yet, because the time
// before one does not fit into memory.
type spill struct {
	mu    sync.Mutex
	from  time.Time // earliest that may be left
	until time.Time // of the last session; zero while one goes on
}

func (s *spill) begin(from time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from.IsZero() {
		s.from = from
	}
	s.until = time.Time{}
}

func (s *spill) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.from.IsZero() && s.until.IsZero() {
		s.until = time.Now()
	}
}

// left returns the stretch of which segments up to before may be needless.
func (s *spill) left(before time.Time) (from, to time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from.IsZero() || !s.from.Before(before) {
		return from, to, false
	}
	if !s.until.IsZero() && s.until.Before(before) {
		from, to = s.from, s.until
		s.from, s.until = time.Time{}, time.Time{} // the last look
		return from, to, true
	}
	return s.from, before, true
}
