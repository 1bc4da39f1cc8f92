package failover

import (
	"fmt"
	"slices"
	"time"

	"understudy"
)

// A server that is only silent may be dead, and it may be this server that is cut
// off. Its cameras are witnesses, too: whoever reaches one of them is not cut off,
// and whoever reaches none could not record them either.

const (
	callsAtOnce = 3
	callAgain   = 2 * time.Second // to others, while none has answered
)

// calling is what the cameras of a silent server have said.
type calling struct {
	round    int // of all that this server ever called; 0: none was called
	first    int // of its cameras, in their order, that is called in the next round
	cameras  []understudy.Camera
	came     time.Duration // when its outcome came; 0: it did not yet
	before   bool          // none answered in an earlier round
	answered []understudy.CameraID
	told     bool // that no lease is asked for
}

// pending reports whether an outcome is awaited.
func (c calling) pending() bool { return c.round > 0 && c.came == 0 }

// failed reports whether cameras were called, and none answers.
func (c calling) failed() bool { return (c.came > 0 || c.before) && len(c.answered) == 0 }

// due reports whether cameras are to be called, the first time or others.
func (c calling) due(at time.Duration) bool {
	return c.round == 0 || !c.pending() && c.failed() && at-c.came >= callAgain
}

// callUp settles which cameras are called.
func (s *State) callUp() {
	for _, w := range s.watched {
		if w.suspected == 0 || !w.known || w.refusedEnough() || !w.call.due(s.at) {
			continue
		}
		cameras := s.camerasOf(w)
		if len(cameras) == 0 {
			continue
		}
		s.rounds++
		next := calling{round: s.rounds, told: w.call.told, before: w.call.round > 0}
		for i := range min(callsAtOnce, len(cameras)) {
			next.cameras = append(next.cameras, cameras[(w.call.first+i)%len(cameras)])
		}
		next.first = (w.call.first + callsAtOnce) % len(cameras)
		w.call = next
	}
}

// camerasOf are the cameras that a server serves and this one could take, those
// first that it received.
func (s *State) camerasOf(w *watch) []understudy.Camera {
	var received, others []understudy.Camera
	for _, p := range s.posted {
		if s.lease(p.camera, p.home).Holder != w.server {
			continue
		}
		if c := s.posts[p.camera].camera; w.cameras[p.camera].receiving {
			received = append(received, c)
		} else {
			others = append(others, c)
		}
	}
	return append(received, others...)
}

// observeCalled takes in who answered in a round, also when it was told before.
func (s *State) observeCalled(round int, answered []understudy.CameraID) {
	for _, w := range s.watched {
		if w.call.round != round { // it is of a suspicion that is over, or another's
			continue
		}
		w.call.answered = answered
		if w.call.came == 0 {
			w.call.came = s.at
		}
		if w.verdict.Condition == Dead && !w.refusedEnough() {
			w.verdict.Sentence = s.obituary(w.server, w)
		}
	}
}

func (s *State) wantCalls() map[int][]understudy.Camera {
	var calls map[int][]understudy.Camera
	for _, w := range s.watched {
		if !w.call.pending() {
			continue
		}
		if calls == nil {
			calls = map[int][]understudy.Camera{}
		}
		calls[w.call.round] = w.call.cameras
	}
	return calls
}

// blinded reports that a server is only silent, and that none of its cameras answers
// here either: no lease is asked for of what could not be recorded, and another
// standby may reach them. What is recorded here of one of them proves the contrary.
func (s *State) blinded(id understudy.ServerID, w *watch) bool {
	if !w.verdict.unheard() || w.refusedEnough() || !w.call.failed() {
		return false
	}
	return !slices.ContainsFunc(s.own.Covered, func(camera understudy.CameraID) bool {
		home := s.posts[camera].camera.Home
		return home != "" && s.lease(camera, home).Holder == id
	})
}

// tellBlinded says, once, that the lease of a silent server is not asked for, and
// when it is after all.
func (s *State) tellBlinded() {
	for _, w := range s.watched {
		id := w.server
		blinded := s.blinded(id, w)
		switch {
		case blinded == w.call.told:
			continue
		case blinded:
			s.say(understudy.EventServer, id, true, "%s, which asks for none of the leases until one does, and calls others", w.verdict.Sentence)
		case w.verdict.unheard():
			s.say(understudy.EventServer, id, true, "%s reaches cameras of %s, and asks for the leases", s.self, id)
		}
		w.call.told = blinded
	}
}

// said is what the cameras of a silent server tell of its end.
func (c calling) said(self understudy.ServerID) string {
	switch n := len(c.answered); {
	case n > 0:
		return fmt.Sprintf("; its %s %s, so %s is not cut off itself", naming(c.answered), map[bool]string{true: "answers", false: "answer"}[n == 1], self)
	case c.failed():
		var called []understudy.CameraID
		for _, camera := range c.cameras {
			called = append(called, camera.ID)
		}
		return fmt.Sprintf("; its %s %s not answer %s either", naming(called), map[bool]string{true: "does", false: "do"}[len(called) == 1], self)
	}
	return ""
}
