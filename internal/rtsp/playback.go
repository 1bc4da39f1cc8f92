package rtsp

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

const (
	// playWindow is how much of a timeline is looked up at a time: its marks
	// take some 50 bytes a frame.
	playWindow = 10 * time.Minute
	// Holes longer than maxHole are played as if they were shownHole long.
	maxHole   = 2 * time.Second
	shownHole = time.Second
)

// firstTracks returns the tracks with which a span begins; CodeNotFound if
// nothing of it is here.
func firstTracks(ctx context.Context, library Library, camera understudy.CameraID, asked span) ([]understudy.Track, error) {
	segments, err := library.Segments(ctx, camera, asked.from, asked.end(), false)
	if err != nil {
		return nil, err
	}
	if len(segments) == 0 {
		return nil, understudy.Errorf(understudy.CodeNotFound, "nothing is recorded here of camera %s from %s on", camera, asked.from.Format(time.RFC3339Nano))
	}
	first := slices.MinFunc(segments, func(a, b understudy.Segment) int { return a.Start.Compare(b.Start) })
	file, err := library.OpenSegment(ctx, first.ID)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	_, tracks, err := fmp4.NewReader(file).Header()
	return tracks, err
}

// end returns the end of a span; what has none ends with what there is.
func (s span) end() time.Time {
	if s.to.IsZero() {
		return time.Now().Add(time.Hour)
	}
	return s.to
}

// recorded sends recordings in their own time. resume is the end of what was
// sent before a pause: the client can decode what follows it, key frame or not.
func (s *sending) recorded(ctx context.Context, asked span, resume time.Time, how replay) error {
	s.how = how
	p := &playing{sending: s, ctx: ctx, asked: asked, cursor: asked.from, last: resume}
	if how.backwards() {
		return p.keysBackwards()
	}
	for {
		pieces, segments, err := p.window()
		if err != nil {
			return err
		}
		for i, piece := range pieces {
			if how.keysOnly() {
				err = p.keys(piece, segments)
			} else {
				if p.ends, err = p.endsAt(pieces, i); err == nil {
					err = p.piece(piece, segments)
				}
			}
			if err != nil {
				return err
			}
		}
	}
}

// endsAt reports whether the footage has a hole behind the i-th piece.
func (p *playing) endsAt(pieces []understudy.Piece, i int) (bool, error) {
	switch {
	case !p.how.onvif:
		return false, nil
	case i+1 < len(pieces):
		return pieces[i+1].From.Sub(pieces[i].To) > maxHole/2, nil
	}
	to := pieces[i].To
	later, err := p.viewer.library().Segments(p.ctx, p.viewer.camera, to.Add(time.Millisecond), to.Add(maxHole/2), false)
	return len(later) == 0, err
}

// playing is where a playback stands.
type playing struct {
	*sending
	ctx    context.Context
	asked  span
	cursor time.Time // capture time of what comes next

	began time.Time     // when the first sample was sent
	shift time.Duration // by which holes were shortened
	last  time.Time     // end of the last video sample sent
	heard time.Time     // end of the last audio sample sent
	ends  bool          // the footage has a hole behind this piece
}

// window returns the next stretch of the timeline; io.EOF when nothing is left.
func (p *playing) window() ([]understudy.Piece, []understudy.Segment, error) {
	camera, library := p.viewer.camera, p.viewer.library()
	from, end := p.cursor, p.asked.end()
	for from.Before(end) {
		to := from.Add(playWindow)
		if to.After(end) {
			to = end
		}
		segments, err := library.Segments(p.ctx, camera, from, to, true)
		if err != nil {
			return nil, nil, err
		}
		pieces := understudy.Join(library.Home(camera), segments)
		pieces = slices.DeleteFunc(pieces, func(piece understudy.Piece) bool {
			return !piece.To.After(p.cursor) || !piece.From.Before(end)
		})
		if len(pieces) > 0 {
			return pieces, segments, nil
		}
		later, err := library.Segments(p.ctx, camera, to, end, false)
		if err != nil {
			return nil, nil, err
		}
		if len(later) == 0 {
			break
		}
		first := slices.MinFunc(later, func(a, b understudy.Segment) int { return a.Start.Compare(b.Start) })
		from = to
		if first.Start.After(to) {
			from = first.Start
		}
	}
	return nil, nil, io.EOF
}

