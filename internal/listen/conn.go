package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"

	"understudy"
)

const (
	tlsHandshake = 0x16 // content type of the first record (RFC 8446 §5.1)

	protocolRTSP = "RTSP"
	protocolHTTP = "HTTP"

	// The first line, or the header of a refused request: a media token of 16
	// KiB may stand in the address.
	maxGreeting = 24 << 10
)

// conn is a connection some of whose bytes have been read ahead.
type conn struct {
	net.Conn
	ahead   []byte
	state   *tls.ConnectionState // nil without TLS
	release func()

	mu     sync.Mutex
	closed bool
	after  []func() // is called when it is closed
}

// Read returns what was read ahead first.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.ahead)
	if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
		c.ahead = nil
	}
	return n, nil
}

// Close ends the connection and frees its place on the port.
func (c *conn) Close() error {
	c.release()
	c.mu.Lock()
	after := c.after
	c.closed, c.after = true, nil
	c.mu.Unlock()
	for _, f := range after {
		f()
	}
	return c.Conn.Close()
}

// AfterClose has f called once the connection is closed here. It is for who sees the
// connection in a handshake only (tls.ClientHelloInfo.Conn).
func (c *conn) AfterClose(f func()) {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.after = append(c.after, f)
	}
	c.mu.Unlock()
	if closed {
		f()
	}
}

// CloseWrite tells the peer that nothing more comes, where the connection can.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// removeTLS looks at the first byte, and if it begins a TLS handshake makes
// the handshake and lets c be what is inside.
func (c *conn) removeTLS(ctx context.Context, config *tls.Config) (secure bool, err error) {
	var first [1]byte
	if _, err := io.ReadFull(c.Conn, first[:]); err != nil {
		return false, err
	}
	if first[0] != tlsHandshake {
		c.ahead = first[:]
		return false, nil
	}
	if config == nil {
		return false, understudy.Errorf(understudy.CodeForbidden, "this port does not serve TLS")
	}
	inside := tls.Server(&conn{Conn: c.Conn, ahead: first[:], release: func() {}}, config)
	if err := inside.HandshakeContext(ctx); err != nil {
		_ = inside.Close() // it failed already; whoever waits for the end is told
		return false, err
	}
	state := inside.ConnectionState()
	c.Conn, c.state = inside, &state
	return true, nil
}

// protocol reads the first line ahead and tells what it is the first line of.
func (c *conn) protocol() (string, error) {
	end, err := c.readAhead([]byte("\n"))
	if err != nil {
		return "", err
	}
	name := protocolOf(c.ahead[:end])
	if name == "" {
		return "", understudy.Errorf(understudy.CodeInvalid, "expected the first line of an RTSP or HTTP request, found %.80q", c.ahead[:end])
	}
	return name, nil
}

// readAhead reads until what was read ahead contains the end, and returns the
// index behind it.
func (c *conn) readAhead(end []byte) (int, error) {
	seen := 0
	for {
		from := max(0, seen-len(end)+1)
		if i := bytes.Index(c.ahead[from:], end); i >= 0 {
			return from + i + len(end), nil
		}
		seen = len(c.ahead)
		if seen >= maxGreeting {
			return 0, understudy.Errorf(understudy.CodeInvalid, "expected the beginning of a request in %d bytes", maxGreeting)
		}
		var more [2048]byte
		n, err := c.Conn.Read(more[:min(len(more), maxGreeting-seen)])
		c.ahead = append(c.ahead, more[:n]...)
		if n == 0 && err != nil {
			return 0, err
		}
	}
}

var requestLine = regexp.MustCompile(`^[A-Z_]{1,32} [^ \r\n]+ (RTSP|HTTP)/[0-9]\.[0-9]\r?\n$`)

// protocolOf tells whose request begins with line; empty for nobody's. Some
// methods (OPTIONS) are in both protocols, but the version at the end is not.
func protocolOf(line []byte) string {
	match := requestLine.FindSubmatch(line)
	if match == nil {
		return ""
	}
	return string(match[1])
}

var cseqHeader = regexp.MustCompile(`(?i)\r\nCSeq: *([0-9]{1,10})\r\n`)

// refuse answers the request that c begins with an error, and returns the error.
func (c *conn) refuse(protocol string, why *understudy.Error) error {
	end, err := c.readAhead([]byte("\r\n\r\n"))
	if err != nil {
		return why
	}
	status := why.Code.HTTPStatus() // the two protocols share these
	var answer string
	if protocol == protocolRTSP {
		answer = fmt.Sprintf("RTSP/1.0 %d %s\r\n", status, why.Message)
		if match := cseqHeader.FindSubmatch(c.ahead[:end]); match != nil {
			answer += fmt.Sprintf("CSeq: %s\r\n", match[1])
		}
		answer += "Connection: close\r\n\r\n"
	} else {
		// Two strings always marshal.
		body, _ := json.Marshal(map[string]string{"code": string(why.Code), "message": why.Message})
		answer = fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			status, http.StatusText(status), len(body), body)
	}
	if _, err := io.WriteString(c.Conn, answer); err != nil {
		return why
	}
	// A connection closed with bytes unread is reset, and the answer lost with it.
	_ = c.CloseWrite()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = io.CopyN(io.Discard, c.Conn, 64<<10)
	return why
}

// TLSState returns the TLS state of a connection, also of one that a Mux has
// handed over; false without TLS.
func TLSState(c net.Conn) (*tls.ConnectionState, bool) {
	switch c := c.(type) {
	case *conn:
		return c.state, c.state != nil
	case *tls.Conn:
		state := c.ConnectionState()
		return &state, state.HandshakeComplete
	}
	return nil, false
}
