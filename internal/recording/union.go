package recording

import (
	"context"
	"io"
	"slices"
	"time"

	"understudy"
	"understudy/internal/media"
)

// durableLag is how far what is durable lags behind now.
const durableLag = 3 * time.Second

// Here returns what lies on this server alone.
func (l library) Here() media.Shelf { return shelf(l) }

// Segments implements understudy.RecordingService over all servers: for players
// that know this address only, footage that has not gone home yet is where it
// belongs. Where nothing is missing here, nobody else is asked.
func (l library) Segments(ctx context.Context, camera understudy.CameraID, from, to time.Time, marks bool) ([]understudy.Segment, error) {
	here, err := l.Here().Segments(ctx, camera, from, to, marks)
	if err != nil || l.server.elsewhere == nil || l.complete(camera, here, from, to) {
		return here, err
	}
	others, err := l.server.elsewhere.Segments(ctx, camera, from, to, marks)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		l.server.log.Warn("what other servers hold of a camera could not be asked for; what lies here is shown", "camera", camera, "error", err)
		return here, nil
	}
	// Again, since what was not here may have come, and be gone elsewhere.
	if here, err = l.Store.Segments(ctx, camera, from, to, marks); err != nil {
		return nil, err
	}
	for _, s := range others {
		i := slices.IndexFunc(here, func(have understudy.Segment) bool { return have.ID == s.ID })
		switch {
		case i < 0:
			here = append(here, s)
		case s.Size > here[i].Size:
			here[i] = s
		}
	}
	return here, nil
}

// complete reports whether segments, which lie at the home of their camera,
// leave nothing of a range that others could fill.
func (l library) complete(camera understudy.CameraID, segments []understudy.Segment, from, to time.Time) bool {
	if l.Home(camera) != l.server.config.ID {
		return false
	}
	if _, elsewhere := l.Redirect(camera); !elsewhere {
		if durable := time.Now().Add(-durableLag); to.After(durable) {
			to = durable
		}
	}
	segments = slices.Clone(segments)
	slices.SortFunc(segments, func(a, b understudy.Segment) int { return a.Start.Compare(b.Start) })
	for _, s := range segments {
		if s.Start.Sub(from) > time.Millisecond || len(s.Holes) > 0 {
			return false
		}
		if s.End.After(from) {
			from = s.End
		}
	}
	return !from.Before(to)
}

// OpenSegment implements understudy.RecordingService: from here if it is here,
// else from whoever has it now.
func (l library) OpenSegment(ctx context.Context, id understudy.SegmentID) (io.ReadSeekCloser, error) {
	segment, err := l.Store.OpenSegment(ctx, id)
	if err == nil || l.server.elsewhere == nil {
		return segment, err
	}
	if other, elsewhere := l.server.elsewhere.OpenSegment(ctx, id); elsewhere == nil {
		return other, nil
	}
	if segment, again := l.Store.OpenSegment(ctx, id); again == nil {
		return segment, nil // it came home between the two questions
	}
	return nil, err
}