// piece sends what is left of a piece; io.EOF when the span ends inside it.
func (p *playing) piece(piece understudy.Piece, segments []understudy.Segment) error {
	i := slices.IndexFunc(segments, func(s understudy.Segment) bool { return s.ID == piece.Segment })
	if i < 0 || piece.First+piece.Count > len(segments[i].Marks) {
		return understudy.Errorf(understudy.CodeInternal, "the timeline names samples %d to %d of segment %s, which has none such", piece.First, piece.First+piece.Count, piece.Segment)
	}
	first := piece.First + p.skip(segments[i].Marks[piece.First:piece.First+piece.Count])
	file, err := p.viewer.library().OpenSegment(p.ctx, piece.Segment)
	if understudy.CodeOf(err) == understudy.CodeNotFound {
		p.cursor = later(p.cursor, piece.To) // retention was quicker
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	reader := fmp4.NewReader(file)
	_, tracks, err := reader.Header()
	if err != nil {
		return err
	}
	if err := p.sameCodecs(tracks); err != nil {
		return err
	}
	// The fragment before may have the sound with which the piece begins.
	fragment, index, err := reader.Find(max(first-1, 0))
	for err == nil {
		if index, err = p.fragment(fragment, index, first, piece); err != nil {
			return err
		}
		if index >= piece.First+piece.Count {
			break
		}
		fragment, err = reader.Next()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	p.cursor = later(p.cursor, piece.To)
	return nil
}

// skip returns how many samples of a piece come before what is to be sent: at
// the start those before the last key sample that shows the cursor, later those
// that end before it.
func (p *playing) skip(marks []understudy.SampleMark) int {
	if p.last.IsZero() {
		for i := len(marks) - 1; i >= 0; i-- {
			if marks[i].Key && !marks[i].At.After(p.cursor) {
				return i
			}
		}
		return max(0, slices.IndexFunc(marks, func(m understudy.SampleMark) bool { return m.Key }))
	}
	for i, mark := range marks {
		if mark.At.Add(mark.Duration / 2).After(p.cursor) {
			return i
		}
	}
	return len(marks)
}

// fragment sends the samples of a fragment that belong to the piece, from its
// first-th video sample on; index is that of the fragment's first video sample.
func (p *playing) fragment(fragment fmp4.Fragment, index, first int, piece understudy.Piece) (next int, err error) {
	samples := slices.Clone(fragment.Samples)
	slices.SortStableFunc(samples, func(a, b fmp4.TimedSample) int { return a.At.Compare(b.At) })
	for _, sample := range samples {
		if sample.Track != understudy.VideoTrack {
			if p.how.scale != 1 || p.began.IsZero() || sample.At.Before(p.heard) || sample.At.Before(p.origin) || !sample.At.Before(piece.To) {
				continue
			}
		} else {
			n := index
			index++
			if n < first || n >= piece.First+piece.Count {
				continue
			}
			if !sample.At.Before(p.asked.end()) {
				return index, io.EOF
			}
		}
		if err := p.send(sample, p.ends && index == piece.First+piece.Count); err != nil {
			return index, err
		}
	}
	return index, nil
}

// send waits for a sample's time and sends it. ends says that a hole follows.
func (p *playing) send(sample fmp4.TimedSample, ends bool) error {
	if p.began.IsZero() {
		p.began, p.origin = time.Now(), sample.At
	}
	video := sample.Track == understudy.VideoTrack
	var flags byte
	if video {
		flags = flagsOf(sample.Sample, ends)
	}
	if hole := sample.At.Sub(p.last); video && !p.last.IsZero() && hole > maxHole/2 && !p.how.keysOnly() {
		flags |= flagDiscontinuity
		if hole > maxHole && p.how.paced {
			p.shift += hole - shownHole
		}
	}
	elapsed, err := p.pace(sample.At.Add(-p.shift).Sub(p.origin))
	if err != nil {
		return err
	}
	if video {
		p.use.Gave(sample.At, sample.End())
	}
	if err := p.sample(p.ctx, sample.Sample, elapsed+p.how.scaled(sample.Offset), flags); err != nil {
		return err
	}
	if !video {
		p.heard = sample.End()
		return nil
	}
	p.last = sample.End()
	p.cursor = later(p.cursor, p.last)
	p.viewer.resume = p.last
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
