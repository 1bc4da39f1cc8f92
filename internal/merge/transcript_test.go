package merge

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/wire"
)

var update = flag.Bool("update", false, "write the transcripts anew")

const failoverServer = "fo-1"

func segment(camera string, sequence uint64) understudy.SegmentID {
	return understudy.SegmentID{Camera: understudy.CameraID(camera), Epoch: 2, Holder: failoverServer, Sequence: sequence}
}

// tap writes down each frame that one side sends.
type tap struct {
	net.Conn
	who   string
	begun time.Time
	mu    *sync.Mutex
	out   *strings.Builder
}

var longHash = regexp.MustCompile(`"([0-9a-f]{8})[0-9a-f]{56}"`)

func (t tap) Write(p []byte) (int, error) {
	t.mu.Lock()
	text := string(p[5:])
	if p[0] == 'D' {
		text = fmt.Sprintf("%d bytes of footage", len(p)-5)
	}
	text = longHash.ReplaceAllString(text, `"$1…"`)
	fmt.Fprintf(t.out, "%5.1fs %-8s %s\n", time.Since(t.begun).Seconds(), t.who, text)
	t.mu.Unlock()
	return t.Conn.Write(p)
}

// over dials a connection that is there already.
func over(conn net.Conn) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) { return conn, nil }
}

func paced(bytesPerSecond int64) *Pace {
	p := &Pace{}
	p.Limit(bytesPerSecond)
	return p
}

// session runs both sides over a pipe and returns what was said.
func session(t *testing.T, from, to *disk, segments []understudy.Segment, o SendOptions) string {
	t.Helper()
	var out strings.Builder
	var mu sync.Mutex
	a, b := net.Pipe()
	begun := time.Now()
	received := make(chan string, 1)
	go func() {
		receiver := &Receiver{Self: "rec-1", Sink: to, Report: func(r understudy.Report) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(&out, "alarm: %s\n", r.Sentence)
		}}
		got, err := receiver.Receive(t.Context(), tap{b, "home", begun, &mu, &out}, failoverServer)
		received <- fmt.Sprintf("home: %v sealed, %d notes, %d bytes, error: %v\n", got.Cameras, got.Notes, got.Bytes, err)
	}()
	o.Sessions = 1
	batch := NewBatch(failoverServer, "rec-1", from, segments, from.noteList(), o)
	sent, err := batch.Run(t.Context(), func(context.Context) (net.Conn, error) { return tap{a, "failover", begun, &mu, &out}, nil })
	text := <-received
	mu.Lock()
	defer mu.Unlock()
	for id, reason := range sent.Refused {
		fmt.Fprintf(&out, "refused: %s: %s\n", id, reason)
	}
	fmt.Fprintf(&out, "failover: %d at home, %d notes, %d bytes, %d deleted, %d expired, %d quarantined, error: %v\n%s",
		sent.Segments, sent.Notes, sent.Bytes, sent.Deleted, sent.Expired, len(sent.Quarantined), err, text)
	return out.String()
}

func TestTranscripts(t *testing.T) {
	first, second := segment("lobby", 7), segment("yard", 8)
	footage := func(n int) []byte { return []byte(strings.Repeat("footage ", n)) }
	for name, play := range map[string]func(t *testing.T) string{
		"whole": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first], from.segments[second] = footage(10), footage(40000)
			return session(t, from, to, from.list(), SendOptions{Grace: 2 * time.Second})
		},
		"rate": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first] = footage(8000)
			return session(t, from, to, from.list(), SendOptions{Pace: paced(100000)})
		},
		"resumed": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first] = footage(10)
			to.incoming[first] = footage(6)
			return session(t, from, to, from.list(), SendOptions{})
		},
		"home-has-it": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first], to.segments[first] = footage(10), footage(10)
			return session(t, from, to, from.list(), SendOptions{})
		},
		"other-content": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first], to.segments[first] = footage(10), footage(11)
			return session(t, from, to, from.list(), SendOptions{})
		},
		"not-home": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first], from.segments[second] = footage(10), footage(10)
			to.refuse = func(camera understudy.CameraID) error {
				if camera == "lobby" {
					return understudy.Errorf(understudy.CodeForbidden, "lobby belongs to rec-2")
				}
				return nil
			}
			return session(t, from, to, from.list(), SendOptions{})
		},
		"stolen": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			other := first
			other.Holder = "fo-2"
			from.segments[other] = footage(10)
			return session(t, from, to, from.list(), SendOptions{})
		},
		"damaged-once": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first] = footage(10)
			to.damage = 1
			return session(t, from, to, from.list(), SendOptions{})
		},
		"damaged-always": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first] = footage(10)
			to.damage = 100
			return session(t, from, to, from.list(), SendOptions{})
		},
		"disk-full": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first], from.segments[second] = footage(10), footage(10)
			to.full = true
			return session(t, from, to, from.list(), SendOptions{})
		},
		"gone-meanwhile": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			return session(t, from, to, []understudy.Segment{{ID: first}}, SendOptions{})
		},
		"notes-first": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first] = footage(10)
			at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
			for i, camera := range []understudy.CameraID{"lobby", "yard"} {
				n := understudy.Note{ID: fmt.Sprintf("n%d", i), Camera: camera, Server: failoverServer, Kind: understudy.NoteEvent, From: at, To: at, Name: "door forced"}
				from.notes[n.ID] = n
			}
			return session(t, from, to, from.list(), SendOptions{})
		},
		"expired": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first], from.segments[second] = footage(10), footage(20)
			to.expired = func(understudy.SegmentID) string { return "rec-1 keeps footage for a day" }
			return session(t, from, to, from.list(), SendOptions{Expired: func(s understudy.Segment) bool { return s.ID == first }})
		},
		"retired-in-the-grace": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first] = footage(10)
			go func() {
				time.Sleep(time.Second)
				_ = to.Delete(first, "there was no room for it")
			}()
			return session(t, from, to, from.list(), SendOptions{Grace: 2 * time.Second})
		},
		"reformatted-in-the-grace": func(t *testing.T) string {
			from, to := newDisk("a"), newDisk("store-1")
			from.segments[first] = footage(10)
			go func() {
				time.Sleep(time.Second)
				to.reformat("store-2")
			}()
			return session(t, from, to, from.list(), SendOptions{Grace: 2 * time.Second})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := play(t)
				file := filepath.Join("testdata", name+".txt")
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("the session was\n%s\nand is to be\n%s", got, want)
				}
			})
		})
	}
}

