package media

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/media/mediatest"
	"understudy/internal/storage"
	"understudy/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// tokens of the tests, and what their bearers may do.
var tokens = map[string]understudy.Identity{
	"all":     {User: "all", Actions: understudy.RoleOperator.Actions(), Cameras: []understudy.CameraID{understudy.AllCameras}},
	"viewer":  {User: "viewer", Actions: understudy.RoleViewer.Actions(), Cameras: []understudy.CameraID{"lobby"}},
	"watcher": {User: "watcher", Actions: []understudy.Action{understudy.ActionLive, understudy.ActionPlayback, understudy.ActionAudio}, Cameras: []understudy.CameraID{"lobby"}},
	"deaf":    {User: "deaf", Actions: slices.DeleteFunc(understudy.RoleOperator.Actions(), func(a understudy.Action) bool { return a == understudy.ActionAudio }), Cameras: []understudy.CameraID{"lobby"}},
	"yard":    {User: "yard", Actions: understudy.RoleOperator.Actions(), Cameras: []understudy.CameraID{"yard"}},
}

// library is a server's: real storage, real hubs.
type library struct {
	*storage.Store
	hubs      map[understudy.CameraID]*stream.Hub
	elsewhere map[understudy.CameraID]string
}

func (l *library) Authorize(token string, a understudy.Action, c understudy.CameraID) (understudy.Identity, error) {
	return tokens[token], tokens[token].May(a, c)
}

func (l *library) WhileGood(ctx context.Context, _ understudy.Identity) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}
func (l *library) Live(c understudy.CameraID) (*stream.Hub, bool) { h, ok := l.hubs[c]; return h, ok }
func (l *library) Redirect(c understudy.CameraID) (string, bool) {
	a, ok := l.elsewhere[c]
	return a, ok
}
func (l *library) Trigger(t understudy.Trigger) (bool, error) {
	if l.hubs[t.Camera] == nil {
		return false, nil
	}
	return true, l.Note(t.Note("rec-1"))
}
func (l *library) Here() Shelf                                  { return l.Store }
func (l *library) Home(understudy.CameraID) understudy.ServerID { return "rec-1" }
func (l *library) Epoch(understudy.CameraID) uint64             { return 7 }

