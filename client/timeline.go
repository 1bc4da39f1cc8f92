package client

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
)

const (
	// durableLag is how far what is durable lags behind now.
	durableLag = 3 * time.Second
	// historyPatience bounds the question for the sentences of takeovers, without
	// which a timeline is whole.
	historyPatience = time.Second
)

var _ understudy.TimelineService = (*Client)(nil)

// Timeline implements understudy.TimelineService. It asks every server of the
// site; the management server only for a site that is not known yet, and for
// what it may tell of takeovers.
func (c *Client) Timeline(ctx context.Context, camera understudy.CameraID, from, to time.Time) (understudy.Timeline, error) {
	site, err := c.current(ctx)
	if err != nil {
		return understudy.Timeline{}, err
	}
	home, err := homeOf(site, camera)
	if err != nil {
		return understudy.Timeline{}, err
	}
	f := c.footage(site)
	t := understudy.Timeline{Camera: camera, From: from, To: to}
	var notes []understudy.Note
	asking, ctxAll := errgroup.WithContext(ctx)
	asking.Go(func() (err error) {
		t.Spans, err = f.laid(ctxAll, home, camera, from, to)
		return err
	})
	asking.Go(func() (err error) {
		notes, err = f.Notes(ctxAll, camera, from, to)
		return err
	})
	if err := asking.Wait(); err != nil {
		return understudy.Timeline{}, err
	}
	t.Missing = f.Missing()
	for _, n := range notes {
		if n.Kind != understudy.NoteGap {
			t.Notes = append(t.Notes, n)
		}
	}
	end := earliest(to, time.Now().Add(-durableLag))
	if !from.Before(end) {
		return t, nil
	}
	leases := leaseOf(site, camera)
	if moved(t.Spans) {
		leases = append(leases, c.history(ctx, camera)...)
	}
	t.Gaps = understudy.ExplainGaps(t.Spans, notes, leases, from, end)
	return t, nil
}

func homeOf(site understudy.Site, camera understudy.CameraID) (understudy.ServerID, error) {
	known, ok := site.Camera(camera)
	if !ok {
		return "", understudy.Errorf(understudy.CodeNotFound, "there is no camera %s that you may see", camera)
	}
	return known.Home, nil
}

func leaseOf(site understudy.Site, camera understudy.CameraID) []understudy.Lease {
	if lease, ok := site.Lease(camera); ok {
		return []understudy.Lease{lease}
	}
	return nil
}

// moved reports whether there is a gap between two holders.
func moved(spans []understudy.Span) bool {
	for i := 1; i < len(spans); i++ {
		if spans[i].Holder != spans[i-1].Holder && spans[i].From.After(spans[i-1].To) {
			return true
		}
	}
	return false
}

// history returns the leases of a camera as the event log has them; none if
// nobody tells.
func (c *Client) history(ctx context.Context, camera understudy.CameraID) []understudy.Lease {
	ctx, cancel := context.WithTimeout(ctx, historyPatience)
	defer cancel()
	var leases []understudy.Lease
	for _, kind := range []understudy.EventKind{understudy.EventTakeover, understudy.EventFailback} {
		events, err := c.Events(ctx, understudy.EventQuery{Kind: kind, Camera: camera, Limit: 1000})
		if err != nil {
			return leases
		}
		for _, e := range events {
			for _, change := range e.Changes {
				if change.Lease != nil && change.Lease.Camera == camera {
					leases = append(leases, *change.Lease)
				}
			}
		}
	}
	return leases
}

// laid returns the spans of a range. Where one holder follows another they are
// cut to the sample, by the marks around it; a seam that hashes prove is no gap.
func (f *footage) laid(ctx context.Context, home understudy.ServerID, camera understudy.CameraID, from, to time.Time) ([]understudy.Span, error) {
	segments, err := f.Segments(ctx, camera, from, to, false)
	if err != nil {
		return nil, err
	}
	spans := f.spans(home, segments, from, to)
	for _, seam := range seams(spans) {
		exact, err := f.exact(ctx, home, camera, seam)
		if err != nil {
			return nil, err
		}
		spans = slices.Concat(clip(spans, from, seam.From), clip(exact, latest(seam.From, from), earliest(seam.To, to)), clip(spans, seam.To, to))
	}
	return merge(spans), nil
}
