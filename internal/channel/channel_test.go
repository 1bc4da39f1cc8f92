package channel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"understudy"
	"understudy/client"
	"understudy/internal/management"
)

// Each step of the property is a TLS connection of its own; 30 rounds of 30 are
// some seconds. -rapid.checks asks for more.
func init() { _ = flag.Set("rapid.checks", "30") }

var administrator = understudy.Identity{User: "ada", Actions: understudy.RoleAdministrator.Actions(), Cameras: []understudy.CameraID{understudy.AllCameras}}

func anAdministrator(*http.Request) (understudy.Identity, error) { return administrator, nil }

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

func check(t fataler, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

type noPasswords struct{ management.Hasher }

func newLog(t fataler) *management.Management {
	m, err := management.New(context.Background(), management.NewMemory(), management.Options{Hasher: noPasswords{}})
	check(t, err)
	return m
}

// addServer is one event.
func addServer(t fataler, m *management.Management, n int) {
	_, err := m.PutFailoverServer(context.Background(), understudy.FailoverServer{
		ID: understudy.ServerID(fmt.Sprintf("fo-%d", n)), Addresses: understudy.Addresses{Media: "10.0.0.1:7563", State: "10.0.0.1:11000"},
	})
	check(t, err)
}

// started is a hub that runs.
type started struct {
	*Hub
	stop func()
}

func start(c Config) started {
	h := NewHub(c)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = h.Run(ctx) }()
	return started{h, func() { cancel(); <-ended }}
}

// wait waits until the hub has heard from its feed.
func (s started) wait() {
	for {
		s.mu.Lock()
		known, changed := s.known, s.changed
		s.mu.Unlock()
		if known {
			return
		}
		<-changed
	}
}

// serve serves what handler points to, and returns the feed that a client of it is.
func serve(t testing.TB, handler *atomic.Pointer[Hub]) *client.Client {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.Load().ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c, err := client.New(client.Config{
		Addresses: []string{server.URL},
		TLS:       func(understudy.ServerID) *tls.Config { return &tls.Config{RootCAs: roots} },
	})
	check(t, err)
	t.Cleanup(c.Close)
	return c
}

// feeds are the implementations of understudy.Feed, all of one log.
func feeds(t *testing.T, m *management.Management) map[string]understudy.Feed {
	first, second := &atomic.Pointer[Hub]{}, &atomic.Pointer[Hub]{}
	embedded := start(Config{Feed: Tail(m), History: m, Identify: anAdministrator})
	t.Cleanup(embedded.stop)
	first.Store(embedded.Hub)
	over := serve(t, first)
	chained := start(Config{Feed: over, Identify: anAdministrator})
	t.Cleanup(chained.stop)
	second.Store(chained.Hub)
	return map[string]understudy.Feed{"the log": Tail(m), "client of the channel": over, "client of a chained channel": serve(t, second)}
}

var errReached = errors.New("reached")

// reader is a client of a feed that keeps the site.
type reader struct {
	site   understudy.Site
	cursor understudy.Cursor
}

// readTo follows until the cursor reaches the log's head. It fails on a gap.
func (r *reader) readTo(t fataler, feed understudy.Feed, stream string, head uint64) {
	t.Helper()
	if r.cursor == (understudy.Cursor{Stream: stream, Seq: head}) {
		return
	}
	for { // a hub that starts is not there at once
		err := feed.Follow(context.Background(), r.cursor, func(u understudy.Update) error {
			switch {
			case u.Site != nil:
				r.site = *u.Site
				if u.Site.Seq != u.Cursor.Seq {
					t.Fatalf("the site of event %d comes with cursor %s", u.Site.Seq, u.Cursor)
				}
			case u.Event != nil:
				if u.Cursor.Stream != r.cursor.Stream || u.Event.Seq != r.cursor.Seq+1 {
					t.Fatalf("after %s came event %d of %s: a gap", r.cursor, u.Event.Seq, u.Cursor.Stream)
				}
				r.site = r.site.Apply(*u.Event)
			default:
				return nil
			}
			r.cursor = u.Cursor
			if r.cursor == (understudy.Cursor{Stream: stream, Seq: head}) {
				return errReached
			}
			return nil
		})
		if errors.Is(err, errReached) {
			return
		}
		if understudy.CodeOf(err) != understudy.CodeUnavailable {
			t.Fatalf("Follow ended with %v", err)
		}
	}
}

func (r *reader) requireSite(t fataler, m *management.Management) {
	t.Helper()
	want, err := m.Site(context.Background())
	check(t, err)
	if r.site.Seq != want.Seq || !reflect.DeepEqual(r.site.FailoverServers, want.FailoverServers) {
		t.Fatalf("the reader's site after event %d is not the log's after %d: %+v, want %+v", r.site.Seq, want.Seq, r.site, want)
	}
}

// TestFeeds: every feed gives the site, then each change, and resumes.
func TestFeeds(t *testing.T) {
	m := newLog(t)
	addServer(t, m, 1)
	for name, feed := range feeds(t, m) {
		t.Run(name, func(t *testing.T) {
			var r reader
			for n := range 5 {
				addServer(t, m, 10+n)
				site, err := m.Site(t.Context())
				check(t, err)
				r.readTo(t, feed, m.Stream(), site.Seq)
				r.requireSite(t, m)
			}
			ctx, cancel := context.WithCancel(t.Context())
			err := feed.Follow(ctx, understudy.Cursor{}, func(understudy.Update) error { cancel(); return nil })
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("Follow ends with its context's error, ended with %v", err)
			}
		})
	}
}

