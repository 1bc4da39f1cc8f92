package sim

import (
	"time"

	"understudy"
	"understudy/internal/recording"
)

// reflection is what a session keeps in memory of a camera that another server
// records; recording.Mirror says how much of it that one may still lose.
type reflection struct {
	mirror  recording.Mirror
	wanted  bool          // another server records the camera
	mirrors bool          // as it was wanted when the last frame came
	writing bool          // frames are written meanwhile: the ring is full, or it was being recorded
	spilled bool          // the ring was full
	full    time.Duration // it was, the last time; 0 never
	carried bool          // a takeover from a ring that had all
	ring    []*understudy.Sample
	numbers []int // of its frames
}

// change is a takeover, or its end: the session with the camera goes on.
func (s *session) change(mirrored bool) {
	if mirrored == s.wanted {
		return
	}
	s.carried = s.wanted && s.mirror.Complete()
	s.wanted = mirrored
	if !mirrored {
		s.first, s.moved = s.mark, 0
	}
}

// reflect takes a frame of a camera that another server records.
func (s *session) reflect(n int, key bool) {
	now, sample := s.m.s.clock(), s.cam.sample(n)
	s.mirror.Saw(sample, now)
	if key && s.writing && (!s.spilled || s.mirror.Follows(sample.At, now)) {
		s.cut()
		s.writing, s.spilled = false, false
	}
	switch {
	case s.writing:
		s.write(n, key)
		return
	case len(s.ring) == 0 && !key:
		return
	}
	passed := s.mirror.Passed(s.ring, understudy.RecordingRule{})
	s.ring, s.numbers = s.ring[passed:], s.numbers[passed:]
	s.ring, s.numbers = append(s.ring, sample), append(s.numbers, n)
	if len(s.ring) > s.m.s.o.Ring {
		s.m.s.say("the ring of %s for camera %s is full", s.m.id, s.cam.id)
		s.m.s.tally.Spills++
		s.writing, s.spilled, s.full = true, true, s.m.s.now
		s.save()
	}
}

// save writes what is in memory.
func (s *session) save() {
	ring, numbers := s.ring, s.numbers
	s.ring, s.numbers = nil, nil
	for i, n := range numbers {
		s.write(n, ring[i].Key)
	}
}

// beginMirror: what is being written goes on to the next key frame.
func (s *session) beginMirror() {
	s.mirror.Forget()
	s.mirrors, s.writing, s.spilled = true, s.seg != nil, false
}

// endMirror is a takeover: all that is in memory is written.
func (s *session) endMirror() {
	s.mirrors = false
	if !s.writing {
		s.save()
	}
	s.writing, s.spilled = false, false
}

// begin is a new session: what comes does not follow what came before.
func (s *session) begin() {
	s.run++
	if s.mirrors && !s.writing { // the other server may fail before it has come to the new session
		s.save()
	}
	s.cut()
	s.mirror.Forget()
	s.ring, s.numbers = nil, nil
	s.mirrors, s.writing, s.spilled = false, false, false
}

// whole reports whether all that another server may lose of the camera is in memory here.
func (s *session) whole() bool { return s.wanted && s.slot != nil && s.mirror.Complete() }

// sample is a frame as recording.Mirror sees it.
func (c *camera) sample(n int) *understudy.Sample {
	f := &c.frames[n]
	if f.sample == nil {
		mark := c.mark(n)
		f.sample = &understudy.Sample{At: mark.At, Hash: mark.Hash, Key: f.key, Track: understudy.VideoTrack}
	}
	return f.sample
}
