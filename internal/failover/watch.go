package failover

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"understudy"
)

// Bounds of the detectors.
const (
	pollEvery    = 250 * time.Millisecond
	silenceMin   = time.Second            // of silence before a server is suspected
	silenceMax   = 3 * time.Second        // however irregularly it usually answers
	verifyFor    = 750 * time.Millisecond // for one of the fresh connections to be answered
	refusalsMin  = 3                      // refused connections in a row that make a server dead
	neverHeard   = 10 * time.Second       // before a server that was never heard counts as lost
	restartGrace = 3 * time.Second        // for a restarted server to record again
	standStill   = 5 * time.Second        // of a watermark before the camera counts as not recorded
	startUp      = 15 * time.Second       // instead, for a camera that was not recorded yet
	admitted     = 2 * time.Second        // of no frames, of a camera that its server says it has lost
	moving       = 3 * time.Second        // at most between two moves of a watermark that moves
	synced       = 2 * time.Second        // in which a watermark still moves for what came before the recording began anew
	unwritable   = 1500 * time.Millisecond
	statusFresh  = 2500 * time.Millisecond // age of what the management server saw
	statusLate   = 1400 * time.Millisecond // since the management server last told, each second
	hearAgain    = 1500 * time.Millisecond // since it tells again: a server that the same cut hid has answered by then
	statusAhead  = 400 * time.Millisecond  // that it must have seen later than this server did
	refusedAhead = 750 * time.Millisecond  // the same, against connections that were refused
)

// condition is what a watched server is in.
type condition string

// The conditions.
const (
	Unknown   condition = "unknown"   // not heard yet
	Well      condition = "well"      // answers and records
	Suspect   condition = "suspect"   // silent, and being verified
	Blind     condition = "blind"     // lost from here, but the management server sees it at work
	Restarted condition = "restarted" // answers again as a new process, and has a moment to record
	Leaving   condition = "leaving"   // stops on purpose
	Sick      condition = "sick"      // answers, and does not record what could be recorded
	Dead      condition = "dead"      // gone, hanging or cut off
	// HandedOver: it is well, and an operator has ordered that its part be played by somebody else.
	HandedOver condition = "handed over"
)

// verdict is what is held of a watched server, in one sentence.
type verdict struct {
	Condition condition
	Since     time.Duration
	Sentence  string
	// Cameras that a sick server does not record; empty when it is all of them.
	Cameras []understudy.CameraID
	Kept    bool // somebody works on it, so it is not reason to take over
	Told    bool // the management server tells it of a server that does not answer here
}

// takes says whether the verdict is reason to take over a camera of that server.
func (v verdict) takes(camera understudy.CameraID) bool {
	switch v.Condition {
	case Dead, Leaving, HandedOver:
		return true
	case Sick:
		return len(v.Cameras) == 0 || slices.Contains(v.Cameras, camera)
	}
	return false
}

func (v verdict) answers() bool {
	return !v.Told && (v.Condition == Well || v.Condition == Restarted || v.Condition == Sick || v.Condition == Leaving ||
		v.Condition == HandedOver)
}

// unheard reports a server that is not heard here any more, and is no case of this server's own blindness.
func (v verdict) unheard() bool { return v.Condition == Dead || v.Told }

// watch is what is remembered of one watched server.
type watch struct {
	server    understudy.ServerID
	known     bool          // has ever answered
	heard     time.Duration // last answer
	quiet     time.Duration // silence counts from here: the last answer, or a later fresh start
	suspected time.Duration // silence became suspicious; 0: it is not
	unheard   time.Duration // no fresh connection was answered either; 0: not so
	refusals  int           // in a row
	refusedAt time.Duration // first of them
	why       string        // the last failure's own words
	state     understudy.State
	restarted time.Duration // first answer of a new process; 0: none yet
	broken    time.Duration // storage not writable since; 0: it is
	trip      time.Duration // smoothed round trip of a poll
	jitter    time.Duration // its mean deviation
	cameras   map[understudy.CameraID]progress
	status    understudy.ServerStatus // what the management server saw
	statusAt  time.Duration
	sighted   sighting // what another failover server saw
	call      calling  // what its cameras say while it is silent
	verdict   verdict
}