// TestResume: whatever cursor a client brings, over restarts of the channel and
// a restored log, it never misses an event: it resumes or begins anew.
func TestResume(t *testing.T) {
	handler := &atomic.Pointer[Hub]{}
	over := serve(t, handler)
	rapid.Check(t, func(t *rapid.T) {
		m := newLog(t)
		history := rapid.Bool().Draw(t, "history")
		begin := func() started {
			c := Config{Feed: Tail(m), Identify: anAdministrator}
			if history {
				c.History = m
			}
			h := start(c)
			h.wait()
			handler.Store(h.Hub)
			return h
		}
		hub := begin()
		defer func() { hub.stop() }()
		var r reader
		sites := map[understudy.Cursor]understudy.Site{}
		added := 0
		add := func() {
			for range rapid.IntRange(1, 5).Draw(t, "events") {
				added++
				addServer(t, m, added)
				site, err := m.Site(context.Background())
				check(t, err)
				sites[understudy.Cursor{Stream: m.Stream(), Seq: site.Seq}] = site
			}
		}
		add()
		t.Repeat(map[string]func(*rapid.T){
			"add":     func(*rapid.T) { add() },
			"restart": func(*rapid.T) { hub.stop(); hub = begin() },
			"restore": func(*rapid.T) { hub.stop(); m = newLog(t); add(); hub = begin() },
			"stale cursor": func(t *rapid.T) {
				site, err := m.Site(context.Background())
				check(t, err)
				stream := rapid.SampledFrom([]string{m.Stream(), "another"}).Draw(t, "stream")
				r.cursor = understudy.Cursor{Stream: stream, Seq: rapid.Uint64Range(0, site.Seq+3).Draw(t, "seq")}
				r.site = sites[r.cursor] // of a cursor that never was, a client has nothing
			},
			"": func(t *rapid.T) {
				site, err := m.Site(context.Background())
				check(t, err)
				if r.cursor == (understudy.Cursor{Stream: m.Stream(), Seq: site.Seq}) {
					return
				}
				r.readTo(t, over, m.Stream(), site.Seq)
				r.requireSite(t, m)
			},
		})
	})
}

// renamed is a log that turns out to be restored while it is read.
type renamed struct {
	Log
	name string
}

func (l *renamed) Stream() string { return l.name }

func (l *renamed) Site(context.Context) (understudy.Site, error) { return understudy.Site{Seq: 7}, nil }

func (l *renamed) Events(_ context.Context, q understudy.EventQuery) ([]understudy.Event, error) {
	l.name = "new"
	if q.After > 7 {
		return nil, nil
	}
	return []understudy.Event{{Seq: 8}}, nil
}

func (l *renamed) Wait(context.Context, uint64) error { return errReached }

// No event of a restored log goes out under the name of the one that was.
func TestTailOfALogThatIsRenamed(t *testing.T) {
	err := Tail(&renamed{name: "old"}).Follow(t.Context(), understudy.Cursor{}, func(u understudy.Update) error {
		if u.Event != nil {
			t.Errorf("event %d came with cursor %s", u.Event.Seq, u.Cursor)
		}
		return nil
	})
	if understudy.CodeOf(err) != understudy.CodeUnavailable {
		t.Errorf("Follow ended with %v", err)
	}
}

// history is a log of which only the numbers matter.
type history struct {
	understudy.EventService
	first, head uint64 // what came before the first is forgotten
}

func (l history) Events(_ context.Context, q understudy.EventQuery) ([]understudy.Event, error) {
	var events []understudy.Event
	for seq := max(1, int(l.first), int(q.Before)-q.Limit); seq < int(min(q.Before, l.head+1)); seq++ {
		events = append(events, understudy.Event{Seq: uint64(seq), Sentence: "Something happened."})
	}
	return events, nil
}

// TestHowFarBack: what the ring has is resumed, a restart notwithstanding; what
// it has not begins anew.
func TestHowFarBack(t *testing.T) {
	const head = kept + 500
	howFarBack(t, history{head: head}, map[uint64]bool{1: false, 499: false, 500: true, head - 1: true, head + 1: false})
}

// What the log has forgotten is not skipped in silence.
func TestHowFarBackInALogThatForgets(t *testing.T) {
	howFarBack(t, history{first: 31, head: 50}, map[uint64]bool{1: false, 29: false, 30: true, 49: true})
	howFarBack(t, history{first: 51, head: 50}, map[uint64]bool{1: false, 49: false})
}

func howFarBack(t *testing.T, log history, cursors map[uint64]bool) {
	t.Helper()
	head := log.head
	feed := script(make(chan understudy.Update))
	hub := start(Config{Feed: feed, History: log, Identify: anAdministrator})
	t.Cleanup(hub.stop)
	handler := &atomic.Pointer[Hub]{}
	handler.Store(hub.Hub)
	over := serve(t, handler)
	feed.site(head)
	hub.wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // who skips in silence says nothing
	defer cancel()
	for seq, resumes := range cursors {
		var first understudy.Update
		err := over.Follow(ctx, understudy.Cursor{Stream: "s", Seq: seq}, func(u understudy.Update) error { first = u; return errReached })
		if !errors.Is(err, errReached) {
			t.Fatal(err)
		}
		switch {
		case resumes && (first.Event == nil || first.Event.Seq != seq+1):
			t.Errorf("after %d of %d comes the next event, came %+v", seq, head, first)
		case !resumes && (first.Site == nil || first.Cursor.Seq != head):
			t.Errorf("after %d of %d comes the site, came %+v", seq, head, first)
		}
	}
}
