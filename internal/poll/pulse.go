package poll

import "time"

const (
	// BeatEvery is how often a pulse beats at least.
	BeatEvery = 100 * time.Millisecond
	pauseMax  = 750 * time.Millisecond // between two beats; more, and the process stood still
	// blindMax is how long after a start or a pause somebody is waited for who does not answer.
	blindMax = 2 * time.Second
)

// Pulse tells whether a process knows what goes on: one that has just started,
// or stood still (it hung, or its machine was suspended), knows what was, and
// meets requests that are as old. It beats with each call; times count on a
// monotonic clock, and the wall clock, which goes on while a machine is
// suspended, is only looked at for its jumps.
type Pulse struct {
	at    time.Duration // last beat
	wall  time.Time
	since time.Duration // start, or end of the last pause
	fresh bool          // everybody was asked since, and has answered or failed to
}

// Beat notices a pause.
func (p *Pulse) Beat(at time.Duration, wall time.Time) {
	if !p.wall.IsZero() && max(at-p.at, wall.Sub(p.wall)) > pauseMax {
		p.since, p.fresh = at, false
	}
	p.at, p.wall = max(p.at, at), wall
}

// Looked takes note that the questions to everybody that were asked last have
// had their outcome; asked is when the first of them was asked.
func (p *Pulse) Looked(asked, at time.Duration, wall time.Time) {
	p.Beat(at, wall)
	p.fresh = p.fresh || asked >= p.since
}

// Awake reports whether everybody was looked at since the start and the last pause.
func (p *Pulse) Awake(at time.Duration, wall time.Time) bool {
	p.Beat(at, wall)
	return p.fresh || at-p.since >= blindMax
}
