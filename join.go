package understudy

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// Bounds of the search for a sample of one holder in the footage of another.
const (
	alignWindow = 30 * time.Second // capture times of two holders differ by less
	alignRun    = 32               // equal neighbours on each side that are worth counting
)

// Join lays the segments of all holders of one camera onto one timeline in
// which each sample appears once. Home's copy wins; what home lacks is filled
// from the others. Where two holders recorded the same moment, the seam is cut
// at the sample where they join, found by equal hashes in equal company near in
// time: a hash alone does not say which sample it is, since a still scene
// repeats its bytes. Where no overlap can be proven (a camera that encodes each
// session anew, or no overlap at all) the seam is cut by capture time, at a key
// frame. Segments need their marks; of two copies of one segment the longer
// counts. Nothing that is left out could have been decoded.
func Join(home ServerID, segments []Segment) []Piece {
	runs := join(home, segments).runs()
	pieces := make([]Piece, len(runs))
	for i, r := range runs {
		pieces[i] = r.Piece
	}
	return pieces
}

func join(home ServerID, segments []Segment) line {
	segments = longestCopies(segments)
	slices.SortStableFunc(segments, func(a, b Segment) int { // home first, then by holder
		return cmp.Or(-cmp.Compare(b2i(a.ID.Holder == home), b2i(b.ID.Holder == home)), cmp.Compare(a.ID.Holder, b.ID.Holder))
	})
	var joined line
	for len(segments) > 0 {
		n := slices.IndexFunc(segments, func(s Segment) bool { return s.ID.Holder != segments[0].ID.Holder })
		if n < 0 {
			n = len(segments)
		}
		joined = joined.fill(holderLine(segments[:n]))
		segments = segments[n:]
	}
	return joined
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// longestCopies returns each segment once, by holder and in the order in which they were made.
func longestCopies(segments []Segment) []Segment {
	segments = slices.Clone(segments)
	slices.SortFunc(segments, func(a, b Segment) int {
		return cmp.Or(cmp.Compare(a.ID.Holder, b.ID.Holder), cmp.Compare(a.ID.Epoch, b.ID.Epoch),
			cmp.Compare(a.ID.Sequence, b.ID.Sequence), cmp.Compare(len(b.Marks), len(a.Marks)))
	})
	return slices.CompactFunc(segments, func(a, b Segment) bool { return a.ID == b.ID })
}

// point is one sample of a line.
type point struct {
	segment *Segment
	n       int
	joined  bool // proven by hash to follow the sample before it, which another holder recorded
}

func (p point) mark() *SampleMark { return &p.segment.Marks[p.n] }
func (p point) end() time.Time    { return p.mark().At.Add(p.mark().Duration) }

// line is samples in the order in which they are played.
type line []point

func holderLine(segments []Segment) line {
	count := 0
	for i := range segments {
		count += len(segments[i].Marks)
	}
	l := make(line, 0, count)
	for i := range segments {
		for n := range segments[i].Marks {
			l = append(l, point{segment: &segments[i], n: n})
		}
	}
	return l
}

// fill returns l with its holes filled from other, the line of one holder.
func (l line) fill(other line) line {
	switch {
	case len(l) == 0:
		return other
	case len(other) == 0:
		return l
	}
	filled := make(line, 0, len(l)+len(other))
	end, proven := other.before(l, 0)
	filled = append(filled, other[:end]...)
	copied := 0
	take := func(to int, follows bool) { // the samples of l up to to
		first := len(filled)
		filled = append(filled, l[copied:to]...)
		filled[first].joined = filled[first].joined || follows
		copied = to
	}
	joins := end > 0 && proven && !other.holeAfter(end-1)
	for i := range len(l) - 1 {
		if !l.holeAfter(i) {
			continue
		}
		if hole, continues, rejoins := other.inHole(l, i); len(hole) > 0 {
			take(i+1, joins)
			first := len(filled)
			filled = append(filled, hole...)
			filled[first].joined = continues
			joins = rejoins
		}
	}
	take(len(l), joins)
	if start, proven := other.after(l, len(l)-1); start < len(other) {
		first := len(filled)
		filled = append(filled, other[start:]...)
		filled[first].joined = proven && !other.holeAfter(start-1)
	}
	return filled
}

// inHole returns what other has between l[i] and l[i+1], whether it follows
// l[i] without a hole, proven by hashes, and whether l[i+1] so follows it.
func (other line) inHole(l line, i int) (hole line, continues, rejoins bool) {
	end, rejoins := other.before(l, i+1)
	if !rejoins && !l[i+1].mark().Key {
		return nil, false, false // what follows the hole could not be decoded after a stranger's samples
	}
	start, continues := other.after(l, i)
	if start >= end {
		return nil, false, false
	}
	return other[start:end], continues && !other.holeAfter(start-1), rejoins && !other.holeAfter(end-1)
}

// holeAfter reports whether something may be missing between l[i] and l[i+1]: the
// step is longer than the steps around it. A sample before lost ones is stored
// with a long duration, so durations alone do not tell.
func (l line) holeAfter(i int) bool {
	if l[i+1].joined {
		return false
	}
	this, next := l[i].mark(), l[i+1].mark()
	usual := min(this.Duration, next.Duration)
	if i > 0 {
		usual = min(usual, l[i-1].mark().Duration)
	}
	step := this.Duration
	if l[i].segment != l[i+1].segment || l[i].n+1 != l[i+1].n {
		step = next.At.Sub(this.At)
	}
	return step > usual*3/2 || step < 0 // a clock that was set back hides what is missing
}

// after returns the index of the first sample of other that follows l[i], and
// whether hashes prove it; without proof it is a key frame.
func (other line) after(l line, i int) (start int, proven bool) {
	if n, ok := l.find(i, other); ok {
		return n + 1, true
	}
	at := l[i].mark().At
	for first := 0; first < len(other); {
		marks := other[first].segment.Marks
		n := sort.Search(len(marks), func(n int) bool { return marks[n].At.After(at) })
		for ; n < len(marks); n++ {
			if marks[n].Key {
				return first + n, false
			}
		}
		first += len(marks)
	}
	return len(other), false
}

// before returns the index behind the last sample of other that precedes l[i],
// and whether hashes prove it.
func (other line) before(l line, i int) (end int, proven bool) {
	if n, ok := l.find(i, other); ok {
		return n, true
	}
	at := l[i].mark().At
	for first := 0; first < len(other); {
		marks := other[first].segment.Marks
		n := sort.Search(len(marks), func(n int) bool { return marks[n].At.Add(marks[n].Duration / 2).After(at) })
		if n < len(marks) {
			return first + n, false
		}
		first += len(marks)
	}
	return len(other), false
}

// find returns the index in other of the sample l[i]. Of the samples with its
// hash, those whose neighbours contradict count less than those whose do not;
// of equals the nearest in time is it, provided that it is nearer than half the
// distance at which the scene repeats itself, and that the two clocks may be so far
// apart: else l[i] is not in other at all, and what looks like it is a repetition.
func (l line) find(i int, other line) (index int, ok bool) {
	mark := l[i].mark()
	var best match
	var peers []time.Time // capture times of all that are as good as the best but for time
	other.near(mark.At, func(n int) {
		at := other[n].mark()
		if at.Hash != mark.Hash {
			return
		}
		m := match{index: n, apart: at.At.Sub(mark.At).Abs()}
		m.run, m.clash = l.equalRun(i, other, n)
		switch {
		case !ok || best.clash && !m.clash || m.clash && best.clash && m.run > best.run:
			best, ok, peers = m, true, append(peers[:0], at.At)
		case m.clash == best.clash && (!m.clash || m.run == best.run):
			peers = append(peers, at.At)
			if m.apart < best.apart {
				best = m
			}
		}
	})
	if !ok || 2*best.apart >= min(smallestStep(peers), l.repeats(i)) {
		return 0, false
	}
	return best.index, 2*best.apart < l.step(i) || clocksAround(l, i, other).mayBeApart(l.apart(i, other, best.index), best.apart)
}

// clocksRun is how many equal neighbours on each side tell how far two clocks are apart.
const clocksRun = 512

// apart returns by how much later the samples around other[n] lie than the equal
// ones around l[i], themselves included, until one of them lacks a frame. It varies:
// the first ones of a session are late, until the camera's clock is known, and so
// unevenly that holeAfter may take them for holes.
func (l line) apart(i int, other line, n int) []time.Duration {
	all := []time.Duration{other[n].mark().At.Sub(l[i].mark().At)}
	for _, step := range []int{-1, 1} {
		before := all[0]
		for k := step; k <= clocksRun && k >= -clocksRun && i+k >= 0 && n+k >= 0 && i+k < len(l) && n+k < len(other); k += step {
			one, two := l[i+k].mark(), other[n+k].mark()
			apart := two.At.Sub(one.At)
			if one.Hash != two.Hash || (apart-before).Abs() >= max(one.Duration, two.Duration) {
				break
			}
			all, before = append(all, apart), apart
		}
	}
	return all
}

// step returns how far l[i] is from a neighbour, without what may be missing between.
func (l line) step(i int) time.Duration {
	if i > 0 {
		return min(l[i].mark().Duration, l[i-1].mark().Duration)
	}
	return l[i].mark().Duration
}

// match is a sample that may be the one looked for.
type match struct {
	index int
	run   int           // equal samples around it
	clash bool          // a neighbour is another sample
	apart time.Duration // between the capture times
}

// near calls f with the indices of a holder's samples within alignWindow of at.
func (other line) near(at time.Time, f func(n int)) {
	from, to := at.Add(-alignWindow), at.Add(alignWindow)
	for first := 0; first < len(other); {
		marks := other[first].segment.Marks
		if !marks[len(marks)-1].At.Before(from) && !marks[0].At.After(to) {
			n := sort.Search(len(marks), func(n int) bool { return !marks[n].At.Before(from) })
			for ; n < len(marks) && !marks[n].At.After(to); n++ {
				f(first + n)
			}
		}
		first += len(marks)
	}
}

// repeats returns the distance in time to the nearest sample of l that cannot
// be told from l[i], the largest duration if there is none.
func (l line) repeats(i int) time.Duration {
	at, nearest := l[i].mark().At, maxDuration
	look := func(k int) bool {
		apart := l[k].mark().At.Sub(at).Abs()
		if apart > alignWindow {
			return false
		}
		if l[k].mark().Hash != l[i].mark().Hash {
			return true
		}
		if _, clash := l.equalRun(i, l, k); clash {
			return true
		}
		nearest = min(nearest, apart)
		return false
	}
	for k := i - 1; k >= 0 && look(k); k-- {
	}
	for k := i + 1; k < len(l) && look(k); k++ {
	}
	return nearest
}

const maxDuration = time.Duration(1<<63 - 1)

func smallestStep(times []time.Time) time.Duration {
	step := maxDuration
	for i := 1; i < len(times); i++ {
		step = min(step, times[i].Sub(times[i-1]).Abs())
	}
	return step
}

// equalRun counts the equal samples around l[i] and other[n], itself included,
// up to a hole or the end of either; clash when it ended at two different samples.
func (l line) equalRun(i int, other line, n int) (run int, clash bool) {
	run = 1
	for k := 1; k <= alignRun && i-k >= 0 && n-k >= 0; k++ {
		if l.holeAfter(i-k) || other.holeAfter(n-k) {
			break
		}
		if l[i-k].mark().Hash != other[n-k].mark().Hash {
			clash = true
			break
		}
		run++
	}
	for k := 1; k <= alignRun && i+k < len(l) && n+k < len(other); k++ {
		if l.holeAfter(i+k-1) || other.holeAfter(n+k-1) {
			break
		}
		if l[i+k].mark().Hash != other[n+k].mark().Hash {
			return run, true
		}
		run++
	}
	return run, clash
}

// runs returns the line as runs of samples of one segment.
func (l line) runs() []Run {
	var runs []Run
	for i := 0; i < len(l); {
		p, end := l[i], i+1
		for end < len(l) && l[end].segment == p.segment && l[end].n == l[end-1].n+1 && !l[end].joined {
			end++
		}
		runs = append(runs, Run{
			Piece: Piece{Segment: p.segment.ID, First: p.n, Count: end - i, From: p.mark().At, To: l[end-1].end(), Joined: p.joined},
			Marks: p.segment.Marks[p.n : p.n+end-i],
		})
		i = end
	}
	return runs
}
