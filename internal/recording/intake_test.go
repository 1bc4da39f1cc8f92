package recording

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/rtsp"
	"understudy/internal/storage"
	"understudy/internal/testcam"
)

// profiles are a test camera of two: another picture of the same number of frames a
// second, so that a frame has the same number in both. It returns the camera as
// it is recorded, and what turns clients away.
func profiles(t *testing.T, limit, second testcam.Camera) (understudy.AssignedCamera, *testcam.Cameras) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"640x360": "main.mp4", "320x180": "sub.mp4"}
	for size, name := range files {
		program(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=rate=10:size="+size, "-t", "6", "-c:v", "libx264", "-g", "10",
			"-bf", "0", "-preset", "veryfast", "-pix_fmt", "yuv420p", filepath.Join(dir, name))
	}
	limit.Name, limit.File = "lobby", filepath.Join(dir, "main.mp4")
	second.Name, second.Of, second.File = "lobby-sub", "lobby", filepath.Join(dir, "sub.mp4")
	all, err := testcam.New(testcam.Config{Listen: "127.0.0.1:0", Cameras: []testcam.Camera{limit, second}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = all.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	camera := understudy.Camera{ID: "lobby", Home: "rec-1", URL: all.URL("lobby"), Sub: all.URL("lobby-sub")}.WithDefaults()
	return understudy.AssignedCamera{Camera: camera, Epoch: 2, Record: true}, all
}

// nowhere is where nobody looks.
type nowhere struct{ came chan struct{} }

func (n nowhere) Tracks([]understudy.Track) {}
func (n nowhere) Sample(*understudy.Sample) {
	select {
	case n.came <- struct{}{}:
	default:
	}
}

// occupy holds a session with a stream until release is called, as a server that has died does.
func occupy(t *testing.T, url string) (release func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	n, done := nowhere{make(chan struct{}, 1)}, make(chan struct{})
	go func() { defer close(done); _ = rtsp.Pull(ctx, rtsp.Config{URL: url}, n) }()
	<-n.came
	release = func() { cancel(); <-done }
	t.Cleanup(release)
	return release
}

// While the session of a dead server is in the way the second stream is recorded;
// then the main one is, and not one frame is missing between the two. What became
// of it is told, and each part plays.
func TestTheSecondStreamStandsIn(t *testing.T) {
	t.Parallel()
	a, _ := profiles(t, testcam.Camera{MaxSessions: 1}, testcam.Camera{})
	release := occupy(t, a.Camera.URL)
	site := newInstallation(t)
	r := site.start(site.join("fo-1", understudy.RoleFailover), options{})
	r.Apply(understudy.Assignment{Server: "fo-1", Seq: 1, Cameras: []understudy.AssignedCamera{a}})

	state := func() understudy.CameraState { return r.State().Cameras[0] }
	until(t, "the second stream is durable", func() bool { return slices.Contains(r.Covered(), "lobby") })
	if s := state(); s.Stream != understudy.StreamSub || !s.Receiving || !s.Crowded || !strings.HasSuffix(s.Fault, "its second stream stands in") {
		t.Errorf("while it stands in: %+v", s)
	}
	if got := r.Crowded(); !slices.Contains(got, "lobby") {
		t.Errorf("whoever has the session is not told that it is wanted: %v", got)
	}
	before := len(r.frames(t, "lobby"))
	until(t, "it goes on", func() bool { return len(r.frames(t, "lobby")) > before })
	release()
	until(t, "the main stream comes", func() bool { return state().Stream == "" && state().Fault == "" })
	until(t, "it is durable", func() bool { return len(segmentsOf(t, r)) > 1 })
	until(t, "both are told of", func() bool { return len(r.reports) >= 2 })
	r.stop()

	frames, found := r.frames(t, "lobby"), sizes(t, r)
	for i := 1; i < len(frames); i++ {
		if frames[i].number > frames[i-1].number+1 {
			t.Errorf("after frame %d of %s came %d of %s", frames[i-1].number, frames[i-1].segment, frames[i].number, frames[i].segment)
		}
	}
	if fmt.Sprint(found) != "[320x180 640x360]" {
		t.Errorf("recorded were %v", found)
	}
	notes, err := r.store.Notes(t.Context(), "lobby", time.Time{}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	stood := slices.DeleteFunc(notes, func(n understudy.Note) bool { return n.Kind != understudy.NoteStandIn })
	segments := segmentsOf(t, r)
	if len(stood) != 1 || !stood[0].From.Equal(segments[0].Start) || stood[0].To.After(segments[1].Start.Add(time.Second)) || stood[0].To.Before(segments[1].Start.Add(-time.Second)) {
		t.Errorf("noted is %+v, of %+v", stood, segments)
	}
	if said := (<-r.reports).Sentence + "\n" + (<-r.reports).Sentence; !strings.Contains(said, "its second stream is taken until") || !strings.Contains(said, "gives its main stream again") {
		t.Errorf("told was %s", said)
	}
}

func segmentsOf(t *testing.T, r *running) []understudy.Segment {
	t.Helper()
	segments, err := r.store.Segments(t.Context(), "lobby", time.Time{}, time.Now().Add(time.Hour), false)
	if err != nil {
		t.Fatal(err)
	}
	return segments
}

// sizes are those of what is recorded, as ffprobe finds them; each plays.
func sizes(t *testing.T, r *running) []string {
	t.Helper()
	var all []string
	for _, s := range segmentsOf(t, r) {
		file := filepath.Join(r.dir, "cameras", s.ID.String()+".mp4")
		size := strings.TrimSpace(program(t, "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height", "-of", "csv=p=0:s=x", file))
		program(t, "ffmpeg", "-v", "error", "-xerror", "-i", file, "-f", "null", "-")
		if all = append(all, size); len(all) > 1 && all[len(all)-2] == size {
			all = all[:len(all)-1]
		}
	}
	return all
}

// A camera that counts the sessions of both streams together gives the next one
// that comes free to the main stream: the second one is not asked for again meanwhile.
func TestACameraThatRefusesBothStreamsGivesTheMainOne(t *testing.T) {
	t.Parallel()
	a, _ := profiles(t, testcam.Camera{MaxSessions: 1}, testcam.Camera{Shared: true})
	release := occupy(t, a.Camera.URL)
	in := intakeOf(t, a)
	until(t, "both are refused", func() bool { in.look(t.Context(), time.Now()); return !in.spent.until.IsZero() })
	release()
	until(t, "the main stream comes", func() bool { in.look(t.Context(), time.Now()); return in.mainComes() })
	if in.frames.Load() > 0 || in.second != nil {
		t.Errorf("%d frames of the second stream came, and it is asked for: %t", in.frames.Load(), in.second != nil)
	}
}

// When the main stream stays refused after every session of a dead server must
// have expired, the second one's own session may be what is in the way.
func TestTheSecondStreamGivesWay(t *testing.T) {
	t.Parallel()
	a, all := profiles(t, testcam.Camera{MaxSessions: 1}, testcam.Camera{Shared: true})
	a.Camera.Sessions = 1
	turnAway := func(cameras ...string) {
		if err := all.Refuse(testcam.Refusal{Agent: "understudy", Cameras: cameras}); err != nil {
			t.Fatal(err)
		}
	}
	turnAway("lobby") // with a 403
	in := intakeOf(t, a)
	until(t, "the second stream stands in", func() bool { in.look(t.Context(), time.Now()); return in.standsIn() })
	turnAway()
	until(t, "the second one's session is in the way", in.main.Crowded)
	in.look(t.Context(), time.Now().Add(yieldAfter-5*time.Second))
	if in.second == nil {
		t.Error("it gave way too early")
	}
	in.look(t.Context(), time.Now().Add(yieldAfter))
	if in.second != nil || !in.spent.yielded {
		t.Fatal("it did not give way")
	}
	until(t, "the main stream comes", func() bool { in.look(t.Context(), time.Now()); return in.mainComes() })
}

// intakeOf is that of a camera whose second stream is asked for when the test looks.
func intakeOf(t *testing.T, a understudy.AssignedCamera) *intake {
	t.Helper()
	site := newInstallation(t)
	store, err := storage.Open(t.Context(), storage.Config{Folders: []storage.FolderConfig{{Dir: t.TempDir(), MinFreeBytes: 1 << 20}}, Server: "fo-1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s := New(Config{ID: "fo-1", Role: understudy.RoleFailover, Node: site.join("fo-1", understudy.RoleFailover), Store: store})
	in := s.newCamera(a).intake
	in.config.Agent = "understudy"
	in.main = rtsp.NewSource(in.config, &branch{in: in})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = in.main.Run(ctx) }()
	t.Cleanup(func() { in.leave(); cancel(); <-done })
	return in
}