// newServer serves a library, whose store holds what takes brought.
func newServer(t *testing.T, takes ...func(*storage.Store)) (*library, *httptest.Server) {
	t.Helper()
	store, err := storage.Open(t.Context(), storage.Config{Folders: []storage.FolderConfig{{Dir: t.TempDir()}}, Server: "rec-1", SegmentLength: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, take := range takes {
		take(store)
	}
	l := &library{Store: store, hubs: map[understudy.CameraID]*stream.Hub{}, elsewhere: map[understudy.CameraID]string{}}
	server := httptest.NewServer(New(Config{Server: "rec-1", Library: l}))
	t.Cleanup(func() {
		for _, hub := range l.hubs {
			hub.Close()
		}
		server.Close()
		server.Client().CloseIdleConnections()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, server
}

// record stores samples under an epoch.
func record(t *testing.T, epoch uint64, tracks []understudy.Track, samples []*understudy.Sample) func(*storage.Store) {
	return func(store *storage.Store) {
		w, err := store.NewWriter("lobby", epoch, tracks)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			if err := w.Write(s); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func at(seconds float64) string {
	return url.QueryEscape(noon.Add(time.Duration(seconds * float64(time.Second))).Format(time.RFC3339Nano))
}

func get(t *testing.T, address string, header ...string) (reply, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	return reply{response.StatusCode, response.Header}, body
}

// reply is what of a response is looked at.
type reply struct {
	StatusCode int
	Header     http.Header
}

// Every route answers for the very camera that it is asked about, and to
// nobody else: 401 without an identity, 403 beyond its rights, and only then
// whether there is such a thing.
func TestEveryRouteAuthorizesEveryObject(t *testing.T) {
	// What each bearer gets: 0 is anything but a refusal.
	type row map[string]int
	recordings := row{"": 401, "none": 401, "viewer": 403, "watcher": 0, "yard": 403, "all": 0}
	expected := map[string]row{
		"GET /v1/cameras/{camera}/live":              {"": 401, "none": 401, "viewer": 0, "watcher": 0, "yard": 403, "all": 0},
		"GET /v1/cameras/{camera}/live.mp4":          {"": 401, "none": 401, "viewer": 0, "watcher": 0, "yard": 403, "all": 0},
		"GET /v1/cameras/{camera}/segments":          recordings,
		"GET /v1/cameras/{camera}/media.mp4":         recordings,
		"GET /v1/cameras/{camera}/notes":             recordings,
		"GET /v1/cameras/{camera}/hls/index.m3u8":    recordings,
		"GET /v1/cameras/{camera}/hls/init.mp4":      recordings,
		"GET /v1/cameras/{camera}/hls/part.m4s":      recordings,
		"GET /v1/segments/{camera}/{name}":           recordings,
		"GET /v1/cameras/{camera}/export.mp4":        {"": 401, "none": 401, "viewer": 403, "watcher": 403, "yard": 403, "all": 0},
		"GET /v1/cameras/{camera}/hls/master.m3u8":   {"": 401, "none": 401, "viewer": 0, "watcher": 0, "yard": 403, "all": 0},
		"GET /v1/cameras/{camera}/hls/live.m3u8":     {"": 401, "none": 401, "viewer": 0, "watcher": 0, "yard": 403, "all": 0},
		"GET /v1/cameras/{camera}/hls/live/init.mp4": {"": 401, "none": 401, "viewer": 0, "watcher": 0, "yard": 403, "all": 0},
		"GET /v1/cameras/{camera}/hls/live/part.m4s": {"": 401, "none": 401, "viewer": 0, "watcher": 0, "yard": 403, "all": 0},
		"GET /v1/cameras/{camera}/statement":         {"": 401, "none": 401, "viewer": 0, "watcher": 0, "yard": 403, "all": 0},
		"GET /v1/cameras/{camera}/still":             {"": 401, "none": 401, "viewer": 0, "watcher": 0, "yard": 403, "all": 0},
	}
	_, server := newServer(t)
	for _, route := range routes {
		rows, ok := expected[route.pattern]
		if !ok && route.pattern != "POST /v1/cameras/{camera}/events" { // TestAnEventIsTakenWhereItsCameraIsRecorded
			t.Errorf("route %s has no row in this table", route.pattern)
		}
		_, path, _ := strings.Cut(strings.NewReplacer("{camera}", "lobby", "{name}", "0000000001-rec-1-000000000001.mp4").Replace(route.pattern), " ")
		for token, want := range rows {
			for _, way := range []string{"header", "query"} {
				var response reply
				if way == "header" {
					response, _ = get(t, server.URL+path, "Authorization", "Bearer "+token)
				} else {
					response, _ = get(t, server.URL+path+"?token="+token)
				}
				got := response.StatusCode
				if want == 0 && (got == 401 || got == 403) || want != 0 && got != want {
					t.Errorf("%s with token %q in %s: %d, want %d", path, token, way, got, want)
				}
			}
		}
	}
	for token, want := range (row{"": 401, "watcher": 403, "all": 404}) {
		if response, _ := get(t, server.URL+"/v1/cameras/lobby/media.mp4?download=1&from="+at(0)+"&to="+at(1)+"&token="+token); response.StatusCode != want {
			t.Errorf("a download with token %q: %d, want %d", token, response.StatusCode, want)
		}
	}
	for token, want := range (row{"": 401, "viewer": 403, "yard": 403, "watcher": 404}) {
		if response, _ := get(t, server.URL+"/v1/cameras/lobby/still?at="+at(0)+"&token="+token); response.StatusCode != want {
			t.Errorf("a recorded still with token %q: %d, want %d", token, response.StatusCode, want)
		}
	}
	if response, body := get(t, server.URL+"/health"); response.StatusCode != 200 || !strings.Contains(string(body), "rec-1") {
		t.Errorf("health: %d %s", response.StatusCode, body)
	}
}

func TestServersAreKnownByCertificate(t *testing.T) {
	l, _ := newServer(t)
	peer := understudy.Identity{}
	h := New(Config{Server: "rec-1", Library: l, Peer: func(*tls.ConnectionState) (understudy.Identity, bool) { return peer, peer.Server != "" }})
	ask := func() int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://x/v1/cameras/lobby/segments?from="+at(0)+"&to="+at(1), nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if code := ask(); code != 401 {
		t.Errorf("a stranger: %d", code)
	}
	peer = understudy.Identity{Server: "rec-2", Role: understudy.RoleRecording}
	if code := ask(); code != 200 {
		t.Errorf("a server: %d", code)
	}
}

func TestBadRequestsGetOneSentence(t *testing.T) {
	_, server := newServer(t)
	for path, want := range map[string]int{
		"/v1/cameras/lobby/segments?from=yesterday&to=" + at(1):                               422,
		"/v1/cameras/lobby/segments?from=" + at(1) + "&to=" + at(0):                           422,
		"/v1/cameras/lobby/segments?marks=1&from=" + at(0) + "&to=" + at(86400):               422,
		"/v1/cameras/lobby/media.mp4?from=" + at(0) + "&to=" + at(1):                          404,
		"/v1/cameras/lobby/hls/index.m3u8?from=" + at(0) + "&to=" + at(1):                     404,
		"/v1/cameras/lobby/hls/part.m4s?segment=../../etc/passwd":                             422,
		"/v1/segments/lobby/..%2f..%2fetc%2fpasswd":                                           422,
		"/v1/segments/lobby/0000000001-rec-1-000000000001.mp4":                                404,
		"/v1/cameras/Lobby/segments?from=" + at(0) + "&to=" + at(1):                           422,
		"/v1/cameras/nowhere/live":                                                            404,
		"/v1/cameras/lobby/hls/part.m4s?segment=0000000001-rec-1-000000000001&first=-1&count": 422,
	} {
		response, body := get(t, server.URL+path, "Authorization", "Bearer all")
		var answer struct{ Code, Message string }
		if err := json.Unmarshal(body, &answer); err != nil || answer.Message == "" || response.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", path, response.StatusCode, body, want)
		}
	}
}

func TestWhatIsHeldElsewhereIsRedirected(t *testing.T) {
	l, server := newServer(t)
	l.elsewhere["lobby"] = "10.0.0.12:7563"
	response, _ := get(t, server.URL+"/v1/cameras/lobby/live.mp4?audio=1&token=viewer")
	if got := response.Header.Get("Location"); response.StatusCode != 307 || got != "http://10.0.0.12:7563/v1/cameras/lobby/live.mp4?audio=1&token=viewer" {
		t.Errorf("%d to %s", response.StatusCode, got)
	}
}

// heard is what came over a socket.
type heard struct {
	hellos    []hello
	inits     [][]byte
	fragments [][]byte
}

// dial connects to the live socket.
func dial(t *testing.T, server *httptest.Server) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), server.URL+"/v1/cameras/lobby/live?token=viewer", nil) //nolint:bodyclose // a socket has none
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(1 << 20)
	return conn
}

// hear reads n messages of a socket.
func hear(t *testing.T, conn *websocket.Conn, n int) heard {
	t.Helper()
	var h heard
	for fresh := false; n > 0; n-- {
		kind, data, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case kind == websocket.MessageText:
			var greeting hello
			if err := json.Unmarshal(data, &greeting); err != nil {
				t.Fatal(err)
			}
			h.hellos = append(h.hellos, greeting)
			fresh = true
		case fresh:
			h.inits = append(h.inits, data)
			fresh = false
		default:
			h.fragments = append(h.fragments, data)
		}
	}
	return h
}

