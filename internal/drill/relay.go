package drill

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"understudy"
)

// relay stands between failover servers and home's merge port, so that the
// connection can be cut, and counts what goes home. It sees only TLS.
type relay struct {
	listener net.Listener
	target   string
	bytes    atomic.Int64 // to home
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// openRelay passes on to target until the relay is closed.
func openRelay(ctx context.Context, target string) (*relay, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "the line that the drill cuts could not be laid: %w", err)
	}
	r := &relay{listener: listener, target: target, conns: map[net.Conn]bool{}}
	r.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			r.running.Go(func() { r.pass(conn) })
		}
	})
	return r, nil
}

func (r *relay) address() string { return r.listener.Addr().String() }

func (r *relay) pass(from net.Conn) {
	defer from.Close()
	var dialer net.Dialer
	to, err := dialer.DialContext(context.Background(), "tcp", r.target)
	if err != nil {
		return // home is dead: so is the line
	}
	defer to.Close()
	r.keep(from, true)
	defer r.keep(from, false)
	r.keep(to, true)
	defer r.keep(to, false)
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(from, to) // until either end is gone
		from.Close()
	}()
	_, _ = io.Copy(counted{to, &r.bytes}, from)
	to.Close()
	<-back
}

type counted struct {
	io.Writer
	bytes *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (r *relay) keep(conn net.Conn, open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if open {
		r.conns[conn] = true
		return
	}
	delete(r.conns, conn)
}

// cut breaks every connection there is, and returns how many.
func (r *relay) cut() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, with nothing said before
		}
		conn.Close()
	}
	return len(r.conns) / 2
}

func (r *relay) close() {
	r.listener.Close()
	r.cut()
	r.running.Wait()
}
