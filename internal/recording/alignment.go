package recording

import (
	"slices"
	"time"

	"understudy"
)

// Bounds of what an alignment remembers and takes for proven.
const (
	trailLength = 1024                   // names: 40 s of 25 a second
	votesKept   = 12                     // watermarks that are remembered,
	voteEvery   = time.Second            // of those that come faster some
	votesNeeded = 4                      // to learn another difference of the clocks,
	votesFor    = 8 * time.Second        // heard over so long
	sameOffset  = 100 * time.Millisecond // two differences are one,
	drift       = 10                     // and a tenth of the time between them more: capture times are bent by a twentieth here and there
	onItsWay    = time.Second            // what another server has is here as much later at most
	plainLag    = 3 * time.Second        // a server that works is no further behind, now and then at least,
	mostLag     = time.Minute            // and one that hardly works is not further than this
)

// alignment finds the watermarks of another server in the stream that comes here.
// A name alone does not say which sample it is: a still scene, or a source that
// loops, repeats its bytes, and the sample that is meant may lie before all that
// came here. So the two servers' clocks say where it must be, and a sample of that
// name that lies a GOP or more away from there is doubted. A difference of the
// clocks that is not the one believed so far is learned from several watermarks
// that agree on it.
type alignment struct {
	trail []name        // of what came, the newest last
	over  bool          // the trail has lost its beginning
	skew  time.Duration // of the two servers' capture times
	votes []vote        // the newest last

	doubted bool // what is believed of the clocks, since the first of the votes
}

// name is what is kept of a sample.
type name struct {
	at   time.Time
	hash understudy.SampleHash
	key  bool
}

// vote is what one watermark says of the two servers' clocks.
type vote struct {
	mark           understudy.Watermark
	heard          time.Time
	offsets        []time.Duration // to the samples of that name, ascending
	oldest, newest time.Time       // of the trail then
}

// saw takes a video sample that came.
func (a *alignment) saw(s *understudy.Sample) {
	if len(a.trail) >= 2*trailLength { // seldom, so that it costs nothing
		a.trail = append(a.trail[:0], a.trail[trailLength:]...)
		a.over = true
	}
	a.trail = append(a.trail, name{s.At.Round(0), s.Hash, s.Key})
}

// begin forgets the samples. What the clocks are apart is kept, as something to begin with.
func (a *alignment) begin() {
	a.trail, a.over, a.votes, a.doubted = a.trail[:0], false, a.votes[:0], false
}

// find returns the time here of the sample that a watermark names, and whether
// others here have that name. named: some sample here has it; sure: it is known which.
func (a *alignment) find(mark understudy.Watermark, now time.Time) (at time.Time, repeats, named, sure bool) {
	if len(a.trail) == 0 {
		return at, false, false, false
	}
	offsets := a.hear(mark, now)
	if len(offsets) == 0 {
		return at, false, false, false
	}
	offset := nearest(offsets, a.skew)
	apart := (offset - a.skew).Abs()
	switch near := apart < a.shortestGOP() || apart <= sameOffset && !a.repeats(); {
	case !near && (a.votes[len(a.votes)-1].coming(a.skew) || a.lacks(mark.At.Add(a.skew))):
		return at, false, true, false
	case !near && !a.doubted: // what was said before may have been said by another clock
		a.doubted, a.votes = true, a.votes[len(a.votes)-1:]
	}
	if a.doubted || apart > sameOffset && len(offsets) == 1 {
		agreed, ok := a.agreed(now)
		switch {
		case ok:
			a.doubted, a.skew, offset = false, agreed, agreed
		case a.doubted:
			return at, false, true, false
		}
	} else if len(offsets) == 1 {
		a.skew = offset
	}
	return mark.At.Add(offset), len(offsets) > 1, true, true
}

// hear takes a watermark's vote, or takes it anew, and returns its offsets.
func (a *alignment) hear(mark understudy.Watermark, now time.Time) []time.Duration {
	v := vote{mark: mark, heard: now, oldest: a.trail[0].at, newest: a.trail[len(a.trail)-1].at}
	for _, n := range a.trail {
		if n.hash == mark.Hash {
			v.offsets = append(v.offsets, n.at.Sub(mark.At))
		}
	}
	n := len(a.votes)
	switch {
	case n > 0 && a.votes[n-1].mark == mark:
		v.heard = a.votes[n-1].heard
		a.votes = a.votes[:n-1]
	case n > 1 && now.Sub(a.votes[n-2].heard) < voteEvery:
		a.votes = a.votes[:n-1]
	case n == votesKept:
		a.votes = slices.Delete(a.votes, 0, 1)
	}
	a.votes = append(a.votes, v)
	return v.offsets
}

