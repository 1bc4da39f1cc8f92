package recording

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/fmp4"
	"understudy/internal/fs"
	"understudy/internal/identity"
	"understudy/internal/storage"
	"understudy/internal/testcam"
	"understudy/internal/usage"
)

// installation is a CA and the servers that joined it.
type installation struct {
	t         *testing.T
	authority *identity.Authority
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	a, err := identity.OpenAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &installation{t, a}
}

func (i *installation) join(id understudy.ServerID, role understudy.Role) *identity.Node {
	i.t.Helper()
	dir := i.t.TempDir()
	request, err := identity.NewJoinRequest(dir)
	if err != nil {
		i.t.Fatal(err)
	}
	certificate, err := i.authority.Sign(request, id, role, []string{"127.0.0.1"}, 0)
	if err != nil {
		i.t.Fatal(err)
	}
	node, err := identity.SaveNode(dir, certificate, i.authority.Trust())
	if err != nil {
		i.t.Fatal(err)
	}
	return node
}

// token is what a client shows; it may do all that users may.
func (i *installation) token(cameras ...understudy.CameraID) string {
	i.t.Helper()
	token, err := i.authority.SignToken(understudy.Identity{User: "ada",
		Actions: understudy.RoleOperator.Actions(), Cameras: cameras}, time.Minute)
	if err != nil {
		i.t.Fatal(err)
	}
	return string(token.Token)
}

// running is a server with its store, on loopback.
type running struct {
	*Server
	store     *storage.Store
	node      *identity.Node
	dir       string
	addresses understudy.Addresses
	stop      func() // and waits
	reports   chan understudy.Report
	uses      *usage.Book // is not run: it tells when it is closed
}

// options of a server in a test.
type options struct {
	dir   string // of the store; empty makes one
	files fs.FS
	// drive runs the server; nil is its own Run.
	drive func(*running) func(context.Context) error
}

func (i *installation) start(node *identity.Node, o options) *running {
	t := i.t
	t.Helper()
	if o.dir == "" {
		o.dir = t.TempDir()
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("server", node.ID())
	}
	store, err := storage.Open(t.Context(), storage.Config{Folders: []storage.FolderConfig{{Dir: o.dir, FS: o.files, MinFreeBytes: 1 << 20}}, Server: node.ID(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	media, state, merge := listener(t), listener(t), listener(t)
	r := &running{store: store, node: node, dir: o.dir, reports: make(chan understudy.Report, 1000),
		addresses: understudy.Addresses{Media: media.Addr().String(), State: state.Addr().String(), Merge: merge.Addr().String()}}
	report := func(report understudy.Report) { r.reports <- report }
	r.uses = usage.New(node.ID(), report, node, log)
	r.Server = New(Config{ID: node.ID(), Role: node.Role(), Node: node, Store: store, Media: media, State: state, Merge: merge,
		PlainMedia: true, Report: report, Uses: r.uses, Log: log, Elsewhere: elsewhere(t, node)})
	run := r.Run
	if o.drive != nil {
		run = o.drive(r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s ended with %v", node.ID(), err)
		}
		if err := store.Close(); err != nil {
			t.Errorf("the store of %s: %v", node.ID(), err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

// elsewhere asks the other servers as the program does, without a management server.
func elsewhere(t *testing.T, node *identity.Node) func(func() (understudy.Site, bool)) understudy.RecordingService {
	t.Helper()
	site, err := client.New(client.Config{Addresses: []string{"https://127.0.0.1:1"}, TLS: node.ClientTLS})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Close)
	return func(known func() (understudy.Site, bool)) understudy.RecordingService {
		return site.Elsewhere(node.ID(), known)
	}
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// cameras starts test cameras and returns an assignment of them to home.
func cameras(t *testing.T, home understudy.ServerID, names ...string) understudy.Assignment {
	t.Helper()
	config := testcam.Config{Listen: "127.0.0.1:0"}
	for _, name := range names {
		config.Cameras = append(config.Cameras, testcam.Camera{Name: name, Username: "u", Password: "p", GOP: time.Second})
	}
	all, err := testcam.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = all.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	a := understudy.Assignment{Server: home, Seq: 1}
	for _, name := range names {
		a.Cameras = append(a.Cameras, understudy.AssignedCamera{
			Camera:      understudy.Camera{ID: understudy.CameraID(name), Home: home, URL: all.URL(name), Username: "u"}.WithDefaults(),
			Credentials: understudy.Credentials{Username: "u", Password: "p"}, Epoch: 1, Record: true,
		})
	}
	return a
}

// withEpoch returns a under another epoch.
func withEpoch(a understudy.Assignment, epoch uint64) understudy.Assignment {
	changed := understudy.Assignment{Server: a.Server, Seq: a.Seq + 1}
	for _, c := range a.Cameras {
		c.Epoch = epoch
		changed.Cameras = append(changed.Cameras, c)
	}
	return changed
}

// until waits for something that real cameras and disks take a moment for.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited for 30 s until %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (r *running) recordsAll(a understudy.Assignment) func() bool {
	return func() bool { return len(r.Covered()) == len(a.Cameras) }
}

// wholeUpTo reports whether a camera is recorded under an epoch, and all that came
// before it is durable: a segment is ended beside the recorder, which goes on with the next.
func (r *running) wholeUpTo(t *testing.T, camera understudy.CameraID, epoch uint64) func() bool {
	return func() bool {
		t.Helper()
		segments, err := r.store.Segments(t.Context(), camera, time.Time{}, time.Now().Add(time.Hour), false)
		if err != nil {
			t.Fatal(err)
		}
		last := len(segments) - 1
		return last >= 0 && segments[last].ID.Epoch == epoch &&
			!slices.ContainsFunc(segments[:last], func(s understudy.Segment) bool { return !s.Closed })
	}
}

// frame is a stamped frame as it lies on disk.
type frame struct {
	segment understudy.SegmentID
	number  uint64
}

// frames reads all that a store has of a camera, in the order of its segments.
func (r *running) frames(t *testing.T, camera understudy.CameraID) []frame {
	t.Helper()
	segments, err := r.store.Segments(t.Context(), camera, time.Time{}, time.Now().Add(time.Hour), false)
	if err != nil {
		t.Fatal(err)
	}
	var all []frame
	for _, s := range segments {
		file, err := r.store.OpenSegment(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, framesOf(t, s.ID, file)...)
		file.Close()
	}
	return all
}

func framesOf(t *testing.T, id understudy.SegmentID, file io.Reader) []frame {
	t.Helper()
	reader := fmp4.NewReader(file)
	if _, _, err := reader.Header(); err != nil {
		t.Fatal(err)
	}
	var all []frame
	for {
		fragment, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range fragment.Samples {
			stamp, ok := testcam.ParseStamp(s.Payload)
			if s.Track != understudy.VideoTrack {
				continue
			}
			if !ok || stamp.Camera != string(id.Camera) {
				t.Fatalf("segment %s has a frame that is not of this camera: %+v", id, stamp)
			}
			all = append(all, frame{id, stamp.Frame})
		}
	}
}
