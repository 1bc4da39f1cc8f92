package poll

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"sync"
	"time"

	"understudy"
)

const (
	watchInterval = time.Second
	watchPatience = 2 * time.Second // for one answer
	// watchSettle is how long after the questions of a second their answers are
	// published. A failover server that has heard nothing for 1.75 s weighs the
	// last of them as a witness: published with the next questions, they would be
	// up to 2 s old, and it would take over from a server that is well.
	watchSettle = 150 * time.Millisecond
)

// Watch polls every server once a second and publishes what was last seen of
// all of them, by id, once a second, until ctx ends. servers returns their
// state addresses and is asked each second; tlsFor returns the ClientTLS for
// each. A server that has neither answered nor failed to yet is left out.
func Watch(ctx context.Context, servers func() map[understudy.ServerID]string,
	tlsFor func(understudy.ServerID) *tls.Config, publish func([]understudy.ServerStatus)) error {
	w := watcher{tlsFor: tlsFor, interval: watchInterval, settle: watchSettle, watched: map[understudy.ServerID]*watched{}}
	return w.run(ctx, servers, publish)
}

type watcher struct {
	tlsFor   func(understudy.ServerID) *tls.Config
	interval time.Duration
	settle   time.Duration // less than the interval
	watched  map[understudy.ServerID]*watched
	running  sync.WaitGroup
}

// watched is one server that is being polled at one address.
type watched struct {
	address string
	stop    context.CancelFunc

	mu     sync.Mutex
	status understudy.ServerStatus // no sentence before the first answer or failure
}

func (w *watcher) run(ctx context.Context, servers func() map[understudy.ServerID]string, publish func([]understudy.ServerStatus)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer w.running.Wait()
	defer cancel()
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	for {
		w.follow(ctx, servers())
		select { // the servers are asked at the same moments
		case <-ctx.Done():
			return nil
		case <-time.After(w.settle):
		}
		publish(w.statuses())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// follow makes the servers that are polled equal to addresses.
func (w *watcher) follow(ctx context.Context, addresses map[understudy.ServerID]string) {
	for id, one := range w.watched {
		if addresses[id] != one.address {
			one.stop()
			delete(w.watched, id)
		}
	}
	for id, address := range addresses {
		if w.watched[id] != nil || address == "" {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		one := &watched{address: address, stop: stop, status: understudy.ServerStatus{Server: id}}
		w.watched[id] = one
		w.running.Go(func() { one.poll(ctx, w.tlsFor(id), w.interval) })
	}
}

func (w *watcher) statuses() []understudy.ServerStatus {
	statuses := make([]understudy.ServerStatus, 0, len(w.watched))
	for _, one := range w.watched {
		one.mu.Lock()
		if one.status.Sentence != "" {
			statuses = append(statuses, one.status)
		}
		one.mu.Unlock()
	}
	slices.SortFunc(statuses, func(a, b understudy.ServerStatus) int { return cmp.Compare(a.Server, b.Server) })
	return statuses
}

func (one *watched) poll(ctx context.Context, config *tls.Config, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var conn *Conn
	defer func() { conn.closeIfOpen() }()
	for {
		var state understudy.State
		var err error
		conn, state, err = one.ask(ctx, conn, config)
		if ctx.Err() != nil {
			return
		}
		one.mu.Lock()
		one.status = seen(one.status, one.address, time.Now(), state, err)
		one.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// ask polls over conn, and if that fails, as it does after a restart of the
// server, over a fresh connection. It returns the connection to go on with.
func (one *watched) ask(ctx context.Context, conn *Conn, config *tls.Config) (*Conn, understudy.State, error) {
	try := func() (state understudy.State, err error) {
		ctx, cancel := context.WithTimeout(ctx, watchPatience)
		defer cancel()
		if conn == nil {
			if conn, err = Dial(ctx, one.address, config); err != nil {
				return state, err
			}
		}
		return conn.Poll(ctx, understudy.Poll{})
	}
	kept := conn != nil
	state, err := try()
	if err != nil && kept {
		conn.closeIfOpen()
		conn = nil
		state, err = try()
	}
	if err != nil {
		conn.closeIfOpen()
		conn = nil
	}
	return conn, state, err
}

func (c *Conn) closeIfOpen() {
	if c != nil {
		_ = c.Close() // never fails
	}
}

// seen returns the status of a server after an answer, or the failure to get one.
func seen(before understudy.ServerStatus, address string, at time.Time, state understudy.State, err error) understudy.ServerStatus {
	after := before
	after.Reachable = err == nil
	if after.Reachable != before.Reachable || before.Sentence == "" {
		after.Since = at
	}
	if err != nil {
		after.Sentence = err.Error() // State stays: it is the last that was known
		return after
	}
	after.State = &state
	recording, waiting, fault := 0, 0, ""
	for _, camera := range state.Cameras {
		if camera.Recording {
			recording++
		} else if camera.Waiting {
			waiting++
		} else if fault == "" && camera.Fault != "" {
			fault = fmt.Sprintf("; camera %s: %s", camera.Camera, camera.Fault)
		}
	}
	after.Sentence = fmt.Sprintf("answers at %s and records %d of %d cameras", address, recording, len(state.Cameras))
	if waiting > 0 {
		after.Sentence += fmt.Sprintf(", and %d wait for an event", waiting)
	}
	after.Sentence += fault
	switch {
	case !state.Storage.Writable:
		after.Sentence = fmt.Sprintf("answers at %s, but its storage cannot be written: %s", address, state.Storage.Sentence)
	case state.Leaving != "":
		after.Sentence = fmt.Sprintf("is about to stop: %s", state.Leaving)
	case len(state.Cameras) == 0:
		after.Sentence = fmt.Sprintf("answers at %s and has no cameras", address)
	}
	return after
}
