package failover

import (
	"context"
	"slices"
	"time"

	"understudy"
	"understudy/internal/rtsp"
)

const (
	// callFor is less than verifyFor, beside which it runs: what cameras say is known
	// when the verdict falls.
	callFor = 600 * time.Millisecond
	// callLate is for cameras that answer slowly. It ends before others are called.
	callLate = callFor + callAgain - 100*time.Millisecond
)

func reach(ctx context.Context, c understudy.Camera) error {
	return rtsp.Reach(ctx, rtsp.Config{URL: c.URL, Transport: c.Transport})
}

// call calls the cameras that are wanted called, once a round.
func (s *Server) call(ctx context.Context, calls map[int][]understudy.Camera) {
	last := s.called
	for round, cameras := range calls {
		if round > last {
			s.called = max(s.called, round)
			s.start(func() { s.callAll(ctx, round, cameras) })
		}
	}
}

// callAll asks all cameras of a round at once, and observes who answers: when all
// have, or in time for the verdict, and once more if others answer later.
func (s *Server) callAll(ctx context.Context, round int, cameras []understudy.Camera) {
	calling, cancel := context.WithTimeout(ctx, callLate)
	defer cancel()
	said := make(chan understudy.CameraID, len(cameras)) // empty: it does not answer
	for _, camera := range cameras {
		s.start(func() {
			if s.config.Reach(calling, camera) != nil {
				camera.ID = ""
			}
			said <- camera.ID
		})
	}
	due := time.After(callFor)
	var answered []understudy.CameraID
	tell := func() { s.observe(ctx, Observation{Called: round, Answered: slices.Clone(answered)}) }
	told := -1
	for left := len(cameras); left > 0; {
		select {
		case camera := <-said:
			left--
			if camera != "" {
				answered = append(answered, camera)
			}
		case <-due:
			told = len(answered)
			tell()
		}
	}
	if slices.Sort(answered); told < len(answered) {
		tell()
	}
}
