package understudy

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	// noteSlack is how far the ends of a note may lie from those of the hole
	// that it tells of: who notes it knows the frames, not what became durable.
	noteSlack = 2 * time.Second
	// retentionSlack is how far a note of retention may lag behind.
	retentionSlack = 2 * time.Minute
	// lostFrames is the longest hole that needs no note: frames of one session
	// that are missing never came.
	lostFrames = time.Second
	// takeoverSlack is how far from a hole the note of the takeover that ended it may lie.
	takeoverSlack = 30 * time.Second
)

// Hole is a stretch in which samples are missing.
type Hole struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// HolesIn returns where samples of a segment are missing, to the sample: behind
// one that lasts longer than its neighbours do, or after whose end the next does
// not come. A camera whose frames have no steady distance has holes only where
// nothing covers the time.
func HolesIn(marks []SampleMark) []Hole {
	const most = 100 // of one segment: what looks like more is no steady camera
	var holes []Hole
	for i, m := range marks {
		end := m.At.Add(m.Duration)
		next := end
		if i+1 < len(marks) && marks[i+1].At.After(end) {
			next = marks[i+1].At
		}
		if usual, steady := usualDuration(marks, i); steady && m.Duration > usual*3/2 {
			end = m.At.Add(usual)
		}
		if next.Sub(end) > time.Millisecond && len(holes) < most {
			holes = append(holes, Hole{From: end, To: next})
		}
	}
	return holes
}

// usualDuration returns the median duration around a sample, and whether nearly
// all of its neighbours have it.
func usualDuration(marks []SampleMark, i int) (usual time.Duration, steady bool) {
	if i > 0 && i+1 < len(marks) && marks[i].Duration == marks[i-1].Duration {
		return marks[i].Duration, true // most are like this
	}
	const around = 4
	first, end := max(0, i-around), min(len(marks), i+around+1)
	if end-first < 2*around-1 { // at an end of the segment as many from its inside
		first, end = max(0, end-2*around-1), min(len(marks), first+2*around+1)
	}
	var durations [2*around + 1]time.Duration
	n := 0
	for k := first; k < end; k++ {
		if k != i {
			durations[n] = marks[k].Duration
			n++
		}
	}
	if n < around {
		return 0, false
	}
	slices.Sort(durations[:n])
	usual = durations[n/2]
	alike := 0
	for _, d := range durations[:n] {
		if (d - usual).Abs() <= usual/4 {
			alike++
		}
	}
	return usual, alike >= n-2
}

// ExplainGaps returns the gaps of a timeline in [from, to), each with its cause.
// Spans are in order of time and do not overlap; the gaps fill what they leave,
// exactly. Notes and leases of any order tell why: a hole is divided where a
// note of another cause begins, and what no note covers between two holders is
// the takeover's. Leases are those that are known, of any time.
func ExplainGaps(spans []Span, notes []Note, leases []Lease, from, to time.Time) []Gap {
	var gaps []Gap
	h := hole{Hole: Hole{From: from}}
	for i := range spans {
		if h.To = spans[i].From; h.To.After(h.From) {
			h.after = &spans[i]
			gaps = append(gaps, h.explain(notes, leases)...)
		}
		if spans[i].To.After(h.From) {
			h = hole{Hole: Hole{From: spans[i].To}, before: &spans[i]}
		}
	}
	if h.To, h.after = to, nil; h.To.After(h.From) {
		gaps = append(gaps, h.explain(notes, leases)...)
	}
	return gaps
}

// hole is a hole with what is around it; nil is an end of the timeline.
type hole struct {
	Hole
	before, after *Span
}

// explain divides a hole by its causes.
func (h hole) explain(notes []Note, leases []Lease) []Gap {
	var told []toldGap
	cuts := []time.Time{h.From, h.To}
	for _, n := range notes {
		if s, ok := h.told(n); ok {
			told = append(told, s)
			cuts = append(cuts, s.From, s.To)
		}
	}
	slices.SortFunc(told, toldGap.compare)
	slices.SortFunc(cuts, time.Time.Compare)
	var gaps []Gap
	for i := 1; i < len(cuts); i++ {
		g := newGap(cuts[i-1], cuts[i])
		if !g.To.After(g.From) {
			continue
		}
		h.attribute(&g, told, notes, leases)
		if n := len(gaps) - 1; n >= 0 && gaps[n].Cause == g.Cause && gaps[n].Sentence == g.Sentence && gaps[n].Epoch == g.Epoch {
			g.From = gaps[n].From
			g.Milliseconds = g.To.Sub(g.From).Milliseconds()
			gaps = gaps[:n]
		}
		gaps = append(gaps, g)
	}
	return gaps
}

