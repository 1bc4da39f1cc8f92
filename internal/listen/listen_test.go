package listen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// configs returns a server's and a client's TLS configuration that trust each other.
func configs(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"here"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	certificate := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	server = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, ClientCAs: roots, ClientAuth: tls.RequestClientCert}
	client = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "here", Certificates: []tls.Certificate{certificate}}
	return server, client
}

// port is a Mux that runs, on loopback.
type port struct {
	*Mux
	t       *testing.T
	address string
	client  *tls.Config
	end     func()
}

// open runs a Mux; prepare asks for the listeners.
func open(t *testing.T, options Options, prepare func(*Mux)) *port {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, client := configs(t)
	m := New(ln, server, options)
	prepare(m)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	p := &port{Mux: m, t: t, address: ln.Addr().String(), client: client}
	p.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(p.end)
	return p
}

// dial connects, with TLS or without, and closes with the test.
func (p *port) dial(secure bool) net.Conn {
	p.t.Helper()
	raw, err := new(net.Dialer).DialContext(p.t.Context(), "tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { raw.Close() })
	if !secure {
		return raw
	}
	conn := tls.Client(raw, p.client)
	if err := conn.HandshakeContext(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	return conn
}

// say sends text and returns all that is answered.
func say(conn net.Conn, text string) string {
	_, _ = io.WriteString(conn, text)
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// echo answers each connection with the name of the listener and the first line that it reads there.
func echo(t *testing.T, name string, ln net.Listener) {
	t.Helper()
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer c.Close()
				line, _ := bufio.NewReader(c).ReadString('\n')
				state, secure := TLSState(c)
				fmt.Fprintf(c, "%s %v %q", name, secure && state.HandshakeComplete, line)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); served.Wait() })
}

const (
	describe    = "DESCRIBE rtsp://127.0.0.1:7563/lobby?token=x RTSP/1.0\r\nCSeq: 7\r\n\r\n"
	optionsRTSP = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
	get         = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
	optionsHTTP = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
)

func TestOnePortServesBothProtocolsWithTLSAndWithout(t *testing.T) {
	p := open(t, Options{AllowPlain: true}, func(m *Mux) {
		echo(t, "rtsp", m.RTSP())
		echo(t, "http", m.HTTP())
	})
	for _, secure := range []bool{true, false} {
		for request, name := range map[string]string{describe: "rtsp", optionsRTSP: "rtsp", get: "http", optionsHTTP: "http"} {
			line, _, _ := strings.Cut(request, "\n")
			want := fmt.Sprintf("%s %v %q", name, secure, line+"\n")
			if answer := say(p.dial(secure), request); answer != want {
				t.Errorf("TLS %v, %q: %q, want %q", secure, line, answer, want)
			}
		}
	}
}

func TestBytesArriveWholeHoweverTheyAreCut(t *testing.T) {
	p := open(t, Options{AllowPlain: true}, func(m *Mux) {
		ln := m.HTTP()
		var served sync.WaitGroup
		served.Go(func() {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = io.Copy(c, c) // all of it comes back
		})
		t.Cleanup(served.Wait)
	})
	conn := p.dial(false)
	body := bytes.Repeat([]byte("0123456789"), 30000)
	sent := append([]byte("POST /"+strings.Repeat("x", 5000)+" HTTP/1.1\r\nHost: a\r\n\r\n"), body...)
	go func() {
		for i := range sent[:40] { // byte by byte through the first line's beginning
			_, _ = conn.Write(sent[i : i+1])
		}
		_, _ = conn.Write(sent[40:])
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	if back, err := io.ReadAll(conn); err != nil || !bytes.Equal(back, sent) {
		t.Errorf("%d bytes of %d came back, %v", len(back), len(sent), err)
	}
}

func TestWithoutTLSThereIsOneLineOfRefusal(t *testing.T) {
	p := open(t, Options{}, func(m *Mux) {
		echo(t, "rtsp", m.RTSP())
		echo(t, "http", m.HTTP())
	})
	answer := say(p.dial(false), describe)
	if !strings.HasPrefix(answer, "RTSP/1.0 403 use TLS") || !strings.Contains(answer, "\r\nCSeq: 7\r\n") || !strings.HasSuffix(answer, "\r\n\r\n") {
		t.Errorf("RTSP: %q", answer)
	}
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(say(p.dial(false),
		"POST /api/v1/sign-in HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n"+strings.Repeat("x", 40)))), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct{ Code, Message string }
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || response.StatusCode != 403 || body.Code != "forbidden" || !strings.Contains(body.Message, "use TLS") {
		t.Errorf("HTTP: %d %+v, %v", response.StatusCode, body, err)
	}
	// With TLS the same port serves.
	if answer := say(p.dial(true), get); !strings.HasPrefix(answer, "http true") {
		t.Errorf("with TLS: %q", answer)
	}
}

