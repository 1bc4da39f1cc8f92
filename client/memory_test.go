package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"understudy"
)

// notebook is a Memory.
type notebook struct {
	mu    sync.Mutex
	known Known
}

func (n *notebook) Recall() (Known, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known, n.known.Site.Seq > 0
}

func (n *notebook) Keep(k Known) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known = k
}

// away returns the address of a management server that refuses, or that hangs:
// it takes connections, and says nothing on them.
func away(t *testing.T, hangs bool) string {
	t.Helper()
	if !hangs {
		return "https://127.0.0.1:1"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { check(t, listener.Close()) })
	return "https://" + listener.Addr().String()
}

// A program that starts while no management server answers begins with what an
// earlier run kept: it finds the server that has the picture, and the footage.
func TestAFreshClientBeginsWithWhatWasKept(t *testing.T) {
	for name, hangs := range map[string]bool{"the management server is dead": false, "it hangs": true} {
		t.Run(name, func(t *testing.T) {
			home, standby, _ := twoHolders(t, understudy.CodecH264)
			home.hook(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }) // it died since
			standby.show(t)
			var shown sync.Map
			standby.hook(func(_ http.ResponseWriter, r *http.Request) bool {
				shown.Store(r.Header.Get("Authorization"), true)
				return false
			})
			site := siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": standby.address()}, "rec-1", 1)
			book := &notebook{known: Known{Site: site, Token: understudy.MediaToken{Token: "kept", Expires: time.Now().Add(-time.Minute)}}}
			c, err := New(Config{Addresses: []string{away(t, hangs)}, Memory: book, TLS: func(understudy.ServerID) *tls.Config {
				return &tls.Config{InsecureSkipVerify: true} // who is who is identity's test
			}})
			check(t, err)
			t.Cleanup(c.Close)
			enlist(t, c, home, standby)
			standby.states(2, true)
			line, err := c.Timeline(t.Context(), "lobby", noon, noon.Add(time.Minute))
			if err != nil || len(line.Spans) == 0 {
				t.Fatalf("the timeline is %+v: %v", line, err)
			}
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { _ = c.Run(ctx) }) // ends because it is told to
			seen := errors.New("seen")
			err = c.Live(t.Context(), "lobby", func(e LiveEvent) error {
				if e.Server != "fo-1" {
					t.Errorf("the picture comes from %s", e.Server)
				}
				return seen
			})
			stop()
			running.Wait()
			if !errors.Is(err, seen) {
				t.Errorf("the picture: %v", err)
			}
			if _, ok := shown.Load("Bearer kept"); !ok {
				t.Error("the token that was kept was not shown")
			}
		})
	}
}

// What is kept is what was told last, and is not another user's.
func TestWhatIsKept(t *testing.T) {
	book := &notebook{}
	c := serving(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case basePath + "/site":
			_, _ = w.Write([]byte(`{"seq":7,"cameras":[{"id":"lobby"}]}`))
		case basePath + "/media-tokens":
			_, _ = w.Write([]byte(`{"token":"t1","expires":"2100-01-01T00:00:00Z"}`))
		case basePath + "/sign-in":
			_, _ = w.Write([]byte(`{"token":"session of another"}`))
		}
	})
	c.config.Memory = book
	if _, err := c.current(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := book.Recall(); ok {
		t.Error("a site without a token was kept, which opens nothing")
	}
	if _, err := c.MediaToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	known, ok := book.Recall()
	if !ok || known.Site.Seq != 7 || known.Token.Token != "t1" {
		t.Errorf("kept is %+v", known)
	}
	c.apply(understudy.Update{Site: &understudy.Site{Seq: 9}})
	c.mu.Lock()
	c.shownFresh = time.Time{}
	c.mu.Unlock()
	if _, err := c.MediaToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	if known, _ := book.Recall(); known.Site.Seq != 9 {
		t.Errorf("the site of number %d was kept, and 9 was told", known.Site.Seq)
	}
	if _, err := c.SignIn(t.Context(), "another", "password"); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.remembered(); ok {
		t.Error("another user begins with what the last one knew")
	}
}
