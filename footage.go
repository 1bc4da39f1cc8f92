package understudy

import (
	"context"
	"iter"
	"slices"
	"time"
)

// Run is a piece with the marks of its samples.
type Run struct {
	Piece
	Marks []SampleMark
}

// Bounds of one step through footage: marks are held of so much at once,
// however long the range is. The overlap is what Join needs to see of the
// neighbourhood in order to decide alike in two steps.
const (
	footageStep    = 5 * time.Minute
	footageOverlap = 2 * alignWindow
)

// Footage yields what footage has of a camera in [from, to), joined as Join
// does, in order, beginning with the last key frame at or before from. It reads
// in steps, so that a day takes no more memory than some minutes. It ends
// after the first error.
func Footage(ctx context.Context, footage RecordingService, home ServerID, camera CameraID, from, to time.Time) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		segments, err := footage.Segments(ctx, camera, from, to, false)
		if err != nil {
			yield(Run{}, err)
			return
		}
		var last point // the last sample that was yielded
		for at := from; ; {
			at = nextFootage(segments, at)
			if at.IsZero() || !at.Before(to) {
				return
			}
			end := at.Add(footageStep)
			if end.After(to) {
				end = to
			}
			step, err := footage.Segments(ctx, camera, at.Add(-footageOverlap), end.Add(footageOverlap), true)
			if err != nil {
				yield(Run{}, err)
				return
			}
			l := join(home, step).from(last, from)
			l = l[:l.index(end)]
			if len(l) > 0 {
				last = l[len(l)-1]
			}
			for _, r := range l.runs() {
				if !yield(r, nil) {
					return
				}
			}
			at = end
		}
	}
}

// nextFootage returns the first moment from at on that a segment covers; zero if none does.
func nextFootage(segments []Segment, at time.Time) time.Time {
	var next time.Time
	for _, s := range segments {
		start := s.Start
		if start.Before(at) {
			start = at
		}
		if s.End.After(at) && (next.IsZero() || start.Before(next)) {
			next = start
		}
	}
	return next
}

// from returns what follows last, or, when nothing was yielded yet, begins with
// the last key frame at or before start.
func (l line) from(last point, start time.Time) line {
	if last.segment == nil {
		i := l.index(start.Add(1)) - 1
		for i > 0 && !l[i].mark().Key {
			i--
		}
		return l[max(i, 0):]
	}
	same := func(p point) bool { return p.n == last.n && p.segment.ID == last.segment.ID }
	if i := slices.IndexFunc(l, same); i >= 0 {
		return l[i+1:]
	}
	// It is gone meanwhile: go on with the next key frame.
	after := func(p point) bool {
		return p.mark().Key && !p.mark().At.Before(last.end().Add(-last.mark().Duration/2))
	}
	if i := slices.IndexFunc(l, after); i >= 0 {
		return l[i:]
	}
	return nil
}

// index returns how many samples come before the first one at or after t.
func (l line) index(t time.Time) int {
	i := slices.IndexFunc(l, func(p point) bool { return !p.mark().At.Before(t) })
	if i < 0 {
		return len(l)
	}
	return i
}