// progress is what the answers showed of one camera.
type progress struct {
	mark      understudy.Watermark // durable, or waiting in memory for an event
	durable   time.Time            // capture time of the last sample that is
	epoch     uint64
	run       uint64
	receiving bool
	crowded   bool          // the camera has no session left for the server
	heard     time.Duration // receiving since
	frames    uint64        // that the server has received
	came      time.Duration // when the number was last seen to grow
	fault     string        // what the server itself says is wrong
	begun     bool          // the watermark has moved since this process started
	moved     time.Duration // last; when the camera was first seen, if never
	anew      time.Duration // when the recording was last seen to begin anew; 0: never
	steady    time.Duration // moving without a stop since; 0: it stands
}

// unwatched is what is remembered of servers that are not watched.
var unwatched watch

// watch is what is remembered of a server, to be read.
func (s *State) watch(id understudy.ServerID) *watch {
	if w, ok := s.watches[id]; ok {
		return w
	}
	return &unwatched
}

// startOver forgets what silence and failures have proven so far.
func (w *watch) startOver(at time.Duration) {
	was := w.quiet
	w.quiet, w.suspected, w.unheard, w.refusals, w.broken, w.call = at, 0, 0, 0, 0, calling{}
	if !w.known { // its time to start goes on
		w.quiet = max(was, at-neverHeard+silenceMax)
	}
	w.statusAt, w.status, w.sighted = 0, understudy.ServerStatus{}, sighting{}
	for id, p := range w.cameras {
		p.moved, p.came, p.steady = at, at, 0
		w.cameras[id] = p
	}
}

// doubted reports whether a server that has answered does not do so any more.
func (w *watch) doubted() bool { return w.known && (w.why != "" || w.suspected > 0) }

func (w *watch) refusedEnough() bool { return w.refusals >= refusalsMin }

// timeout is how long a server may be silent. It grows with how irregularly the
// answers come, as TCP's own retransmission timer does (RFC 6298 §2).
func (w *watch) timeout() time.Duration {
	usual := w.trip + 4*w.jitter
	return min(max(3*pollEvery+4*usual, silenceMin), silenceMax)
}

func (s *State) observeAnswer(a Answer) {
	if a.Began < s.awake {
		return // it lay here while this server stood still, and is as old as that
	}
	s.observeSightings(a)
	w, ok := s.watches[a.Server]
	if !ok {
		return
	}
	if trip := s.at - a.Began; w.known {
		w.jitter += ((trip - w.trip).Abs() - w.jitter) / 4
		w.trip += (trip - w.trip) / 8
	} else {
		w.trip, w.jitter = trip, trip/2
	}
	reborn := w.known && a.State.Boot != w.state.Boot
	if reborn {
		w.restarted = s.at
	}
	s.calm = !reborn && w.says(&a.State)
	w.cameras = w.shown(a.State.Cameras, s.at, reborn)
	w.known, w.heard, w.quiet = true, s.at, s.at
	w.suspected, w.unheard, w.refusals, w.why, w.call = 0, 0, 0, "", calling{}
	switch {
	case a.State.Storage.Writable:
		w.broken = 0
	case w.broken == 0:
		w.broken = s.at
	}
	w.state = a.State
	s.observeRates(a.State.Cameras)
}

// shown is what the answers show of the cameras of a server, with one that has just come.
func (w *watch) shown(now []understudy.CameraState, at time.Duration, reborn bool) map[understudy.CameraID]progress {
	cameras, unseen := w.cameras, at-w.heard > moving
	if cameras == nil {
		cameras = make(map[understudy.CameraID]progress, len(now))
	}
	for _, c := range now {
		old, seen := cameras[c.Camera]
		p := old.next(c, at, !seen || reborn)
		if !seen && w.known { // it was put down in between
			p.anew = at
		}
		if unseen { // it may have moved long ago, and stand now
			p.steady = 0
		}
		cameras[c.Camera] = p
	}
	if len(cameras) > len(now) {
		maps.DeleteFunc(cameras, func(id understudy.CameraID, _ progress) bool {
			return !slices.ContainsFunc(now, func(c understudy.CameraState) bool { return c.Camera == id })
		})
	}
	return cameras
}

func (p progress) next(c understudy.CameraState, at time.Duration, fresh bool) progress {
	mark := c.Newest()
	moved := !fresh && mark.At.After(p.mark.At) && !mark.At.IsZero()
	switch {
	case fresh:
		p = progress{moved: at}
	case c.Run != p.run || c.Frames < p.frames:
		p.anew, p.steady = at, 0
	}
	switch {
	case moved:
		if (p.steady == 0 || at-p.moved > moving) && (p.anew == 0 || at-p.anew >= synced) {
			p.steady = at
		}
		p.begun, p.moved = true, at
	case at-p.moved > moving:
		p.steady = 0
	}
	if c.Receiving && !p.receiving {
		p.heard = at
	}
	if fresh || c.Frames != p.frames {
		p.came = at
	}
	p.mark, p.durable, p.epoch, p.run = mark, c.Watermark.At, c.Epoch, c.Run
	p.receiving, p.crowded, p.frames, p.fault = c.Receiving, c.Crowded, c.Frames, c.Fault
	return p
}