// A socket begins with the current GOP: who, what and where, then a fragment
// for each access unit; a new session of the source says all that again.
func TestLiveSocket(t *testing.T) {
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 3, noon)
	l, server := newServer(t)
	hub := stream.NewHub()
	l.hubs["lobby"] = hub
	hub.Tracks(tracks)
	for _, s := range samples[:30] {
		hub.Sample(s)
	}
	conn := dial(t, server)
	h := hear(t, conn, 2+5) // frames 25 to 29
	want := MIME(tracks)
	if !strings.HasPrefix(want, `video/mp4; codecs="avc1.`) || h.hellos[0].MIME != want || h.hellos[0].Server != "rec-1" || h.hellos[0].Epoch != 7 ||
		!h.hellos[0].Base.Equal(samples[25].At) || len(h.hellos[0].Tracks) != 1 {
		t.Errorf("hello %+v", h.hellos[0])
	}
	whole := slices.Concat(h.inits[0], slices.Concat(h.fragments...))
	reader := fmp4.NewReader(bytes.NewReader(whole))
	for i := range 5 {
		fragment, err := reader.Next()
		if err != nil || len(fragment.Samples) != 1 || fragment.Samples[0].Hash != samples[25+i].Hash || !fragment.Samples[0].At.Equal(samples[25+i].At) {
			t.Fatalf("fragment %d: %+v, %v", i, fragment, err)
		}
	}
	if n := mediatest.Frames(t, mediatest.File(t, whole)); n != 5 {
		t.Errorf("ffmpeg saw %d pictures of 5", n)
	}

	hub.Tracks(tracks)
	for _, s := range samples[50:] {
		hub.Sample(s)
	}
	h = hear(t, conn, 2+25)
	if len(h.hellos) != 1 || len(h.fragments) != 25 || !h.hellos[0].Base.Equal(samples[50].At) {
		t.Errorf("the second session: %d hellos, %d fragments", len(h.hellos), len(h.fragments))
	}
}

