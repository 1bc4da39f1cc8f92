package storage

import (
	"hash/fnv"
	"slices"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// Bounds of fragments and segments.
const (
	fragmentLength  = 500 * time.Millisecond // what a killed process loses at most
	fragmentBytes   = 8 << 20
	keyFragment     = 250 * time.Millisecond // a key frame begins a fragment if the one before has so much
	pausedFragment  = 300 * time.Millisecond // when samples come some at a time, what is there is a fragment if it is so much
	usualSteps      = 9                      // distances of samples of which the usual one is the median
	leastGap        = 500 * time.Millisecond // less is never a gap
	unknownGap      = 10 * time.Second       // while the usual distance is not known
	segmentMaxBytes = 1 << 30                // a camera that sends no key frames is cut anyway
)

// fragment is samples that are written at once.
type fragment struct {
	samples []fmp4.TimedSample
	begins  bool // a segment
	urgent  bool // the first of a session: sync at once
	bytes   int64
}

// cutter turns the samples of a session into fragments: it knows durations,
// gaps and when to begin a segment. No clock, no disk.
type cutter struct {
	length   time.Duration
	phase    time.Duration // of this camera, so that not all begin a segment at once
	tracks   map[int]*trackState
	begun    bool      // the first key frame came
	started  bool      // the first fragment is out
	cutAtKey bool      // a hole was seen: the next key frame begins a segment
	rotateAt time.Time // a key frame from here on begins a segment
	segment  int64     // bytes so far

	pending fragment
	out     []fragment
}

// trackState is what the cutter knows of one track.
type trackState struct {
	held   *understudy.Sample // the last one, until its duration is known
	begins bool               // held begins a segment
	since  time.Time          // when held came
	last   time.Time          // capture time of the last one
	steps  []time.Duration    // the last few distances
}

func newCutter(camera understudy.CameraID, length time.Duration, tracks []understudy.Track) *cutter {
	hash := fnv.New64a()
	hash.Write([]byte(camera))
	c := &cutter{length: length, phase: time.Duration(hash.Sum64() % uint64(length)), tracks: map[int]*trackState{}}
	for _, t := range tracks {
		c.tracks[t.ID] = &trackState{}
	}
	return c
}

// add takes a sample that came at now; cut says that samples before it were dropped.
func (c *cutter) add(s *understudy.Sample, cut bool, now time.Time) {
	t := c.tracks[s.Track]
	if t == nil {
		return
	}
	video := s.Track == understudy.VideoTrack
	if !c.begun && (!video || !s.Key) {
		return // nothing can be decoded before the first key frame
	}
	step := s.At.Sub(t.last)
	first := t.last.IsZero()
	back := !first && step <= 0
	usable := !first && !back && !cut
	if back && (!video || !s.Key) {
		// The clock went back inside a GOP: the next key frame begins a segment
		// with the new time; until then the order is kept.
		c.cutAtKey = c.cutAtKey || video
		s = after(s, t.last)
		step, back = s.At.Sub(t.last), false
	}
	gap := !first && (back || cut || t.isGap(step))
	if t.held != nil {
		duration := step
		if gap {
			duration = t.usual()
		}
		c.complete(t, duration)
	}
	begins := video && c.beginsSegment(s, gap)
	if usable {
		t.remember(step)
	}
	t.held, t.begins, t.since, t.last = s, begins, now, s.At
	c.segment += int64(len(s.Payload))
}

// after returns s with a capture time just behind last; samples are shared, so it is a copy.
func after(s *understudy.Sample, last time.Time) *understudy.Sample {
	later := *s
	later.At = last.Add(time.Millisecond)
	return &later
}

// beginsSegment decides for a video sample, and notes what follows from it.
func (c *cutter) beginsSegment(s *understudy.Sample, gap bool) bool {
	if !s.Key && c.segment < segmentMaxBytes {
		c.cutAtKey = c.cutAtKey || gap
		return false
	}
	if c.begun && !gap && !c.cutAtKey && s.At.Before(c.rotateAt) && c.segment < segmentMaxBytes {
		return false
	}
	if audio := c.tracks[understudy.AudioTrack]; audio != nil && audio.last.After(s.At.Add(c.length)) {
		audio.last = time.Time{} // the clock went back for the sound, too
	}
	c.begun, c.cutAtKey, c.segment = true, false, 0
	c.rotateAt = s.At.Add(-c.phase).Truncate(c.length).Add(c.phase + c.length)
	if c.rotateAt.Sub(s.At) < c.length/4 {
		c.rotateAt = c.rotateAt.Add(c.length)
	}
	return true
}

// complete moves the held sample of a track, whose duration is known now, to the pending fragment.
func (c *cutter) complete(t *trackState, duration time.Duration) {
	s := fmp4.TimedSample{Sample: t.held, Duration: duration}
	begins := t.begins
	t.held, t.begins = nil, false
	if begins {
		later := c.takeSoundFrom(s.At)
		c.emit()
		c.pending.begins = true
		c.push(s)
		for _, a := range later {
			c.push(a)
		}
		if !c.started {
			c.started, c.pending.urgent = true, true
			c.emit()
		}
		return
	}
	if len(c.pending.samples) > 0 {
		span := s.End().Sub(c.pending.samples[0].At)
		key := s.Track == understudy.VideoTrack && s.Key
		if span > fragmentLength || c.pending.bytes > fragmentBytes || key && span-duration >= keyFragment {
			c.emit()
		}
	}
	c.push(s)
}

// takeSoundFrom takes the sound from then on out of the pending fragment: it
// belongs to the next segment.
func (c *cutter) takeSoundFrom(at time.Time) (later []fmp4.TimedSample) {
	kept := c.pending.samples[:0]
	for _, s := range c.pending.samples {
		if s.Track == understudy.AudioTrack && !s.At.Before(at) {
			later = append(later, s)
			c.pending.bytes -= heldBytes(s.Sample)
		} else {
			kept = append(kept, s)
		}
	}
	c.pending.samples = kept
	return later
}

func (c *cutter) push(s fmp4.TimedSample) {
	c.pending.samples = append(c.pending.samples, s)
	c.pending.bytes += heldBytes(s.Sample)
}

// emit ends the pending fragment.
func (c *cutter) emit() {
	if len(c.pending.samples) > 0 {
		c.out = append(c.out, c.pending)
	}
	c.pending = fragment{}
}

// pause ends a fragment that is long enough for one: more comes in a while only.
func (c *cutter) pause() {
	if n := len(c.pending.samples); n > 0 && c.pending.samples[n-1].End().Sub(c.pending.samples[0].At) >= pausedFragment {
		c.emit()
	}
}

// flush ends what waits in vain: a camera that stalls must not keep its last
// samples from the disk. A held sample that is overdue gets the usual duration.
func (c *cutter) flush(now time.Time) {
	for id := understudy.VideoTrack; id <= understudy.AudioTrack; id++ {
		if t := c.tracks[id]; t != nil && t.held != nil && now.Sub(t.since) > t.patience() {
			c.complete(t, t.usual())
			if id == understudy.VideoTrack {
				c.emit()
			}
		}
	}
}

// finish ends everything.
func (c *cutter) finish() {
	for id := understudy.VideoTrack; id <= understudy.AudioTrack; id++ {
		if t := c.tracks[id]; t != nil && t.held != nil {
			c.complete(t, t.usual())
		}
	}
	c.emit()
}

// take returns the fragments that are ready.
func (c *cutter) take() []fragment {
	out := c.out
	c.out = nil
	return out
}

// usual is the median distance of the last few samples.
func (t *trackState) usual() time.Duration {
	if len(t.steps) == 0 {
		return 40 * time.Millisecond
	}
	var sorted [usualSteps]time.Duration
	n := copy(sorted[:], t.steps)
	slices.Sort(sorted[:n])
	return sorted[n/2]
}

// patience is how long the next sample may take to come.
func (t *trackState) patience() time.Duration {
	if len(t.steps) == 0 {
		return 2 * time.Second
	}
	return max(2*t.usual(), fragmentLength)
}

func (t *trackState) isGap(step time.Duration) bool {
	if len(t.steps) == 0 {
		return step > unknownGap
	}
	return step > leastGap && step > 2*t.usual()
}

func (t *trackState) remember(step time.Duration) {
	if len(t.steps) == usualSteps {
		t.steps = slices.Delete(t.steps, 0, 1)
	}
	t.steps = append(t.steps, step)
}

// heldBytes counts the payloads that are not in fragments taken.
func (c *cutter) heldBytes() int64 {
	held := c.pending.bytes
	for _, t := range c.tracks {
		if t.held != nil {
			held += heldBytes(t.held)
		}
	}
	for _, f := range c.out {
		held += f.bytes
	}
	return held
}
