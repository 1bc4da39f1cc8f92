package recording

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/merge"
	"understudy/internal/poll"
	"understudy/internal/testcam"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// It records what a player opens, the open segment included, and shows it live.
func TestRecordsAndServes(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby", "yard")
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	r.Apply(a)
	until(t, "both cameras are durable", r.recordsAll(a))
	t.Run("ffprobe reads every file on disk", func(t *testing.T) { probeAll(t, r.dir, 2) })
	token := site.token("lobby")
	t.Run("live over WebSocket", func(t *testing.T) { watchWebSocket(t, r, token) })
	t.Run("live over RTSP", func(t *testing.T) { watchRTSP(t, r, token) })
	t.Run("state", func(t *testing.T) {
		state := r.State()
		if !state.Storage.Writable || len(state.Cameras) != 2 || state.Epoch != 1 || state.Boot == "" {
			t.Errorf("state is %+v", state)
		}
		for _, c := range state.Cameras {
			if !c.Receiving || !c.Recording || c.Frames == 0 || c.Watermark.At.IsZero() || c.Fault != "" {
				t.Errorf("camera state is %+v", c)
			}
		}
	})
	t.Run("frames follow each other", func(t *testing.T) { gapless(t, r.frames(t, "lobby"), 5) })
}

// gapless checks that the frame numbers grow by one, and are many enough.
func gapless(t *testing.T, frames []frame, atLeast int) {
	t.Helper()
	if len(frames) < atLeast {
		t.Fatalf("found %d frames, expected %d or more", len(frames), atLeast)
	}
	for i, f := range frames[1:] {
		if f.number != frames[i].number+1 {
			t.Errorf("frame %d (%s) follows frame %d (%s)", f.number, f.segment, frames[i].number, frames[i].segment)
		}
	}
}

func probeAll(t *testing.T, dir string, atLeast int) {
	t.Helper()
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Skip("ffprobe is not installed")
	}
	found := 0
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".mp4") {
			return err
		}
		found++
		out, err := exec.CommandContext(t.Context(), ffprobe, "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames", "-of", "csv=p=0", path).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "h264,") || strings.Count(string(out), "\n") != 1 {
			t.Errorf("ffprobe %s: %v\n%s", path, err, out)
		}
		return nil
	})
	if err != nil || found < atLeast {
		t.Errorf("found %d files, expected %d or more; %v", found, atLeast, err)
	}
}

func watchWebSocket(t *testing.T, r *running, token string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	url := "ws://" + r.addresses.Media + "/v1/cameras/%s/live?token=%s"
	//nolint:bodyclose // the library closes it
	if _, response, err := websocket.Dial(ctx, fmt.Sprintf(url, "yard", token), nil); err == nil || response == nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("another camera's token was answered with %v, %v", response, err)
	}
	conn, _, err := websocket.Dial( //nolint:bodyclose // the library closes it
		ctx, fmt.Sprintf(url, "lobby", token), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(16 << 20)
	_, text, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var begin struct {
		Server understudy.ServerID `json:"server"`
		Epoch  uint64              `json:"epoch"`
		Mime   string              `json:"mime"`
	}
	if err := json.Unmarshal(text, &begin); err != nil || begin.Server != "rec-1" || begin.Epoch != 1 || !strings.HasPrefix(begin.Mime, "video/mp4") {
		t.Errorf("the picture began with %s (%v)", text, err)
	}
	for range 5 {
		kind, data, err := conn.Read(ctx)
		if err != nil || kind != websocket.MessageBinary || len(data) == 0 {
			t.Fatalf("found a message of kind %v with %d bytes, %v", kind, len(data), err)
		}
	}
}

func watchRTSP(t *testing.T, r *running, token string) {
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Skip("ffprobe is not installed")
	}
	ask := func(url string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, ffprobe, "-v", "error", "-rtsp_transport", "tcp", "-read_intervals", "%+1",
			"-show_entries", "stream=codec_name", "-of", "csv=p=0", url).CombinedOutput()
		return string(out), err
	}
	for _, scheme := range []string{"rtsp", "rtsps"} {
		url := scheme + "://" + r.addresses.Media + "/lobby"
		if out, err := ask(url + "?token=" + token); err != nil || !strings.HasPrefix(out, "h264") {
			t.Errorf("ffprobe of %s: %v\n%s", url, err, out)
		}
		if out, err := ask(url); err == nil || !strings.Contains(out, "401") {
			t.Errorf("without a token, ffprobe of %s: %v\n%s", url, err, out)
		}
	}
}

