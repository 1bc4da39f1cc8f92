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
	"sync/atomic"
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

// Conn is one connection to a server's state port. It reads all the time, so
// that the end of the server's process is known when it happens and not at the
// next question. It has to be closed.
type Conn struct {
	conn    *tls.Conn
	address string
	server  understudy.ServerID
	polling sync.Mutex // held while a question is on its way
	asked   atomic.Bool
	answers chan answer

	once   sync.Once
	broken chan struct{}
	cause  error // why it ended; set before broken is closed
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
	peer, ok := identity.DialledIdentity(conn.ConnectionState())
	if !ok {
		conn.Close()
		return nil, understudy.Errorf(understudy.CodeForbidden, "whoever answers at %s shows no certificate of this installation", address)
	}
	c := &Conn{conn: conn, address: address, server: peer.Server, answers: make(chan answer, 1), broken: make(chan struct{})}
	go c.read()
	return c, nil
}

func (c *Conn) read() {
	for {
		var reply answer
		if err := wire.Read(c.conn, maxState, &reply); err != nil {
			c.end(failure(context.Background(), c.address, err))
			return
		}
		if !c.asked.CompareAndSwap(true, false) {
			c.end(understudy.Errorf(understudy.CodeInvalid, "%s at %s answered without being asked", c.server, c.address))
			return
		}
		c.answers <- reply // has room: there is one answer to a question
	}
}

func (c *Conn) end(why error) {
	c.once.Do(func() {
		c.cause = why
		close(c.broken)
		c.conn.Close()
	})
}

// Broken is closed when the connection has ended, whoever ended it.
func (c *Conn) Broken() <-chan struct{} { return c.broken }

// Close ends the connection, and a poll that is on its way.
func (c *Conn) Close() error {
	c.end(understudy.Errorf(understudy.CodeUnavailable, "the connection to %s was closed here", c.address))
	return nil
}

// Poll asks once. CodeUnavailable if there is no answer before ctx ends or the
// connection is lost, CodeForbidden if the server does not want to be asked by
// this one. Any error ends the connection: a late answer must not be taken for
// the answer to the next question. Polls of one connection wait for each other.
func (c *Conn) Poll(ctx context.Context, p understudy.Poll) (understudy.State, error) {
	c.polling.Lock()
	defer c.polling.Unlock()
	select {
	case <-c.broken: // an answer that came while it ended may still lie there
		return understudy.State{}, c.cause
	default:
	}
	stop := context.AfterFunc(ctx, func() { c.end(failure(ctx, c.address, ctx.Err())) })
	defer stop()
	c.asked.Store(true)
	if err := wire.Write(c.conn, p); err != nil {
		c.end(failure(ctx, c.address, err))
	}
	select {
	case <-c.broken:
		select {
		case reply := <-c.answers: // a refusal comes right before the end
			return c.accept(reply)
		default:
			return understudy.State{}, c.cause
		}
	case reply := <-c.answers:
		return c.accept(reply)
	}
}

func (c *Conn) accept(reply answer) (understudy.State, error) {
	if reply.State != nil && reply.State.Server == c.server {
		return *reply.State, nil
	}
	var err error = &understudy.Error{Code: reply.Code, Message: reply.Message}
	switch {
	case reply.State == nil && reply.Message == "":
		err = understudy.Errorf(understudy.CodeInvalid, "%s at %s answered with neither a state nor an error", c.server, c.address)
	case reply.State != nil:
		err = understudy.Errorf(understudy.CodeForbidden, "%s at %s answered in the name of %q", c.server, c.address, reply.State.Server)
	}
	c.end(err)
	return understudy.State{}, err
}

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
		return &understudy.Error{Code: understudy.CodeUnavailable, Message: address + " refuses the connection, nothing listens there", Err: err}
	case errors.As(err, &operation) && operation.Op == "remote error":
		return understudy.Errorf(understudy.CodeForbidden, "the server at %s refuses this server's certificate: %w", address, err)
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &authority), understudy.CodeOf(err) == understudy.CodeForbidden:
		return understudy.Errorf(understudy.CodeForbidden, "whoever answers at %s is not the server that is expected there: %w", address, err)
	case ctx.Err() != nil:
		return understudy.Errorf(understudy.CodeUnavailable, "%s did not answer in time: %w", address, err)
	}
	return understudy.Errorf(understudy.CodeUnavailable, "the connection to %s was lost: %w", address, err)
}
