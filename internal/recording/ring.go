package recording

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
)

// Bounds of what waits in memory, for an event or for another server's disk. One
// camera's fits into the queue of a writer that is idle, so that nothing of it
// is lost when it is to be written, and all cameras' into the queue of the
// store. What does not fit is recorded.
const (
	ringBytes = 12 << 20
	// RingsBytes is the room for the rings of all cameras of a server.
	RingsBytes = 384 << 20
)

// memory counts what the rings of all cameras of a server hold.
type memory struct{ bytes atomic.Int64 }

// ring is the newest GOPs of a camera, in memory.
type ring struct {
	memory *memory

	mu      sync.Mutex // for those who ask how far it is; only the recorder changes it
	samples []*understudy.Sample
	bytes   int64
}

func sampleSize(s *understudy.Sample) int64 {
	const overhead = 160 // of the sample's other fields and of the list
	return int64(cap(s.Payload)) + overhead
}

func isKey(s *understudy.Sample) bool { return s.Key && s.Track == understudy.VideoTrack }

func (r *ring) fits(size int64) bool {
	return r.bytes+size <= ringBytes && r.memory.bytes.Load()+size <= RingsBytes
}

// push keeps a sample, if there is room; mu is held.
func (r *ring) push(s *understudy.Sample) bool {
	size := sampleSize(s)
	if !r.fits(size) {
		return false
	}
	r.samples = append(r.samples, s)
	r.bytes += size
	r.memory.bytes.Add(size)
	return true
}

// cut lets go of the samples before the one of that index; mu is held.
func (r *ring) cut(first int) {
	for _, s := range r.samples[:first] {
		r.bytes -= sampleSize(s)
		r.memory.bytes.Add(-sampleSize(s))
		s.Release()
	}
	r.samples = slices.Delete(r.samples, 0, first)
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
func (r *ring) drop() {
	for _, s := range r.take() {
		s.Release()
	}
}

// take empties it. Who takes samples writes them, or releases them.
func (r *ring) take() []*understudy.Sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	samples := r.samples
	r.memory.bytes.Add(-r.bytes)
	r.samples, r.bytes = nil, 0
	return samples
}

// span returns the times of the first and last sample; not ok when it is empty.
func (r *ring) span() (first, last time.Time, ok bool) {
	if len(r.samples) == 0 { // only the recorder, who asks, changes it
		return first, last, false
	}
	return r.samples[0].At, r.samples[len(r.samples)-1].At, true
}

// has reports whether the sample of that hash is in memory.
func (r *ring) has(hash understudy.SampleHash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.samples, func(s *understudy.Sample) bool { return s.Hash == hash })
}

// held returns how many bytes are in memory.
func (r *ring) held() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes
}
