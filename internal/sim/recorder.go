package sim

import (
	"slices"
	"time"

	"understudy"
)

// recorder is what a server of either kind does with cameras: a session for
// each, key frame first, fragments in memory until the next sync.
type recorder struct {
	m        *machine
	sessions []*session // by the camera's index; nil where none runs
}

// session is one camera on one server.
type session struct {
	reflection
	r           *recorder
	m           *machine
	cam         *camera
	epoch       uint64
	provisional bool // it was not granted
	gone        bool // put down
	slot        *slot
	failures    int
	crowded     bool          // the camera answered last that it has no session left
	uncrowded   time.Duration // it was last crowded then: it lost the camera since, or has a session; 0 never
	refused     time.Duration // the first time, of those in a row
	resting     bool          // until it is asked again
	rests       int
	hasty       time.Duration // until then it is asked in quick succession
	opened      time.Duration
	frames      uint64
	heard       time.Duration // the last frame; 0 none
	run         uint64        // grows with each session with the camera
	missed      bool          // frames, while the process stood still
	seg         *segment      // being written; nil: a key frame is awaited
	first       int           // newest durable frame when it was applied; -1 none
	mark        int           // newest durable frame; -1 none
	moved       time.Duration // mark
	steady      time.Duration // recording without a hole since; 0 it does not
	astray      time.Duration // it was last seen under its lease's epoch, or need not be
}

const (
	frameSilence = 5 * time.Second // after which a session is given up
	dialPatience = 2 * time.Second
	hastyFor     = 15 * time.Second // as internal/rtsp counts
	hastyPause   = 100 * time.Millisecond
	lingering    = 65 * time.Second
	segmentMax   = 12 * time.Second
	receivingFor = 3 * time.Second // as internal/recording counts
	recordingFor = 5 * time.Second
)

// apply begins to record a camera, or to mirror it, or goes on under another epoch.
func (r *recorder) apply(c *camera, a understudy.AssignedCamera, mirrored bool) {
	if s := r.sessions[c.index]; s != nil {
		s.under(a.Epoch, a.Provisional)
		s.change(mirrored)
		return
	}
	s := &session{r: r, m: r.m, cam: c, epoch: a.Epoch, provisional: a.Provisional, mark: r.m.disk.newest(c)}
	s.first, s.wanted, s.astray = s.mark, mirrored, r.m.s.now
	r.sessions[c.index] = s
	r.m.after(between(r.m.s.machines, 20*time.Millisecond, 120*time.Millisecond), s.dial)
	s.watch()
}

// under is the epoch from now on. When it was granted, whoever has the camera's session gives it up.
func (s *session) under(epoch uint64, provisional bool) {
	if s.crowded && (epoch != s.epoch || s.provisional && !provisional) {
		s.hasty = s.m.s.now + hastyFor
		if s.resting {
			s.rest(hastyPause)
		}
	}
	s.epoch, s.provisional = epoch, provisional
}

// give leaves a camera to another server for a while.
func (r *recorder) give(c *camera, rest time.Duration) {
	s := r.sessions[c.index]
	a := understudy.AssignedCamera{Epoch: s.epoch, Provisional: s.provisional}
	r.put(c)
	r.m.after(rest, func() {
		if r.sessions[c.index] == nil {
			r.apply(c, a, false)
		}
	})
}

// put ends the recording of a camera; what was received is written.
func (r *recorder) put(c *camera) {
	s := r.sessions[c.index]
	r.sessions[c.index] = nil
	s.gone = true
	if s.slot != nil {
		c.left(s.slot, r.m.s.net.both(r.m.place, c.place))
	}
	s.cut()
}

// forget is the end of the process.
func (r *recorder) forget(told bool) {
	for i, s := range r.sessions {
		if s == nil {
			continue
		}
		s.gone, r.sessions[i] = true, nil
		if s.slot != nil {
			s.cam.left(s.slot, told && r.m.s.net.both(r.m.place, s.cam.place))
		}
	}
}

// cut ends the segment that is being written.
func (s *session) cut() {
	if s.seg != nil {
		s.seg.closed, s.seg = true, nil
	}
	s.steady = 0
}

func (s *session) dial() {
	if s.gone || s.slot != nil {
		return
	}
	story := s.m.s
	if !s.cam.on || !story.net.both(s.m.place, s.cam.place) {
		s.m.after(dialPatience, s.failed(false))
		return
	}
	trip := 4*story.net.delay() + 30*time.Millisecond
	if trip > dialPatience {
		s.m.after(dialPatience, s.failed(false))
		return
	}
	s.m.after(trip, func() {
		if s.gone || s.slot != nil {
			return
		}
		if !s.cam.on || !story.net.both(s.m.place, s.cam.place) {
			s.failed(false)()
			return
		}
		if s.slot = s.cam.admit(s); s.slot == nil {
			s.failed(true)()
			return
		}
		if s.crowded {
			s.uncrowded = story.now
		}
		s.opened, s.crowded = story.now, false
		s.begin()
	})
}

