package poll

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newAuthority(t *testing.T) *identity.Authority {
	t.Helper()
	a, err := identity.OpenAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newNode(t *testing.T, a *identity.Authority, id understudy.ServerID, role understudy.Role) *identity.Node {
	t.Helper()
	folder := t.TempDir()
	request, err := identity.NewJoinRequest(folder)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := a.Sign(request, id, role, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := identity.SaveNode(folder, certificate, a.Trust())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func listenOn(t *testing.T, address string) net.Listener {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// serve answers polls of n on a free port until the test or stop ends it.
func serve(t *testing.T, ln net.Listener, n *identity.Node, answerer Answerer) (address string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, ln, n.PeerTLS(), answerer) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return ln.Addr().String(), stop
}

func dial(t *testing.T, address string, config *tls.Config) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), address, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestAPollIsAnsweredAndSaysWhoAsks(t *testing.T) {
	a := newAuthority(t)
	recorder, standby := newNode(t, a, "rec-1", understudy.RoleRecording), newNode(t, a, "fo-1", understudy.RoleFailover)
	state := understudy.State{
		Server: "rec-1", Role: understudy.RoleRecording, Boot: "b1", Epoch: 9, Leaving: "update",
		Started: time.Unix(1e9, 0).UTC(), At: time.Unix(2e9, 5).UTC(),
		Storage: understudy.StorageState{Writable: true, Incarnation: "i1", FreeBytes: 5},
		Cameras: []understudy.CameraState{{Camera: "lobby", Epoch: 3, Recording: true, Frames: 77,
			Watermark: understudy.Watermark{At: time.Unix(2e9, 4).UTC(), Hash: understudy.SampleHash{1, 2}}}},
	}
	var asked []understudy.Poll
	var who []string
	address, stop := serve(t, listenOn(t, "127.0.0.1:0"), recorder, func(observer understudy.Identity, p understudy.Poll) understudy.State {
		asked, who = append(asked, p), append(who, observer.String()+" "+string(observer.Role))
		return state
	})
	c := dial(t, address, standby.ClientTLS("rec-1"))
	polls := []understudy.Poll{{Observer: "fo-1", Covered: []understudy.CameraID{"lobby"}}, {}}
	for _, p := range polls {
		if answer, err := c.Poll(t.Context(), p); err != nil || !reflect.DeepEqual(answer, state) {
			t.Errorf("answered %+v, %v", answer, err)
		}
	}
	stop()
	polls[1].Observer = "fo-1" // a poll without a name is its sender's
	if !reflect.DeepEqual(asked, polls) || !reflect.DeepEqual(who, []string{"server:fo-1 failover", "server:fo-1 failover"}) {
		t.Errorf("asked %+v by %v", asked, who)
	}
	if _, err := c.Poll(t.Context(), understudy.Poll{}); understudy.CodeOf(err) != understudy.CodeUnavailable {
		t.Errorf("after the end: %v", err)
	}
}

func TestNobodySpeaksForAnother(t *testing.T) {
	a := newAuthority(t)
	recorder, standby := newNode(t, a, "rec-1", understudy.RoleRecording), newNode(t, a, "fo-1", understudy.RoleFailover)
	address, _ := serve(t, listenOn(t, "127.0.0.1:0"), recorder, func(understudy.Identity, understudy.Poll) understudy.State {
		t.Error("the poll was answered")
		return understudy.State{}
	})
	_, err := dial(t, address, standby.ClientTLS("rec-1")).Poll(t.Context(), understudy.Poll{Observer: "fo-2", Covered: []understudy.CameraID{"lobby"}})
	if understudy.CodeOf(err) != understudy.CodeForbidden || !strings.Contains(err.Error(), "server:fo-1 may not act as server fo-2") {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerInAnothersNameIsRefused(t *testing.T) {
	a := newAuthority(t)
	recorder, standby := newNode(t, a, "rec-1", understudy.RoleRecording), newNode(t, a, "fo-1", understudy.RoleFailover)
	address, _ := serve(t, listenOn(t, "127.0.0.1:0"), recorder, func(understudy.Identity, understudy.Poll) understudy.State {
		return understudy.State{Server: "rec-2"}
	})
	_, err := dial(t, address, standby.ClientTLS("rec-1")).Poll(t.Context(), understudy.Poll{})
	if understudy.CodeOf(err) != understudy.CodeForbidden || !strings.Contains(err.Error(), `in the name of "rec-2"`) {
		t.Errorf("%v", err)
	}
}

func TestAFailureSaysWhatKindItIs(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	recorder, standby := newNode(t, a, "rec-1", understudy.RoleRecording), newNode(t, a, "fo-1", understudy.RoleFailover)
	stranger := newNode(t, other, "rec-1", understudy.RoleRecording)
	good := func(understudy.Identity, understudy.Poll) understudy.State {
		return understudy.State{Server: "rec-1"}
	}
	right, _ := serve(t, listenOn(t, "127.0.0.1:0"), recorder, good)
	strange, _ := serve(t, listenOn(t, "127.0.0.1:0"), stranger, good)
	closed := listenOn(t, "127.0.0.1:0")
	closed.Close()
	plain := listenOn(t, "127.0.0.1:0")
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := plain.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			c.Close()
		}
	})
	t.Cleanup(served.Wait)
	t.Cleanup(func() { plain.Close() })
	silent := listenOn(t, "127.0.0.1:0") // the kernel accepts, nobody answers
	t.Cleanup(func() { silent.Close() })

	believing := stranger.ClientTLS("rec-1")
	believing.VerifyConnection = nil
	for name, c := range map[string]struct {
		address  string
		config   *tls.Config
		code     understudy.Code
		sentence string
		refused  bool
	}{
		"nobody listens":                 {closed.Addr().String(), standby.ClientTLS("rec-1"), understudy.CodeUnavailable, "nothing listens there", true},
		"silence":                        {silent.Addr().String(), standby.ClientTLS("rec-1"), understudy.CodeUnavailable, "did not answer in time", false},
		"no TLS there":                   {plain.Addr().String(), standby.ClientTLS("rec-1"), understudy.CodeForbidden, "not the server that is expected", false},
		"another server":                 {right, standby.ClientTLS("rec-2"), understudy.CodeForbidden, "not the server that is expected", false},
		"another installation":           {strange, standby.ClientTLS("rec-1"), understudy.CodeForbidden, "not the server that is expected", false},
		"we are of another installation": {right, believing, understudy.CodeForbidden, "refuses this server's certificate", false},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if name == "silence" {
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		}
		conn, err := Dial(ctx, c.address, c.config)
		if err == nil {
			_, err = conn.Poll(ctx, understudy.Poll{}) // with TLS 1.3 a refusal comes after the handshake
			_ = conn.Close()
		}
		if err == nil || understudy.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.sentence) || !strings.Contains(err.Error(), c.address) {
			t.Errorf("%s: %s, %v", name, understudy.CodeOf(err), err)
		}
		if errors.Is(err, syscall.ECONNREFUSED) != c.refused {
			t.Errorf("%s: refused %v, want %v", name, !c.refused, c.refused)
		}
		cancel()
	}
}