// An assignment that is applied again, or with another epoch, disturbs nobody.
func TestApplyLeavesAloneWhatIsTheSame(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby", "yard")
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	r.Apply(understudy.Assignment{Server: "rec-1", Seq: 1, Cameras: a.Cameras[:1]})
	until(t, "the first camera is durable", func() bool { return len(r.Covered()) == 1 })
	before, _ := r.find("lobby")
	r.Apply(a)
	r.Apply(withEpoch(a, 2))
	until(t, "both are durable", r.recordsAll(a))
	if after, _ := r.find("lobby"); after != before {
		t.Error("a camera that is the same was begun anew")
	}
	until(t, "the new epoch is on disk", func() bool {
		frames := r.frames(t, "lobby")
		return len(frames) > 0 && frames[len(frames)-1].segment.Epoch == 2
	})
	r.Apply(understudy.Assignment{Server: "rec-1", Seq: 4, Cameras: withEpoch(a, 2).Cameras[1:]})
	until(t, "the camera that is not assigned any more has stopped", func() bool {
		select {
		case <-before.silent:
			return true
		default:
			return false
		}
	})
	r.stop()
	r = site.start(r.node, options{dir: r.dir})
	frames := r.frames(t, "lobby")
	gapless(t, frames, 5)
	if frames[0].segment.Epoch != 1 || frames[len(frames)-1].segment.Epoch != 2 {
		t.Errorf("the epochs are %d to %d, expected 1 to 2", frames[0].segment.Epoch, frames[len(frames)-1].segment.Epoch)
	}
}

// A camera that cannot be reached is told of, and delays no other.
func TestDeadCameraDelaysNobody(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby")
	dead := listener(t) // accepts and never answers
	a.Cameras = append(a.Cameras, understudy.AssignedCamera{Camera: understudy.Camera{ID: "dead", Home: "rec-1", URL: "rtsp://" + dead.Addr().String() + "/x"}.WithDefaults(), Epoch: 1, Record: true})
	refused := listener(t)
	refused.Close()
	a.Cameras = append(a.Cameras, understudy.AssignedCamera{Camera: understudy.Camera{ID: "refused", Home: "rec-1", URL: "rtsp://" + refused.Addr().String() + "/x"}.WithDefaults(), Epoch: 1, Record: true})
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	r.Apply(a)
	until(t, "the camera that works is durable", func() bool { return len(r.Covered()) == 1 })
	until(t, "the refusal is told", func() bool {
		c := r.State().Cameras[2]
		return c.Camera == "refused" && !c.Receiving && !c.Recording && c.Fault != ""
	})
}

