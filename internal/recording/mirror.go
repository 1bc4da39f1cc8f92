package recording

import (
	"sync"
	"time"

	"understudy"
)

const (
	// mirrorMargin is how much further back than the watermark the ring begins
	// where samples have no names in common, so that the two servers' times decide.
	mirrorMargin = 5 * time.Second
	// strangeFor is for how long no watermark must be found in the ring, although
	// it is within its times, until the camera counts as one that encodes each session anew.
	strangeFor = 5 * time.Second
	// heardFor is how old the last news of the other server's progress may be for it to count as recording.
	heardFor = 3 * time.Second
	// closeBehind is how far behind the newest sample its watermark is then.
	closeBehind = 4 * time.Second
)

// Mirror is how far the server that records a camera has come with it, while the
// samples that it may lose are kept here. It reads no clock.
type Mirror struct {
	mu     sync.Mutex
	passed understudy.Watermark // durable there, or waiting there for an event
	heard  time.Time            // when that last moved
	whole  bool                 // the ring has all that is behind it

	// Of the recorder only.
	done    understudy.Watermark // the ring has been cut for it
	skew    time.Duration        // of the two servers' capture times, from names that stand for one sample only
	strange time.Time            // since when no name was found
	known   bool                 // a name was found in this session
}

// Tell takes in how far the other server has come.
func (m *Mirror) Tell(mark understudy.Watermark, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if mark != m.passed {
		m.passed, m.heard = mark, now
	}
}

// Forget begins anew: what comes next does not follow what came before.
func (m *Mirror) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.whole = false
	m.done, m.skew, m.strange, m.known = understudy.Watermark{}, 0, time.Time{}, false
}

// Complete reports whether the ring has all that the other server may lose.
func (m *Mirror) Complete() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.whole
}

func (m *Mirror) setWhole(whole bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.whole = whole
}

// news returns the watermark when it has not been looked at yet.
func (m *Mirror) news() (mark understudy.Watermark, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.passed, m.passed != m.done && !m.passed.At.IsZero()
}

// Follows reports whether the other server records close behind a sample of now.
func (m *Mirror) Follows(at, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Sub(m.heard) <= heardFor && at.Sub(m.passed.At.Add(m.skew)) <= closeBehind
}

// Passed returns how many of the samples need not be kept. Of a camera that is
// recorded on events the time before one is kept, too.
func (m *Mirror) Passed(samples []*understudy.Sample, rule understudy.RecordingRule, now time.Time) int {
	mark, ok := m.news()
	if !ok {
		return 0
	}
	if rule.Mode == understudy.RecordEvents {
		m.done = mark
		from := mark.At.Add(-rule.Before - lateness)
		m.setWhole(len(samples) > 0 && !samples[0].At.After(mark.At.Add(-rule.Before)))
		return keyBefore(samples, from)
	}
	first, found := m.surplus(samples, mark, now)
	if n := len(samples); !found && n > 0 && mark.At.Add(m.skew).After(samples[n-1].At) {
		return 0 // it is ahead of what has come here
	}
	m.done = mark
	m.setWhole(found)
	return first
}

// surplus returns how many of the samples another server that has come to mark
// cannot lose: those before the last key frame at or before the sample of that
// name. found says whether the samples reach back that far. A name says little:
// a still scene repeats its bytes with each GOP. Of several samples of that name
// the nearest in time counts, and then one GOP more is kept.
func (m *Mirror) surplus(samples []*understudy.Sample, mark understudy.Watermark, now time.Time) (first int, found bool) {
	nearest, matches, distance := -1, 0, time.Duration(0)
	for i, s := range samples {
		if s.Track != understudy.VideoTrack || s.Hash != mark.Hash {
			continue
		}
		matches++
		if d := s.At.Sub(mark.At.Add(m.skew)).Abs(); nearest < 0 || d < distance {
			nearest, distance = i, d
		}
	}
	switch {
	case matches == 1:
		m.skew = samples[nearest].At.Sub(mark.At)
		m.known, m.strange = true, time.Time{}
		return keyAtOrBefore(samples, nearest), true
	case matches > 1:
		m.known, m.strange = true, time.Time{}
		if key := keyAtOrBefore(samples, nearest); key > 0 {
			return keyAtOrBefore(samples, key-1), true
		}
		return 0, true
	}
	within := len(samples) > 0 && !mark.At.Before(samples[0].At) && !mark.At.After(samples[len(samples)-1].At)
	if m.known || !within {
		return 0, false
	}
	if m.strange.IsZero() {
		m.strange = now
	}
	if now.Sub(m.strange) < strangeFor {
		return 0, false
	}
	return keyBefore(samples, mark.At.Add(-mirrorMargin)), true
}

// keyAtOrBefore returns the index of the last key frame up to that index, else 0.
func keyAtOrBefore(samples []*understudy.Sample, i int) int {
	for ; i > 0; i-- {
		if isKey(samples[i]) {
			return i
		}
	}
	return 0
}

// reflect takes a sample of a camera that another server records: it is kept in
// memory until that one has it durably. What does not fit is recorded, until that
// server is heard again; footage that it has already will be told from footage
// that it lacks when it goes home.
func (r *recorder) reflect(s *understudy.Sample, want want) {
	c := r.camera
	if isKey(s) && r.writing && (!r.spilled || c.mirror.Follows(s.At, time.Now())) {
		r.closeWriter()
		r.writing, r.spilled = false, false
		c.setFault(nil)
	}
	if r.writing {
		r.write(s, want)
		return
	}
	if c.preroll.addUntil(s, func(samples []*understudy.Sample) int { return c.mirror.Passed(samples, want.rule, time.Now()) }) {
		return
	}
	c.report("camera %s: what %s would lose if it failed now does not fit into memory here any more (%d MB for one camera, %d MB for all); "+
		"it is recorded to disk until %s is heard to record again", c.id, want.of, ringBytes>>20, RingsBytes>>20, want.of)
	r.writing, r.spilled = true, true
	c.mirror.setWhole(false)
	r.save(want)
	r.write(s, want)
}

// save writes what is in memory.
func (r *recorder) save(want want) {
	if first, _, ok := r.camera.preroll.span(); ok && want.rule.Mode == understudy.RecordEvents {
		r.camera.spill.begin(first) // of no event yet
	}
	for _, s := range r.camera.preroll.take() {
		r.write(s, want)
	}
}

// beginMirror is a change from recording to keeping in memory. What is being
// written goes on to the next key frame, so that nothing is missing between.
func (r *recorder) beginMirror() {
	r.camera.mirror.Forget()
	r.onEvents, r.mirrors = false, true
	r.writing, r.spilled = r.writer != nil, false
}

// endMirror is a takeover: all that is in memory is written. A camera that is
// recorded on events goes on to wait for one, with that behind it.
func (r *recorder) endMirror(want want) {
	if !want.record {
		return
	}
	r.mirrors = false
	if want.rule.Mode == understudy.RecordEvents {
		return
	}
	if !r.writing {
		r.save(want)
	}
	r.camera.preroll.restart()
}