func TestAPollEndsWithItsContextAndTheConnectionWithIt(t *testing.T) {
	a := newAuthority(t)
	recorder, standby := newNode(t, a, "rec-1", understudy.RoleRecording), newNode(t, a, "fo-1", understudy.RoleFailover)
	asked, release := make(chan struct{}, 1), make(chan struct{})
	address, _ := serve(t, listenOn(t, "127.0.0.1:0"), recorder, func(understudy.Identity, understudy.Poll) understudy.State {
		asked <- struct{}{}
		<-release
		return understudy.State{Server: "rec-1"}
	})
	c := dial(t, address, standby.ClientTLS("rec-1"))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := c.Poll(ctx, understudy.Poll{}); understudy.CodeOf(err) != understudy.CodeUnavailable || !strings.Contains(err.Error(), "in time") {
		t.Errorf("%v", err)
	}
	close(release)
	// The late answer to the first question must not be taken for one to the second.
	if _, err := c.Poll(t.Context(), understudy.Poll{}); understudy.CodeOf(err) != understudy.CodeUnavailable {
		t.Errorf("the connection was used again: %v", err)
	}
}

func TestGarbageEndsItsOwnConnectionOnly(t *testing.T) {
	a := newAuthority(t)
	recorder, standby := newNode(t, a, "rec-1", understudy.RoleRecording), newNode(t, a, "fo-1", understudy.RoleFailover)
	address, _ := serve(t, listenOn(t, "127.0.0.1:0"), recorder, func(understudy.Identity, understudy.Poll) understudy.State {
		return understudy.State{Server: "rec-1"}
	})
	good := dial(t, address, standby.ClientTLS("rec-1"))
	for name, send := range map[string]func(io.Writer) error{
		"data":         func(w io.Writer) error { return wire.WriteData(w, []byte("x")) },
		"a huge frame": func(w io.Writer) error { _, err := w.Write([]byte("J\xff\xff\xff\xff")); return err },
		"no JSON":      func(w io.Writer) error { _, err := w.Write([]byte("J\x00\x00\x00\x01{")); return err },
		"HTTP":         func(w io.Writer) error { _, err := io.WriteString(w, "GET / HTTP/1.1\r\n\r\n"); return err },
		"a list":       func(w io.Writer) error { return wire.Write(w, []int{1}) },
	} {
		bad := dial(t, address, standby.ClientTLS("rec-1"))
		if err := send(bad.conn); err != nil {
			t.Fatal(err)
		}
		select {
		case <-bad.Broken():
		case reply := <-bad.answers:
			t.Errorf("%s was answered with %+v", name, reply)
		}
	}
	if _, err := good.Poll(t.Context(), understudy.Poll{}); err != nil {
		t.Errorf("another connection suffered: %v", err)
	}
}

