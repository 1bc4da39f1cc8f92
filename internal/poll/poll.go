// Package poll asks and answers on the state port (11000): one mutual TLS
// connection that is kept open, a question in a wire frame, an answer in
// another, one at a time.
package poll

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/listen"
	"understudy/internal/wire"
)

const (
	maxPoll      = 2 << 20  // 20,000 ids
	maxState     = 32 << 20 // 20,000 cameras, each with a sentence
	maxObservers = 256
	idleTime     = 30 * time.Second // an observer that asks nothing for so long is gone
	writeTime    = 10 * time.Second
)

// answer is what comes back on the wire; one of the fields is set.
type answer struct {
	State   *understudy.State `json:"state,omitempty"`
	Code    understudy.Code   `json:"code,omitempty"`
	Message string            `json:"message,omitempty"`
}

// Answerer makes the answer to a poll. It is called for each question, by
// many connections at once, and takes no lock that a disk or a camera could hold.
type Answerer func(observer understudy.Identity, p understudy.Poll) understudy.State

// Serve answers polls on ln until ctx ends, and closes ln. config is the
// PeerTLS of the node: only servers of the installation are heard, and each
// speaks for itself only (a poll without an observer's name is its own).
func Serve(ctx context.Context, ln net.Listener, config *tls.Config, answerer Answerer) error {
	mux := listen.New(ln, config, listen.Options{})
	observers := mux.Raw()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return mux.Run(ctx) })
	places := make(chan struct{}, maxObservers)
	group.Go(func() error {
		for {
			conn, err := observers.Accept()
			if err != nil {
				return nil // Run has ended, and says why
			}
			select {
			case places <- struct{}{}:
			default:
				conn.Close()
				continue
			}
			group.Go(func() error {
				defer func() { <-places }()
				defer conn.Close()
				stop := context.AfterFunc(ctx, func() { conn.Close() })
				defer stop()
				answerAll(conn, answerer)
				return nil
			})
		}
	})
	return group.Wait()
}

// answerAll answers the questions of one connection until it ends. Why it ends
// is the observer's to tell: it sees the same end, and acts on it.
func answerAll(conn net.Conn, answerer Answerer) {
	state, _ := listen.TLSState(conn)
	observer, ok := identity.PeerIdentity(state)
	if !ok {
		return
	}
	for {
		var question understudy.Poll
		if conn.SetDeadline(time.Now().Add(idleTime)) != nil || wire.Read(conn, maxPoll, &question) != nil {
			return
		}
		if question.Observer == "" {
			question.Observer = observer.Server
		}
		var reply answer
		if err := observer.MayActAs(question.Observer, observer.Role); err != nil {
			reply.Code, reply.Message = understudy.CodeOf(err), err.Error()
		} else {
			made := answerer(observer, question)
			reply.State = &made
		}
		if conn.SetDeadline(time.Now().Add(writeTime)) != nil || wire.Write(conn, reply) != nil || reply.State == nil {
			return
		}
	}
}

// Conn is one connection to a server's state port.
type Conn struct {
	conn    *tls.Conn
	address string
	server  understudy.ServerID

	answers chan answer
	broken  chan struct{} // closed when nothing more can arrive; ended says why
	ended   error

	mu   sync.Mutex // held while a question is on its way
	lost error
}

// Dial connects to a server's state port (host:port) and makes the handshake.
// config is the ClientTLS for the server that is expected there.
// CodeUnavailable if nobody answers; errors.Is(err, syscall.ECONNREFUSED) then
// tells a port that refuses from one that is silent. CodeForbidden if somebody
// answers who is not that server.
func Dial(ctx context.Context, address string, config *tls.Config) (*Conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, failure(ctx, address, err)
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, failure(ctx, address, err)
	}
	state := conn.ConnectionState()
	peer, ok := identity.PeerIdentity(&state)
	if !ok {
		conn.Close()
		return nil, understudy.Errorf(understudy.CodeForbidden, "whoever answers at %s shows no certificate of this installation", address)
	}
	c := &Conn{conn: conn, address: address, server: peer.Server, answers: make(chan answer, 1), broken: make(chan struct{})}
	go c.listen()
	return c, nil
}

// listen reads all the time, not only while an answer is waited for, so that
// the end of the connection is noticed when it happens. It returns when the
// connection is closed, by whichever side.
func (c *Conn) listen() {
	defer close(c.broken)
	for {
		var reply answer
		if c.ended = wire.Read(c.conn, maxState, &reply); c.ended != nil {
			return
		}
		select {
		case c.answers <- reply:
		default:
			c.ended = understudy.Errorf(understudy.CodeInvalid, "%s answered what nobody asked", c.address)
			c.conn.Close()
			return
		}
	}
}

// Broken is closed when the connection has ended, whoever ended it: a server
// that is killed is noticed at once, not at the next question.
func (c *Conn) Broken() <-chan struct{} { return c.broken }

// Poll asks once. CodeUnavailable if there is no answer before ctx ends or the
// connection is lost, CodeForbidden if the server does not want to be asked by
// this one. After any error the connection is of no more use: close it and
// dial again. Polls of one connection wait for each other.
func (c *Conn) Poll(ctx context.Context, p understudy.Poll) (understudy.State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost == nil {
		state, err := c.poll(ctx, p)
		if err == nil {
			return state, nil
		}
		c.lost = err
		c.conn.Close()
	}
	return understudy.State{}, c.lost
}

func (c *Conn) poll(ctx context.Context, p understudy.Poll) (understudy.State, error) {
	if err := ctx.Err(); err != nil {
		return understudy.State{}, failure(ctx, c.address, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := wire.Write(c.conn, p); err != nil {
		return understudy.State{}, failure(ctx, c.address, err)
	}
	var reply answer
	select {
	case reply = <-c.answers:
	case <-ctx.Done():
		return understudy.State{}, failure(ctx, c.address, ctx.Err())
	case <-c.broken:
		select {
		case reply = <-c.answers: // it was the last one
		default:
			return understudy.State{}, failure(ctx, c.address, c.ended)
		}
	}
	switch {
	case reply.State == nil:
		return understudy.State{}, &understudy.Error{Code: reply.Code, Message: reply.Message}
	case reply.State.Server != c.server:
		return understudy.State{}, understudy.Errorf(understudy.CodeForbidden, "%s at %s answered in the name of %q", c.server, c.address, reply.State.Server)
	}
	return *reply.State, nil
}

// Close ends the connection, and a poll that is on its way.
func (c *Conn) Close() error { return c.conn.Close() }

// failure says in a sentence why there was no answer.
func failure(ctx context.Context, address string, err error) error {
	var (
		operation   *net.OpError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		authority   x509.UnknownAuthorityError
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return understudy.Errorf(understudy.CodeUnavailable, "%s refuses the connection, nothing listens there: %w", address, err)
	case errors.As(err, &operation) && operation.Op == "remote error":
		return understudy.Errorf(understudy.CodeForbidden, "the server at %s refuses this server's certificate: %w", address, err)
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &authority), understudy.CodeOf(err) == understudy.CodeForbidden:
		return understudy.Errorf(understudy.CodeForbidden, "whoever answers at %s is not the server that is expected there: %w", address, err)
	case ctx.Err() != nil:
		return understudy.Errorf(understudy.CodeUnavailable, "%s did not answer in time: %w", address, err)
	}
	return understudy.Errorf(understudy.CodeUnavailable, "the connection to %s was lost: %w", address, err)
}
