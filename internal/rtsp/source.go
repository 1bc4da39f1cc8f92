package rtsp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
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
	longestPause      = 2 * time.Second // a camera that comes back shall be recorded within 5 s, a call in vain included
	sharedPause       = 5 * time.Second
	unauthorizedPause = 30 * time.Second
	// A session of a server that died may live for 60 s (RFC 2326 §12.37). Who
	// finds none left after that shares the camera with somebody who stays.
	lingering = 65 * time.Second
	// hastyPause is from one try to the next while the session is known to come free.
	hastyPause  = 100 * time.Millisecond
	hastyFor    = 15 * time.Second
	goodSession = 2 * time.Second // after one that sent for longer, the pauses start over
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

	hasty  atomic.Int64  // since made, until when it is asked in haste
	hasten chan struct{} // holds one token when that was put off
	ended  chan struct{} // holds one token when a session has ended, or came to nothing
}

// NewSource returns a source that has not begun.
func NewSource(c Config, sink Sink) *Source {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Source{config: c, sink: sink, made: time.Now(), hasten: make(chan struct{}, 1), ended: make(chan struct{}, 1)}
}

// Run pulls the camera until ctx ends; its error is ctx's. The first retry
// after a session that sent comes at once.
func (s *Source) Run(ctx context.Context) error {
	failures := 0
	var crowded time.Time // no session has been left since; zero while that is not so
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
		switch {
		case !s.Crowded():
			crowded = time.Time{}
		case crowded.IsZero():
			crowded = time.Now()
		}
		if err := s.rest(ctx, failures, understudy.CodeOf(err), crowded); err != nil {
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
	select {
	case s.ended <- struct{}{}:
	default:
	}
	if before == nil || before.Message != why.Message {
		s.config.Log.Warn("camera lost", "url", s.config.URL, "why", why.Message, "cause", why.Err)
	}
}

// Hasten has the camera asked in quick succession for a while, unless it refuses
// the password: whoever had its only session gives it up now.
func (s *Source) Hasten() {
	s.hasty.Store(int64(time.Since(s.made) + hastyFor))
	select {
	case s.hasten <- struct{}{}:
	default:
	}
}

// rest waits until the camera is to be asked again.
func (s *Source) rest(ctx context.Context, failures int, why understudy.Code, crowded time.Time) error {
	began := time.Now()
	length := pause(failures, why, !crowded.IsZero() && began.Sub(crowded) >= lingering)
	for {
		left := length
		if time.Since(s.made) < time.Duration(s.hasty.Load()) && why != understudy.CodeUnauthenticated {
			left = min(left, jitter(hastyPause))
		}
		timer := time.NewTimer(left - time.Since(began))
		select {
		case <-timer.C:
			return nil
		case <-s.hasten: // the rest is shorter than it was
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// pause returns how long to wait after that many failures in a row; shared says
// that somebody else has the camera's sessions for long.
func pause(failures int, why understudy.Code, shared bool) time.Duration {
	switch {
	case why == understudy.CodeUnauthenticated:
		return jitter(unauthorizedPause)
	case failures == 0:
		return 0
	}
	longest := longestPause
	if shared {
		longest = sharedPause
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

// Ended holds a token after a session has ended or came to nothing; Fault says why.
func (s *Source) Ended() <-chan struct{} { return s.ended }

// Crowded reports whether nothing comes because the camera has no session left.
func (s *Source) Crowded() bool {
	why := s.why.Load()
	if why == nil {
		return false
	}
	answer, ok := errors.AsType[liberrors.ErrClientBadStatusCode](why.Err)
	return ok && (answer.Code == base.StatusNotEnoughBandwidth || answer.Code == base.StatusServiceUnavailable)
}

// Declined reports whether nothing comes because the camera answers and gives no
// session, without saying that it has none left: cameras that allow one say it
// with a 403 ("online user amount reached"), or close the connection.
func (s *Source) Declined() bool {
	why := s.why.Load()
	if why == nil {
		return false
	}
	if answer, ok := errors.AsType[liberrors.ErrClientBadStatusCode](why.Err); ok {
		return answer.Code == base.StatusForbidden
	}
	return errors.Is(why.Err, io.EOF) || errors.Is(why.Err, syscall.ECONNRESET)
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
