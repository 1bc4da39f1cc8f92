package client

import (
	"cmp"
	"context"
	"slices"
	"time"

	"understudy"
)

const (
	// seam is how far apart two holders' footage may be without a gap: their
	// clocks differ, and so do the arrival times that captures are told from.
	seam = 150 * time.Millisecond
	// durableLag is how far what is durable lags behind now.
	durableLag = 3 * time.Second
)

var _ understudy.TimelineService = (*Client)(nil)

// known returns the site as Run knows it, else as a management server tells it.
func (c *Client) known(ctx context.Context) (understudy.Site, error) {
	if site, ok := c.Current(); ok {
		return site, nil
	}
	return c.Site(ctx)
}

// Timeline implements understudy.TimelineService. It asks every server of the
// site, the management server only for a site that is not known yet.
func (c *Client) Timeline(ctx context.Context, camera understudy.CameraID, from, to time.Time) (understudy.Timeline, error) {
	site, err := c.known(ctx)
	if err != nil {
		return understudy.Timeline{}, err
	}
	home, err := homeOf(site, camera)
	if err != nil {
		return understudy.Timeline{}, err
	}
	f := c.footage(site)
	segments, err := f.Segments(ctx, camera, from, to, false)
	if err != nil {
		return understudy.Timeline{}, err
	}
	t := understudy.Timeline{Camera: camera, From: from, To: to, Spans: f.spans(home, segments, from, to), Missing: f.Missing()}
	pieces := make([]understudy.Piece, len(t.Spans))
	for i, s := range t.Spans {
		pieces[i] = understudy.Piece{From: s.From, To: s.To}
	}
	end := to
	if durable := time.Now().Add(-durableLag); end.After(durable) {
		end = durable
	}
	if from.Before(end) {
		t.Gaps = understudy.Gaps(pieces, from, end, seam)
	}
	return t, nil
}

func homeOf(site understudy.Site, camera understudy.CameraID) (understudy.ServerID, error) {
	known, ok := site.Camera(camera)
	if !ok {
		return "", understudy.Errorf(understudy.CodeNotFound, "there is no camera %s that you may see", camera)
	}
	return known.Home, nil
}

// spans lays segments side by side: home's first, what is not covered yet from
// the others, neighbours of one holder, epoch and place as one.
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
			span := understudy.Span{Holder: s.ID.Holder, At: f.at(s.ID, home), Epoch: s.ID.Epoch, From: latest(s.Start, from), To: earliest(s.End, to), Archived: s.Archived}
			own = append(own, uncovered(span, spans)...)
		}
		spans = append(spans, own...)
		slices.SortStableFunc(spans, func(a, b understudy.Span) int { return a.From.Compare(b.From) })
		segments = segments[n:]
	}
	return merge(spans)
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
		if o.From.Sub(span.From) > seam {
			before := span
			before.To = o.From
			free = append(free, before)
		}
		span.From = latest(span.From, o.To)
	}
	if span.To.Sub(span.From) > seam || len(others) == 0 {
		free = append(free, span)
	}
	return free
}

func merge(spans []understudy.Span) []understudy.Span {
	var merged []understudy.Span
	for _, s := range spans {
		if n := len(merged) - 1; n >= 0 {
			last := &merged[n]
			if last.Holder == s.Holder && last.At == s.At && last.Epoch == s.Epoch && last.Archived == s.Archived && s.From.Sub(last.To) <= seam {
				last.To = latest(last.To, s.To)
				continue
			}
		}
		merged = append(merged, s)
	}
	return merged
}