func TestTheEndOfAServerIsKnownAtOnce(t *testing.T) {
	a := newAuthority(t)
	recorder, standby := newNode(t, a, "rec-1", understudy.RoleRecording), newNode(t, a, "fo-1", understudy.RoleFailover)
	address, stop := serve(t, listenOn(t, "127.0.0.1:0"), recorder, func(understudy.Identity, understudy.Poll) understudy.State {
		return understudy.State{Server: "rec-1"}
	})
	c := dial(t, address, standby.ClientTLS("rec-1"))
	if _, err := c.Poll(t.Context(), understudy.Poll{}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Broken():
		t.Fatal("broken while the server is there")
	default:
	}
	stop()
	<-c.Broken() // without a question
	if _, err := c.Poll(t.Context(), understudy.Poll{}); understudy.CodeOf(err) != understudy.CodeUnavailable || !strings.Contains(err.Error(), "was lost") {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerThatNobodyAskedForEndsTheConnection(t *testing.T) {
	a := newAuthority(t)
	recorder, standby := newNode(t, a, "rec-1", understudy.RoleRecording), newNode(t, a, "fo-1", understudy.RoleFailover)
	ln := tls.NewListener(listenOn(t, "127.0.0.1:0"), recorder.PeerTLS())
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = wire.Write(conn, answer{State: &understudy.State{Server: "rec-1"}})
		_, _ = io.Copy(io.Discard, conn)
	}()
	c := dial(t, ln.Addr().String(), standby.ClientTLS("rec-1"))
	<-c.Broken()
	if _, err := c.Poll(t.Context(), understudy.Poll{}); understudy.CodeOf(err) != understudy.CodeInvalid || !strings.Contains(err.Error(), "without being asked") {
		t.Errorf("%v", err)
	}
}

func TestAnEmptyAnswerIsAnError(t *testing.T) {
	c := &Conn{address: "A", server: "rec-1", broken: make(chan struct{}), conn: tls.Client(&net.TCPConn{}, nil)}
	if _, err := c.accept(answer{}); understudy.CodeOf(err) != understudy.CodeInvalid || !strings.Contains(err.Error(), "neither a state nor an error") {
		t.Errorf("%v", err)
	}
}

func TestWatchSeesServersComeGoAndReturn(t *testing.T) {
	a := newAuthority(t)
	recorder, manager := newNode(t, a, "rec-1", understudy.RoleRecording), newNode(t, a, "management", understudy.RoleManagement)
	var boot atomic.Int32
	answerer := func(understudy.Identity, understudy.Poll) understudy.State {
		return understudy.State{Server: "rec-1", Boot: string(rune('a' + boot.Load())), Storage: understudy.StorageState{Writable: true},
			Cameras: []understudy.CameraState{{Camera: "lobby", Recording: true}}}
	}
	address, stop := serve(t, listenOn(t, "127.0.0.1:0"), recorder, answerer)
	closed := listenOn(t, "127.0.0.1:0")
	closed.Close()

	var gone atomic.Bool
	servers := func() (map[understudy.ServerID]string, bool) {
		all := map[understudy.ServerID]string{"rec-1": address, "fo-1": closed.Addr().String(), "fo-2": ""}
		if gone.Load() {
			delete(all, "rec-1")
		}
		return all, true
	}
	published := make(chan []understudy.ServerStatus)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	w := NewWatcher(servers, manager.ClientTLS)
	w.interval, w.settle = 5*time.Millisecond, 0
	go func() {
		ended <- w.Run(ctx, func(all []understudy.ServerStatus) {
			select {
			case published <- all:
			case <-ctx.Done():
			}
		})
	}()
	until := func(what string, ok func([]understudy.ServerStatus) bool) []understudy.ServerStatus {
		t.Helper()
		deadline := time.After(time.Minute)
		for {
			select {
			case all := <-published:
				if ok(all) {
					return all
				}
			case <-deadline:
				t.Fatalf("waited a minute for: %s", what)
			}
		}
	}

	first := until("both seen", func(all []understudy.ServerStatus) bool { return len(all) == 2 })
	if first[0].Server != "fo-1" || first[0].Reachable || !strings.Contains(first[0].Sentence, "nothing listens there") {
		t.Errorf("the absent one: %+v", first[0])
	}
	if first[1].Server != "rec-1" || !first[1].Reachable || first[1].State == nil || !strings.Contains(first[1].Sentence, "records 1 of 1 cameras") {
		t.Errorf("the present one: %+v", first[1])
	}
	stop()
	down := until("rec-1 gone", func(all []understudy.ServerStatus) bool { return len(all) == 2 && !all[1].Reachable })
	if !down[1].Since.After(first[1].Since) || down[1].State == nil || down[1].State.Boot != "a" {
		t.Errorf("unreachable: %+v; the time is that of the change, the state the last known", down[1])
	}
	boot.Add(1)
	_, stop = serve(t, listenOn(t, address), recorder, answerer)
	up := until("rec-1 back", func(all []understudy.ServerStatus) bool { return len(all) == 2 && all[1].Reachable })
	// The connection that was lost with a restart is not held against the server.
	stop()
	boot.Add(1)
	serve(t, listenOn(t, address), recorder, answerer)
	until("the restarted one", func(all []understudy.ServerStatus) bool {
		return len(all) == 2 && all[1].Reachable && all[1].State.Boot == "c"
	})
	if up[1].State.Boot != "b" {
		t.Errorf("after it came back: %+v", up[1])
	}
	gone.Store(true)
	until("rec-1 left the site", func(all []understudy.ServerStatus) bool { return len(all) == 1 && all[0].Server == "fo-1" })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWhatWasSeenIsASentence(t *testing.T) {
	start, later := time.Unix(100, 0), time.Unix(200, 0)
	writable := understudy.StorageState{Writable: true}
	recording, lost := understudy.CameraState{Camera: "a", Recording: true}, understudy.CameraState{Camera: "b", Fault: "401 from the camera"}
	mirrored := understudy.CameraState{Camera: "c", Mirrored: true}
	up := understudy.ServerStatus{Server: "rec-1", Reachable: true, Since: start, Sentence: "answers"}
	for _, c := range []struct {
		name   string
		before understudy.ServerStatus
		state  understudy.State
		err    error
		since  time.Time
		want   string
	}{
		{"first", understudy.ServerStatus{}, understudy.State{Storage: writable}, nil, later, "answers at A and has no cameras"},
		{"well", up, understudy.State{Storage: writable, Cameras: []understudy.CameraState{recording, recording}}, nil, start, "answers at A and records 2 of 2 cameras"},
		{"a camera lost", up, understudy.State{Storage: writable, Cameras: []understudy.CameraState{recording, lost}}, nil, start, "answers at A and records 1 of 2 cameras; camera b: 401 from the camera"},
		{"a mirror", up, understudy.State{Storage: writable, Cameras: []understudy.CameraState{recording, mirrored}}, nil, start, "answers at A and records 1 of 1 cameras, and mirrors 1"},
		{"a mirror alone", up, understudy.State{Storage: writable, Cameras: []understudy.CameraState{mirrored}}, nil, start, "answers at A, records no camera and mirrors 1"},
		{"a disk lost", up, understudy.State{Storage: understudy.StorageState{Sentence: "the disk is full"}}, nil, start, "answers at A, but its storage cannot be written: the disk is full"},
		{"leaving", up, understudy.State{Storage: writable, Leaving: "an update"}, nil, start, "is about to stop: an update"},
		{"gone", up, understudy.State{}, errors.New("A refuses"), later, "A refuses"},
		{"still gone", understudy.ServerStatus{Since: start, Sentence: "A refuses"}, understudy.State{}, errors.New("A is silent"), start, "A is silent"},
		{"never there", understudy.ServerStatus{}, understudy.State{}, errors.New("A refuses"), later, "A refuses"},
	} {
		after := seen(c.before, "A", later, c.state, c.err)
		if after.Sentence != c.want || after.Reachable != (c.err == nil) || !after.Since.Equal(c.since) {
			t.Errorf("%s: %+v", c.name, after)
		}
	}
}
