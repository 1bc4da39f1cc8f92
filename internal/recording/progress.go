package recording

import (
	"context"
	"fmt"
	"sync"
	"time"

	"understudy"
)

const (
	// receivingFor is how old the last frame of a camera that is received may be.
	receivingFor = 3 * time.Second
	// recordingFor is how long the watermark of a camera that is recorded may
	// stand still: a sync each second, and a slow disk.
	recordingFor = 5 * time.Second
	// lostFor is how long a camera is away before people are told.
	lostFor = 10 * time.Second
	// watchEvery is how often progress is looked at, polled or not.
	watchEvery = 500 * time.Millisecond
)

// progress is what is known of whether a camera is recorded. It is made of
// numbers that others leave behind, and waits for nobody.
type progress struct {
	mu    sync.Mutex
	first understudy.Watermark // when the camera was applied
	ring  time.Time            // of the newest sample in memory then
	mark  understudy.Watermark
	moved time.Time // when mark was last seen to move; zero before that
	heard time.Time // when it was applied or a frame last came
	lost  bool      // and told
}

// begin counts from here: mark is durable, and what has come until ring is in memory.
func (p *progress) begin(now time.Time, mark understudy.Watermark, ring time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.first, p.mark, p.heard, p.ring = mark, mark, now, ring
}

// covered reports whether something is durable that came since the camera was applied.
func (p *progress) covered(mark understudy.Watermark) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return mark != p.first && mark.At.After(p.ring)
}

// observe takes in the watermark as it is now and returns when it last moved.
func (p *progress) observe(now time.Time, mark understudy.Watermark) (moved time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if mark != p.mark {
		p.mark, p.moved = mark, now
	}
	return p.moved
}

// turned reports a camera that was lost long enough to be told of, or that came
// back after that, and for how long it was away.
func (p *progress) turned(now, last time.Time) (lost, back bool, away time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	away = now.Sub(p.heard)
	if last.After(p.heard) {
		away, p.heard = last.Sub(p.heard), last
		back, p.lost = p.lost, false
		return false, back, away
	}
	if p.lost || away < lostFor {
		return false, false, away
	}
	p.lost = true
	return true, false, away
}

// away returns for how long nothing has come.
func (p *progress) away(now, last time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last.After(p.heard) {
		return now.Sub(last)
	}
	return now.Sub(p.heard)
}

// excuse forgets how long a camera has been away: nobody was listening.
func (p *progress) excuse(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = now
}

// state returns the camera's progress as the state port tells it.
func (c *camera) state(now time.Time) understudy.CameraState {
	mark := c.mark()
	moved := c.progress.observe(now, mark)
	want := c.want.Load()
	state := understudy.CameraState{
		Camera: c.id, Epoch: want.epoch, Provisional: want.provisional, Frames: c.intake.Frames(), Watermark: mark,
		Receiving: c.receiving(),
		Recording: recent(now, moved, recordingFor),
		Run:       c.runs.Load(), Held: c.preroll.held(), Mirrored: c.want.Load().mirror,
		Fault: c.known(),

		BitsPerSecond: c.rate.bitsPerSecond(now, c.intake.Bytes()),
		Stream:        c.want.Load().stream,
	}
	if state.Receiving && want.record && want.rule.Mode == understudy.RecordEvents {
		state.Buffered, state.Waiting = c.preroll.state(now, want.rule.Before)
	}
	state.Complete = want.mirror && state.Receiving && c.mirror.Complete()
	stands := c.intake.standsIn()
	if stands {
		state.Stream = understudy.StreamSub
	}
	state.Crowded = stands && c.intake.crowded() || c.intake.refused() && !state.Receiving
	if silent := c.progress.away(now, c.intake.Last()); state.Fault == "" && silent > receivingFor {
		state.Fault = fmt.Sprintf("camera %s keeps its connection and has sent no picture for %s", c.id, silent.Round(time.Second))
	}
	return state
}

// known is what is known to be wrong with the camera, or with recording it.
func (c *camera) known() string {
	if why := c.intake.Fault(); why != "" {
		return why
	}
	if fault := c.fault.Load(); fault != nil {
		return *fault
	}
	return ""
}

