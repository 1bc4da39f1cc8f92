package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/identity"
	"understudy/internal/media"
	"understudy/internal/media/mediatest"
	"understudy/internal/storage"
	"understudy/internal/stream"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// holder is a server that shows real footage and real live pictures.
type holder struct {
	*storage.Store
	id     understudy.ServerID
	hub    atomic.Pointer[stream.Hub]
	server *httptest.Server
	told   []understudy.Trigger // by one at a time
	node   *identity.Node       // signs what it states; nil states nothing
	part   atomic.Pointer[understudy.Statement]
	// before, where it is set, sees each request first; true: it has answered.
	before atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func (h *holder) Authorize(string, understudy.Action, understudy.CameraID) (understudy.Identity, error) {
	return understudy.Identity{}, nil
}
func (h *holder) WhileGood(ctx context.Context, _ understudy.Identity) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}
func (h *holder) Live(understudy.CameraID) (*stream.Hub, bool) {
	hub := h.hub.Load()
	return hub, hub != nil
}
func (h *holder) Redirect(understudy.CameraID) (string, bool) { return "", false }
func (h *holder) Trigger(t understudy.Trigger) (bool, error) {
	if h.hub.Load() == nil {
		return false, nil
	}
	h.told = append(h.told, t)
	return true, nil
}

func (h *holder) Home(understudy.CameraID) understudy.ServerID         { return "rec-1" }
func (h *holder) Epoch(understudy.CameraID) uint64                     { return 1 }
func (h *holder) Here() media.Shelf                                    { return h.Store }
func (h *holder) address() string                                      { return h.server.Listener.Addr().String() }
func (h *holder) hook(f func(http.ResponseWriter, *http.Request) bool) { h.before.Store(&f) }