// failed waits as internal/rtsp does before it dials again.
func (s *session) failed(busy bool) func() {
	return func() {
		if s.gone {
			return
		}
		longest, pause := 2*time.Second, time.Duration(0)
		switch {
		case busy && !s.crowded:
			s.refused = s.m.s.now
		case !busy && s.crowded:
			s.uncrowded = s.m.s.now
		}
		if s.crowded = busy; busy && s.m.s.now-s.refused >= lingering {
			longest = 5 * time.Second
		}
		if s.failures > 0 {
			pause = min(longest, 250*time.Millisecond<<min(s.failures-1, 10))
		}
		if s.m.s.now < s.hasty {
			pause = min(pause, hastyPause)
		}
		s.failures++
		s.rest(pause + between(s.m.s.machines, 0, 50*time.Millisecond))
	}
}

// rest waits before the camera is asked again, and not for what was planned before.
func (s *session) rest(pause time.Duration) {
	s.resting = true
	s.rests++
	rests := s.rests
	s.m.after(pause, func() {
		if rests == s.rests {
			s.resting = false
			s.dial()
		}
	})
}

// ended: the camera has closed the session.
func (s *session) ended() {
	if s.gone {
		return
	}
	s.cut()
	if s.heard-s.opened > 2*time.Second {
		s.failures = 0
	}
	s.failed(false)()
}

// watch gives up a session that is silent.
func (s *session) watch() {
	if s.gone {
		return
	}
	if now := s.m.s.now; s.slot != nil && now-max(s.heard, s.opened) > frameSilence {
		s.cam.left(s.slot, s.m.s.net.both(s.m.place, s.cam.place))
		s.slot = nil
		s.ended()
	}
	s.m.after(time.Second, s.watch)
}

// receive takes a frame that the camera has sent.
func (s *session) receive(n int, key bool) {
	if s.m.hung {
		s.missed = true
		return
	}
	if s.m.s.net.cut[s.cam.place][s.m.place] {
		return
	}
	if s.missed { // the camera could not get rid of them: what comes is a new session
		s.missed = false
		s.begin()
	}
	s.heard = s.m.s.now
	s.frames++
	if s.mirrors && !s.wanted {
		s.endMirror()
	}
	if !s.wanted {
		s.write(n, key)
		return
	}
	if !s.mirrors {
		s.beginMirror()
	}
	s.reflect(n, key)
}

// write takes a frame that is to be recorded.
func (s *session) write(n int, key bool) {
	d := s.m.disk
	if s.seg != nil && s.seg.last+1 != n || !d.writable {
		s.cut() // frames are missing: nothing decodes before the next key frame
	}
	if s.seg == nil && !key || !d.writable {
		return
	}
	if s.seg == nil {
		s.steady = s.m.s.now
	}
	if key && (s.seg == nil || s.seg.id.Epoch != s.epoch || s.m.s.now-s.cam.frames[s.seg.first].at > segmentMax) {
		if s.seg != nil {
			s.seg.closed = true
		}
		s.seg = d.create(s, n)
	}
	s.seg.last = n
	if n == len(s.cam.frames)-1 {
		s.cam.by |= 1 << s.m.place
	}
	s.m.s.oracle.received(s, n)
}

// state is what the state port tells of the camera.
func (s *session) state() understudy.CameraState {
	now := s.m.s.now
	c := understudy.CameraState{Camera: s.cam.id, Epoch: s.epoch, Provisional: s.provisional, Frames: s.frames, Run: s.run, Mirrored: s.wanted,
		Receiving: s.receiving(), Recording: s.moved > 0 && now-s.moved <= recordingFor}
	c.Crowded = s.crowded && !c.Receiving
	if s.mark >= 0 {
		c.Watermark = s.cam.mark(s.mark)
	}
	return c
}

// receiving reports whether frames come.
func (s *session) receiving() bool { return s.heard > 0 && s.m.s.now-s.heard <= receivingFor }

// states are all of them, made when they are asked for, in the place that is given if there is one.
func (r *recorder) states(states []understudy.CameraState) []understudy.CameraState {
	running := 0
	for _, s := range r.sessions {
		if s != nil {
			running++
		}
	}
	if running == 0 {
		return nil
	}
	states = slices.Grow(states, running)
	for _, s := range r.sessions {
		if s != nil {
			states = append(states, s.state())
		}
	}
	return states
}

// covered are the cameras with durable samples since they were applied, and the
// mirrored ones of which all is in memory.
func (r *recorder) covered() []understudy.CameraID {
	var covered []understudy.CameraID
	for _, s := range r.sessions {
		if s != nil && (s.whole() || !s.wanted && (s.carried && s.receiving() || s.mark != s.first)) {
			covered = append(covered, s.cam.id)
		}
	}
	return covered
}

// crowded are the cameras that have no session left for this server.
func (r *recorder) crowded() []understudy.CameraID {
	var crowded []understudy.CameraID
	for _, s := range r.sessions {
		if s != nil && s.crowded {
			crowded = append(crowded, s.cam.id)
		}
	}
	return crowded
}
