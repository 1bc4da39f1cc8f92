// Package listen serves several protocols on one port. The first byte tells
// TLS from plain text, and the first line of what is inside tells RTSP from
// HTTP. Ports that serve servers only hand over TLS connections as they are.
//
// Whoever has not yet proven what it speaks costs little: such connections
// have a time limit, and when they are too many the oldest is closed, so that
// a thousand that say nothing cannot keep out the one that does.
package listen

import (
	"cmp"
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
)

const (
	greetingTime   = 10 * time.Second // from accept to the end of the first line
	maxPending     = 256              // connections whose protocol is not known yet
	maxConnections = 4096             // of a port, where nothing else is said; the disk needs file descriptors too
	maxAcceptPause = time.Second
)

// Options of a Mux. The zero value serves nothing without TLS.
type Options struct {
	AllowPlain bool         // serve connections without TLS too
	MostOpen   int          // connections at once; 0 is 4096
	Log        *slog.Logger // nil is silent
}

// Mux hands the connections of one port to a listener for each protocol.
type Mux struct {
	ln              net.Listener
	config          *tls.Config
	options         Options
	rtsp, http, raw *queue // nil: not served here
	open            atomic.Int64

	mu      sync.Mutex
	pending *list.List // of net.Conn, the oldest first
}

// New returns a Mux on ln, which Run closes. A nil config refuses TLS.
func New(ln net.Listener, config *tls.Config, options Options) *Mux {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Mux{ln: ln, config: config, options: options, pending: list.New()}
}

// RTSP returns the listener of RTSP connections, TLS already removed. Like the
// other listeners of a Mux it is asked for before Run; a protocol that nobody
// has asked for is refused.
func (m *Mux) RTSP() net.Listener { return m.queue(&m.rtsp) }

// HTTP returns the listener of HTTP/1 connections, TLS already removed. Serve
// answers what comes by it.
func (m *Mux) HTTP() net.Listener { return m.queue(&m.http) }

// Raw returns a listener of every connection with its TLS handshake done, for
// ports that speak one protocol to servers only. TLSState tells who is there.
// A Mux with Raw serves neither RTSP nor HTTP.
func (m *Mux) Raw() net.Listener { return m.queue(&m.raw) }

func (m *Mux) queue(q **queue) net.Listener {
	if *q == nil {
		*q = &queue{addr: m.ln.Addr(), conns: make(chan net.Conn), closed: make(chan struct{})}
	}
	return *q
}

// Run accepts connections until ctx ends, and then closes the listeners and
// all connections that nobody has accepted from them. CodeUnavailable if the
// port is closed by somebody else.
func (m *Mux) Run(ctx context.Context) error {
	var greetings sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { m.ln.Close() })
	defer func() {
		stop()
		m.ln.Close()
		for _, q := range []*queue{m.rtsp, m.http, m.raw} {
			if q != nil {
				_ = q.Close() // never fails
			}
		}
		m.closePending()
		greetings.Wait()
	}()
	pause := time.Duration(0)
	for {
		raw, err := m.ln.Accept()
		switch {
		case err == nil:
			pause = 0
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return understudy.Errorf(understudy.CodeUnavailable, "the port %s was closed: %w", m.ln.Addr(), err)
		default:
			// Out of file descriptors, most likely: it passes when others close.
			pause = min(max(2*pause, 5*time.Millisecond), maxAcceptPause)
			m.options.Log.Warn("a connection could not be accepted", "port", m.ln.Addr().String(), "error", err)
			wait(ctx, pause)
			continue
		}
		if m.open.Add(1) > int64(cmp.Or(m.options.MostOpen, maxConnections)) {
			m.open.Add(-1)
			raw.Close()
			continue
		}
		c := &conn{Conn: raw, release: sync.OnceFunc(func() { m.open.Add(-1) })}
		place := m.addPending(raw)
		greetings.Go(func() {
			defer m.removePending(place)
			if err := m.greet(ctx, c); err != nil {
				_ = c.Close() // it failed already
				m.options.Log.Debug("a connection was refused", "port", m.ln.Addr().String(), "from", raw.RemoteAddr().String(), "error", err)
			}
		})
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (m *Mux) addPending(raw net.Conn) *list.Element {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending.Len() >= maxPending {
		m.pending.Remove(m.pending.Front()).(net.Conn).Close()
	}
	return m.pending.PushBack(raw)
}

func (m *Mux) removePending(place *list.Element) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending.Remove(place)
}

func (m *Mux) closePending() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for e := m.pending.Front(); e != nil; e = e.Next() {
		e.Value.(net.Conn).Close()
	}
}

// greet finds out what c speaks and hands it to the listener of that.
func (m *Mux) greet(ctx context.Context, c *conn) error {
	if err := c.SetDeadline(time.Now().Add(greetingTime)); err != nil {
		return err
	}
	secure, err := c.removeTLS(ctx, m.config)
	switch {
	case err != nil:
		return err
	case m.raw != nil && secure:
		return m.raw.hand(ctx, c)
	case m.raw != nil:
		return understudy.Errorf(understudy.CodeForbidden, "expected TLS on this port, found plain text")
	}
	protocol, err := c.protocol()
	if err != nil {
		return err
	}
	q := map[string]*queue{protocolRTSP: m.rtsp, protocolHTTP: m.http}[protocol]
	switch {
	case !secure && !m.options.AllowPlain:
		return c.refuse(protocol, understudy.Errorf(understudy.CodeForbidden, "use TLS: this port does not serve plain %s", protocol))
	case q == nil:
		return c.refuse(protocol, understudy.Errorf(understudy.CodeNotFound, "this port does not serve %s", protocol))
	}
	return q.hand(ctx, c)
}

// queue is the listener of one protocol.
type queue struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept waits for the next connection; net.ErrClosed after Close and when Run ends.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

// Close ends this listener; the port goes on serving the others.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

// Addr returns the address of the port.
func (q *queue) Addr() net.Addr { return q.addr }

func (q *queue) hand(ctx context.Context, c *conn) error {
	if err := c.SetDeadline(time.Time{}); err != nil {
		return err
	}
	select {
	case q.conns <- c:
		return nil
	case <-q.closed:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
