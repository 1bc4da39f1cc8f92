package channel

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

// pipes is a listener whose connections hold nothing: what is written waits
// until it is read.
type pipes struct {
	made  chan net.Conn
	ended chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.made:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

// room is a hub with a server in front, in a bubble of virtual time.
type room struct {
	t     *testing.T
	hub   started
	pipes pipes
}

func newRoom(t *testing.T, c Config) *room {
	if c.Identify == nil {
		c.Identify = anAdministrator
	}
	r := &room{t: t, hub: start(c), pipes: pipes{make(chan net.Conn), make(chan struct{})}}
	server := &http.Server{Handler: r.hub, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(r.pipes) }()
	t.Cleanup(func() { close(r.pipes.ended); _ = server.Close(); <-served; r.hub.stop() })
	synctest.Wait()
	return r
}

// connect asks for the channel and returns what is read of the answer.
func (r *room) connect(headers ...string) *bufio.Reader {
	r.t.Helper()
	ours, theirs := net.Pipe()
	r.t.Cleanup(func() { _ = ours.Close() })
	r.pipes.made <- theirs
	_, err := fmt.Fprintf(ours, "GET /api/v1/channel HTTP/1.0\r\nHost: x\r\n%s\r\n", strings.Join(append(headers, ""), "\r\n"))
	check(r.t, err)
	return bufio.NewReader(ours)
}

// readUntil reads lines up to one that begins so.
func readUntil(t *testing.T, r *bufio.Reader, prefix string) string {
	t.Helper()
	var seen []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("no line began with %q before %v; there was %q", prefix, err, seen)
		}
		if strings.HasPrefix(line, prefix) {
			return line
		}
		seen = append(seen, line)
	}
}

// script is a feed that a test writes.
type script chan understudy.Update

func (s script) Follow(ctx context.Context, _ understudy.Cursor, f func(understudy.Update) error) error {
	for {
		select {
		case u := <-s:
			if err := f(u); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s script) site(seq uint64) {
	s <- understudy.Update{Cursor: understudy.Cursor{Stream: "s", Seq: seq}, Site: &understudy.Site{Seq: seq}}
}

func (s script) events(from, to uint64) {
	for seq := from; seq <= to; seq++ {
		s <- understudy.Update{Cursor: understudy.Cursor{Stream: "s", Seq: seq}, Event: &understudy.Event{Seq: seq, Sentence: "Something happened."}}
	}
	synctest.Wait()
}

func TestAReaderThatIsOvertakenIsToldAndCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := script(make(chan understudy.Update))
		r := newRoom(t, Config{Feed: feed})
		feed.site(1)
		synctest.Wait()
		slow, quick := r.connect(), r.connect()
		readUntil(t, slow, "event: site")
		readUntil(t, quick, "event: site")
		drained := make(chan struct{})
		go func() { defer close(drained); readUntil(t, quick, fmt.Sprintf("id: s:%d", 3*kept)) }()
		feed.events(2, 3*kept)
		<-drained // the quick one is not held up
		readUntil(t, slow, "event: reset")
		if _, err := io.ReadAll(slow); err != nil {
			t.Fatalf("the connection ends after the reset, but %v", err)
		}
		again := r.connect("Last-Event-ID: s:1")
		readUntil(t, again, "event: reset")
		readUntil(t, again, fmt.Sprintf("id: s:%d", 3*kept))
	})
}

func TestAReaderThatReadsNothingIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := script(make(chan understudy.Update))
		r := newRoom(t, Config{Feed: feed, MaxClients: 1})
		feed.site(1)
		synctest.Wait()
		r.connect()
		time.Sleep(time.Second)
		if line, err := r.connect().ReadString('\n'); err != nil || !strings.Contains(line, "503") {
			t.Fatalf("a client more than there is room for gets 503, got %q %v", line, err)
		}
		time.Sleep(writeTimeout)
		readUntil(t, r.connect(), "event: site") // the place is free again
	})
}

func TestAQuietChannelBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := script(make(chan understudy.Update))
		r := newRoom(t, Config{Feed: feed})
		feed.site(1)
		synctest.Wait()
		c := r.connect()
		readUntil(t, c, "event: site")
		before := time.Now()
		readUntil(t, c, ": heartbeat")
		if waited := time.Since(before); waited > heartbeat {
			t.Fatalf("a heartbeat comes after %s, came after %s", heartbeat, waited)
		}
	})
}

func TestASessionThatEndsEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone atomic.Bool
		feed := script(make(chan understudy.Update))
		r := newRoom(t, Config{Feed: feed, Identify: func(*http.Request) (understudy.Identity, error) {
			if gone.Load() {
				return understudy.Identity{}, understudy.Errorf(understudy.CodeUnauthenticated, "the session has ended")
			}
			return administrator, nil
		}})
		feed.site(1)
		synctest.Wait()
		c := r.connect()
		readUntil(t, c, "event: site")
		gone.Store(true)
		before := time.Now()
		readUntil(t, c, "event: reset")
		if waited := time.Since(before); waited > identifyAgain+heartbeat {
			t.Fatalf("a session that has ended is noticed within %s, was after %s", identifyAgain+heartbeat, waited)
		}
		if line, err := r.connect().ReadString('\n'); err != nil || !strings.Contains(line, "401") {
			t.Fatalf("without a session the answer is 401, got %q %v", line, err)
		}
	})
}

// What a group of cameras or a role becomes is news of what clients may see: they are
// looked at again before they are told anything.
func TestRightsThatChangeEndTheConnectionAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cameras atomic.Pointer[[]understudy.CameraID]
		cameras.Store(&[]understudy.CameraID{"lobby"})
		feed := script(make(chan understudy.Update))
		r := newRoom(t, Config{Feed: feed, Identify: func(*http.Request) (understudy.Identity, error) {
			return understudy.Identity{User: "vera", Actions: understudy.RoleViewer.Actions(), Cameras: *cameras.Load()}, nil
		}})
		feed.site(1)
		synctest.Wait()
		c := r.connect()
		readUntil(t, c, "event: site")
		cameras.Store(&[]understudy.CameraID{"yard"})
		before := time.Now()
		feed <- understudy.Update{Cursor: understudy.Cursor{Stream: "s", Seq: 2}, Event: &understudy.Event{Seq: 2, Kind: understudy.EventAccess,
			Changes: []understudy.Change{{CameraGroup: &understudy.CameraGroup{ID: "doors"}}}}}
		readUntil(t, c, "event: reset")
		if waited := time.Since(before); waited != 0 {
			t.Errorf("it was noticed after %s", waited)
		}
	})
}

func TestEachSeesItsOwnCameras(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed := script(make(chan understudy.Update))
		viewer := understudy.Identity{User: "vera", Actions: understudy.RoleViewer.Actions(), Cameras: []understudy.CameraID{"lobby"}}
		r := newRoom(t, Config{Feed: feed, Identify: func(*http.Request) (understudy.Identity, error) { return viewer, nil }})
		cameras := []understudy.Camera{{ID: "lobby"}, {ID: "yard"}}
		feed <- understudy.Update{Cursor: understudy.Cursor{Stream: "s", Seq: 1}, Site: &understudy.Site{Seq: 1, Cameras: cameras}}
		synctest.Wait()
		c := r.connect()
		if line := readUntil(t, c, "data: "); strings.Contains(line, "yard") || !strings.Contains(line, "lobby") {
			t.Fatalf("the snapshot has the cameras of whom it is for, has %s", line)
		}
		r.hub.Status([]understudy.ServerStatus{{Server: "rec-1", State: &understudy.State{Cameras: []understudy.CameraState{{Camera: "yard"}}}}})
		if line := readUntil(t, c, "data: "); strings.Contains(line, "yard") || !strings.Contains(line, "rec-1") {
			t.Fatalf("the status has the cameras of whom it is for, has %s", line)
		}
		event := func(seq uint64, e understudy.Event) {
			e.Seq = seq
			feed <- understudy.Update{Cursor: understudy.Cursor{Stream: "s", Seq: seq}, Event: &e}
		}
		event(2, understudy.Event{Kind: understudy.EventCamera, Camera: "yard", Sentence: "yard is lost."})
		event(3, understudy.Event{Kind: understudy.EventAccess, Sentence: "ada signed in."})
		event(4, understudy.Event{Kind: understudy.EventTakeover, Changes: []understudy.Change{
			{Lease: &understudy.Lease{Camera: "yard"}}, {Lease: &understudy.Lease{Camera: "lobby"}}}})
		if id, line := readUntil(t, c, "id: "), readUntil(t, c, "data: "); id != "id: s:4\n" || strings.Contains(line, "yard") || !strings.Contains(line, "lobby") {
			t.Fatalf("the next event is the fourth, without the other camera, is %s%s", id, line)
		}
	})
}
