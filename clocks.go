package understudy

import (
	"cmp"
	"slices"
	"time"
)

// clocks is what the footage of two holders around a moment says of how far
// their clocks are apart.
type clocks struct {
	one, other []SampleMark  // by time
	step       time.Duration // between two samples, usually
}

// clocksRefuted is how many samples must lie beside another one for the clocks as they are to be wrong.
const clocksRefuted = 3

// clocksAround takes what l has around l[i], and what the line of one other holder has there.
func clocksAround(l line, i int, other line) clocks {
	var c clocks
	at := l[i].mark().At
	first, end := i, i+1
	for first > 0 && l[first-1].mark().At.Sub(at).Abs() <= alignWindow {
		first--
	}
	for end < len(l) && l[end].mark().At.Sub(at).Abs() <= alignWindow {
		end++
	}
	steps := make([]time.Duration, 0, end-first)
	for _, p := range l[first:end] {
		c.one, steps = append(c.one, *p.mark()), append(steps, p.mark().Duration)
	}
	slices.Sort(steps)
	c.step = steps[len(steps)/2]
	other.near(at, func(n int) { c.other = append(c.other, *other[n].mark()) })
	for _, marks := range [][]SampleMark{c.one, c.other} {
		slices.SortFunc(marks, func(a, b SampleMark) int { return a.At.Compare(b.At) })
	}
	return c
}

// mayBeApart reports whether two samples of one name that lie so far apart may be
// one sample; run has by how much the equal ones around them are. They are not if a
// difference of the clocks that is nearer to none explains what both have, and
// nothing of the run lies so. A source that repeats itself has the same names a loop
// later: then the clocks as they are must besides be refuted by what lies side by
// side by them. If nothing does, the two may have no moment in common.
func (c clocks) mayBeApart(run []time.Duration, apart time.Duration) bool {
	for _, d := range c.differences(apart) {
		if same, differ := c.compare(d); same > 0 && 8*differ <= same { // some were damaged on their way to one
			return slices.ContainsFunc(run, func(r time.Duration) bool { return (r - d).Abs() <= c.step/2 })
		}
	}
	if !repeat(c.one) && !repeat(c.other) {
		return true
	}
	_, differ := c.compare(0)
	return differ >= clocksRefuted
}

// differences returns by how much clocks may be apart that put two equal names side
// by side, nearer to none than some distance, the nearest first.
func (c clocks) differences(below time.Duration) []time.Duration {
	at := map[SampleHash][]time.Time{}
	for _, m := range c.other {
		at[m.Hash] = append(at[m.Hash], m.At)
	}
	found := map[time.Duration]bool{}
	var all []time.Duration
	for _, m := range c.one {
		for _, t := range at[m.Hash] {
			d := t.Sub(m.At)
			if d.Abs() < below-c.step/2 && !found[d.Round(c.step/4)] {
				found[d.Round(c.step/4)] = true
				all = append(all, d)
			}
		}
	}
	slices.SortFunc(all, func(a, b time.Duration) int { return cmp.Compare(a.Abs(), b.Abs()) })
	return all
}

// compare counts the samples that lie side by side if the clocks are so far
// apart, those of one name and the others.
func (c clocks) compare(apart time.Duration) (same, differ int) {
	n := 0
	for _, m := range c.one {
		at := m.At.Add(apart)
		for n < len(c.other) && c.other[n].At.Before(at.Add(-c.step/2)) {
			n++
		}
		switch {
		case n == len(c.other) || c.other[n].At.After(at.Add(c.step/2)):
		case c.other[n].Hash == m.Hash:
			same++
		default:
			differ++
		}
	}
	return same, differ
}

// repeat reports whether two of the samples have one name.
func repeat(marks []SampleMark) bool {
	seen := make(map[SampleHash]bool, len(marks))
	for _, m := range marks {
		if seen[m.Hash] {
			return true
		}
		seen[m.Hash] = true
	}
	return false
}