// coming reports whether by a difference of the clocks the sample may be on its way here.
func (v vote) coming(offset time.Duration) bool {
	early := v.mark.At.Add(offset).Sub(v.newest)
	return early > 0 && early <= onItsWay
}

// lacks reports whether a time lies in a hole of what came here: what the other
// server has of then says nothing of the clocks.
func (a *alignment) lacks(at time.Time) bool {
	n := len(a.trail)
	i, _ := slices.BinarySearchFunc(a.trail, at, func(n name, at time.Time) int { return n.at.Compare(at) })
	if i == 0 || i == n {
		return false
	}
	usual := a.trail[n-1].at.Sub(a.trail[0].at) / time.Duration(n-1)
	return a.trail[i].at.Sub(a.trail[i-1].at) > max(3*usual, 2*sameOffset)
}

// poll counts the watermarks that speak for a difference of the clocks, and those
// that speak against it: by it the sample must have come here, and none of that
// name lies near there.
func (a *alignment) poll(offset time.Duration) (yes, no int) {
	last := a.votes[len(a.votes)-1].heard
	for _, v := range a.votes {
		switch {
		case len(v.offsets) == 0 || v.mark.At.Add(offset).Before(v.oldest) || a.lacks(v.mark.At.Add(offset)): // it says nothing
		case (nearest(v.offsets, offset) - offset).Abs() <= sameOffset+last.Sub(v.heard)/drift:
			yes++
		case !v.coming(offset):
			no++
		}
	}
	return yes, no
}

// agreed returns the difference of the clocks that the watermarks agree on, one
// of them excepted, whose frame may have been lost on the way here. Where names
// repeat they agree on several. If one of them was believed so far, it stands. Else
// the true one is not the latest only if the other server was behind by as much all
// the time: the earliest counts that lies within what a server that works is behind.
func (a *alignment) agreed(now time.Time) (offset time.Duration, ok bool) {
	if len(a.votes) < votesNeeded || now.Sub(a.votes[0].heard) < votesFor {
		return 0, false
	}
	var agreed []time.Duration
	for _, d := range a.votes[len(a.votes)-1].offsets {
		if _, no := a.poll(d); no <= 1 {
			agreed = append(agreed, d)
		}
	}
	if len(agreed) == 0 {
		return 0, false
	}
	if offset = nearest(agreed, a.skew); (offset - a.skew).Abs() < a.shortestGOP() {
		return offset, true
	}
	if a.repeats() && a.mayBeBefore() {
		return 0, false
	}
	latest := agreed[len(agreed)-1]
	offset = agreed[slices.IndexFunc(agreed, func(d time.Duration) bool { return d >= latest-plainLag })]
	yes, _ := a.poll(offset)
	return offset, yes >= votesNeeded
}

// mayBeBefore reports whether by the clocks so far a watermark lies before what
// came here, and not so far that no server could be behind like that.
func (a *alignment) mayBeBefore() bool {
	return !a.over && slices.ContainsFunc(a.votes, func(v vote) bool {
		before := v.oldest.Sub(v.mark.At.Add(a.skew))
		return before > 0 && before <= mostLag
	})
}

// repeats reports whether two samples that came have one name.
func (a *alignment) repeats() bool {
	seen := make(map[understudy.SampleHash]bool, len(a.trail))
	for _, n := range a.trail {
		if seen[n.hash] {
			return true
		}
		seen[n.hash] = true
	}
	return false
}

// spans reports whether a time is between those of the first and the last sample that came.
func (a *alignment) spans(at time.Time) bool {
	return len(a.trail) > 0 && !at.Before(a.trail[0].at) && !at.After(a.trail[len(a.trail)-1].at)
}

// shortestGOP returns the shortest distance of two key frames that came; before
// there are two, what came since the one.
func (a *alignment) shortestGOP() time.Duration {
	var key time.Time
	shortest := time.Duration(0)
	for _, n := range a.trail {
		if !n.key {
			continue
		}
		if d := n.at.Sub(key); !key.IsZero() && (shortest == 0 || d < shortest) {
			shortest = d
		}
		key = n.at
	}
	if shortest == 0 && !key.IsZero() {
		shortest = a.trail[len(a.trail)-1].at.Sub(key)
	}
	return shortest
}

// nearest returns the one of some offsets, ascending, that is nearest to another.
func nearest(offsets []time.Duration, to time.Duration) time.Duration {
	i, _ := slices.BinarySearch(offsets, to)
	switch {
	case i == len(offsets):
		return offsets[i-1]
	case i > 0 && to-offsets[i-1] <= offsets[i]-to:
		return offsets[i-1]
	default:
		return offsets[i]
	}
}
