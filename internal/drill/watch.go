package drill

import (
	"context"
	"slices"
	"sync"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/rtsp"
)

// watcher is a client that looks at one camera all the time, as an operator does.
type watcher struct {
	camera understudy.CameraID
	done   chan struct{}

	mu    sync.Mutex
	first map[understudy.ServerID]time.Time // of the first frame since reset
}

func watch(ctx context.Context, site *client.Client, camera understudy.CameraID) *watcher {
	w := &watcher{camera: camera, done: make(chan struct{}), first: map[understudy.ServerID]time.Time{}}
	go func() {
		defer close(w.done)
		_ = site.Live(ctx, camera, func(e client.LiveEvent) error { // ends with the drill
			if e.Sample == nil || e.Sample.Track != understudy.VideoTrack {
				return nil
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if _, seen := w.first[e.Server]; !seen {
				w.first[e.Server] = time.Now()
			}
			return nil
		})
	}()
	return w
}

// reset forgets what was seen.
func (w *watcher) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.first)
}

// sawFrom returns when the first frame from a server came since reset.
func (w *watcher) sawFrom(server understudy.ServerID) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ok := w.first[server]
	return at, ok
}

// truth is what a camera really sent, seen by an observer of its own: the
// measure for cameras whose frames carry no counter.
type truth struct {
	done chan struct{}

	mu     sync.Mutex
	frames []frame
}

func observe(ctx context.Context, camera understudy.Camera, password understudy.Secret) *truth {
	t := &truth{done: make(chan struct{})}
	source := rtsp.NewSource(rtsp.Config{URL: camera.URL, Transport: camera.Transport, Username: camera.Username, Password: password}, t)
	go func() {
		defer close(t.done)
		_ = source.Run(ctx) // ends with the drill
	}()
	return t
}

// Tracks implements rtsp.Sink.
func (t *truth) Tracks([]understudy.Track) {}

// Sample implements rtsp.Sink.
func (t *truth) Sample(s *understudy.Sample) {
	if s.Track != understudy.VideoTrack {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.frames = append(t.frames, frame{At: s.At, Hash: s.Hash})
}

func (t *truth) seen() []frame {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.frames)
}

// eventLog keeps the events that the service channel pushed, with the time at
// which they came.
type eventLog struct {
	mu      sync.Mutex
	events  []understudy.Event
	arrived []time.Time
}

func listenTo(site *client.Client) (log *eventLog, stop func()) {
	log = &eventLog{}
	stop = site.Subscribe(func(_ understudy.Site, u understudy.Update) {
		if u.Event == nil {
			return
		}
		log.mu.Lock()
		defer log.mu.Unlock()
		log.events = append(log.events, *u.Event)
		log.arrived = append(log.arrived, time.Now())
	})
	return log, stop
}

// of returns the events of a kind since a moment, with their arrivals.
func (l *eventLog) of(kind understudy.EventKind, since time.Time) (events []understudy.Event, arrived []time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range l.events {
		if e.Kind == kind && l.arrived[i].After(since) {
			events, arrived = append(events, e), append(arrived, l.arrived[i])
		}
	}
	return events, arrived
}

// since returns all events since a moment.
func (l *eventLog) since(t time.Time) []understudy.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var events []understudy.Event
	for i, e := range l.events {
		if l.arrived[i].After(t) {
			events = append(events, e)
		}
	}
	return events
}