// lost reports whether a server gets no frames of a camera: none has come for
// some seconds, or none for less and the server itself says what is wrong.
func (p progress) lost(at time.Duration) bool {
	return !p.receiving || p.fault != "" && at-p.came >= admitted
}

func (s *State) observeFailure(f Failure) {
	w, ok := s.watches[f.Server]
	if !ok || f.Began < s.awake || f.Began < w.quiet && f.Kind != Broken {
		return // it says nothing about the time since
	}
	w.why = f.Why
	switch f.Kind {
	case Refused:
		if w.refusals == 0 {
			w.refusedAt = s.at
		}
		w.refusals++
	case Unheard:
		if w.suspected > 0 && f.Began >= w.suspected {
			w.unheard = s.at
		}
	case Broken, Silent:
		w.refusals = 0 // in a row
	}
}

func (s *State) observeStatus(statuses []understudy.ServerStatus) {
	if s.untold() {
		s.toldSince = s.at
	}
	s.toldAt = s.at
	for _, status := range statuses {
		if w, ok := s.watches[status.Server]; ok {
			w.status, w.statusAt = status, s.at
		}
	}
}

// later returns how much later one answer of a server is than another. Its wall
// clock may have been set in between, so that only a process that does not tell
// how long it has run is judged by that.
func later(one, other understudy.State) time.Duration {
	if one.Running > 0 && other.Running > 0 && one.Boot == other.Boot {
		return one.Running - other.Running
	}
	return one.At.Sub(other.At)
}

// suspect notices silence, and reports whether it is news. It is asked at each
// step, and nobody can have been silent for long enough before quietUntil.
func (s *State) suspect() bool {
	if s.at <= s.quietUntil {
		return false
	}
	s.quietUntil = s.at + silenceMin
	news := false
	for _, w := range s.watched {
		bound := s.granted(w)
		if !w.known {
			bound = neverHeard
		}
		if w.suspected == 0 && s.at-w.quiet > bound {
			w.suspected, news = s.at, true
		}
		if w.suspected == 0 {
			s.quietUntil = min(s.quietUntil, w.quiet+silenceMin)
		}
	}
	return news
}

// judge gives each watched server its verdict; a sentence is made when a verdict changes.
func (s *State) judge() {
	for _, w := range s.watched {
		id := w.server
		verdict := s.withOrders(id, s.verdict(id, w))
		if verdict.Condition == w.verdict.Condition && verdict.Kept == w.verdict.Kept && verdict.Told == w.verdict.Told && slices.Equal(verdict.Cameras, w.verdict.Cameras) {
			continue
		}
		verdict.Since = s.at
		moment := s.moment(id, w.verdict, verdict)
		w.verdict = verdict
		public := moment != "" || verdict.Condition == Restarted || verdict.Condition == Sick
		s.say(understudy.EventServer, id, public, "%s", verdict.Sentence)
		if moment != "" {
			s.milestones(understudy.Milestone{Kind: moment, Home: id})
		}
	}
}

// verdict asks the questions in the order in which an answer makes the next one idle.
func (s *State) verdict(id understudy.ServerID, w *watch) verdict {
	lost := w.refusedEnough() || w.unheard > 0
	switch {
	case lost && !w.known && s.at-w.quiet < neverHeard:
		return verdict{Condition: Unknown, Sentence: fmt.Sprintf("%s has not answered %s yet: %s", id, s.self, w.why)}
	case lost && w.witness(s.at) != "":
		return verdict{Condition: Blind, Sentence: fmt.Sprintf(
			"%s has not answered %s for %s, but %s saw it at work later than that: "+
				"%s is blind, %s is not dead, nothing is taken over", id, s.self, seconds(s.at-w.quiet), w.witness(s.at), s.self, id)}
	case lost && w.told(s.at) != nil: // others hear it, and have the time for it that they have then
		return s.hearsay(id, w, w.told(s.at))
	case lost && w.verdict.Condition == Dead && !w.verdict.Kept: // nothing new is said of it
		return w.verdict
	case lost:
		return verdict{Condition: Dead, Sentence: s.obituary(id, w)}
	case w.suspected > 0 && w.known:
		return verdict{Condition: Suspect, Sentence: fmt.Sprintf(
			"%s has not answered for %s, and is given at most %s; %s asks it over fresh connections",
			id, seconds(s.at-w.quiet), seconds(s.granted(w)), s.self)}
	case !w.known:
		return verdict{Condition: Unknown, Sentence: fmt.Sprintf("%s has not answered %s yet", id, s.self)}
	case w.heard < w.quiet:
		return verdict{Condition: Unknown, Sentence: fmt.Sprintf("%s has not answered %s since it started over", id, s.self)}
	case w.state.Leaving != "":
		return verdict{Condition: Leaving, Sentence: fmt.Sprintf("%s is about to stop on purpose (%.200s)", id, w.state.Leaving)}
	case w.broken > 0 && s.at-w.broken >= unwritable && s.own.Writable:
		return verdict{Condition: Sick, Sentence: fmt.Sprintf("%s answers, but has not been able to write recordings for %s (%.300s)",
			id, seconds(s.at-w.broken), w.state.Storage.Sentence)}
	}
	return s.verdictOfAnswer(id, w)
}

