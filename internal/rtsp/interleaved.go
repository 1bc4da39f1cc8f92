package rtsp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of what comes from a camera over TCP.
const (
	readSize     = 256 << 10 // at once; a key frame mostly fits
	maxHeaders   = 64 << 10  // of a message; the library takes less
	frameHeader  = 4         // $, channel, length (RFC 2326 §10.12)
	feedInterval = time.Second
	noChannel    = 0xff // nobody sets it up: cameras count from 0 in pairs
)

// interleaved is a plain TCP connection to a camera. It reads for the library,
// in large pieces: packets of channels that are taken go to their takers,
// straight from the buffer that the kernel filled, and the library sees
// everything else: responses, requests, and what belongs to nobody.
type interleaved struct {
	net.Conn
	raw  syscall.RawConn
	pump *Pump         // that the connection moves to when packets come; nil: it stays
	wake chan struct{} // holds one token when there may be something for the library

	mu      sync.Mutex
	takers  takers
	begun   time.Time // when takers were there
	moved   *pumped   // once it has moved
	partial []byte    // the beginning of a frame or message whose rest has not come
	body    int       // bytes of a message's body that still belong to the library
	pass    []byte    // what the library has not read yet
	fed     time.Time // when the library last got something
	taken   bool      // a packet went to its taker
	err     error     // what ended reading
}

// takers are those who take the packets of channels: two a track.
type takers []taker

type taker struct {
	channel byte
	take    func(payload []byte)
}

func (t takers) of(channel byte) func([]byte) {
	for i := range t {
		if t[i].channel == channel {
			return t[i].take
		}
	}
	return nil
}

// readBuffers are shared by the cameras that are read one by one: one is held
// only while what came is looked at.
var readBuffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

// interleave reads c for the library; other connections than TCP's it leaves alone.
func interleave(c net.Conn, pump *Pump) (net.Conn, *interleaved) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c, nil
	}
	in := &interleaved{Conn: c, raw: raw, pump: pump, wake: make(chan struct{}, 1)}
	return in, in
}

// divert gives the packets of channels to takers from now on. They are called by
// one goroutine at a time, and must not wait.
func (c *interleaved) divert(to takers) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takers, c.begun = to, time.Now()
}

// Read implements net.Conn for the library.
func (c *interleaved) Read(p []byte) (int, error) {
	for {
		n, moved, err := c.give(p)
		switch {
		case n > 0 || err != nil:
			return n, err
		case moved:
			<-c.wake
		default:
			if err := c.raw.Read(c.drain); err != nil {
				return 0, err // closed, or a deadline
			}
			c.move()
		}
	}
}

// give hands out what the library is owed.
func (c *interleaved) give(p []byte) (n int, moved bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pass) == 0 {
		return 0, c.moved != nil, c.err
	}
	n = copy(p, c.pass)
	if c.pass = c.pass[n:]; len(c.pass) == 0 {
		c.pass = nil
	}
	return n, c.moved != nil, nil
}

// drain reads until the socket is empty. It waits, by returning false, for as
// long as the library is owed nothing.
func (c *interleaved) drain(fd uintptr) (done bool) {
	shared := readBuffers.Get().(*[]byte)
	defer readBuffers.Put(shared)
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if _, more := c.read(int(fd), *shared); !more {
			return c.owes()
		}
		if c.owes() {
			return true
		}
	}
}

// owes reports whether there is something for the library, or to be done.
func (c *interleaved) owes() bool {
	return len(c.pass) > 0 || c.err != nil || c.mayMove()
}

// mayMove reports whether it is time to move. At first each packet is read when
// it comes: a takeover is short, and where the timeline lies is told by arrival
// until the camera tells its own time.
func (c *interleaved) mayMove() bool {
	return c.pump != nil && c.moved == nil && c.taken && time.Since(c.begun) > slewWindow
}

