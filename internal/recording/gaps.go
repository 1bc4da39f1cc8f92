package recording

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"understudy"
)

const (
	// leastHole is what a camera may pause without a note: less is not told from
	// an uneven distance of frames.
	leastHole = 500 * time.Millisecond
	// awayFor is how long nothing comes until the gap is noted while it goes on,
	// so that it is known also if this process ends before the camera is back.
	awayFor = 2 * time.Second
	// usualSteps is of how many distances the usual one is the median.
	usualSteps = 9
	// sentenceFor is how long the lease that a takeover began with is waited for.
	sentenceFor = 2 * time.Minute
)

// gapNotes writes down why frames of one camera are missing. The recorder tells
// it each frame that it recorded, the watch looks at it now and then. It waits
// for nobody.
type gapNotes struct {
	server  understudy.ServerID
	camera  understudy.CameraID
	note    func(understudy.Note) error
	applied time.Time // when the camera was assigned
	started time.Time // when this process did

	mu      sync.Mutex
	before  time.Time // capture time of the last frame of an earlier run or session; zero if there is none
	why     string    // the predecessor with other settings was stopped for this one
	standby bool      // it stands in for the camera's home
	last    time.Time // capture time of the last recorded frame; zero before the first
	steps   []time.Duration
	cause   understudy.GapCause // of the next hole, if not the camera's
	reason  string
	holes   []understudy.Hole // that are to be noted
	causes  []understudy.Note // cause and sentence of each
	open    understudy.Note   // a gap that goes on; no id while there is none
	fault   string            // of the camera, as of the last look
	crowded bool              // nothing came at the last look because the camera had no session left
	stood   understudy.Hole   // when this process stood still last
	taken   understudy.Note   // the takeover, until its sentence is known
}

// gapNotes returns those of a camera that is to run; before is the capture time
// of its last durable frame here.
func (s *Server) gapNotes(a understudy.AssignedCamera, before time.Time) *gapNotes {
	return &gapNotes{server: s.config.ID, camera: a.Camera.ID, note: s.config.Store.Note, applied: time.Now(), started: s.started,
		before: before, standby: a.Camera.Home != s.config.ID}
}

// recorded takes in the capture time of a video frame that was recorded.
func (g *gapNotes) recorded(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	step := at.Sub(g.last)
	switch {
	case g.last.IsZero():
		g.begun(at)
	case g.open.ID != "":
		g.open.To = at
		if !at.After(g.open.From) {
			g.open.To = g.open.From.Add(1) // it is over all the same
		}
		g.write(g.open)
	case g.cause != "" || step > leastHole && len(g.steps) > 0 && step > 2*g.usual():
		g.hole(g.end(), at)
	case step > 0:
		if len(g.steps) == usualSteps {
			g.steps = slices.Delete(g.steps, 0, 1)
		}
		g.steps = append(g.steps, step)
	}
	g.last, g.cause, g.reason, g.open, g.crowded = at, "", "", understudy.Note{}, false
}

// begun notes what there is between the last run and the first frame of this one.
func (g *gapNotes) begun(at time.Time) {
	if g.standby {
		from := g.applied
		if from.After(at) {
			from = at.Add(-time.Millisecond)
		}
		g.taken = understudy.NewGapNote(g.server, g.camera, understudy.GapTakeover, from, at,
			fmt.Sprintf("%s stands in for the camera's home and recorded its first frame", g.server))
		g.write(g.taken)
		if g.crowded {
			g.write(understudy.NewGapNote(g.server, g.camera, understudy.GapSession, from, at, g.told("")))
		}
	}
	switch {
	case g.before.IsZero() || !at.After(g.before):
	case g.started.After(g.before):
		ready := g.started
		if at.Sub(g.started) < lostFor && g.cause != understudy.GapRule && !g.crowded || g.started.After(at) {
			ready = at
		}
		g.write(understudy.NewGapNote(g.server, g.camera, understudy.GapServer, g.before, ready, fmt.Sprintf(
			"%s was stopped or dead: it runs since %s and recorded the camera again from %s on", g.server, g.started.UTC().Format(time.TimeOnly), at.UTC().Format(time.TimeOnly))))
		switch {
		case !ready.Before(at):
		case g.cause == understudy.GapRule:
			g.write(understudy.NewGapNote(g.server, g.camera, g.cause, ready, at, g.reason))
		default:
			g.write(understudy.NewGapNote(g.server, g.camera, g.absence(), ready, at, g.told("the camera sent nothing since the server started")))
		}
	case g.why != "" && g.crowded:
		g.write(understudy.NewGapNote(g.server, g.camera, understudy.GapSession, g.before, at, g.told("")))
	case g.why != "":
		g.write(understudy.NewGapNote(g.server, g.camera, understudy.GapServer, g.before, at, g.why))
	}
}

// usual is the median of the last distances.
func (g *gapNotes) usual() time.Duration {
	if len(g.steps) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(g.steps))
	return sorted[len(sorted)/2]
}

