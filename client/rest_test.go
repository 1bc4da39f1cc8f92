package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serving returns a client of a management server for each handler; a nil one is away.
func serving(t *testing.T, handlers ...http.HandlerFunc) *Client {
	t.Helper()
	roots := x509.NewCertPool()
	var addresses []string
	for _, h := range handlers {
		s := httptest.NewTLSServer(h)
		t.Cleanup(s.Close)
		roots.AddCert(s.Certificate())
		addresses = append(addresses, s.URL)
		if h == nil {
			s.Close()
		}
	}
	c, err := New(Config{Addresses: addresses, TLS: func(understudy.ServerID) *tls.Config { return &tls.Config{RootCAs: roots} }})
	check(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "vms.example.com", "http://vms.example.com", "https://u:p@vms.example.com", "https://vms.example.com/path", "https://"} {
		if _, err := New(Config{Addresses: []string{bad}}); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("%q is no address, but New returned %v", bad, err)
		}
	}
	if _, err := New(Config{}); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("an address is needed, but New returned %v", err)
	}
	if _, err := New(Config{Addresses: []string{"https://vms.example.com/", "https://10.0.0.1:8443"}}); err != nil {
		t.Error(err)
	}
}

// TestTheNextServerIsAsked where that cannot do a thing twice, and only there.
func TestTheNextServerIsAsked(t *testing.T) {
	var second atomic.Int32
	answer := func(w http.ResponseWriter, r *http.Request) {
		second.Add(1)
		_, _ = io.WriteString(w, map[bool]string{true: "{}", false: "[]"}[strings.HasSuffix(r.URL.Path, "/claim")])
	}
	reading := func(c *Client) error { _, err := c.Cameras(t.Context()); return err }
	writing := func(c *Client) error { return c.Report(t.Context(), "rec-1", understudy.Report{}) }
	claiming := func(c *Client) error { _, err := c.Claim(t.Context(), understudy.Claim{}); return err }
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, test := range map[string]struct {
		first   http.HandlerFunc
		ask     func(*Client) error
		reaches bool
	}{
		"away, reading":           {nil, reading, true},
		"away, writing":           {nil, writing, true},
		"hangs up, reading":       {hangUp, reading, true},
		"hangs up, writing":       {hangUp, writing, false},
		"hangs up, claiming":      {hangUp, claiming, true}, // the same claim is answered alike
		"is unavailable, reading": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, reading, true},
		"refuses, reading":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, reading, false},
	} {
		c := serving(t, test.first, answer)
		second.Store(0)
		err := test.ask(c)
		if reached := second.Load() == 1; reached != test.reaches || (err == nil) != test.reaches {
			t.Errorf("%s: the second server is asked: %t, was: %t (%v)", name, test.reaches, reached, err)
		}
	}
}

// Other servers are asked once a client is told of them; what are no addresses changes nothing.
func TestOtherAddresses(t *testing.T) {
	answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") }
	c := serving(t, nil, answer)
	both := []string{c.management[0].String(), c.management[1].String()}
	for _, step := range []struct {
		told    []string
		valid   bool
		answers bool
	}{
		{both[:1], true, false},
		{[]string{"http://vms"}, false, false},
		{nil, false, false},
		{both[1:], true, true},
	} {
		if err := c.SetAddresses(step.told); (err == nil) != step.valid {
			t.Errorf("told of %v: %v", step.told, err)
		}
		if _, err := c.Cameras(t.Context()); (err == nil) != step.answers {
			t.Errorf("after %v the site answers: %v", step.told, err)
		}
	}
}

func TestErrors(t *testing.T) {
	for body, want := range map[string]string{
		`{"code":"conflict","message":"read again"}`:  "conflict: read again",
		`{"code":"novel","message":"of a newer one"}`: "novel: of a newer one",
		`<html>a proxy's page</html>`:                 "invalid: ",
		``:                                            "invalid: ",
	} {
		c := serving(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418); _, _ = io.WriteString(w, body) })
		_, err := c.Cameras(t.Context())
		if got := fmt.Sprintf("%s: %v", understudy.CodeOf(err), err); !strings.HasPrefix(got, want) {
			t.Errorf("%s: must be %q, is %q", body, want, got)
		}
	}
}

// TestMediaToken is asked for once in half of its life, and outlives the management server.
func TestMediaToken(t *testing.T) {
	var asked atomic.Int32
	var age atomic.Int64
	var down atomic.Bool
	c := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		n := asked.Add(1)
		if down.Load() {
			w.WriteHeader(503)
			return
		}
		_ = json.NewEncoder(w).Encode(understudy.MediaToken{Token: understudy.Secret(fmt.Sprint("token ", n)), Expires: time.Now().Add(time.Duration(age.Load()))})
	})
	token := func() understudy.Secret {
		t.Helper()
		token, err := c.MediaToken(t.Context())
		check(t, err)
		return token
	}
	age.Store(int64(time.Hour))
	if first, second := token(), token(); first != "token 1" || second != first || asked.Load() != 1 {
		t.Fatalf("a fresh token is kept, but %d were asked for", asked.Load())
	}
	c.mu.Lock()
	c.shownFresh = time.Now().Add(-time.Second) // half of its life is over
	c.mu.Unlock()
	down.Store(true)
	if token() != "token 1" {
		t.Fatal("a valid token is used while the management server is away")
	}
	down.Store(false)
	if token() != "token 1" || asked.Load() != 2 {
		t.Fatalf("who did not answer is not asked anew at once, but was %d times", asked.Load())
	}
	c.mu.Lock()
	c.away = time.Time{} // a while later
	c.mu.Unlock()
	if got := token(); got != "token 3" {
		t.Fatalf("a stale token is replaced, got %s", string(got))
	}
	c.mu.Lock()
	c.shownFresh, c.shown.Expires = time.Now().Add(-time.Minute), time.Now().Add(-time.Second)
	c.mu.Unlock()
	down.Store(true)
	if token() != "token 3" {
		t.Fatal("while the management server is away the last token is shown past its end: the servers decide for how long")
	}
	c.mu.Lock()
	c.shown = understudy.MediaToken{}
	c.mu.Unlock()
	if _, err := c.MediaToken(t.Context()); understudy.CodeOf(err) != understudy.CodeUnavailable {
		t.Fatalf("who has no token and cannot be given one is told so, but got %v", err)
	}
}

