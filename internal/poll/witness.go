package poll

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"time"

	"understudy"
)

const (
	// Patience is how long a server may owe the answer to a question of a moment.
	Patience  = 750 * time.Millisecond
	redialing = 250 * time.Millisecond // one lost packet must not decide
)

// Awake is CodeUnavailable while what this watcher knows may be old: the process
// has just started, or stood still itself, and has not looked at everybody since.
func (w *Watcher) Awake() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pulse.Awake(w.elapsed(), time.Now().Round(0)) {
		return nil
	}
	return understudy.Errorf(understudy.CodeUnavailable,
		"this server has just started, or stood still itself, and looks at everybody first: repeat it in a moment")
}

// Ask asks servers how they are over fresh connections, all at once, and returns
// the states of those that answer within Patience. One that already owes an answer
// is given that much less, and who refuses the connection is not waited for.
func (w *Watcher) Ask(ctx context.Context, servers []understudy.ServerID) []understudy.State {
	answers := make(chan *understudy.State, len(servers))
	for _, id := range servers {
		go func() { answers <- w.askAfresh(ctx, id) }()
	}
	var states []understudy.State
	for range servers {
		if state := <-answers; state != nil {
			states = append(states, *state)
		}
	}
	return states
}

func (w *Watcher) askAfresh(ctx context.Context, id understudy.ServerID) *understudy.State {
	w.mu.Lock()
	one := w.watched[id]
	w.mu.Unlock()
	if one == nil {
		return nil
	}
	var attempts sync.WaitGroup
	defer attempts.Wait()
	ctx, cancel := context.WithTimeout(ctx, Patience-one.owes())
	defer cancel()
	outcome := make(chan *understudy.State, 1) // the first that is definite
	attempt := func() {
		state, err := askOnce(ctx, one.address, w.tlsFor(id))
		switch {
		case err == nil:
			tell(outcome, &state)
		case ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded):
			tell(outcome, nil)
		}
	}
	ticker := time.NewTicker(redialing)
	defer ticker.Stop()
	for {
		attempts.Go(attempt)
		select {
		case state := <-outcome:
			return state
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// tell is for the first who comes.
func tell(outcome chan *understudy.State, state *understudy.State) {
	select {
	case outcome <- state:
	default:
	}
}

func askOnce(ctx context.Context, address string, config *tls.Config) (understudy.State, error) {
	conn, err := Dial(ctx, address, config)
	if err != nil {
		return understudy.State{}, err
	}
	defer func() { _ = conn.Close() }() // never fails
	return conn.Poll(ctx, understudy.Poll{})
}
