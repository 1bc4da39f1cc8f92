package rtsp

import (
	"errors"
	"io"
	"slices"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// keyFrame is where a key frame lies.
type keyFrame struct {
	segment understudy.SegmentID
	n       int
	at      time.Time
}

// keysOf returns the key frames of a piece, in order.
func keysOf(piece understudy.Piece, segments []understudy.Segment) []keyFrame {
	i := slices.IndexFunc(segments, func(s understudy.Segment) bool { return s.ID == piece.Segment })
	if i < 0 {
		return nil
	}
	var keys []keyFrame
	for n := piece.First; n < min(piece.First+piece.Count, len(segments[i].Marks)); n++ {
		if m := segments[i].Marks[n]; m.Key {
			keys = append(keys, keyFrame{piece.Segment, n, m.At})
		}
	}
	return keys
}

// keys sends the key frames of a piece, forward: first the one that shows the
// beginning of the range, then one each step.
func (p *playing) keys(piece understudy.Piece, segments []understudy.Segment) error {
	keys := keysOf(piece, segments)
	first := 0
	for i, k := range keys {
		switch {
		case !p.last.IsZero() && k.at.Before(p.last):
			first = i + 1
		case p.last.IsZero() && !k.at.After(p.cursor):
			first = i
		}
	}
	var due []keyFrame
	next := p.last
	for _, k := range keys[min(first, len(keys)):] {
		if !k.at.Before(p.asked.end()) {
			break
		}
		if k.at.Before(next) {
			continue
		}
		due = append(due, k)
		next = k.at.Add(max(p.how.step(), 1))
	}
	if err := p.show(due); err != nil {
		return err
	}
	if p.asked.end().Before(piece.To) {
		return io.EOF
	}
	p.cursor = later(p.cursor, piece.To)
	return nil
}

// keysBackwards sends key frames from the range's later time back to its
// earlier one, or as far back as there is something.
func (p *playing) keysBackwards() error {
	library, camera := p.viewer.library(), p.viewer.camera
	cursor := p.asked.from.Add(1) // what is shown was captured before
	if !p.last.IsZero() {
		cursor = p.asked.from
	}
	for cursor.After(p.asked.to) {
		segments, err := library.Segments(p.ctx, camera, cursor.Add(-playWindow), cursor, true)
		if err != nil {
			return err
		}
		var due []keyFrame
		pieces := understudy.Join(library.Home(camera), segments)
		for _, piece := range slices.Backward(pieces) {
			for _, k := range slices.Backward(keysOf(piece, segments)) {
				if k.at.Before(cursor) && !k.at.Before(p.asked.to) {
					due = append(due, k)
					cursor = k.at.Add(1 - max(p.how.step(), 1))
				}
			}
		}
		if err := p.show(due); err != nil {
			return err
		}
		if len(due) > 0 {
			continue
		}
		earlier, err := library.Segments(p.ctx, camera, p.asked.to, cursor.Add(-playWindow), false)
		if err != nil {
			return err
		}
		if len(earlier) == 0 {
			break
		}
		last := slices.MaxFunc(earlier, func(a, b understudy.Segment) int { return a.End.Compare(b.End) })
		cursor = cursor.Add(-playWindow)
		if last.End.Before(cursor) {
			cursor = last.End
		}
	}
	return io.EOF
}

// show sends key frames, each in its time, reading each segment once.
func (p *playing) show(keys []keyFrame) error {
	for len(keys) > 0 {
		n := 1
		for n < len(keys) && keys[n].segment == keys[0].segment {
			n++
		}
		samples, err := p.read(keys[:n])
		if err != nil {
			return err
		}
		for _, s := range samples {
			if err := p.showOne(s); err != nil {
				return err
			}
		}
		keys = keys[n:]
	}
	return nil
}

func (p *playing) showOne(s fmp4.TimedSample) error {
	if !p.how.backwards() {
		err := p.send(s, false)
		if p.how.step() > 0 {
			p.last = later(p.last, s.At.Add(p.how.step()))
		}
		return err
	}
	if p.began.IsZero() {
		p.began, p.origin = time.Now(), s.At
	}
	elapsed, err := p.pace(s.At.Sub(p.origin))
	if err != nil {
		return err
	}
	p.viewer.resume = s.At
	// Timestamps grow also where captures go back.
	p.use.Gave(s.At, s.End())
	return p.sample(p.ctx, s.Sample, elapsed.Abs(), flagsOf(s.Sample, false)|flagDiscontinuity)
}

// pace waits until what was captured so long after the first picture is to be
// shown, and returns when that is.
func (p *playing) pace(captured time.Duration) (elapsed time.Duration, err error) {
	elapsed = p.how.scaled(captured)
	if p.how.paced {
		err = wait(p.ctx, time.Until(p.began.Add(elapsed)))
	}
	return elapsed, err
}

// read returns key frames of one segment, in the order asked for. What is gone
// meanwhile is left out.
func (p *playing) read(keys []keyFrame) ([]fmp4.TimedSample, error) {
	file, err := p.viewer.library().OpenSegment(p.ctx, keys[0].segment)
	if understudy.CodeOf(err) == understudy.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	reader := fmp4.NewReader(file)
	_, tracks, err := reader.Header()
	if err == nil {
		err = p.sameCodecs(tracks)
	}
	if err != nil {
		return nil, err
	}
	samples := make([]fmp4.TimedSample, len(keys))
	var fragment fmp4.Fragment
	from, to := 0, 0 // numbers of the fragment's video samples
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return keys[a].n - keys[b].n })
	for _, i := range order {
		if keys[i].n >= to {
			fragment, from, err = reader.Find(keys[i].n)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			to = from
			for _, s := range fragment.Samples {
				if s.Track == understudy.VideoTrack {
					to++
				}
			}
		}
		n := from
		for _, s := range fragment.Samples {
			if s.Track != understudy.VideoTrack {
				continue
			}
			if n == keys[i].n {
				samples[i] = s
			}
			n++
		}
	}
	return slices.DeleteFunc(samples, func(s fmp4.TimedSample) bool { return s.Sample == nil }), nil
}
