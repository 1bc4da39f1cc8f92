package stream

import (
	"context"
	"time"

	"understudy"
)

// fetchPatience is how long a reader waits for a disk. Then it begins with the
// next key frame instead.
const fetchPatience = 2 * time.Second

// fetch reads a sample back whose payload is not in memory any more.
type fetch struct {
	until time.Time
	got   chan *understudy.Sample // nil: it cannot be read
}

// newFetch begins one. Its goroutine ends when the disk answers.
func newFetch(s *understudy.Sample) *fetch {
	f := &fetch{until: time.Now().Add(fetchPatience), got: make(chan *understudy.Sample, 1)}
	go func() {
		own, err := s.ReadBack()
		if err != nil {
			own = nil // deleted, moved, or the disk fails
		}
		f.got <- own
	}()
	return f
}

// wait returns the sample, nil if there is none to be had. After ctx's error it
// may be called again.
func (f *fetch) wait(ctx context.Context) (own *understudy.Sample, err error) {
	late := time.NewTimer(time.Until(f.until))
	defer late.Stop()
	select {
	case own = <-f.got:
		return own, nil
	default:
	}
	select {
	case own = <-f.got:
	case <-late.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return own, err
}

// beginWith is a sample of the GOP for a reader that begins. The hub keeps it.
func (r *Reader) beginWith(s *understudy.Sample) queued {
	switch {
	case !s.TryHold():
		return queued{item: Item{Sample: s}, away: true}
	case r.within > 0:
		return queued{item: Item{Sample: s}}
	default:
		defer s.Release()
		return queued{item: Item{Sample: s.Detached()}}
	}
}

// skip leaves out what cannot be decoded without a sample that is lost: all that
// comes before the next key sample or session.
func (r *Reader) skip() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropped++
	for len(r.queue) > 0 {
		if first := r.queue[0].item; first.Tracks != nil || first.key() {
			return
		}
		left := r.pop()
		if r.within > 0 && !left.away {
			left.item.Sample.Release()
		}
		r.dropped++
	}
	r.waitKey = true
}
