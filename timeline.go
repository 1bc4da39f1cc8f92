package understudy

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Piece is a run of samples of one segment, as the timeline plays it.
type Piece struct {
	Segment SegmentID `json:"segment"`
	First   int       `json:"first" doc:"Index of its first video sample in the segment"`
	Count   int       `json:"count"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	// Joined: the first sample follows the last one of the piece before, although
	// another server recorded it; decoding goes on without a key frame.
	Joined bool `json:"joined,omitempty"`
}

// Gap is a hole in a timeline.
type Gap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Span is a stretch of a timeline that one server recorded without a gap.
type Span struct {
	Holder ServerID  `json:"holder" doc:"Server that recorded it"`
	At     ServerID  `json:"at" doc:"Server where it lies now"`
	Epoch  uint64    `json:"epoch"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
}

// Timeline is what is recorded of a camera in a range, over all servers.
type Timeline struct {
	Camera CameraID  `json:"camera"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Spans  []Span    `json:"spans"`
	Gaps   []Gap     `json:"gaps"`
	// Missing names servers that may hold footage of the range and did not answer.
	Missing []ServerID `json:"missing,omitempty"`
}

// TimelineService knows the timeline of a camera over all servers.
type TimelineService interface {
	Timeline(ctx context.Context, camera CameraID, from, to time.Time) (Timeline, error)
}

// Bounds of the search for a sample of one holder in the footage of another.
const (
	alignWindow = 30 * time.Second // capture times of two holders differ by less
	alignRun    = 32               // equal neighbours on each side that are worth counting
)

// Join lays the segments of all holders of one camera onto one timeline in
// which each sample appears once. Home's copy wins; what home lacks is filled
// from the others. Where two holders recorded the same moment, the seam is cut
// at the sample where they join, found by runs of equal hashes near in time: a
// hash alone does not say which sample it is, since a still scene repeats its
// bytes. Where no overlap can be proven (a camera that encodes each session
// anew, or no overlap at all) the seam is cut by capture time, at a key frame.
// Segments need their marks; of two copies of one segment the longer counts.
func Join(home ServerID, segments []Segment) []Piece {
	segments = longestCopies(segments)
	lines := map[ServerID]line{}
	for i := range segments {
		holder := segments[i].ID.Holder
		for n := range segments[i].Marks {
			lines[holder] = append(lines[holder], point{&segments[i], n})
		}
	}
	holders := make([]ServerID, 0, len(lines))
	for holder := range lines {
		holders = append(holders, holder)
	}
	slices.SortFunc(holders, func(a, b ServerID) int {
		if (a == home) != (b == home) {
			return map[bool]int{true: -1, false: 1}[a == home]
		}
		return cmp.Compare(a, b)
	})
	var joined line
	for _, holder := range holders {
		joined = joined.fill(lines[holder])
	}
	return joined.pieces()
}

func longestCopies(segments []Segment) []Segment {
	segments = slices.Clone(segments)
	slices.SortFunc(segments, func(a, b Segment) int {
		return cmp.Or(cmp.Compare(a.ID.Holder, b.ID.Holder), cmp.Compare(a.ID.Epoch, b.ID.Epoch),
			cmp.Compare(a.ID.Sequence, b.ID.Sequence), cmp.Compare(len(b.Marks), len(a.Marks)))
	})
	return slices.CompactFunc(segments, func(a, b Segment) bool { return a.ID == b.ID })
}

// point is one sample of a line; the first of a filling knows whether it was
// joined by hash.
type point struct {
	segment *Segment
	n       int
}

func (p point) mark() SampleMark { return p.segment.Marks[p.n] }
func (p point) end() time.Time   { return p.mark().At.Add(p.mark().Duration) }

// line is samples in the order in which they are played.
type line []point

// fill returns l with its holes filled from other.
func (l line) fill(other line) line {
	if len(l) == 0 || len(other) == 0 {
		return append(l, other...)
	}
	filled := slices.Clone(other.between(nil, l, 0))
	for i := range l {
		filled = append(filled, l[i])
		if i+1 == len(l) {
			filled = append(filled, other.between(l, nil, i)...)
		} else if l.holeAfter(i) {
			filled = append(filled, other.between(l, l, i)...)
		}
	}
	return filled
}

// holeAfter reports whether something may be missing between samples i and i+1.
func (l line) holeAfter(i int) bool {
	return l[i+1].mark().At.Sub(l[i].end()) > l[i].mark().Duration/2
}

// between returns the samples of other that lie after left[i] and before the
// sample that follows it in right (right[0] when there is no left); a nil line
// is no bound.
func (other line) between(left, right line, i int) line {
	start, end := 0, len(other)
	if left != nil {
		start = other.after(left, i)
	}
	if right != nil {
		next := 0
		if left != nil {
			next = i + 1
		}
		end = other.before(right, next)
	}
	if start >= end {
		return nil
	}
	return other[start:end]
}

// after returns the index of the first sample of other that follows l[i].
func (other line) after(l line, i int) int {
	if n, ok := l.find(i, other); ok {
		return n + 1
	}
	for n, p := range other {
		if p.mark().Key && p.mark().At.After(l[i].mark().At) {
			return n
		}
	}
	return len(other)
}

// before returns the index behind the last sample of other that precedes l[i].
func (other line) before(l line, i int) int {
	if n, ok := l.find(i, other); ok {
		return n
	}
	for n, p := range other {
		if p.end().Add(-p.mark().Duration / 2).After(l[i].mark().At) {
			return n
		}
	}
	return len(other)
}

// find returns the index in other of the sample l[i]: the one whose
// neighbourhood is equal over the longest run, the nearest in time among equals.
func (l line) find(i int, other line) (index int, ok bool) {
	mark := l[i].mark()
	longest, nearest := 0, time.Duration(0)
	for n, p := range other {
		apart := p.mark().At.Sub(mark.At).Abs()
		if p.mark().Hash != mark.Hash || apart > alignWindow {
			continue
		}
		run := l.equalRun(i, other, n)
		if run > longest || run == longest && apart < nearest {
			index, ok, longest, nearest = n, true, run, apart
		}
	}
	return index, ok
}

// equalRun counts the equal samples around l[i] and other[n], itself included.
func (l line) equalRun(i int, other line, n int) int {
	run := 1
	for k := 1; k <= alignRun && i-k >= 0 && n-k >= 0 && l[i-k].mark().Hash == other[n-k].mark().Hash; k++ {
		run++
	}
	for k := 1; k <= alignRun && i+k < len(l) && n+k < len(other) && l[i+k].mark().Hash == other[n+k].mark().Hash; k++ {
		run++
	}
	return run
}

func (l line) pieces() []Piece {
	var pieces []Piece
	for i, p := range l {
		if i > 0 && l[i-1].segment == p.segment && l[i-1].n+1 == p.n {
			last := &pieces[len(pieces)-1]
			last.Count++
			last.To = p.end()
			continue
		}
		joined := i > 0 && !l.holeAfter(i-1) && l[i-1].segment.ID.Holder != p.segment.ID.Holder
		pieces = append(pieces, Piece{Segment: p.segment.ID, First: p.n, Count: 1, From: p.mark().At, To: p.end(), Joined: joined})
	}
	return pieces
}

// Gaps returns the holes of more than tolerance between pieces, and at both ends of [from, to).
func Gaps(pieces []Piece, from, to time.Time, tolerance time.Duration) []Gap {
	var gaps []Gap
	at := from
	for _, p := range pieces {
		if p.From.Sub(at) > tolerance {
			gaps = append(gaps, Gap{From: at, To: p.From})
		}
		if p.To.After(at) {
			at = p.To
		}
	}
	if to.Sub(at) > tolerance {
		gaps = append(gaps, Gap{From: at, To: to})
	}
	return gaps
}
