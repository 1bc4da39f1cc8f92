// Package poll asks and answers on the state port (11000): one kept-open
// mutual TLS connection, a question, an answer.
package poll

import (
	"context"
	"crypto/tls"
	"net"

	"understudy"
)

// Answerer makes the answer to a poll. It is called for each question, by
// many connections at once, and must not wait for a disk or a camera.
type Answerer func(observer understudy.Identity, p understudy.Poll) understudy.State

// Serve answers polls on ln until ctx ends. config is an identity.Node's PeerTLS.
func Serve(ctx context.Context, ln net.Listener, config *tls.Config, answer Answerer) error {
	panic("being built")
}

// Conn is one connection to a server's state port.
type Conn struct{}

// Dial connects and completes the handshake. errors.Is(err, syscall.ECONNREFUSED) tells a refusal
// from silence; CodeForbidden means that somebody else answered there.
func Dial(ctx context.Context, address string, config *tls.Config) (*Conn, error) {
	panic("being built")
}

// Poll asks once. After any error the connection is of no more use.
func (c *Conn) Poll(ctx context.Context, p understudy.Poll) (understudy.State, error) {
	panic("being built")
}

// Broken is closed when the connection has ended, whoever ended it: a killed
// server is noticed at once, not at the next question.
func (c *Conn) Broken() <-chan struct{} { panic("being built") }

// Close ends the connection.
func (c *Conn) Close() error { panic("being built") }

// Watch polls every server once a second and publishes what was seen of all of
// them, by id, after each round, until ctx ends.
func Watch(ctx context.Context, servers func() map[understudy.ServerID]string,
	tlsFor func(understudy.ServerID) *tls.Config, publish func([]understudy.ServerStatus)) error {
	panic("being built")
}