func newHolder(t *testing.T, id understudy.ServerID) *holder {
	t.Helper()
	store, err := storage.Open(t.Context(), storage.Config{Folders: []storage.FolderConfig{{Dir: t.TempDir()}}, Server: id, SegmentLength: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	h := &holder{Store: store, id: id}
	handler := media.New(media.Config{Server: id, Library: h, State: h.state})
	h.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before := h.before.Load(); before != nil && (*before)(w, r) {
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		if hub := h.hub.Load(); hub != nil {
			hub.Close()
		}
		h.server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// record stores samples, captured by a clock that is off by skew.
func (h *holder) record(t *testing.T, epoch uint64, tracks []understudy.Track, samples []*understudy.Sample, skew time.Duration) {
	t.Helper()
	w, err := h.NewWriter("lobby", epoch, tracks)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		s := *s
		s.At = s.At.Add(skew)
		if err := w.Write(&s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// siteOf is a site of one camera, whose home is rec-1 with fo-1 as hot standby.
func siteOf(addresses map[understudy.ServerID]string, lease understudy.ServerID, epoch uint64) understudy.Site {
	site := understudy.Site{
		Seq:     epoch,
		Cameras: []understudy.Camera{{ID: "lobby", Home: "rec-1"}},
		Leases:  understudy.Leases{{Camera: "lobby", Holder: lease, Epoch: epoch}},
	}
	for _, id := range slices.Sorted(func(yield func(understudy.ServerID) bool) {
		for id := range addresses {
			if !yield(id) {
				return
			}
		}
	}) {
		a := understudy.Addresses{Media: addresses[id]}
		if strings.HasPrefix(string(id), "fo-") {
			site.FailoverServers = append(site.FailoverServers, understudy.FailoverServer{ID: id, Addresses: a})
		} else {
			site.RecordingServers = append(site.RecordingServers, understudy.RecordingServer{ID: id, Addresses: a, HotStandby: "fo-1"})
		}
	}
	return site
}

// newMember returns a client, known by its certificate, of a site whose
// management server is away: all it has is the site that it heard of last.
func newMember(t *testing.T, site understudy.Site) *Client {
	t.Helper()
	other := httptest.NewUnstartedServer(nil)
	other.StartTLS()
	certificate := other.TLS.Certificates
	other.Close()
	c, err := New(Config{
		Addresses: []string{"https://127.0.0.1:1"},
		TLS: func(understudy.ServerID) *tls.Config {
			return &tls.Config{InsecureSkipVerify: true, Certificates: certificate} // who is who is identity's test
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.apply(understudy.Update{Site: &site})
	return c
}

func refused(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// exported reads an export as the drill does: the hashes of its pictures.
func exported(t *testing.T, file []byte) []understudy.SampleHash {
	t.Helper()
	var hashes []understudy.SampleHash
	for reader := fmp4.NewReader(bytes.NewReader(file)); ; {
		fragment, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return hashes
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range fragment.Samples {
			hashes = append(hashes, s.Hash)
		}
	}
}

func hashes(samples ...[]*understudy.Sample) []understudy.SampleHash {
	var all []understudy.SampleHash
	for _, s := range slices.Concat(samples...) {
		all = append(all, s.Hash)
	}
	return all
}

// twoHolders is a takeover with a gap and a failback with an overlap:
// home has frames 0 to 310 and 450 to 600, the standby 325 to 515, its clock 7 ms ahead.
func twoHolders(t *testing.T, codec understudy.Codec) (home, standby *holder, samples []*understudy.Sample) {
	tracks, samples := mediatest.Clip(t, codec, 24, noon)
	home, standby = newHolder(t, "rec-1"), newHolder(t, "fo-1")
	home.record(t, 1, tracks, samples[:310], 0)
	standby.record(t, 2, tracks, samples[325:515], 7*time.Millisecond)
	home.record(t, 3, tracks, samples[450:], 0)
	return home, standby, samples
}

// An export holds each frame that any server has, once and in order, although
// the management server is away; it says which server did not answer.
func TestExportOverAllHolders(t *testing.T) {
	for _, codec := range []understudy.Codec{understudy.CodecH264, understudy.CodecH265} {
		t.Run(string(codec), func(t *testing.T) {
			home, standby, samples := twoHolders(t, codec)
			c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": standby.address(), "fo-2": refused(t), "rec-2": refused(t)}, "rec-1", 3))
			var file bytes.Buffer
			var done, total int64
			result, err := c.Export(t.Context(), "lobby", noon.Add(-time.Minute), noon.Add(time.Minute), &file, func(d, all int64) { done, total = d, all })
			if err != nil {
				t.Fatal(err)
			}
			if got := exported(t, file.Bytes()); !slices.Equal(got, hashes(samples[:310], samples[325:])) {
				t.Errorf("%d frames of %d", len(got), 310+275)
			}
			if h, _, err := fmp4.NewReader(bytes.NewReader(file.Bytes())).Header(); err != nil || h.Segment.Sequence != 0 {
				t.Errorf("the export says that it is segment %s: %v", h.Segment, err)
			}
			if n := mediatest.Frames(t, mediatest.File(t, file.Bytes())); n != 585 || result.Frames != n {
				t.Errorf("ffmpeg saw %d pictures of 585, the result says %d", n, result.Frames)
			}
			if !slices.Equal(result.Missing, []understudy.ServerID{"fo-2"}) || len(result.Skipped) > 0 {
				t.Errorf("missing %v, skipped %v", result.Missing, result.Skipped)
			}
			if done != total || done != int64(file.Len()) || result.Bytes != done {
				t.Errorf("progress ended at %d of %d, for %d bytes", done, total, file.Len())
			}
			gaps := understudy.Gaps(result.Pieces, noon, noon.Add(24*time.Second), 100*time.Millisecond)
			if len(gaps) != 1 || !gaps[0].From.Equal(samples[310].At) {
				t.Errorf("gaps %v", gaps)
			}
		})
	}
}

// A recording server that never had the camera is not asked, and one that had it is.
func TestFormerHomesAreAsked(t *testing.T) {
	home, standby, samples := twoHolders(t, understudy.CodecH264)
	site := siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "rec-2": standby.address(), "rec-3": refused(t)}, "rec-1", 3)
	for _, moved := range []bool{false, true} {
		want := slices.Concat(samples[:310], samples[450:])
		if moved {
			site.Moved = []understudy.MovedCamera{{Camera: "lobby", From: []understudy.ServerID{"rec-2"}}}
			want = slices.Concat(samples[:310], samples[325:])
		}
		var file bytes.Buffer
		result, err := newMember(t, site).Export(t.Context(), "lobby", noon.Add(-time.Minute), noon.Add(time.Minute), &file, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := exported(t, file.Bytes()); !slices.Equal(got, hashes(want)) || len(result.Missing) > 0 {
			t.Errorf("moved %t: %d frames, missing %v", moved, len(got), result.Missing)
		}
	}
}

func TestExportOfNothing(t *testing.T) {
	home := newHolder(t, "rec-1")
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": refused(t)}, "rec-1", 1))
	_, err := c.Export(t.Context(), "lobby", noon, noon.Add(time.Minute), io.Discard, nil)
	if understudy.CodeOf(err) != understudy.CodeNotFound || !strings.Contains(err.Error(), "fo-1 did not answer") {
		t.Errorf("%v", err)
	}
	if _, err := c.Export(t.Context(), "cellar", noon, noon.Add(time.Minute), io.Discard, nil); understudy.CodeOf(err) != understudy.CodeNotFound {
		t.Errorf("a camera that is not there: %v", err)
	}
}

// A transfer that breaks goes on where it broke.
func TestExportResumesBrokenTransfers(t *testing.T) {
	home, standby, samples := twoHolders(t, understudy.CodecH264)
	var broken atomic.Int64
	home.hook(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/v1/segments/") || broken.Add(1)%2 == 0 {
			return false
		}
		id, err := understudy.ParseSegmentID(strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v1/segments/"), ".mp4"))
		if err != nil {
			t.Error(err)
		}
		segment, err := home.OpenSegment(r.Context(), id)
		if err != nil {
			t.Error(err)
			return false
		}
		defer segment.Close()
		if r.Header.Get("Range") != "" {
			return false
		}
		w.Header().Set("Content-Length", "1000000")
		_, _ = io.CopyN(w, segment, 20000)
		panic(http.ErrAbortHandler)
	})
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": standby.address()}, "rec-1", 3))
	var file bytes.Buffer
	result, err := c.Export(t.Context(), "lobby", noon, noon.Add(time.Minute), &file, nil)
	if err != nil || len(result.Skipped) > 0 {
		t.Fatalf("%v, skipped %v", err, result.Skipped)
	}
	if got := exported(t, file.Bytes()); !slices.Equal(got, hashes(samples[:310], samples[325:])) || broken.Load() < 3 {
		t.Errorf("%d frames after %d requests", len(got), broken.Load())
	}
}

// A server that goes away in the middle costs what only it has, says so, and
// what remains is decodable.
func TestExportGoesOnWithoutALostServer(t *testing.T) {
	home, standby, _ := twoHolders(t, understudy.CodecH264)
	standby.hook(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/v1/segments/") {
			return false
		}
		panic(http.ErrAbortHandler)
	})
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": standby.address()}, "rec-1", 3))
	var file bytes.Buffer
	result, err := c.Export(t.Context(), "lobby", noon, noon.Add(time.Minute), &file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := mediatest.Frames(t, mediatest.File(t, file.Bytes())); n != 310+150 || result.Frames != n {
		t.Errorf("ffmpeg saw %d pictures of %d, the result says %d", n, 310+150, result.Frames)
	}
	if !slices.Equal(result.Missing, []understudy.ServerID{"fo-1"}) || len(result.Skipped) == 0 {
		t.Errorf("missing %v, skipped %v", result.Missing, result.Skipped)
	}
}

// A server that accepts and never answers is passed by, once, and named.
func TestExportPassesByAHangingServer(t *testing.T) {
	home, standby, samples := twoHolders(t, understudy.CodecH264)
	release := make(chan struct{})
	var asked atomic.Int64
	standby.hook(func(http.ResponseWriter, *http.Request) bool { asked.Add(1); <-release; return true })
	defer close(release)
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": standby.address()}, "rec-1", 3))
	var file bytes.Buffer
	result, err := c.Export(t.Context(), "lobby", noon, noon.Add(time.Minute), &file, func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	if got := exported(t, file.Bytes()); !slices.Equal(got, hashes(samples[:310], samples[450:])) || !slices.Equal(result.Missing, []understudy.ServerID{"fo-1"}) || asked.Load() != 1 {
		t.Errorf("%d frames, missing %v, asked %d times", len(got), result.Missing, asked.Load())
	}
}

func TestTimeline(t *testing.T) {
	home, standby, samples := twoHolders(t, understudy.CodecH264)
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": standby.address(), "fo-2": refused(t)}, "rec-1", 3))
	line, err := c.Timeline(t.Context(), "lobby", noon.Add(2*time.Second), noon.Add(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	skew := 7 * time.Millisecond
	want := []understudy.Span{
		{Holder: "rec-1", At: "rec-1", Epoch: 1, From: noon.Add(2 * time.Second), To: samples[310].At},
		{Holder: "fo-1", At: "fo-1", Epoch: 2, From: samples[325].At.Add(skew), To: samples[450].At},
		{Holder: "rec-1", At: "rec-1", Epoch: 3, From: samples[450].At, To: noon.Add(24 * time.Second), Joined: true},
	}
	if !slices.Equal(line.Spans, want) {
		t.Errorf("spans %+v\nwant  %+v", line.Spans, want)
	}
	gaps := []understudy.Gap{
		{From: want[0].To, To: want[1].From, Milliseconds: 607, Cause: understudy.GapTakeover, Epoch: 2, Sentence: "the first frame of fo-1 came 607 ms after the last one of rec-1"},
		{From: want[2].To, To: noon.Add(30 * time.Second), Milliseconds: 6000, Cause: understudy.GapUnknown},
	}
	if !slices.Equal(line.Gaps, gaps) {
		t.Errorf("gaps %v\nwant %v", line.Gaps, gaps)
	}
	if !slices.Equal(line.Missing, []understudy.ServerID{"fo-2"}) {
		t.Errorf("missing %v", line.Missing)
	}
}

// show gives a holder a live picture that has begun.
func (h *holder) show(t *testing.T) *stream.Hub {
	t.Helper()
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 1, noon)
	hub := stream.NewHub()
	hub.Tracks(tracks)
	for _, s := range samples {
		hub.Sample(s)
	}
	h.hub.Store(hub)
	return hub
}

// watching follows the lobby and tells which server each session comes from, once its first sample came.
func watching(t *testing.T, c *Client) (servers chan understudy.ServerID) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	servers = make(chan understudy.ServerID, 100)
	ended := make(chan error, 1)
	go func() {
		fresh := false
		ended <- c.Live(ctx, "lobby", func(e LiveEvent) error {
			if e.Sample != nil && fresh {
				servers <- e.Server
			}
			fresh = e.Tracks != nil
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Live ended with %v", err)
		}
	})
	return servers
}

func expect(t *testing.T, servers chan understudy.ServerID, want understudy.ServerID) {
	t.Helper()
	if got := <-servers; got != want {
		t.Fatalf("the picture comes from %s, not %s", got, want)
	}
}

// The push moves a viewer, a server that hangs included.
func TestLiveFollowsThePush(t *testing.T) {
	home, standby := newHolder(t, "rec-1"), newHolder(t, "fo-1")
	home.show(t) // and nothing more: it hangs
	standby.show(t)
	addresses := map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": standby.address()}
	c := newMember(t, siteOf(addresses, "rec-1", 1))
	servers := watching(t, c)
	expect(t, servers, "rec-1")
	for epoch, holder := range []understudy.ServerID{"fo-1", "rec-1", "fo-1"} {
		site := siteOf(addresses, holder, uint64(epoch)+2)
		c.apply(understudy.Update{Site: &site})
		expect(t, servers, holder)
	}
}

// Without any push, the broken connection moves a viewer to who stands in.
func TestLiveFollowsABrokenConnection(t *testing.T) {
	home, standby := newHolder(t, "rec-1"), newHolder(t, "fo-1")
	home.show(t)
	c := newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": standby.address()}, "rec-1", 1))
	servers := watching(t, c)
	expect(t, servers, "rec-1")
	standby.show(t)
	home.hub.Swap(nil).Close() // the process is gone: it refuses
	home.hook(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
	expect(t, servers, "fo-1")
}

// A new holder that hangs must not cost the picture that there is, nor be
// waited for when yet another one holds the camera.
func TestLivePassesByAHangingServer(t *testing.T) {
	home, standby, other := newHolder(t, "rec-1"), newHolder(t, "fo-1"), newHolder(t, "fo-2")
	hub := home.show(t)
	other.show(t)
	release := make(chan struct{})
	defer close(release)
	asked := make(chan struct{}, 10)
	standby.hook(func(http.ResponseWriter, *http.Request) bool { asked <- struct{}{}; <-release; return true })
	addresses := map[understudy.ServerID]string{"rec-1": home.address(), "fo-1": standby.address(), "fo-2": other.address()}
	c := newMember(t, siteOf(addresses, "rec-1", 1))
	servers := watching(t, c)
	expect(t, servers, "rec-1")
	site := siteOf(addresses, "fo-1", 2)
	c.apply(understudy.Update{Site: &site})
	<-asked
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 1, noon.Add(time.Second))
	hub.Tracks(tracks)
	for _, s := range samples {
		hub.Sample(s)
	}
	expect(t, servers, "rec-1") // a new session of the old picture
	site = siteOf(addresses, "fo-2", 3)
	c.apply(understudy.Update{Site: &site})
	expect(t, servers, "fo-2")
}

func TestLiveOfNoCamera(t *testing.T) {
	c := newMember(t, siteOf(nil, "rec-1", 1))
	if err := c.Live(t.Context(), "cellar", func(LiveEvent) error { return nil }); understudy.CodeOf(err) != understudy.CodeNotFound {
		t.Errorf("%v", err)
	}
	home := newHolder(t, "rec-1")
	home.hook(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusForbidden); return true })
	c = newMember(t, siteOf(map[understudy.ServerID]string{"rec-1": home.address()}, "rec-1", 1))
	if err := c.Live(t.Context(), "lobby", func(LiveEvent) error { return nil }); understudy.CodeOf(err) != understudy.CodeForbidden {
		t.Errorf("%v", err)
	}
}

// What Play writes over a takeover is one film.
func TestPlayOverATakeover(t *testing.T) {
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 4, noon)
	var film bytes.Buffer
	p := player{w: &film, last: map[int]fmp4.TimedSample{}}
	play := func(server understudy.ServerID, samples []*understudy.Sample) {
		for _, e := range append([]LiveEvent{{Server: server, Tracks: tracks}}, events(server, samples)...) {
			if err := p.play(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	play("rec-1", samples[:40])
	play("fo-1", samples[25:60]) // the other server begins with its current GOP
	play("rec-1", samples[75:])
	if n := mediatest.Frames(t, mediatest.File(t, film.Bytes())); n != 85 {
		t.Errorf("ffmpeg saw %d pictures of 85", n)
	}
}

func events(server understudy.ServerID, samples []*understudy.Sample) []LiveEvent {
	var events []LiveEvent
	for _, s := range samples {
		events = append(events, LiveEvent{Server: server, Sample: s})
	}
	return events
}