// read reads once and sorts what came; more is false when nothing is there. mu is held.
func (c *interleaved) read(fd int, buffer []byte) (n int, more bool) {
	had := copy(buffer, c.partial)
	n, err := unix.Read(fd, buffer[had:])
	switch {
	case errors.Is(err, unix.EINTR):
		return 0, true
	case errors.Is(err, unix.EAGAIN):
		return 0, false
	case err != nil:
		c.err = &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
		return 0, false
	case n == 0:
		c.err = io.EOF
		return 0, false
	}
	c.keep(c.sort(buffer[:had+n]))
	c.feed()
	return n, c.err == nil
}

// keep remembers what cannot be understood without what follows.
func (c *interleaved) keep(rest []byte) {
	if len(rest) == 0 && cap(c.partial) > readSize/16 {
		c.partial = nil
		return
	}
	c.partial = append(c.partial[:0], rest...)
}

// feed lets the library know that the camera lives, with an empty packet of a
// channel that nobody has: it does not see those that come.
func (c *interleaved) feed() {
	now := time.Now()
	if len(c.pass) > 0 || !c.taken {
		c.fed = now
		return
	}
	if now.Sub(c.fed) >= feedInterval {
		c.fed = now
		c.pass = append(c.pass, '$', noChannel, 0, 0)
	}
}

// sort gives each whole frame and message to whom it belongs and returns the rest.
func (c *interleaved) sort(b []byte) (rest []byte) {
	for len(b) > 0 {
		switch {
		case c.body > 0:
			n := min(c.body, len(b))
			c.pass = append(c.pass, b[:n]...)
			c.body -= n
			b = b[n:]
		case b[0] == '$':
			if len(b) < frameHeader {
				return b
			}
			whole := frameHeader + int(binary.BigEndian.Uint16(b[2:]))
			if len(b) < whole {
				return b
			}
			if take := c.takers.of(b[1]); take != nil {
				take(b[frameHeader:whole])
				c.taken = true
			} else {
				c.pass = append(c.pass, b[:whole]...)
			}
			b = b[whole:]
		case b[0] >= 'A' && b[0] <= 'Z':
			n := c.message(b)
			if n == 0 {
				return b
			}
			c.pass = append(c.pass, b[:n]...)
			b = b[n:]
		default: // between messages there may be anything, which the library skips, too
			b = b[1:]
		}
	}
	return nil
}

// message returns how long the head of a message is, and notes how long its
// body is; 0 while the end has not come. What is too long to be one is passed
// on as it is, for the library to refuse.
func (c *interleaved) message(b []byte) int {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > maxHeaders {
			c.err = errors.New("a message of the camera does not end")
			return len(b)
		}
		return 0
	}
	for line := range bytes.SplitSeq(b[:end], []byte("\r\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !bytes.EqualFold(bytes.TrimSpace(name), []byte("Content-Length")) {
			continue
		}
		if n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 31); err == nil {
			c.body = int(n)
		}
	}
	return end + 4
}

// poke wakes the library where it waits.
func (c *interleaved) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// move gives the connection to the pump once packets come.
func (c *interleaved) move() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || !c.mayMove() {
		return
	}
	if c.moved = c.pump.add(c); c.moved == nil {
		c.pump = nil // it stays where it is
	}
}

// Write implements net.Conn for the library.
func (c *interleaved) Write(p []byte) (int, error) {
	c.mu.Lock()
	moved := c.moved
	c.mu.Unlock()
	if moved != nil {
		return moved.write(p)
	}
	return c.Conn.Write(p)
}

// SetWriteDeadline implements net.Conn for the library.
func (c *interleaved) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	moved := c.moved
	c.mu.Unlock()
	if moved != nil {
		moved.deadline.Store(&t)
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

// Close implements net.Conn.
func (c *interleaved) Close() error {
	c.mu.Lock()
	moved := c.moved
	if c.err == nil {
		c.err = net.ErrClosed
	}
	c.mu.Unlock()
	if moved == nil {
		return c.Conn.Close()
	}
	moved.close()
	c.poke()
	return nil
}