func TestWhatIsNotServedIsRefused(t *testing.T) {
	p := open(t, Options{AllowPlain: true}, func(m *Mux) { echo(t, "http", m.HTTP()) })
	for _, secure := range []bool{true, false} {
		if answer := say(p.dial(secure), describe); !strings.HasPrefix(answer, "RTSP/1.0 404 this port does not serve RTSP") {
			t.Errorf("TLS %v: %q", secure, answer)
		}
	}
	for name, text := range map[string]string{
		"another protocol":       "SSH-2.0-OpenSSH_9.6\r\n",
		"a number":               "\x00\x01\x02\x03\n",
		"HTTP/0.9":               "GET /\r\n",
		"a line without an end":  "GET /" + strings.Repeat("x", maxGreeting),
		"a broken TLS handshake": "\x16\x03\x01\xff\xff" + strings.Repeat("x", 300),
		"a cookie in the method": "get / HTTP/1.1\r\n\r\n",
	} {
		if answer := say(p.dial(false), text); strings.Contains(answer, "http") {
			t.Errorf("%s: served, %q", name, answer)
		}
	}
	if answer := say(p.dial(false), get); !strings.HasPrefix(answer, "http false") {
		t.Errorf("after all that: %q", answer)
	}
}

func TestRawConnectionsHaveTheirHandshakeDone(t *testing.T) {
	p := open(t, Options{AllowPlain: true}, func(m *Mux) { echo(t, "raw", m.Raw()) })
	if answer := say(p.dial(true), "J\x00\n"); answer != `raw true "J\x00\n"` {
		t.Errorf("%q", answer)
	}
	if answer := say(p.dial(false), get); answer != "" {
		t.Errorf("without TLS: %q", answer)
	}
}

// A server on such a port may speak first: nothing is sniffed there.
func TestARawConnectionMayBeginWithTheServer(t *testing.T) {
	greeted := make(chan struct{})
	p := open(t, Options{}, func(m *Mux) {
		ln := m.Raw()
		go func() {
			defer close(greeted)
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello")
			c.Close()
		}()
	})
	if answer, err := io.ReadAll(p.dial(true)); string(answer) != "hello" || err != nil {
		t.Errorf("%q, %v", answer, err)
	}
	<-greeted
}

func TestHTTPHandlersSeeTheClientsCertificate(t *testing.T) {
	serving, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan error, 1)
	p := open(t, Options{AllowPlain: true}, func(m *Mux) {
		server := &http.Server{
			ReadHeaderTimeout: time.Minute,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.TLS == nil {
					fmt.Fprint(w, "plain")
					return
				}
				fmt.Fprintf(w, "TLS %d", len(r.TLS.PeerCertificates))
			}),
		}
		ln := m.HTTP()
		go func() { served <- Serve(serving, ln, server, time.Minute) }()
	})
	transport := &http.Transport{TLSClientConfig: p.client}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for scheme, want := range map[string]string{"https": "TLS 1", "http": "plain"} {
		for range 2 { // the second over the kept-alive connection
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+p.address+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || string(body) != want {
				t.Errorf("%s: %q, %v", scheme, body, err)
			}
		}
	}
	stop()
	if err := <-served; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if answer := say(p.dial(false), get); answer != "" {
		t.Errorf("after the server's shutdown: %q", answer)
	}
}

