package rtsp

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// pumpEvery is how long a packet may lie in the kernel. Waking up for each
	// picture of each camera costs more than reading it.
	pumpEvery = 40 * time.Millisecond
	// pumpBytes bounds what one camera may send in a round: 400 Mbit/s, while
	// the others wait.
	pumpBytes  = 2 << 20
	pumpEvents = 256
)

// Pump reads the connections of all cameras that share it, some milliseconds'
// worth at a time, without a goroutine being woken for each.
type Pump struct {
	mu      sync.Mutex
	workers []*pumpWorker // while it runs
	next    int
}

// pumpWorker reads some of the connections.
type pumpWorker struct {
	epoll  int
	buffer []byte
	events []unix.EpollEvent
	behind []*pumped // that had more than a round takes

	mu    sync.Mutex
	ended bool
	conns map[int32]*pumped // by number, which events carry
	last  int32
}

// pumped is a connection that a pump reads. Its socket is known to nobody else:
// the runtime's own poller would wake a thread for each packet.
type pumped struct {
	conn     *interleaved
	worker   *pumpWorker
	id       int32
	deadline atomic.Pointer[time.Time] // of writes

	mu     sync.Mutex // of the socket's life
	socket *os.File   // never read or written through
	fd     int
	closed bool
}

// NewPump returns a pump that reads nothing until it runs.
func NewPump() *Pump { return &Pump{} }

// Run reads until ctx ends. Connections that come when it does not run are read
// in the usual way.
func (p *Pump) Run(ctx context.Context) error {
	var group errgroup.Group
	p.mu.Lock()
	for range runtime.GOMAXPROCS(0) {
		epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			break
		}
		w := &pumpWorker{epoll: epoll, buffer: make([]byte, readSize), events: make([]unix.EpollEvent, pumpEvents), conns: map[int32]*pumped{}}
		p.workers = append(p.workers, w)
	}
	for _, w := range p.workers {
		group.Go(func() error { w.run(ctx); return nil })
	}
	p.mu.Unlock()
	<-ctx.Done()
	_ = group.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.workers = nil
	return ctx.Err()
}

// add takes a connection over; nil if it cannot. The connection's mu is held.
func (p *Pump) add(c *interleaved) *pumped {
	p.mu.Lock()
	defer p.mu.Unlock()
	tcp, ok := c.Conn.(*net.TCPConn)
	if len(p.workers) == 0 || !ok {
		return nil
	}
	p.next++
	w := p.workers[p.next%len(p.workers)]
	socket, err := tcp.File() // another number for the same socket, and it blocks
	if err != nil {
		return nil
	}
	m := &pumped{conn: c, worker: w, socket: socket, fd: int(socket.Fd())}
	if err := unix.SetNonblock(m.fd, true); err != nil || !w.add(m) {
		socket.Close()
		return nil
	}
	_ = tcp.Close() // the socket lives on by its other number
	return m
}

func (w *pumpWorker) add(m *pumped) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return false
	}
	w.last++
	m.id = w.last
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: m.id}
	if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, m.fd, &event); err != nil {
		return false
	}
	w.conns[m.id] = m
	return true
}

func (w *pumpWorker) run(ctx context.Context) {
	defer w.end()
	ticker := time.NewTicker(pumpEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.round()
		case <-ctx.Done():
			return
		}
	}
}

// round reads all connections on which something came. Each is told of once
// (EPOLLET): what a round leaves is remembered.
func (w *pumpWorker) round() {
	behind := w.behind
	w.behind = nil
	for _, m := range behind {
		m.read(w.buffer, true)
	}
	for {
		n, err := unix.EpollWait(w.epoll, w.events, 0)
		if err != nil {
			return // interrupted: the next round finds it
		}
		for _, event := range w.events[:n] {
			w.mu.Lock()
			m := w.conns[event.Fd]
			w.mu.Unlock()
			if m != nil {
				m.read(w.buffer, event.Events != unix.EPOLLIN)
			}
		}
		if n < len(w.events) {
			return
		}
	}
}

// end wakes those who wait for connections that nobody reads any more.
func (w *pumpWorker) end() {
	w.mu.Lock()
	conns := w.conns
	w.conns, w.ended = map[int32]*pumped{}, true
	w.mu.Unlock()
	for _, m := range conns {
		m.conn.mu.Lock()
		if m.conn.err == nil {
			m.conn.err = net.ErrClosed
		}
		m.conn.mu.Unlock()
		m.conn.poke()
	}
	_ = unix.Close(w.epoll)
}

// read reads what came, within the bound of a round. ending: the camera has
// closed its side, or an error is there to be read, behind what came.
func (m *pumped) read(buffer []byte, ending bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	c := m.conn
	c.mu.Lock()
	for total := 0; ; {
		room := len(buffer) - len(c.partial)
		n, more := c.read(m.fd, buffer)
		total += n
		if !more || n > 0 && n < room && !ending {
			break
		}
		if total >= pumpBytes {
			m.worker.behind = append(m.worker.behind, m)
			break
		}
	}
	owes := len(c.pass) > 0 || c.err != nil
	c.mu.Unlock()
	if owes {
		c.poke()
	}
}

// leave ends the watch over the socket.
func (m *pumped) leave() {
	_ = unix.EpollCtl(m.worker.epoll, unix.EPOLL_CTL_DEL, m.fd, nil)
}

// close closes the socket.
func (m *pumped) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.closed = true
	m.worker.mu.Lock()
	delete(m.worker.conns, m.id)
	if !m.worker.ended {
		m.leave()
	}
	m.worker.mu.Unlock()
	m.socket.Close()
}

// writeRetry is how long a full socket is left alone. What is written is
// requests of some hundred bytes: it is full when the camera has long stopped reading.
const writeRetry = 20 * time.Millisecond

func (m *pumped) write(p []byte) (written int, err error) {
	for written < len(p) {
		n, err := m.writeOnce(p[written:])
		written += max(n, 0)
		switch {
		case err == nil || errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if deadline := m.deadline.Load(); deadline != nil && !deadline.IsZero() && time.Now().After(*deadline) {
				return written, os.ErrDeadlineExceeded
			}
			<-time.After(writeRetry)
		default:
			return written, &net.OpError{Op: "write", Net: "tcp", Source: m.conn.LocalAddr(), Addr: m.conn.RemoteAddr(), Err: err}
		}
	}
	return written, nil
}

func (m *pumped) writeOnce(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, net.ErrClosed
	}
	return unix.Write(m.fd, p)
}
