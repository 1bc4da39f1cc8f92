package incident

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// shelf is a log, a site and its footage, some servers of which do not answer.
type shelf struct {
	site understudy.Site

	mu sync.Mutex
	teller
	missing []understudy.ServerID
	read    int    // events
	asked   func() // after a question was answered
}

func (s *shelf) Site(context.Context) (understudy.Site, error) { return s.site, nil }

func (s *shelf) Events(_ context.Context, q understudy.EventQuery) ([]understudy.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []understudy.Event
	for _, e := range s.events {
		if e.Seq > q.After && (q.Before == 0 || e.Seq < q.Before) && (q.Kind == "" || e.Kind == q.Kind) {
			found = append(found, e)
		}
	}
	switch {
	case len(found) <= q.Limit:
	case q.After > 0:
		found = found[:q.Limit]
	default:
		found = found[len(found)-q.Limit:]
	}
	s.read += len(found)
	if s.asked != nil {
		s.asked()
	}
	return found, nil
}

func (s *shelf) Conclude(_ context.Context, home understudy.ServerID, _ uint64, sentence string, accounts []understudy.CameraAccount) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := understudy.Event{Kind: understudy.EventIncident, Server: home, Sentence: sentence}
	for _, a := range accounts {
		e.Changes = append(e.Changes, understudy.Change{Account: &a})
	}
	s.add(e)
	return nil
}

func (s *shelf) Timeline(_ context.Context, camera understudy.CameraID, from, to time.Time) (understudy.Timeline, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return understudy.Timeline{Camera: camera, From: from, To: to, Missing: s.missing,
		Spans: []understudy.Span{{From: from, To: to, Holder: "rec1"}}}, nil
}

func (s *shelf) silent(servers ...understudy.ServerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missing = servers
}

func (s *shelf) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.events, func(e understudy.Event) bool { return e.Kind == understudy.EventIncident })
}

func (s *shelf) status() []understudy.ServerStatus {
	return []understudy.ServerStatus{{Server: "fo1", Reachable: true, State: &understudy.State{Server: "fo1", At: noon.Add(time.Hour)}}}
}

// An incident is not concluded before all have answered that may hold footage of it.
func TestAnIncidentWaitsForThoseWhoMayHoldFootage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{site: understudy.Site{
			Cameras:          []understudy.Camera{{ID: "a", Home: "rec1"}},
			RecordingServers: []understudy.RecordingServer{{ID: "rec1"}},
			FailoverServers:  []understudy.FailoverServer{{ID: "fo1"}},
			Leases:           understudy.Leases{{Camera: "a", Holder: "rec1", Epoch: 2}},
		}}
		s.silent("rec1")
		s.take("rec1", "fo1", "a")
		s.back("rec1", "a")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- NewBook(Config{Site: s, Timelines: s, Status: s.status}).Run(ctx) }()
		time.Sleep(time.Minute)
		if s.over() {
			t.Error("home does not answer, and the incident is over")
		}
		s.silent()
		time.Sleep(time.Minute)
		if !s.over() {
			t.Error("everybody answers, and the incident is not over")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