func recent(now, then time.Time, within time.Duration) bool {
	return !then.IsZero() && now.Sub(then) <= within
}

// State returns the server's progress. It waits for no disk and no camera.
func (s *Server) State() understudy.State {
	now := time.Now()
	cameras := *s.cameras.Load()
	state := understudy.State{
		Server: s.config.ID, Role: s.config.Role, Boot: s.boot, Started: s.started, At: now, Running: now.Sub(s.started),
		Epoch: s.epoch.Load(), CutOff: s.cutOff.Load(), Storage: s.config.Store.State(),
		Cameras: make([]understudy.CameraState, len(cameras)),
	}
	if s.config.Node != nil {
		state.SignedBy, state.Trusts = s.config.Node.CAs()
	}
	if sightings := s.sightings.Load(); sightings != nil {
		state.Seen = (*sightings)()
	}
	if transfers := s.transfers.Load(); transfers != nil {
		state.Transfers = (*transfers)()
	}
	state.Transfers = append(state.Transfers, s.arrivals.Transfers()...)
	if reason := s.leaving.Load(); reason != nil {
		state.Leaving = *reason
	}
	if short := s.short.Load(); short != nil {
		state.Short = *short
	}
	for i, c := range cameras {
		state.Cameras[i] = c.state(now)
	}
	return state
}

// answer is State for somebody who polls, and hears what a standby covers.
func (s *Server) answer(observer understudy.Identity, p understudy.Poll) understudy.State {
	if observer.Role == understudy.RoleFailover {
		s.cover.heard(observer.Server, p, time.Now())
	}
	return s.State()
}

// watch looks at progress also while nobody polls, and tells of cameras that are lost and come back.
func (s *Server) watch(ctx context.Context) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		now := time.Now() // the tick may have waited while the process was stopped
		var still understudy.Hole
		if stood := now.Sub(last); stood > blink {
			s.stoodStill(now, stood)
			still = understudy.Hole{From: last, To: now}
		}
		last = now
		for _, c := range *s.cameras.Load() {
			c.rate.look(now, c.intake.Bytes())
			s.tell(c, now)
			silent := c.progress.away(now, c.intake.Last())
			c.gaps.saw(c.intake.refused(), silent)
			c.gaps.look(now, silent, c.known(), still, s.lease(c.id))
		}
	}
}

// lease returns the lease of a camera as far as it is known here.
func (s *Server) lease(id understudy.CameraID) understudy.Lease {
	site := s.site.Load()
	if site == nil {
		return understudy.Lease{}
	}
	lease, _ := site.Lease(id)
	return lease
}

// stoodStill tells of a pause of this very process, for which no camera is to blame.
func (s *Server) stoodStill(now time.Time, stood time.Duration) {
	for _, c := range *s.cameras.Load() {
		c.progress.excuse(now)
	}
	sentence := fmt.Sprintf("%s itself stood still for %s (stopped, or without processor time) and recorded nothing meanwhile", s.config.ID, stood.Round(100*time.Millisecond))
	s.log.Warn(sentence)
	s.config.Report(understudy.Report{Kind: understudy.EventServer, Sentence: sentence})
}

func (s *Server) tell(c *camera, now time.Time) {
	c.progress.observe(now, c.mark())
	why := c.known()
	lost, back, away := c.progress.turned(now, c.intake.Last())
	away = away.Round(time.Second)
	switch {
	case lost && why != "":
		s.report(c.id, "camera %s has sent nothing to %s for %s: %s", c.id, s.config.ID, away, why)
	case lost:
		s.report(c.id, "camera %s has sent nothing to %s for %s", c.id, s.config.ID, away)
	case back:
		s.report(c.id, "camera %s sends to %s again, after %s", c.id, s.config.ID, away)
	}
}

func (s *Server) report(camera understudy.CameraID, format string, args ...any) {
	sentence := fmt.Sprintf(format, args...)
	s.log.Warn(sentence, "camera", camera)
	s.config.Report(understudy.Report{Kind: understudy.EventCamera, Camera: camera, Sentence: sentence})
}
