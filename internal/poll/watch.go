package poll

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
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

// Watcher polls every server once a second. It sees for the management server.
type Watcher struct {
	servers  func() (map[understudy.ServerID]string, bool)
	tlsFor   func(understudy.ServerID) *tls.Config
	interval time.Duration
	settle   time.Duration // less than the interval
	begun    time.Time
	running  sync.WaitGroup
	double   func(server understudy.ServerID, address string) // nil tells nobody

	mu      sync.Mutex
	watched map[understudy.ServerID]*watched
	pulse   Pulse
}

// NewWatcher makes one; Run runs it. servers returns the state addresses of all
// servers, and whether they are known yet, and is asked each second; tlsFor
// returns the ClientTLS for each.
func NewWatcher(servers func() (map[understudy.ServerID]string, bool), tlsFor func(understudy.ServerID) *tls.Config) *Watcher {
	return &Watcher{servers: servers, tlsFor: tlsFor, interval: watchInterval, settle: watchSettle,
		begun: time.Now(), watched: map[understudy.ServerID]*watched{}}
}

// watched is one server that is being polled at one address.
type watched struct {
	address string
	stop    context.CancelFunc
	boots   boots

	mu     sync.Mutex
	owed   time.Time               // since when an answer is due; zero: none is
	looked time.Time               // when the last question was asked that has had its outcome
	status understudy.ServerStatus // no sentence before the first answer or failure
}

// Run publishes what was last seen of all servers, by id, once a second, until ctx
// ends. A server that has neither answered nor failed to yet is left out.
func (w *Watcher) Run(ctx context.Context, publish func([]understudy.ServerStatus)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer w.running.Wait()
	defer cancel()
	w.running.Go(func() { w.beat(ctx) })
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	for {
		known := w.follow(ctx)
		select { // the servers are asked at the same moments
		case <-ctx.Done():
			return nil
		case <-time.After(w.settle):
		}
		if !known {
			continue
		}
		statuses, asked, all := w.statuses()
		publish(statuses)
		if all {
			w.mu.Lock()
			w.pulse.Looked(asked.Sub(w.begun), w.elapsed(), time.Now().Round(0))
			w.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (w *Watcher) elapsed() time.Duration { return time.Since(w.begun) }

// beat keeps the pulse.
func (w *Watcher) beat(ctx context.Context) {
	ticker := time.NewTicker(BeatEvery)
	defer ticker.Stop()
	for {
		w.mu.Lock()
		w.pulse.Beat(w.elapsed(), time.Now().Round(0))
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// follow makes the servers that are polled equal to those of the site, once they are known.
func (w *Watcher) follow(ctx context.Context) (known bool) {
	addresses, known := w.servers()
	if !known {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
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
		w.running.Go(func() { w.poll(ctx, id, one) })
	}
	return true
}

// statuses are what was last seen, whether that is of all servers, and when the
// first of the questions was asked that this came of.
func (w *Watcher) statuses() (statuses []understudy.ServerStatus, asked time.Time, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	statuses, asked, all = make([]understudy.ServerStatus, 0, len(w.watched)), time.Now(), true
	for _, one := range w.watched {
		one.mu.Lock()
		if one.looked.IsZero() {
			all = false
		} else {
			statuses = append(statuses, one.status)
		}
		if one.looked.Before(asked) {
			asked = one.looked
		}
		one.mu.Unlock()
	}
	slices.SortFunc(statuses, func(a, b understudy.ServerStatus) int { return cmp.Compare(a.Server, b.Server) })
	return statuses, asked, all
}

// asks notes that a question is on its way.
func (one *watched) asks() time.Time {
	one.mu.Lock()
	defer one.mu.Unlock()
	now := time.Now()
	if one.owed.IsZero() {
		one.owed = now
	}
	return now
}

// owes is for how long the server has been silent to questions.
func (one *watched) owes() time.Duration {
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.owed.IsZero() {
		return 0
	}
	return time.Since(one.owed)
}

func (w *Watcher) poll(ctx context.Context, id understudy.ServerID, one *watched) {
	config := w.tlsFor(id)
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	var conn *Conn
	defer func() { conn.closeIfOpen() }()
	for {
		var state understudy.State
		var err error
		asked := one.asks()
		conn, state, err = one.ask(ctx, conn, config)
		if ctx.Err() != nil {
			return
		}
		if err == nil && one.boots.answered(state.Boot) && w.double != nil {
			w.double(id, one.address)
		}
		one.mu.Lock()
		if one.looked = asked; err == nil || errors.Is(err, syscall.ECONNREFUSED) {
			one.owed = time.Time{}
		}
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
	recording, waiting, mirrored, fault := 0, 0, 0, ""
	for _, camera := range state.Cameras {
		if camera.Mirrored {
			mirrored++
		}
		switch {
		case camera.Recording && !camera.Mirrored:
			recording++
		case camera.Waiting && !camera.Mirrored:
			waiting++
		case fault == "" && camera.Fault != "":
			fault = fmt.Sprintf("; camera %s: %s", camera.Camera, camera.Fault)
		}
	}
	after.Sentence = fmt.Sprintf("answers at %s and records %d of %d cameras", address, recording, len(state.Cameras)-mirrored)
	if waiting > 0 {
		after.Sentence += fmt.Sprintf(", and %d wait for an event", waiting)
	}
	switch {
	case mirrored == len(state.Cameras):
		after.Sentence = fmt.Sprintf("answers at %s, records no camera and mirrors %d", address, mirrored)
	case mirrored > 0:
		after.Sentence += fmt.Sprintf(", and mirrors %d", mirrored)
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
