package client

import (
	"cmp"
	"context"
	"slices"
	"time"

	"understudy"
)

const (
	// seamWidth is how much of a timeline is looked at to the sample on each side
	// of the place where one holder follows another.
	seamWidth = 2 * time.Second
	// joinReach is how far around that Join sees what it decides by.
	joinReach = time.Minute
	// maxSeams bounds how many places of one timeline are looked at; where two
	// holders alternate more often, the others are as exact as their clocks.
	maxSeams = 64
	// rounding is how far apart two samples may be that follow each other.
	rounding = time.Millisecond
	// maxHalfFrame is how far apart two holders' samples may be at least without
	// a gap that is worth a name, at half a usual distance of slow cameras.
	maxHalfFrame = 250 * time.Millisecond
)

// spans lays segments side by side: home's first, what is not covered yet from
// the others, neighbours of one holder, epoch and place as one. It knows holes
// to the sample, and the seams between holders as their clocks have them.
func (f *footage) spans(home understudy.ServerID, segments []understudy.Segment, from, to time.Time) []understudy.Span {
	segments = slices.Clone(segments)
	slices.SortStableFunc(segments, func(a, b understudy.Segment) int {
		return cmp.Or(-compare(a.ID.Holder == home, b.ID.Holder == home), cmp.Compare(a.ID.Holder, b.ID.Holder), a.Start.Compare(b.Start))
	})
	var spans []understudy.Span
	for len(segments) > 0 {
		n := slices.IndexFunc(segments, func(s understudy.Segment) bool { return s.ID.Holder != segments[0].ID.Holder })
		if n < 0 {
			n = len(segments)
		}
		var own []understudy.Span
		for _, s := range segments[:n] {
			for _, span := range covered(s, f.at(s.ID, home)) {
				own = append(own, uncovered(span, spans)...)
			}
		}
		spans = append(spans, own...)
		slices.SortStableFunc(spans, func(a, b understudy.Span) int { return a.From.Compare(b.From) })
		segments = segments[n:]
	}
	return merge(clip(spans, from, to))
}

// covered returns the spans of a segment around its holes.
func covered(s understudy.Segment, at understudy.ServerID) []understudy.Span {
	span := understudy.Span{Holder: s.ID.Holder, At: at, Epoch: s.ID.Epoch, From: s.Start, To: s.End, Archived: s.Archived}
	var spans []understudy.Span
	for _, hole := range s.Holes {
		before := span
		before.To, span.From = hole.From, hole.To
		spans = append(spans, before)
	}
	if span.To.After(span.From) {
		spans = append(spans, span)
	}
	return spans
}

func compare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// at returns where a segment lies: at home when it is there, too.
func (f *footage) at(id understudy.SegmentID, home understudy.ServerID) understudy.ServerID {
	holders := f.holders(id)
	if len(holders) == 0 || slices.Contains(holders, home) {
		return home
	}
	return holders[0]
}

// uncovered returns what of span the others, sorted by time, leave free.
func uncovered(span understudy.Span, others []understudy.Span) []understudy.Span {
	var free []understudy.Span
	first, _ := slices.BinarySearchFunc(others, span.From, func(o understudy.Span, t time.Time) int { return o.To.Compare(t) })
	for _, o := range others[first:] {
		if !o.From.Before(span.To) {
			break
		}
		if o.From.Sub(span.From) > rounding {
			before := span
			before.To = o.From
			free = append(free, before)
		}
		span.From = latest(span.From, o.To)
	}
	if span.To.Sub(span.From) > rounding {
		free = append(free, span)
	}
	return free
}

// clip returns what of spans lies in [from, to).
func clip(spans []understudy.Span, from, to time.Time) []understudy.Span {
	var kept []understudy.Span
	for _, s := range spans {
		s.Joined = s.Joined && !s.From.Before(from) // else what it follows is cut off
		s.From, s.To = latest(s.From, from), earliest(s.To, to)
		if s.To.After(s.From) {
			kept = append(kept, s)
		}
	}
	return kept
}

// merge makes one of neighbours that follow each other.
func merge(spans []understudy.Span) []understudy.Span {
	var merged []understudy.Span
	for _, s := range spans {
		if n := len(merged) - 1; n >= 0 {
			last := &merged[n]
			if last.Holder == s.Holder && last.At == s.At && last.Epoch == s.Epoch && last.Archived == s.Archived && s.From.Sub(last.To) <= rounding {
				last.To = latest(last.To, s.To)
				continue
			}
		}
		merged = append(merged, s)
	}
	return merged
}

// seams returns where one holder follows another, with some of what is around,
// in order and apart from each other.
func seams(spans []understudy.Span) []understudy.Hole {
	var found []understudy.Hole
	add := func(at time.Time) {
		from, to := at.Add(-seamWidth), at.Add(seamWidth)
		if n := len(found) - 1; n >= 0 && !from.After(found[n].To) {
			found[n].To = latest(found[n].To, to)
		} else if len(found) < maxSeams {
			found = append(found, understudy.Hole{From: from, To: to})
		}
	}
	for i := 1; i < len(spans); i++ {
		if spans[i].Holder != spans[i-1].Holder {
			add(spans[i-1].To)
			add(spans[i].From)
		}
	}
	return found
}

// exact returns the spans around a seam, from the samples that are played there.
func (f *footage) exact(ctx context.Context, home understudy.ServerID, camera understudy.CameraID, seam understudy.Hole) ([]understudy.Span, error) {
	var spans []understudy.Span
	for at := seam.From; at.Before(seam.To); { // in steps, since an answer with marks is bounded
		end := earliest(at.Add(10*joinReach), seam.To)
		segments, err := f.Segments(ctx, camera, at.Add(-joinReach), end.Add(joinReach), true)
		if err != nil {
			return nil, err
		}
		spans = append(spans, clip(f.played(home, segments), at, end)...)
		at = end
	}
	return spans, nil
}

// played returns the spans of joined segments, holes between their samples left out.
func (f *footage) played(home understudy.ServerID, segments []understudy.Segment) []understudy.Span {
	byID := map[understudy.SegmentID]understudy.Segment{}
	for _, s := range segments {
		if len(s.Marks) > len(byID[s.ID].Marks) {
			byID[s.ID] = s
		}
	}
	var spans []understudy.Span
	for _, p := range understudy.Join(home, segments) {
		marks := byID[p.Segment].Marks[p.First : p.First+p.Count]
		span := understudy.Segment{ID: p.Segment, Start: p.From, End: p.To, Holes: understudy.HolesIn(marks), Archived: byID[p.Segment].Archived}
		next := covered(span, f.at(p.Segment, home))
		if n := len(spans) - 1; n >= 0 && len(next) > 0 {
			apart := next[0].From.Sub(spans[n].To)
			if p.Joined || apart < 0 || spans[n].Holder != next[0].Holder && apart <= min(marks[0].Duration/2, maxHalfFrame) {
				spans[n].To = next[0].From // two clocks, and nothing is missing
				next[0].Joined = p.Joined
			}
		}
		spans = append(spans, next...)
	}
	return slices.DeleteFunc(spans, func(s understudy.Span) bool { return !s.To.After(s.From) })
}