func TestRequestsThatCameByNoMuxHaveNoTLS(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.TLS = nil
	withTLS(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.TLS != nil {
			t.Error("TLS out of nothing")
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, ok := TLSState(a); ok {
		t.Error("a pipe has a TLS state")
	}
	if _, ok := TLSState(tls.Client(a, &tls.Config{})); ok {
		t.Error("a connection before its handshake has a TLS state")
	}
}

func TestAThousandThatSayNothingDoNotKeepOutTheOneThatDoes(t *testing.T) {
	p := open(t, Options{AllowPlain: true}, func(m *Mux) { echo(t, "http", m.HTTP()) })
	silent := make([]net.Conn, maxPending+50)
	for i := range silent {
		silent[i] = p.dial(false)
		if i%2 == 0 {
			_, _ = io.WriteString(silent[i], "\x16\x03\x01") // half a handshake
		}
	}
	for _, secure := range []bool{true, false} {
		if answer := say(p.dial(secure), get); !strings.HasPrefix(answer, "http") {
			t.Errorf("TLS %v: %q", secure, answer)
		}
	}
	if _, err := silent[0].Read(make([]byte, 1)); err == nil {
		t.Error("the oldest was kept")
	}
	p.mu.Lock()
	if n := p.pending.Len(); n > maxPending {
		t.Errorf("%d are pending, more than %d", n, maxPending)
	}
	p.mu.Unlock()
}

func TestRunEndsWithEverythingThatItStarted(t *testing.T) {
	p := open(t, Options{AllowPlain: true}, func(m *Mux) { m.HTTP() }) // nobody accepts
	waiting := p.dial(false)
	_, _ = io.WriteString(waiting, get)
	silent := p.dial(false)
	ln := p.HTTP()
	p.end()
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	for name, conn := range map[string]net.Conn{"the one that waited": waiting, "the silent one": silent} {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s is still open", name)
		}
	}
	if n := p.open.Load(); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
}

func TestAPortClosedBySomebodyElseIsAnError(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := New(ln, nil, Options{}).Run(t.Context()); err == nil {
		t.Error("Run ended without a word")
	}
}

func TestAPortWithoutAConfigurationRefusesTLS(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	m := New(ln, nil, Options{AllowPlain: true})
	m.HTTP()
	go func() { ended <- m.Run(ctx) }()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := tls.Client(conn, &tls.Config{ServerName: "here"}).HandshakeContext(t.Context()); err == nil {
		t.Error("a handshake was made")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func FuzzProtocol(f *testing.F) {
	for _, seed := range []string{describe, optionsRTSP, get, optionsHTTP, "GET / HTTP/1.1\n", "\r\n\r\n"} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, input []byte, cut uint8) {
		client, server := net.Pipe()
		go func() {
			at := min(int(cut), len(input))
			_, _ = client.Write(input[:at])
			_, _ = client.Write(input[at:])
			client.Close()
		}()
		c := &conn{Conn: server, release: func() {}}
		name, err := c.protocol()
		line, _, whole := bytes.Cut(input, []byte("\n"))
		if want := protocolOf(append(bytes.Clone(line), '\n')); whole && len(line) < maxGreeting-1 && name != want {
			t.Errorf("%q is of %q, want %q (%v)", line, name, want, err)
		}
		if rest, _ := io.ReadAll(c); err == nil && !bytes.Equal(rest, input) {
			t.Errorf("%q was left of %q", rest, input)
		}
		server.Close()
	})
}

// pipes is a listener of connections in memory, so that time can be virtual.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestWhoeverSaysNothingIsGoneAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		m := New(ln, nil, Options{AllowPlain: true})
		served := m.HTTP()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		silent, there := net.Pipe()
		ln.conns <- there
		slow, alsoThere := net.Pipe()
		ln.conns <- alsoThere
		_, _ = io.WriteString(slow, get)
		kept, err := served.Accept()
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(start) != greetingTime {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		// The limit is not that of a connection which has said what it speaks.
		time.Sleep(time.Hour)
		go func() { _, _ = io.WriteString(slow, "x") }()
		rest := make([]byte, len(get)+1)
		if _, err := io.ReadFull(kept, rest); err != nil || string(rest) != get+"x" {
			t.Errorf("%q, %v", rest, err)
		}
		kept.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// failing is a listener that has run out of file descriptors for a while.
type failing struct {
	pipes
	failures int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.failures > 0 {
		f.failures--
		return nil, errors.New("too many open files")
	}
	return f.pipes.Accept()
}

func TestAPortGoesOnWhenAcceptFailsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &failing{pipes{conns: make(chan net.Conn), closed: make(chan struct{})}, 20}
		m := New(ln, nil, Options{AllowPlain: true})
		served := m.HTTP()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		client, there := net.Pipe()
		ln.conns <- there
		_, _ = io.WriteString(client, get)
		if c, err := served.Accept(); err != nil {
			t.Error(err)
		} else {
			c.Close()
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
