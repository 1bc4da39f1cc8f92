package recording

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
)

// Bounds of what waits in memory for an event. One camera's fits into the queue
// of a writer that is idle, so that nothing of it is lost when the event comes,
// and all cameras' into the queue of the store. What does not fit is recorded,
// and deleted when no event came.
const (
	prerollBytes  = 12 << 20
	prerollsBytes = 256 << 20
)

// memory counts what all cameras of a server hold in front of events.
type memory struct{ bytes atomic.Int64 }

// preroll is the newest GOPs of a camera, for the time before an event.
type preroll struct {
	memory *memory

	mu      sync.Mutex // for those who ask how far it is
	samples []*understudy.Sample
	bytes   int64
	since   time.Time // from here on all is in memory or on disk
	newest  understudy.Watermark
	writing time.Time // since when the recorder writes; zero while it waits
}

func sampleSize(s *understudy.Sample) int64 {
	const overhead = 160 // of the sample's other fields and of the list
	return int64(cap(s.Payload)) + overhead
}

func isKey(s *understudy.Sample) bool { return s.Key && s.Track == understudy.VideoTrack }

// add keeps a sample, and of those before it only the GOPs from which footage
// that begins at from can be decoded; where room is short, at from and late.
// False: there is no room.
func (p *preroll) add(s *understudy.Sample, from time.Time, late time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.samples) == 0 && !isKey(s) {
		return true // nothing can be decoded before the first key frame
	}
	if isKey(s) {
		p.trim(from)
	}
	size := sampleSize(s)
	if !p.fits(size) {
		if p.trim(from.Add(late)); !p.fits(size) {
			return false
		}
	}
	p.samples = append(p.samples, s)
	p.bytes += size
	p.memory.bytes.Add(size)
	return true
}

func (p *preroll) fits(size int64) bool {
	return p.bytes+size <= prerollBytes && p.memory.bytes.Load()+size <= prerollsBytes
}

func (p *preroll) trim(from time.Time) {
	first := keyBefore(p.samples, from)
	for _, s := range p.samples[:first] {
		p.bytes -= sampleSize(s)
		p.memory.bytes.Add(-sampleSize(s))
		s.Release()
	}
	p.samples = slices.Delete(p.samples, 0, first)
}

// keyBefore returns the index of the last key frame at or before from, else 0.
func keyBefore(samples []*understudy.Sample, from time.Time) (index int) {
	for i, s := range samples {
		if isKey(s) {
			if s.At.After(from) {
				break
			}
			index = i
		}
	}
	return index
}

// drop empties it of what nobody will look at any more.
func (p *preroll) drop() {
	for _, s := range p.take() {
		s.Release()
	}
}

// take empties it. Who takes samples writes them, or releases them.
func (p *preroll) take() []*understudy.Sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	samples := p.samples
	p.memory.bytes.Add(-p.bytes)
	p.samples, p.bytes = nil, 0
	return samples
}

// span returns the times of the first and last sample; not ok when it is empty.
func (p *preroll) span() (first, last time.Time, ok bool) {
	if len(p.samples) == 0 { // only the recorder, who asks, changes it
		return first, last, false
	}
	return p.samples[0].At, p.samples[len(p.samples)-1].At, true
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

// has reports whether the sample of that hash is in memory.
func (p *preroll) has(hash understudy.SampleHash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.samples, func(s *understudy.Sample) bool { return s.Hash == hash })
}