// The live file goes on over a new session with the same parameters, and time
// never goes back in it.
func TestLiveFile(t *testing.T) {
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 4, noon)
	l, server := newServer(t)
	hub := stream.NewHub()
	l.hubs["lobby"] = hub
	hub.Tracks(tracks)
	for _, s := range samples[:25] {
		hub.Sample(s)
	}
	client := server.Client()
	response, err := client.Get(server.URL + "/v1/cameras/lobby/live.mp4?token=viewer")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); kind != "video/mp4" {
		t.Errorf("content type %s", kind)
	}
	hub.Tracks(tracks)
	for _, s := range samples[50:100] {
		back := *s
		back.At = s.At.Add(-2 * time.Second) // the camera's clock was set back
		hub.Sample(&back)
	}
	hub.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if n := mediatest.Frames(t, mediatest.File(t, body)); n != 75 {
		t.Errorf("ffmpeg saw %d pictures of 75", n)
	}
}

// A reader that takes nothing is told so and let go; the source never noticed.
func TestSlowReaderIsCutOff(t *testing.T) {
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 1, noon)
	h := &handler{Config: Config{Server: "rec-1", Library: &library{}}}
	hub := stream.NewHub()
	defer hub.Close()
	hub.Tracks(tracks)
	hub.Sample(samples[0])
	c := h.caster("lobby", httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	stuck, release := make(chan struct{}), make(chan struct{})
	ended := make(chan error)
	go func() {
		ended <- c.run(t.Context(), hub, func([]understudy.Track, []byte) error { close(stuck); <-release; return nil }, func([]byte) error { return nil })
	}()
	<-stuck
	big := *samples[0]
	big.Payload = make([]byte, liveQueue/2)
	for i := range 8 {
		next := big
		next.At = noon.Add(time.Duration(i+1) * time.Second)
		hub.Sample(&next)
	}
	close(release)
	if err := <-ended; understudy.CodeOf(err) != understudy.CodeUnavailable {
		t.Errorf("ended with %v", err)
	}
}