// scripted is a client whose channel is written by a test, in virtual time.
// Each connection is one call of talk.
func scripted(t *testing.T, talk func(n int, request *http.Request, w io.Writer)) *Client {
	c, err := New(Config{Addresses: []string{"https://vms"}})
	check(t, err)
	var n atomic.Int32
	c.connection[""] = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				request, err := http.ReadRequest(bufio.NewReader(theirs))
				if err != nil {
					return
				}
				_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
				talk(int(n.Add(1)), request, theirs)
			}()
			return ours, nil
		},
	}}
	return c
}

// TestRun keeps the site across lost connections, resumes where it was, and
// tells the subscribers of each update once.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cursors []string
		hold := make(chan struct{})
		c := scripted(t, func(n int, request *http.Request, w io.Writer) {
			cursors = append(cursors, request.Header.Get("Last-Event-ID"))
			switch n {
			case 1:
				_, _ = io.WriteString(w, "retry: 1000\n\nevent: site\nid: s:1\ndata: {\"seq\":1}\n\nevent: event\nid: s:2\ndata: {\"seq\":2,\"changes\":[{\"camera\":{\"id\":\"lobby\"}}]}\n\nevent: event\nid: s:3\ndata: {\"seq\":3")
			case 2:
				_, _ = io.WriteString(w, "event: event\nid: s:3\ndata: {\"seq\":3,\"changes\":[{\"camera\":{\"id\":\"yard\"}}]}\n\nevent: novelty\ndata: {}\n\nevent: status\ndata: [{\"server\":\"rec-1\"}]\n\n")
				<-hold
			}
		})
		var seen []uint64
		stop := c.Subscribe(func(s understudy.Site, u understudy.Update) {
			if u.Cursor.Stream != "" {
				seen = append(seen, s.Seq)
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		time.Sleep(time.Second)
		synctest.Wait()
		site, ok := c.Current()
		if !ok || site.Seq != 3 || len(site.Cameras) != 2 || len(c.LastStatus()) != 1 {
			t.Errorf("the site after three events has two cameras, is %+v", site)
		}
		if fmt.Sprint(cursors) != "[ s:2]" {
			t.Errorf("the second connection resumes after s:2, asked for %q", cursors)
		}
		if fmt.Sprint(seen) != "[1 2 3]" {
			t.Errorf("a subscriber sees each update once, saw %v", seen)
		}
		stop()
		c.Subscribe(func(s understudy.Site, u understudy.Update) { seen = append(seen, 100+s.Seq) })
		if seen[len(seen)-1] != 103 {
			t.Error("a subscriber is told at once what is known")
		}
		cancel()
		close(hold)
		if err := <-ended; err != nil {
			t.Errorf("Run ends without an error when it is told to, ended with %v", err)
		}
	})
}

// TestSilence: a channel that says nothing is lost, one that beats is not.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := scripted(t, func(_ int, _ *http.Request, w io.Writer) {
			for range 20 {
				_, _ = io.WriteString(w, ": heartbeat\n\n")
				time.Sleep(5 * time.Second)
			}
			time.Sleep(time.Hour)
		})
		before := time.Now()
		err := c.Follow(t.Context(), understudy.Cursor{}, func(understudy.Update) error { return nil })
		if understudy.CodeOf(err) != understudy.CodeUnavailable {
			t.Errorf("a silent channel is unavailable, got %v", err)
		}
		if waited := time.Since(before); waited < 95*time.Second || waited > 95*time.Second+silence {
			t.Errorf("the channel is given up %s after its last heartbeat, was after %s in all", silence, waited)
		}
		time.Sleep(2 * time.Hour) // the script ends
	})
}

// FuzzNotices: whatever the channel sends, it is read to its end or refused.
func FuzzNotices(f *testing.F) {
	f.Add([]byte("event: site\nid: s:1\ndata: {\"seq\":1}\n\n"))
	f.Add([]byte(": heartbeat\n\ndata: a\ndata: b\r\n\r\nevent\n\n\n"))
	f.Add([]byte("event: status\ndata: []\n\nevent: event\nid: :\ndata: {}\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all := newNotices(strings.NewReader(string(text)))
		for read := 0; ; read++ {
			n, err := all.next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrTooLong) {
					t.Fatalf("reading ends with the text, ended with %v", err)
				}
				return
			}
			if read > len(text) {
				t.Fatal("more notices than bytes")
			}
			u, ok, err := n.update()
			if ok && (err != nil || u.Site == nil && u.Event == nil && u.Status == nil) {
				t.Fatalf("an update says something, said %+v %v", u, err)
			}
		}
	})
}
