package notify

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"time"

	"understudy"
	"understudy/internal/config"
	"understudy/internal/remote"
)

const (
	// Who receives syslog takes messages of 2048 bytes (RFC 5424 §6.1), and rsyslog, unless told
	// otherwise, of 8096, beyond which it makes two of one: an event that is longer has its sentence cut.
	maxDatagram = 2048
	maxFrame    = 8096
	// digestion is how long a server must stand after it has read all. What it does not keep in a
	// queue is written down by then, and were it its own end that ended the connection, that is seen.
	digestion = time.Second
	// datagramPace is between two datagrams, so that a lot of them does not overflow who receives it,
	// and refusalWait after the last: so long a refusal by the machine there may take.
	datagramPace = time.Millisecond
	refusalWait  = 250 * time.Millisecond
)

// collector sends each event to a syslog server as a message of RFC 5424.
//
// Syslog has no acknowledgement. Over TCP and TLS each lot gets a connection of its own, which this
// side closes for writing; the server closes its side when it has read to the end. If it ends itself
// before that, its machine resets the connection, or, when the server has read all and not yet written
// it down, closes it as a server does that lives. So a second connection stands by, on which nothing is
// said: if that stands when the first is closed, it was a server that lives who closed it, and the lot was told.
type collector struct {
	config  config.Target
	network string // tcp or udp
	address string
	host    string
	tls     *tls.Config // nil is without
}

func newCollector(c config.Target) (sender, error) {
	u, err := url.Parse(c.Syslog)
	if err != nil || u.Scheme != "tls" && u.Scheme != "tcp" && u.Scheme != "udp" || u.Hostname() == "" || u.Port() == "" || u.Host != c.Syslog[len(u.Scheme+"://"):] {
		return nil, understudy.Errorf(understudy.CodeInvalid, "target %q of notify: syslog is tls://HOST:6514, or without TLS tcp://HOST:PORT or udp://HOST:514, found %q", c.Name, c.Syslog)
	}
	s := &collector{config: c, network: u.Scheme, address: u.Host}
	if u.Scheme == "tls" {
		s.network = "tcp"
		s.tls, err = secured(c, u.Hostname())
	} else if c.CAFile+c.CertificateFile+c.KeyFile != "" {
		err = understudy.Errorf(understudy.CodeInvalid, "target %q of notify: ca_file, certificate_file and key_file are for tls://; %s would send in the clear", c.Name, c.Syslog)
	}
	if err != nil {
		return nil, err
	}
	if s.host, err = os.Hostname(); err != nil {
		return nil, understudy.Errorf(understudy.CodeInternal, "the name of this machine, which syslog messages begin with, cannot be read: %w", err)
	}
	return s, nil
}

func secured(c config.Target, server string) (*tls.Config, error) {
	trust, err := remote.Roots("ca_file of notify", c.CAFile)
	if err != nil {
		return nil, err
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: server, RootCAs: trust}
	if c.CertificateFile == "" && c.KeyFile == "" {
		return secure, nil
	}
	// It is read for each connection, so that it can be renewed.
	secure.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		own, err := tls.LoadX509KeyPair(c.CertificateFile, c.KeyFile)
		if err != nil {
			return nil, understudy.Errorf(understudy.CodeInvalid, "certificate_file and key_file of target %q of notify are a certificate and its key in PEM, and cannot be used: %w", c.Name, err)
		}
		return &own, nil
	}
	_, err = secure.GetClientCertificate(nil)
	return secure, err
}

func (s *collector) send(ctx context.Context, m message) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	if s.network == "udp" {
		err = s.sendDatagrams(ctx, syslogMessages(s.host, m, time.Now(), maxDatagram))
	} else {
		err = s.sendFrames(ctx, syslogMessages(s.host, m, time.Now(), maxFrame))
	}
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the syslog server %s did not take what was sent: %w", s.config.Syslog, err)
	}
	return nil
}

// sendFrames writes messages with their lengths before them (RFC 5425 §4.3, RFC 6587 §3.4.1), and
// waits until the server has read them.
func (s *collector) sendFrames(ctx context.Context, messages [][]byte) error {
	witness, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer witness.outer.Close()
	lot, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer lot.outer.Close()
	w := bufio.NewWriter(lot.outer)
	for _, text := range messages {
		fmt.Fprintf(w, "%d %s", len(text), text)
	}
	if err := errors.Join(w.Flush(), lot.closeWrite()); err != nil {
		return err
	}
	select {
	case err = <-lot.ended:
	case <-ctx.Done():
		return understudy.Errorf(understudy.CodeUnavailable, "it did not close the connection, as a server does that has read to its end: %w", ctx.Err())
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // rsyslog with GnuTLS ends a connection without TLS's own goodbye
		return err
	}
	select {
	case err = <-witness.ended:
		return understudy.Errorf(understudy.CodeUnavailable, "it ended all connections, and perhaps itself, before what it has read was surely written down: %w", cmp.Or(err, io.EOF))
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(digestion):
		return nil
	}
}

// line is a connection to a syslog server. It ends with the context that it was made under.
type line struct {
	outer halfCloser // TLS, where it is used, and else the same
	inner halfCloser
	ended chan error // how the server has ended it
}

// halfCloser is a connection that can be ended for writing alone.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

func (s *collector) connect(ctx context.Context) (*line, error) {
	conn, err := new(net.Dialer).DialContext(ctx, s.network, s.address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	tcp := conn.(*net.TCPConn)
	l := &line{outer: tcp, inner: tcp, ended: make(chan error, 1)}
	if s.tls != nil {
		secure := tls.Client(tcp, s.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		l.outer = secure
	}
	go func() {
		_, err := io.Copy(io.Discard, l.outer)
		l.ended <- err
	}()
	return l, nil
}

func (l *line) closeWrite() error {
	if l.outer == l.inner {
		return l.inner.CloseWrite()
	}
	return errors.Join(l.outer.CloseWrite(), l.inner.CloseWrite())
}

// sendDatagrams sends each message as a datagram (RFC 5426), of which nobody knows what becomes. Only
// that nobody listens there is said, by a machine that is up.
func (s *collector) sendDatagrams(ctx context.Context, messages [][]byte) error {
	conn, err := new(net.Dialer).DialContext(ctx, s.network, s.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, text := range messages {
		if _, err := conn.Write(text); err != nil {
			return err
		}
		if err := refused(conn, datagramPace); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return refused(conn, refusalWait)
}

func refused(conn net.Conn, wait time.Duration) error {
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}