// A home that speaks nonsense must not make the sender delete anything.
func TestSendKeepsWhatIsNotConfirmed(t *testing.T) {
	id := segment("lobby", 1)
	content := []byte("footage")
	welcomed := message{Welcome: &welcome{Version: version, Incarnation: "store-1"}}
	from := newDisk("a")
	from.segments[id] = content
	size, sum, _ := from.Has(id)
	right := object{Segment: id, Size: size, SHA256: sum, Incarnation: "store-1"}
	otherStore, otherHash, otherSegment := right, right, right
	otherStore.Incarnation = "store-0"
	otherHash.SHA256[0]++
	otherSegment.Segment.Sequence++
	for name, answers := range map[string][]message{
		"no welcome":                   {{Receipt: &receipt{object: right}}},
		"a welcome of another version": {{Welcome: &welcome{Version: 9, Incarnation: "store-1"}}},
		"an offset beyond the end":     {welcomed, {Want: &want{Offset: size + 1}}},
		"a negative offset":            {welcomed, {Want: &want{Offset: -1}}},
		"a receipt of another store":   {welcomed, {Receipt: &receipt{object: otherStore}}},
		"a receipt of other content":   {welcomed, {Receipt: &receipt{object: otherHash}}},
		"a receipt of another segment": {welcomed, {Receipt: &receipt{object: otherSegment}}},
		"a receipt for a confirmation": {welcomed, {Receipt: &receipt{object: right}}, {Receipt: &receipt{object: right}}},
		"another store's confirmation": {welcomed, {Receipt: &receipt{object: right}}, {Confirmed: &otherStore}},
		"no answer to the confirm":     {welcomed, {Receipt: &receipt{object: right}}},
		"a refusal of the confirm":     {welcomed, {Receipt: &receipt{object: right}}, {Refusal: &refusal{Code: understudy.CodeConflict, Reason: "lost"}}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			go func() {
				defer b.Close()
				for _, answer := range answers {
					var m message
					if wire.Read(b, maxMessage, &m) != nil || wire.Write(b, answer) != nil {
						return
					}
				}
				var m message
				_ = wire.Read(b, maxMessage, &m) // the sender's next question gets no answer
			}()
			sent, err := NewBatch(failoverServer, "rec-1", from, from.list(), nil, SendOptions{}).Run(t.Context(), over(a))
			if sent.Deleted != 0 || from.content(id) == nil {
				t.Fatal("footage was deleted without a confirmation")
			}
			if err == nil && len(sent.Refused) == 0 {
				t.Fatal("neither an error nor a refusal tells of it")
			}
		})
	}
}

func TestEndOfContextEndsBothSides(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a, b := net.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := (&Receiver{Sink: newDisk("store-1")}).Receive(ctx, b, failoverServer)
		done <- err
	}()
	if err := wire.Write(a, message{Hello: &hello{Version: version}}); err != nil {
		t.Fatal(err)
	}
	var m message
	if err := wire.Read(a, maxMessage, &m); err != nil || m.Welcome == nil {
		t.Fatalf("expected a welcome, found %+v, %v", m, err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("Receive ended with %v", err)
	}
}
