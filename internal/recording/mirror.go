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
	closeBehind = 5 * time.Second
)

// Mirror is how far the server that records a camera has come with it, while the
// samples that it may lose are kept here. It reads no clock.
type Mirror struct {
	mu     sync.Mutex
	passed understudy.Watermark // durable there, or waiting there for an event
	heard  time.Time            // when that last moved
	whole  bool                 // the ring has all that it may lose

	// Of the recorder only.
	alignment alignment
	looked    understudy.Watermark // for in what has come here
	ahead     bool                 // by its time it has not come here yet
	at        time.Time            // capture time here of the last one that was found
	margin    time.Duration        // that this may be wrong by
	repeats   bool                 // others here have its name
	moved     bool                 // and the ring has not been cut for it
	strange   time.Time            // since when no name was found
	known     bool                 // a name was found in this session
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
	m.alignment.begin()
	m.looked, m.ahead, m.at, m.margin = understudy.Watermark{}, false, time.Time{}, 0
	m.repeats, m.moved, m.strange, m.known = false, false, time.Time{}, false
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

// told returns the newest watermark.
func (m *Mirror) told() understudy.Watermark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.passed
}

// Follows reports whether the other server records close behind a sample of now.
func (m *Mirror) Follows(at, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Sub(m.heard) <= heardFor && at.Sub(m.at) <= closeBehind
}

// Saw takes a sample that came, whether or not it is kept in memory, and looks
// for the watermark that was told last in all that came.
func (m *Mirror) Saw(s *understudy.Sample, now time.Time) {
	if s.Track != understudy.VideoTrack {
		return
	}
	m.alignment.saw(s)
	mark := m.told()
	here := s.Hash == mark.Hash || m.ahead && !s.At.Before(mark.At)
	if mark.At.IsZero() || mark == m.looked && !here {
		return
	}
	m.looked, m.ahead = mark, s.At.Before(mark.At)
	at, repeats, named, sure := m.alignment.find(mark, now)
	switch {
	case sure:
		m.at, m.margin, m.repeats, m.moved = at, 0, repeats, true
		m.known, m.strange = true, time.Time{}
	case named: // a doubted one: the ring is cut for none
		m.known, m.strange = true, time.Time{}
	case m.known || !m.alignment.spans(mark.At):
	case m.strange.IsZero():
		m.strange = now
	case now.Sub(m.strange) >= strangeFor:
		m.at, m.margin, m.repeats, m.moved = mark.At, mirrorMargin, false, true
	}
}

// Passed returns how many of the samples need not be kept: those before the last
// key frame at or before the sample that the other server has come to. Of a camera
// that is recorded on events the time before one is kept, too.
func (m *Mirror) Passed(samples []*understudy.Sample, rule understudy.RecordingRule) int {
	if !m.moved || len(samples) == 0 {
		return 0
	}
	m.moved = false
	at, margin := m.at, m.margin
	if rule.Mode == understudy.RecordEvents {
		at, margin = at.Add(-rule.Before), margin+lateness
	}
	m.setWhole(!samples[0].At.After(at))
	first := keyBefore(samples, at.Add(-margin))
	if m.repeats && first > 0 { // it may be the one before
		first = keyBefore(samples, samples[first].At.Add(-1))
	}
	return first
}

// reflect takes a sample of a camera that another server records: it is kept in
// memory until that one has it durably. What does not fit is recorded, until that
// server is heard again; footage that it has already will be told from footage
// that it lacks when it goes home.
func (r *recorder) reflect(s *understudy.Sample, want want) {
	c := r.camera
	c.mirror.Saw(s, time.Now())
	if isKey(s) && r.writing && (!r.spilled || c.mirror.Follows(s.At, time.Now())) {
		r.closeWriter()
		r.writing, r.spilled = false, false
		c.setFault(nil)
	}
	if r.writing {
		r.write(s, want)
		return
	}
	if c.preroll.addUntil(s, func(samples []*understudy.Sample) int { return c.mirror.Passed(samples, want.rule) }) {
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
