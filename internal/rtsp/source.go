package rtsp

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"understudy"
)

// The pauses between sessions. A camera that locks accounts out after a few
// wrong passwords must not be asked quickly; one whose sessions are taken
// should be, since a slot may be freed any moment.
const (
	firstPause        = 250 * time.Millisecond
	longestPause      = 5 * time.Second
	longestBusyPause  = 2 * time.Second
	unauthorizedPause = 30 * time.Second
	goodSession       = 2 * time.Second // after one that sent for longer, the pauses start over
)

// Source keeps a camera pulled: it reconnects for as long as it runs.
type Source struct {
	config Config
	sink   Sink
	made   time.Time

	frames atomic.Uint64
	bytes  atomic.Uint64 // of all tracks
	last   atomic.Int64  // since made, monotonically
	why    atomic.Pointer[understudy.Error]
}

// NewSource returns a source that has not begun.
func NewSource(c Config, sink Sink) *Source {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Source{config: c, sink: sink, made: time.Now()}
}

// Run pulls the camera until ctx ends; its error is ctx's. The first retry
// after a session that sent comes at once.
func (s *Source) Run(ctx context.Context) error {
	failures := 0
	for {
		dialed, err := s.config.Dials.begin(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		session := s.config
		session.playing = dialed
		err = Pull(ctx, session, s)
		dialed()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.note(err)
		if s.Last().Sub(began) > goodSession {
			failures = 0
		}
		if err := wait(ctx, pause(failures, understudy.CodeOf(err))); err != nil {
			return err
		}
		failures++
	}
}

// note remembers why nothing comes, and logs it when it is news.
func (s *Source) note(err error) {
	why, ok := errors.AsType[*understudy.Error](err)
	if !ok {
		why = fault(understudy.CodeInternal, err, "the session with camera %s ended without a reason", s.config.URL)
	}
	before := s.why.Swap(why)
	if before == nil || before.Message != why.Message {
		s.config.Log.Warn("camera lost", "url", s.config.URL, "why", why.Message, "cause", why.Err)
	}
}

// pause returns how long to wait after that many failures in a row.
func pause(failures int, why understudy.Code) time.Duration {
	switch {
	case why == understudy.CodeUnauthenticated:
		return jitter(unauthorizedPause)
	case failures == 0:
		return 0
	}
	longest := longestPause
	if why == understudy.CodeUnavailable {
		longest = longestBusyPause
	}
	return jitter(min(longest, firstPause<<min(failures-1, 10)))
}

// jitter spreads the cameras of a switch that came back.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*d/5)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Tracks implements Sink for Pull.
func (s *Source) Tracks(tracks []understudy.Track) { s.sink.Tracks(tracks) }

// Sample implements Sink for Pull.
func (s *Source) Sample(sample *understudy.Sample) {
	s.bytes.Add(uint64(len(sample.Payload)))
	if sample.Track == understudy.VideoTrack {
		s.frames.Add(1)
		s.last.Store(int64(time.Since(s.made)))
		if s.why.Load() != nil && s.why.Swap(nil) != nil {
			s.config.Log.Info("camera back", "url", s.config.URL)
		}
	}
	s.sink.Sample(sample)
}

// Fault says in one sentence why nothing comes; empty while frames come.
func (s *Source) Fault() string {
	if why := s.why.Load(); why != nil {
		return why.Message
	}
	return ""
}

// Crowded reports whether nothing comes because the camera has no session left.
func (s *Source) Crowded() bool {
	why := s.why.Load()
	if why == nil {
		return false
	}
	answer, ok := errors.AsType[liberrors.ErrClientBadStatusCode](why.Err)
	return ok && (answer.Code == base.StatusNotEnoughBandwidth || answer.Code == base.StatusServiceUnavailable)
}

// Frames returns how many video frames came since the source was made.
func (s *Source) Frames() uint64 { return s.frames.Load() }

// Bytes returns how many bytes of samples came since the source was made.
func (s *Source) Bytes() uint64 { return s.bytes.Load() }

// Last returns when the last video frame arrived; zero before the first. It is
// on the monotonic clock: a wall clock that is set makes no camera silent, nor
// a silent one lively.
func (s *Source) Last() time.Time {
	if last := s.last.Load(); last != 0 {
		return s.made.Add(time.Duration(last))
	}
	return time.Time{}
}