func TestRecorded(t *testing.T) {
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 20, noon)
	_, server := newServer(t, record(t, 1, tracks, samples[:300]), record(t, 2, tracks, samples[350:]))
	all := server.URL + "/v1/cameras/lobby/"
	span := func(from, to float64) string { return "from=" + at(from) + "&to=" + at(to) + "&token=all" }

	response, body := get(t, all+"segments?marks=1&"+span(-10, 60))
	var segments []understudy.Segment
	if err := json.Unmarshal(body, &segments); err != nil || response.StatusCode != 200 || len(segments) < 4 {
		t.Fatalf("%d %s: %v", response.StatusCode, body, err)
	}
	marks := 0
	for _, s := range segments {
		marks += len(s.Marks)
	}
	if marks != 450 {
		t.Errorf("%d marks of 450 samples", marks)
	}
	if _, body := get(t, all+"segments?"+span(100, 110)); strings.TrimSpace(string(body)) != "[]" {
		t.Errorf("no segments: %s", body)
	}

	t.Run("raw", func(t *testing.T) {
		address := server.URL + "/v1/segments/" + segments[0].ID.String() + ".mp4?token=all"
		_, whole := get(t, address)
		if int64(len(whole)) != segments[0].Size {
			t.Errorf("%d bytes of %d", len(whole), segments[0].Size)
		}
		response, rest := get(t, address, "Range", "bytes=1000-")
		if response.StatusCode != http.StatusPartialContent || !bytes.Equal(rest, whole[1000:]) {
			t.Errorf("a range: %d, %d bytes", response.StatusCode, len(rest))
		}
		mediatest.Frames(t, mediatest.File(t, whole))
	})
	t.Run("media", func(t *testing.T) {
		for _, c := range []struct {
			from, to float64
			frames   int
		}{{-10, 60, 450}, {0, 12, 300}, {2.5, 4, 50}, {11, 15, 50}} {
			_, body := get(t, all+"media.mp4?"+span(c.from, c.to))
			if n := mediatest.Frames(t, mediatest.File(t, body)); n != c.frames {
				t.Errorf("%v to %v: ffmpeg saw %d pictures of %d", c.from, c.to, n, c.frames)
			}
		}
		response, _ := get(t, all+"media.mp4?download=1&"+span(0, 2))
		if d := response.Header.Get("Content-Disposition"); d != `attachment; filename="lobby-20260301-120000.mp4"` {
			t.Errorf("a download is called %s", d)
		}
	})
	t.Run("playlist", func(t *testing.T) {
		for _, c := range []struct {
			from, to float64
			frames   int
		}{{-10, 60, 450}, {2.5, 4, 50}, {3, 9, 150}} {
			if n := mediatest.Frames(t, all+"hls/index.m3u8?"+span(c.from, c.to), "-allowed_extensions", "ALL"); n != c.frames {
				t.Errorf("%v to %v: ffmpeg saw %d pictures of %d", c.from, c.to, n, c.frames)
			}
		}
	})
}

// A player is told where times or codecs do not go on, and only there: sessions
// that follow each other are one stream, and clocks may differ a little.
func TestAPlaylistTellsBreaks(t *testing.T) {
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 12, noon)
	other := slices.Clone(tracks)
	other[0].PPS = append(slices.Clone(tracks[0].PPS), 0x80)
	shifted := func(by time.Duration) []*understudy.Sample {
		var moved []*understudy.Sample
		for _, s := range samples[150:] {
			again := *s
			again.At = again.At.Add(by)
			moved = append(moved, &again)
		}
		return moved
	}
	for name, c := range map[string]struct {
		then         []understudy.Track
		by           time.Duration
		breaks, maps int
	}{
		"another session":  {tracks, 0, 0, 1},
		"a little later":   {tracks, 40 * time.Millisecond, 0, 1},
		"a clock ahead":    {tracks, 300 * time.Millisecond, 1, 1},
		"a hole":           {tracks, 3 * time.Second, 1, 1},
		"other parameters": {other, 0, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			_, server := newServer(t, record(t, 1, tracks, samples[:150]), record(t, 2, c.then, shifted(c.by)))
			_, body := get(t, server.URL+"/v1/cameras/lobby/hls/index.m3u8?token=all&from="+at(-1)+"&to="+at(20))
			list := string(body)
			if breaks, maps := strings.Count(list, "#EXT-X-DISCONTINUITY\n"), strings.Count(list, "#EXT-X-MAP:"); breaks != c.breaks || maps != c.maps {
				t.Errorf("%d breaks and %d maps, want %d and %d, in\n%s", breaks, maps, c.breaks, c.maps, list)
			}
		})
	}
}