// end is where the last frame ended.
func (g *gapNotes) end() time.Time { return g.last.Add(g.usual()) }

// absence is why nothing comes of the camera.
func (g *gapNotes) absence() understudy.GapCause {
	if g.crowded {
		return understudy.GapSession
	}
	return understudy.GapCamera
}

func (g *gapNotes) told(otherwise string) string {
	if g.crowded {
		return fmt.Sprintf("the camera had no session left for %s", g.server)
	}
	if g.fault != "" {
		return g.fault
	}
	return otherwise
}

// hole remembers a hole until it is known whether this process stood still.
func (g *gapNotes) hole(from, to time.Time) {
	if !to.After(from) {
		return
	}
	why := understudy.Note{Cause: g.absence(), Sentence: g.told(fmt.Sprintf("the camera sent nothing for %d ms", to.Sub(from).Milliseconds()))}
	if g.cause != "" {
		why = understudy.Note{Cause: g.cause, Sentence: g.reason}
	}
	g.holes, g.causes = append(g.holes, understudy.Hole{From: from, To: to}), append(g.causes, why)
}

// failed says that frames are not recorded from now on, for another reason than the camera's.
func (g *gapNotes) failed(cause understudy.GapCause, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cause, g.reason = cause, reason
}

// waits says that the camera's rule asks for nothing from now on.
func (g *gapNotes) waits() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cause, g.reason = understudy.GapRule, "the camera's rule records around events only"
	if !g.last.IsZero() && g.open.ID == "" {
		g.goesOn(g.cause, g.reason)
	}
}

// goesOn notes a gap of which the end is not known; mu is held.
func (g *gapNotes) goesOn(cause understudy.GapCause, reason string) {
	from := g.end()
	if g.open.Cause == cause {
		from = g.open.From
	}
	g.open = understudy.NewGapNote(g.server, g.camera, cause, from, from, reason)
	g.write(g.open)
}

// standIn says that the camera is recorded for its home from now on.
func (g *gapNotes) standIn(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.applied = now
}

// excused says that the camera is not asked for, or not to be recorded, from now on:
// what is missing until its next frame is no gap of its own.
func (g *gapNotes) excused() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.last.IsZero() {
		g.before, g.last, g.steps, g.open = time.Time{}, time.Time{}, nil, understudy.Note{}
	}
}

// stoodIn notes when the second stream was recorded instead of the main one, which
// no session was left for. It may go on.
func (g *gapNotes) stoodIn(s standIn) {
	g.write(understudy.NewStandInNote(g.server, g.camera, s.from, s.to,
		fmt.Sprintf("the camera had no session left for its main stream, and %s recorded its second one", g.server)))
}

// saw takes in whether the camera has no session left for this server; it counts
// until a frame is recorded, or nothing comes for another reason.
func (g *gapNotes) saw(crowded bool, silent time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if crowded || silent > awayFor {
		g.crowded = crowded
	}
}

// look notes what was seen since the last look: holes, and a camera from which
// nothing has come for long. stood is a time in which this process stood still,
// zero if it did not.
func (g *gapNotes) look(now time.Time, silent time.Duration, fault string, stood understudy.Hole, lease understudy.Lease) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !stood.To.IsZero() {
		g.stood = stood
	}
	g.settle()
	if silent < awayFor {
		fault = ""
	}
	news := fault != g.fault
	g.fault = fault
	if !g.last.IsZero() && g.cause == "" && stood.To.IsZero() && silent > max(awayFor, 3*g.usual()) && (g.open.ID == "" || news) {
		g.goesOn(g.absence(), g.told("the camera sends nothing"))
	}
	if g.taken.ID != "" && (lease.Holder == g.server || now.Sub(g.taken.To) > sentenceFor) {
		if lease.Holder == g.server {
			g.taken.Sentence = lease.Sentence
			g.write(g.taken)
		}
		g.taken = understudy.Note{}
	}
}

// ended notes what is not noted yet: no more frames come.
func (g *gapNotes) ended() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.settle()
}

// settle notes the holes; mu is held.
func (g *gapNotes) settle() {
	for i, h := range g.holes {
		cause, sentence := g.causes[i].Cause, g.causes[i].Sentence
		if cause == understudy.GapCamera && h.From.Before(g.stood.To.Add(time.Second)) && h.To.After(g.stood.From) {
			cause, sentence = understudy.GapServer, fmt.Sprintf("%s itself stood still (stopped, or without processor time)", g.server)
		}
		g.write(understudy.NewGapNote(g.server, g.camera, cause, h.From, h.To, sentence))
	}
	g.holes, g.causes = nil, nil
}

// write leaves a note with the store, which tells in its log if it cannot take it.
func (g *gapNotes) write(n understudy.Note) {
	if n.To.Before(n.From) {
		n.To = n.From
	}
	_ = g.note(n) // a gap that has no note is unknown, which is true
}