// hearsay is the verdict on a server that is not heard here, and that the
// management server has seen since, though not at work.
func (s *State) hearsay(id understudy.ServerID, w *watch, seen *understudy.State) verdict {
	v := verdict{Condition: Leaving, Told: true}
	what := fmt.Sprintf("is about to stop on purpose (%.200s)", seen.Leaving)
	if seen.Leaving == "" {
		v.Condition, what = Sick, fmt.Sprintf("cannot write recordings (%.300s)", seen.Storage.Sentence)
	}
	v.Sentence = fmt.Sprintf("%s has not answered %s for %s, and told the management server later than that that it %s", id, s.self, seconds(s.at-w.quiet), what)
	return v
}

// obituary says of what a server died.
func (s *State) obituary(id understudy.ServerID, w *watch) string {
	since := "it has never answered " + string(s.self)
	if w.known {
		since = seconds(s.at-w.heard) + " after its last answer to " + string(s.self)
	}
	if w.refusedEnough() {
		return fmt.Sprintf("%s refused %d connections within %s, %s: its process is gone", id, w.refusals, seconds(s.at-w.refusedAt), since)
	}
	return fmt.Sprintf("%s has been silent for %s (it is given %s), and no fresh connection was answered within %s: it hangs or is cut off%s",
		id, seconds(s.at-w.quiet), seconds(s.granted(w)), seconds(w.unheard-w.suspected), w.call.said(s.self))
}

// verdictOfAnswer judges a server by what it says of its cameras.
func (s *State) verdictOfAnswer(id understudy.ServerID, w *watch) verdict {
	recorded, all := 0, 0
	var sick []understudy.CameraID
	for _, posted := range s.posted {
		camera := posted.camera
		if s.leases[camera].Holder != id || slices.Contains(w.state.Short, camera) {
			continue
		}
		p, ok := w.cameras[camera]
		all++
		if ok && p.steady > 0 {
			recorded++
		}
		if ok && s.own.Writable && s.neglected(w, camera, p) {
			sick = append(sick, camera)
		}
	}
	switch {
	case len(sick) > 0:
		return verdict{Condition: Sick, Cameras: sick, Sentence: fmt.Sprintf(
			"%s answers, but does not record %s, whose pictures can be had", id, naming(sick))}
	case w.restarted > 0 && s.at-w.restarted < restartGrace && recorded < all:
		return verdict{Condition: Restarted, Sentence: fmt.Sprintf(
			"%s answers again as a new process; it is not stood in for if it records again within %s", id, seconds(restartGrace))}
	}
	if w.verdict.Condition == Well { // it says the same
		return w.verdict
	}
	return verdict{Condition: Well, Sentence: fmt.Sprintf("%s answers %s and nothing is wrong with it", id, s.self)}
}

// neglected reports whether a camera's watermark stands although its frames can
// be had: the server has received them for as long, or this one has recorded
// some. A camera that has just come back to the server is not neglected yet.
func (s *State) neglected(w *watch, camera understudy.CameraID, p progress) bool {
	stands, patience := s.at-p.moved, standStill
	if !p.begun {
		patience = startUp
	}
	t := s.trials[camera]
	covered := t.shown > 0 && s.at-t.shown >= homesTurn && slices.Contains(s.own.Covered, camera)
	switch {
	case p.begun && stands < standStill:
		return false
	case !p.begun && stands < restartGrace:
		return false
	case !p.begun && !covered && stands < startUp:
		return false
	}
	return p.receiving && s.at-p.heard >= patience || covered
}
