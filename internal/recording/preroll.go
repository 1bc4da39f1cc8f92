package recording

import (
	"time"

	"understudy"
)

// preroll is the newest GOPs of a camera, for the time before an event, and how
// far it has come. Of a camera that is mirrored it is what another server may lose.
type preroll struct {
	ring
	// Under the ring's lock.
	since   time.Time // from here on all is in memory or on disk
	newest  understudy.Watermark
	writing time.Time // since when the recorder writes; zero while it waits
}

// add keeps a sample, and of those before it only the GOPs from which footage
// that begins at from can be decoded; where room is short, at from and late.
// False: there is no room. What does not fit is recorded, and deleted when no
// event came.
func (p *preroll) add(s *understudy.Sample, from time.Time, late time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.samples) == 0 && !isKey(s) {
		return true // nothing can be decoded before the first key frame
	}
	if isKey(s) {
		p.cut(keyBefore(p.samples, from))
	}
	if p.push(s) {
		return true
	}
	p.cut(keyBefore(p.samples, from.Add(late)))
	return p.push(s)
}

// addUntil keeps a sample; surplus says of those before it how many need not be
// kept. False: there is no room.
func (p *preroll) addUntil(s *understudy.Sample, surplus func([]*understudy.Sample) int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.samples) == 0 && !isKey(s) {
		return true // nothing can be decoded before the first key frame
	}
	p.cut(surplus(p.samples))
	return p.push(s)
}

// saw notes how far the camera has come, for those who ask.
func (p *preroll) saw(s *understudy.Sample) {
	if s.Track != understudy.VideoTrack {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		if !s.Key {
			return
		}
		p.since = s.At
	}
	p.newest = understudy.Watermark{At: s.At, Hash: s.Hash}
}

// reached returns the capture time of the newest sample that came.
func (p *preroll) reached() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newest.At
}

// restart forgets how far it was: what comes next does not follow what came before.
func (p *preroll) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since, p.newest, p.writing = time.Time{}, understudy.Watermark{}, time.Time{}
}

// wrote notes since when the recorder writes.
func (p *preroll) wrote(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing = now
}

// state returns the newest sample of a camera that waits for an event, and
// whether an event would get all that the rule wants of the time before it. For
// a moment after it began to write, too: until the disk's own progress shows.
func (p *preroll) state(now time.Time, before time.Duration) (newest understudy.Watermark, filled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.newest.At.IsZero() || !p.writing.IsZero() && now.Sub(p.writing) > recordingFor {
		return understudy.Watermark{}, false
	}
	return p.newest, p.newest.At.Sub(p.since) >= before
}

// begun reports whether there is anything to begin with, and whether it is being written.
func (p *preroll) begun() (begun, writing bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.newest.At.IsZero(), !p.writing.IsZero()
}