// broken is footage whose disk fails after segments were opened so many times.
type broken struct {
	*library
	left *int
}

func (b broken) OpenSegment(ctx context.Context, id understudy.SegmentID) (io.ReadSeekCloser, error) {
	if *b.left--; *b.left < 0 {
		return nil, fmt.Errorf("the disk is gone")
	}
	return b.library.OpenSegment(ctx, id)
}

// A file that broke off must not look whole.
func TestBrokenFileIsNotWhole(t *testing.T) {
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 20, noon)
	l, _ := newServer(t, record(t, 1, tracks, samples))
	segments, err := l.Segments(t.Context(), "lobby", noon, noon.Add(time.Hour), false)
	if err != nil || len(segments) < 3 {
		t.Fatalf("%d segments: %v", len(segments), err)
	}
	left := len(segments) + 1 // each to lay the file out, and one of it
	server := httptest.NewServer(New(Config{Server: "rec-1", Library: broken{l, &left}}))
	defer server.Close()
	response, err := server.Client().Get(server.URL + "/v1/cameras/lobby/media.mp4?token=all&from=" + at(0) + "&to=" + at(20))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if n, err := io.Copy(io.Discard, response.Body); err == nil || n == 0 {
		t.Errorf("%d bytes, and %v", n, err)
	}
	server.Client().CloseIdleConnections()
}

func TestMIME(t *testing.T) {
	h265, _ := mediatest.Clip(t, understudy.CodecH265, 1, noon)
	for _, c := range []struct {
		track understudy.Track
		want  string
	}{
		{understudy.Track{Codec: understudy.CodecH264, SPS: []byte{0x67, 0x64, 0x00, 0x1f, 0xac}}, "avc1.64001F"},
		{understudy.Track{Codec: understudy.CodecH264, SPS: []byte{0x67, 0x42, 0xc0, 0x1e, 0xd9}}, "avc1.42C01E"},
		{h265[0], "hvc1.1.6.L30.90"}, // main profile, level 1
		{understudy.Track{Codec: understudy.CodecH265}, "hvc1"},
		{understudy.Track{Codec: understudy.CodecAAC, Config: []byte{0x12, 0x10}}, "mp4a.40.2"},
		{understudy.Track{Codec: understudy.CodecOpus}, "opus"},
	} {
		if got := MIME([]understudy.Track{c.track}); got != `video/mp4; codecs="`+c.want+`"` {
			t.Errorf("%s is %s", c.want, got)
		}
	}
}

// Parameter sets come from cameras: nothing in them may break the answer.
func FuzzMIME(f *testing.F) {
	f.Add([]byte{0x42, 0x01, 0x01, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x1e})
	f.Fuzz(func(t *testing.T, sps []byte) {
		for _, codec := range []understudy.Codec{understudy.CodecH264, understudy.CodecH265, understudy.CodecAAC} {
			if got := MIME([]understudy.Track{{Codec: codec, SPS: sps, Config: sps}}); len(got) > 80 || !strings.HasPrefix(got, `video/mp4; codecs="`) {
				t.Errorf("%q", got)
			}
		}
	})
}