// A camera that freezes with its connection open is told of before the session
// is given up for it.
func TestFrozenCameraIsTold(t *testing.T) {
	t.Parallel()
	frozen, err := testcam.New(testcam.Config{Listen: "127.0.0.1:0", Cameras: []testcam.Camera{{Name: "frozen", Misbehave: testcam.Freeze}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- frozen.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	site := newInstallation(t)
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	r.Apply(understudy.Assignment{Server: "rec-1", Seq: 1, Cameras: []understudy.AssignedCamera{{
		Camera: understudy.Camera{ID: "frozen", Home: "rec-1", URL: frozen.URL("frozen")}.WithDefaults(), Epoch: 1, Record: true}}})
	told := func() (c understudy.CameraState) {
		for _, c = range r.State().Cameras {
		}
		return c
	}
	until(t, "the camera is received", func() bool { return told().Receiving })
	until(t, "the freeze is told", func() bool { return !told().Receiving && strings.Contains(told().Fault, "no picture") })
}

// The holder is named only when the site is known to say so, and never while
// the news of a takeover is still on its way.
func TestRedirects(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby")
	r := site.start(site.join("fo-1", understudy.RoleFailover), options{})
	shown := library{r.store, r.Server}
	lease := func(holder understudy.ServerID, epoch uint64) {
		r.SetSite(understudy.Site{Seq: 1, Cameras: []understudy.Camera{a.Cameras[0].Camera},
			RecordingServers: []understudy.RecordingServer{{ID: "rec-1", Addresses: understudy.Addresses{Media: "10.0.0.1:7563"}}},
			FailoverServers:  []understudy.FailoverServer{{ID: "fo-1", Addresses: r.addresses}},
			Leases:           understudy.Leases{{Camera: "lobby", Holder: holder, Epoch: epoch}}})
	}
	expect := func(when string, live bool, to string) {
		t.Helper()
		_, isLive := shown.Live("lobby")
		address, _ := shown.Redirect("lobby")
		if isLive != live || address != to {
			t.Errorf("%s: live here: %v, redirected to %q; expected %v, %q", when, isLive, address, live, to)
		}
	}
	expect("nothing known", false, "")
	lease("rec-1", 1)
	expect("home holds it", false, "10.0.0.1:7563")
	r.Apply(withEpoch(a, 2))
	until(t, "it runs", func() bool { _, runs := r.find("lobby"); return runs })
	expect("taken over, and the news is on its way", true, "")
	lease("fo-1", 2)
	expect("taken over", true, "")
	lease("rec-1", 3)
	expect("given back, and still recorded here", false, "10.0.0.1:7563")
	lease("rec-9", 4)
	expect("held by a server whose address is unknown", true, "")
	if home := shown.Home("lobby"); home != "rec-1" {
		t.Errorf("home is %q", home)
	}
}

// What a server states of its part is what it would do: the epoch under which it
// serves the camera, and whether its picture is there to be shown.
func TestStatements(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby")
	r := site.start(site.join("fo-1", understudy.RoleFailover), options{})
	shown := library{r.store, r.Server}
	part := func(camera understudy.CameraID) understudy.Statement {
		t.Helper()
		signed, err := shown.statement(camera, "0123456789abcdef")
		if err != nil {
			t.Fatal(err)
		}
		said, err := r.node.VerifyStatement(signed)
		if err != nil || said.Server != "fo-1" || said.Camera != camera || said.Nonce != "0123456789abcdef" || said.At.IsZero() {
			t.Fatalf("%+v: %v", said, err)
		}
		return said
	}
	expect := func(when string, camera understudy.CameraID, epoch uint64, receiving bool) {
		t.Helper()
		if said := part(camera); said.Epoch != epoch || said.Receiving != receiving {
			t.Errorf("%s: epoch %d, receiving %t; expected %d, %t", when, said.Epoch, said.Receiving, epoch, receiving)
		}
	}
	expect("before the takeover", "lobby", 0, false)
	r.Apply(withEpoch(a, 2))
	until(t, "the picture is there", func() bool { return part("lobby").Receiving })
	expect("taken over", "lobby", 2, true)
	expect("another camera", "yard", 0, false)
	r.SetSite(understudy.Site{Seq: 1, Cameras: []understudy.Camera{a.Cameras[0].Camera},
		RecordingServers: []understudy.RecordingServer{{ID: "rec-1", Addresses: understudy.Addresses{Media: "10.0.0.1:7563"}}},
		Leases:           understudy.Leases{{Camera: "lobby", Holder: "rec-1", Epoch: 3}}})
	expect("given back, and still recorded here", "lobby", 2, false)
}

// A planned stop waits until a standby says that it covers the camera, and records meanwhile.
func TestLeaveIsMakeBeforeBreak(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby")
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	r.Apply(a)
	standby := site.join("fo-1", understudy.RoleFailover)
	conn, err := poll.Dial(t.Context(), r.addresses.State, standby.ClientTLS("rec-1"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ask := func(covered ...understudy.CameraID) understudy.State {
		t.Helper()
		state, err := conn.Poll(t.Context(), understudy.Poll{Observer: "fo-1", Covered: covered})
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	until(t, "the camera is recorded", func() bool { c := ask().Cameras; return len(c) == 1 && c[0].Recording })
	left := make(chan struct{})
	go func() {
		defer close(left)
		r.Leave(context.Background(), "an upgrade")
	}()
	until(t, "the stop is announced", func() bool { return ask().Leaving == "an upgrade" })
	frames := ask().Cameras[0].Frames
	until(t, "frames come while it waits", func() bool { return ask().Cameras[0].Frames > frames })
	select {
	case <-left:
		t.Fatal("left while nobody covered the camera")
	default:
	}
	ask("lobby")
	<-left
	if c := ask().Cameras[0]; !c.Recording {
		t.Error("leaving stops nothing by itself")
	}
}

// Without a standby there is nobody to wait for.
func TestLeaveAlone(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby")
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	r.Apply(a)
	until(t, "the camera is recorded", r.recordsAll(a))
	if wait, why := r.needed(time.Now()); wait {
		t.Errorf("it waits: %s", why)
	}
	r.Leave(t.Context(), "an upgrade")
}

// Footage goes home over TLS, is there byte for byte, and is deleted where it was made.
func TestMergeBetweenServers(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby", "yard")
	home := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	home.Apply(a)
	home.Apply(understudy.Assignment{Server: "rec-1", Seq: 2, Cameras: a.Cameras[:1]}) // yard moves to another server below
	away := site.start(site.join("fo-1", understudy.RoleFailover), options{})
	away.Apply(withEpoch(a, 2))
	until(t, "the failover server has both", away.recordsAll(a))
	moved := a.Cameras[1].Camera
	moved.Home = "rec-2"
	news := understudy.Site{Seq: 5, Cameras: []understudy.Camera{a.Cameras[0].Camera, moved}}
	home.SetSite(news)
	away.SetSite(news)
	away.Apply(understudy.Assignment{Server: "fo-1", Seq: 9})
	until(t, "what was recorded is closed", func() bool { return len(away.store.Foreign()) == 2 })
	before := away.frames(t, "lobby")

	sent := send(t, away, home)
	if sent.Segments != 1 || sent.Deleted != 1 || len(sent.Refused) != 1 {
		t.Fatalf("sent %+v", sent)
	}
	for id, why := range sent.Refused {
		if id.Camera != "yard" || !strings.Contains(why, "rec-2") {
			t.Errorf("%s was refused: %s", id, why)
		}
	}
	if rest := away.store.Foreign(); len(rest) != 1 || rest[0].ID.Camera != "yard" {
		t.Errorf("left on the failover server: %+v", rest)
	}
	var came []frame
	for _, f := range home.frames(t, "lobby") {
		if f.segment.Holder == "fo-1" {
			came = append(came, f)
		}
	}
	if fmt.Sprint(came) != fmt.Sprint(before) {
		t.Errorf("%d frames came home, and %d were sent", len(came), len(before))
	}
	until(t, "it is told", func() bool {
		select {
		case r := <-home.reports:
			return r.Kind == understudy.EventMerge && r.Camera == "lobby" && strings.Contains(r.Sentence, "1 segment of camera lobby")
		default:
			return false
		}
	})
}

// A recording server sends nothing home: what it has of a camera that moved to
// another home is under its own retention, or it would lie there for ever.
func TestFootageOfACameraThatMovedAwayAges(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby")
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	r.Apply(a)
	until(t, "the camera is recorded", r.recordsAll(a))
	moved := a.Cameras[0].Camera
	moved.Home, moved.KeepFor = "rec-2", time.Second
	r.SetSite(understudy.Site{Seq: 5, Cameras: []understudy.Camera{moved}})
	r.Apply(understudy.Assignment{Server: "rec-1", Seq: 2})
	until(t, "its footage is deleted when it is old", func() bool { return len(r.store.Cameras()) == 0 })
}

func send(t *testing.T, from, to *running) merge.Sent {
	t.Helper()
	batch := merge.NewBatch(from.node.ID(), to.node.ID(), from.store, from.store.Foreign(), from.store.ForeignNotes(), merge.SendOptions{})
	sent, err := batch.Run(t.Context(), func(context.Context) (net.Conn, error) {
		return dialTLS(t, to.addresses.Merge, from.node, to.node.ID())
	})
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

// greet opens a session and sends nothing.
func greet(t *testing.T, conn net.Conn, home *running) (merge.Sent, error) {
	t.Helper()
	batch := merge.NewBatch("fo-1", home.node.ID(), home.store, nil, nil, merge.SendOptions{})
	return batch.Run(t.Context(), func(context.Context) (net.Conn, error) { return conn, nil })
}

func dialTLS(t *testing.T, address string, node *identity.Node, server understudy.ServerID) (net.Conn, error) {
	t.Helper()
	dialer := tls.Dialer{Config: node.ClientTLS(server)}
	return dialer.DialContext(t.Context(), "tcp", address)
}

// Only failover servers of this installation may speak on the merge port.
func TestMergeRefusesOthers(t *testing.T) {
	t.Parallel()
	site, other := newInstallation(t), newInstallation(t)
	home := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	for name, node := range map[string]*identity.Node{
		"a recording server":                        site.join("rec-2", understudy.RoleRecording),
		"a failover server of another installation": other.join("fo-1", understudy.RoleFailover),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := dialTLS(t, home.addresses.Merge, node, "rec-1")
			if err != nil {
				return
			}
			if _, err := greet(t, conn, home); err == nil {
				t.Error("was welcomed")
			}
		})
	}
	t.Run("no TLS", func(t *testing.T) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", home.addresses.Merge)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := greet(t, conn, home); err == nil {
			t.Error("was welcomed")
		}
	})
}

// Strangers who connect and say nothing keep no failover server out.
func TestMergeIsNotHeldByStrangers(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	home := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	for range 2 * maxMergeSessions {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", home.addresses.Merge)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	conn, err := dialTLS(t, home.addresses.Merge, site.join("fo-1", understudy.RoleFailover), "rec-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := greet(t, conn, home); err != nil {
		t.Error(err)
	}
}

// The media port shows nothing to nobody, with and without TLS.
func TestMediaPortRefusesNobody(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby")
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	r.Apply(a)
	until(t, "the camera is durable", r.recordsAll(a))
	conn, err := net.Dial("tcp", r.addresses.Media)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/cameras/lobby/segments HTTP/1.1\r\nHost: x\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("answered %s", response.Status)
	}
}

// Until a server knows where cameras belong, the store is not told, and deletes nothing.
func TestAnEmptySiteTellsNothing(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	r := site.start(site.join("fo-1", understudy.RoleFailover), options{})
	r.SetSite(understudy.Site{})
	told := true
	r.homed.Do(func() { told = false })
	if told {
		t.Error("the store was told that no camera belongs anywhere")
	}
}
