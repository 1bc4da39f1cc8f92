package drill

import (
	"slices"
	"time"

	"understudy"
)

// frame is one video sample of an export, or of the truth.
type frame struct {
	At   time.Time
	Hash understudy.SampleHash
	// Number is the counter that our test cameras stamp into each access unit.
	Number uint64
	Key    bool
	// Stamped: it carries a stamp, and of this camera.
	Stamped bool
}

// loss is a hole in an account: frames the camera made and the export lacks.
type loss struct {
	After, Before time.Time // capture times of the frames around the hole
	Frames        int
}

// account is what became of one camera's frames.
type account struct {
	Frames     int
	Duplicates int
	// Foreign counts frames that the camera never sent, as far as stamps or the truth tell.
	Foreign int
	Losses  []loss
	// Interval is the usual time from one frame to the next.
	Interval time.Duration
}

// accountStamped accounts for frames by their counters: whatever counter lies
// between the first and the last is there once, or it is lost, or it is a
// duplicate. One without a stamp of this camera is foreign.
func accountStamped(exported []frame) account {
	a := account{Frames: len(exported), Interval: interval(exported)}
	var last frame
	for _, f := range exported {
		switch {
		case !f.Stamped:
			a.Foreign++
			continue
		case !last.Stamped: // the first
		case f.Number <= last.Number:
			a.Duplicates++
			continue
		case f.Number > last.Number+1:
			a.Losses = append(a.Losses, loss{After: last.At, Before: f.At, Frames: int(f.Number - last.Number - 1)})
		}
		last = f
	}
	return a
}

// matchWindow bounds how far the capture times of one frame may lie apart in
// the truth and in the export; a source that loops repeats its hashes later.
const matchWindow = 5 * time.Second

// lateObserver bounds how far the clocks of the observer and of a recording
// server may differ for the same frame.
const lateObserver = 500 * time.Millisecond

// accountHashed accounts for frames that carry no counter against the truth:
// what an observer of the camera's own stream saw, in order. Frames of the
// truth before the first and after the last exported one do not count, and
// neither do exported ones from before the observer came.
func accountHashed(truth, exported []frame) account {
	for len(truth) > 0 && len(exported) > 0 && exported[0].At.Before(truth[0].At.Add(lateObserver)) && find(truth, 0, exported[0]) < 0 {
		exported = exported[1:]
	}
	a := account{Frames: len(exported), Interval: interval(exported)}
	next, matched := 0, -1
	for _, f := range exported {
		at := find(truth, next, f)
		if at < 0 {
			if find(truth[:next], 0, f) >= 0 {
				a.Duplicates++
			} else {
				a.Foreign++
			}
			continue
		}
		if matched >= 0 && at > matched+1 {
			a.Losses = append(a.Losses, loss{After: truth[matched].At, Before: truth[at].At, Frames: at - matched - 1})
		}
		matched, next = at, at+1
	}
	return a
}

func find(truth []frame, from int, f frame) int {
	for i := from; i < len(truth); i++ {
		if truth[i].Hash == f.Hash && truth[i].At.Sub(f.At).Abs() < matchWindow {
			return i
		}
	}
	return -1
}

// lostBetween sums the losses whose last frame before the hole was captured in [from, to).
func (a account) lostBetween(from, to time.Time) (frames int, longest time.Duration) {
	for _, l := range a.Losses {
		if !l.After.Before(from) && l.After.Before(to) {
			frames += l.Frames
			longest = max(longest, l.Before.Sub(l.After))
		}
	}
	return frames, longest
}

// missing sums how long nothing was recorded, of the losses that begin in [from, to).
func (a account) missing(from, to time.Time) (length time.Duration) {
	for _, l := range a.Losses {
		if !l.After.Before(from) && l.After.Before(to) {
			length += l.Before.Sub(l.After) - a.Interval
		}
	}
	return length
}

// interval is the middle of the times from one frame to the next.
func interval(frames []frame) time.Duration {
	var apart []time.Duration
	for i := 1; i < len(frames); i++ {
		apart = append(apart, frames[i].At.Sub(frames[i-1].At))
	}
	if len(apart) == 0 {
		return 0
	}
	slices.Sort(apart)
	return apart[len(apart)/2]
}

func (a account) lost() (frames int) {
	for _, l := range a.Losses {
		frames += l.Frames
	}
	return frames
}