// toldGap is what a note says of a hole.
type toldGap struct {
	Hole
	note Note
}

// told returns the part of a hole that a note tells of.
func (h hole) told(n Note) (toldGap, bool) {
	if n.Kind != NoteGap || n.Cause == GapTakeover {
		return toldGap{}, false
	}
	end, slack := n.To, noteSlack
	if n.To.Equal(n.From) { // it goes on, until footage does
		if h.before != nil && h.From.Sub(n.From) > noteSlack {
			return toldGap{}, false
		}
		end = h.To
	}
	if n.Cause == GapRetention {
		slack = retentionSlack
	}
	if !n.From.Before(h.To) || end.Before(h.From) || end.Equal(h.From) {
		return toldGap{}, false
	}
	part := h.Hole
	if n.From.Sub(h.From) > noteSlack {
		part.From = n.From
	}
	if h.To.Sub(end) > slack {
		part.To = end
	}
	return toldGap{part, n}, true
}

// rank orders causes by how much they explain: who was told to record nothing
// did not fail to, and a camera that was away is not the server's fault.
func (c GapCause) rank() int {
	order := []GapCause{GapDamage, GapRule, GapDisk, GapCamera, GapSession, GapServer, GapRetention}
	if i := slices.Index(order, c); i >= 0 {
		return i
	}
	return len(order)
}

// compare orders what is told by what explains more, then by time.
func (t toldGap) compare(u toldGap) int {
	return cmp.Or(cmp.Compare(t.note.Cause.rank(), u.note.Cause.rank()), t.note.From.Compare(u.note.From), cmp.Compare(t.note.ID, u.note.ID))
}

// attribute gives a part of a hole its cause; told is in order of rank.
func (h hole) attribute(g *Gap, told []toldGap, notes []Note, leases []Lease) {
	moved := h.before != nil && h.after != nil && h.before.Holder != h.after.Holder
	i := slices.IndexFunc(told, func(t toldGap) bool { return !t.From.After(g.From) && !t.To.Before(g.To) })
	switch {
	case i >= 0 && (!moved || told[i].note.Cause != GapServer):
		g.Cause, g.Sentence = told[i].note.Cause, told[i].note.Sentence
		if g.Cause == GapServer && h.after != nil {
			g.Epoch = h.after.Epoch
		}
	case moved:
		g.Cause = GapTakeover
		g.Epoch, g.Sentence = h.incident(notes, leases)
	case h.before != nil && h.after != nil && h.before.Epoch == h.after.Epoch && h.To.Sub(h.From) <= lostFrames:
		g.Cause = GapCamera
		g.Sentence = fmt.Sprintf("%s went on recording, and frames of the camera did not arrive", h.after.Holder)
	default:
		g.Cause = GapUnknown
	}
}

// incident returns the epoch of the lease that ended a hole between two holders, and its sentence.
func (h hole) incident(notes []Note, leases []Lease) (epoch uint64, sentence string) {
	epoch = h.after.Epoch
	var under *Lease // of those of the next holder the first that is not older than its footage
	for i, l := range leases {
		if l.Holder == h.after.Holder && l.Epoch >= h.after.Epoch && l.Epoch > h.before.Epoch && (under == nil || l.Epoch < under.Epoch) {
			under = &leases[i]
		}
	}
	if under != nil {
		epoch, sentence = under.Epoch, under.Sentence
	}
	var nearest time.Duration
	for _, n := range notes {
		apart := max(h.From.Sub(n.To), n.From.Sub(h.To), 0)
		if sentence == "" || nearest > apart {
			if n.Cause == GapTakeover && n.Server == h.after.Holder && n.Sentence != "" && apart <= takeoverSlack {
				sentence, nearest = n.Sentence, apart
			}
		}
	}
	if sentence == "" {
		sentence = fmt.Sprintf("the first frame of %s came %d ms after the last one of %s", h.after.Holder, h.To.Sub(h.From).Milliseconds(), h.before.Holder)
	}
	return epoch, sentence
}
