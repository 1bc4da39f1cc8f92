package failover

import (
	"context"
	"errors"
	"syscall"
	"time"

	"understudy"
	"understudy/internal/poll"
)

// poller keeps asking one server.
type poller struct {
	address string
	cancel  context.CancelFunc
	renew   chan struct{} // give the connection up: a fresh one was answered, or none was
}

const (
	redialEvery  = 70 * time.Millisecond // after a refusal: three fit into 200 ms
	redialQuick  = 6                     // refusals after which it is pollEvery
	pollPatience = silenceMax + time.Second
)

func dialState(node Node) func(context.Context, understudy.ServerID, string) (Conn, error) {
	return func(ctx context.Context, server understudy.ServerID, address string) (Conn, error) {
		conn, err := poll.Dial(ctx, address, node.ClientTLS(server))
		if err != nil {
			return nil, err // not a nil *poll.Conn in an interface
		}
		return conn, nil
	}
}

// watch polls whom Step wants polled, and verifies whom it suspects.
func (s *Server) watch(ctx context.Context, want Want) {
	for id, p := range s.pollers {
		if want.Watch[id] != p.address {
			p.cancel()
			delete(s.pollers, id)
		}
	}
	for id, address := range want.Watch {
		if _, ok := s.pollers[id]; ok {
			continue
		}
		polling, cancel := context.WithCancel(ctx)
		p := &poller{address: address, cancel: cancel, renew: make(chan struct{}, 1)}
		s.pollers[id] = p
		s.start(func() {
			defer cancel()
			s.poll(polling, id, p)
		})
	}
	for id := range s.verifies {
		if !contains(want.Verify, id) {
			delete(s.verifies, id)
		}
	}
	for _, id := range want.Verify {
		if p, ok := s.pollers[id]; ok && !s.verifies[id] {
			s.verifies[id] = true
			signal(s.fetch)
			s.start(func() { s.verify(ctx, id, p) })
		}
	}
}

func contains(list []understudy.ServerID, id understudy.ServerID) bool {
	for _, l := range list {
		if l == id {
			return true
		}
	}
	return false
}

// poll asks one server until ctx ends, session after session.
func (s *Server) poll(ctx context.Context, id understudy.ServerID, p *poller) {
	refused := 0
	for ctx.Err() == nil {
		began := s.elapsed()
		err := s.session(ctx, id, p)
		if ctx.Err() != nil {
			return
		}
		failure := Failure{Server: id, Began: began, Kind: Silent, Why: err.Error()}
		pause := pollEvery
		switch {
		case errors.Is(err, errBroken):
			failure.Kind, pause, refused = Broken, 0, 0
		case errors.Is(err, syscall.ECONNREFUSED):
			failure.Kind = Refused
			if refused++; refused < redialQuick {
				pause = redialEvery
			}
		case errors.Is(err, syscall.ECONNRESET) && refused < redialQuick:
			pause = redialEvery // its host answers, the process is on its way out or in
			refused++
		default:
			refused = 0
		}
		s.observe(ctx, Observation{Failure: &failure})
		if failure.Kind != Silent {
			signal(s.fetch) // whether the management server answers is about to matter
		}
		wait(ctx, pause)
	}
}

// errBroken: a connection that had answered is lost. It is looked for again at once.
var errBroken = errors.New("the connection ended")

// session asks over one connection until that fails.
func (s *Server) session(ctx context.Context, id understudy.ServerID, p *poller) error {
	dialling, cancel := context.WithTimeout(ctx, verifyFor)
	defer cancel()
	conn, err := s.config.DialState(dialling, id, p.address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it is thrown away whatever it says
	select {
	case <-p.renew: // that was about the one before
	default:
	}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if err := s.ask(ctx, id, conn, pollPatience, p.renew); err != nil {
			return errors.Join(errBroken, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-conn.Broken():
			return errBroken
		case <-p.renew:
			return errBroken
		case <-ticker.C:
		}
	}
}

// ask asks once and observes the answer. It gives up when abandon says so.
func (s *Server) ask(ctx context.Context, id understudy.ServerID, conn Conn, patience time.Duration, abandon <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if abandon != nil {
		done := make(chan struct{})
		defer close(done)
		s.start(func() {
			select {
			case <-abandon:
				cancel()
			case <-done:
			}
		})
	}
	began := s.elapsed()
	state, err := conn.Poll(ctx, understudy.Poll{Observer: s.self, Covered: s.config.Recorder.Covered(), Crowded: s.config.Recorder.Crowded()})
	if err != nil {
		return err
	}
	if state.Server != id {
		return understudy.Errorf(understudy.CodeForbidden, "%s was asked for its state, and %s answered", id, state.Server)
	}
	s.observe(ctx, Observation{Answer: &Answer{Server: id, Began: began, State: state}})
	return nil
}

// verify asks a silent server over fresh connections, several because one lost
// packet must not decide: an answer on any of them clears it. Where none comes the old
// connection is given up as well, since what was lost on it is sent again seconds after
// a cut is over, and a fresh one is answered at once.
func (s *Server) verify(ctx context.Context, id understudy.ServerID, p *poller) {
	began := s.elapsed()
	verifying, cancel := context.WithTimeout(ctx, verifyFor)
	defer cancel()
	answered := make(chan struct{}, 1)
	attempt := func() {
		conn, err := s.config.DialState(verifying, id, p.address)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }() // it is thrown away whatever it says
		if s.ask(verifying, id, conn, verifyFor, nil) == nil {
			signal(answered)
		}
	}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		s.start(attempt)
		select {
		case <-answered:
			signal(p.renew)
			return
		case <-verifying.Done():
			if ctx.Err() == nil {
				s.observe(ctx, Observation{Failure: &Failure{Server: id, Began: began, Kind: Unheard, Why: "no answer on fresh connections"}})
				signal(p.renew)
			}
			return
		case <-ticker.C:
		}
	}
}
