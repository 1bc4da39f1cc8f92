// Package faults_test breaks a whole site of real processes, as the world will,
// and accounts for every frame afterwards.
package faults_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/fmp4"
	"understudy/internal/site"
	"understudy/internal/testcam"
)

// binary builds the program once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "understudy-faults-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "understudy")
	out, err := exec.Command("go", "build", "-o", path, "understudy/cmd/understudy").CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return path, nil
})

// together is how many sites run at once: they wait most of the time.
const together = 5

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", strconv.Itoa(together)); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// soon is a merge without a wait that a test has no time for.
var soon = understudy.MergePolicy{Grace: 500 * time.Millisecond}

// hot is one recording server with a hot standby and some cameras.
func hot(cameras ...understudy.CameraID) site.Layout {
	l := site.Layout{
		Recording: []understudy.RecordingServer{{ID: "rec1", HotStandby: "fo1", Merge: soon}},
		Failover:  []understudy.FailoverServer{{ID: "fo1"}},
	}
	for _, c := range cameras {
		l.Cameras = append(l.Cameras, understudy.Camera{ID: c, Home: "rec1"})
	}
	return l
}

// broken is a site that is about to break.
type broken struct {
	*testing.T
	*site.Site
	dir     string
	network string    // its own, such as "127.92.1."; 100 and above are free for what else a test needs
	from    time.Time // since when every camera is recorded
}

// up brings a site up in a folder that prepare may fill, and waits until its cameras are durable at home.
func up(t *testing.T, layout site.Layout, prepare func(dir string)) *broken {
	t.Helper()
	return upWith(t, layout, prepare, nil)
}

// upWith gives the servers settings of their own.
func upWith(t *testing.T, layout site.Layout, prepare func(dir string), settings map[string]any) *broken {
	t.Helper()
	if testing.Short() {
		t.Skip("a whole site of real processes takes half a minute; skipped with -short")
	}
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatalf("the program could not be built: %v", err)
	}
	dir := t.TempDir()
	if keep := os.Getenv("FAULTS_KEEP"); keep != "" {
		dir = filepath.Join(keep, t.Name())
		_ = os.RemoveAll(dir)
	}
	if prepare != nil {
		prepare(dir)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	network := ownNetwork(t)
	s, err := site.Up(ctx, site.Options{Dir: dir, Binary: path, Network: network, Ports: [2]int{8080, 8443}, Layout: layout, HoldDown: 2 * time.Second, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Down)
	b := &broken{T: t, Site: s, dir: dir, network: network}
	for _, c := range s.Layout.Cameras {
		b.within(20*time.Second, "camera "+string(c.ID)+" to be durable at home", func(ctx context.Context) bool {
			return b.recorded(ctx, c.Home, c.ID) > 2*time.Second || b.waits(ctx, c.Home, c.ID)
		})
	}
	b.from = time.Now().Add(-time.Second)
	return b
}

// ownNetwork is a loopback network that nobody else has until the test is over.
func ownNetwork(t *testing.T) string {
	t.Helper()
	network, release, err := site.TakeNetwork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return network
}

// do makes a fault, or cures one.
func (b *broken) do(fault site.Fault, server string) {
	b.Helper()
	if err := b.Do(fault, server); err != nil {
		b.Fatal(err)
	}
	if p, _ := b.Process(server); fault == site.FaultKill || fault == site.FaultStop {
		<-p.Gone()
	}
}

// within waits for something that must come, and returns after how long it did.
func (b *broken) within(limit time.Duration, what string, done func(context.Context) bool) time.Duration {
	b.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(b.Context(), limit)
	defer cancel()
	for ticker := time.NewTicker(20 * time.Millisecond); !done(ctx); {
		select {
		case <-ctx.Done():
			b.Fatalf("waited %s for %s in vain; %s", limit, what, b.story())
		case <-ticker.C:
		}
	}
	took := time.Since(begun)
	b.Logf("%s: %s", what, took.Round(10*time.Millisecond))
	return took
}

// story is the events of the last minutes, oldest first.
func (b *broken) story() string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	events, err := b.Client.Events(ctx, understudy.EventQuery{Limit: 30})
	if err != nil {
		return "and the events could not be had: " + err.Error()
	}
	lines := []string{"the events:"}
	for _, e := range events {
		lines = append(lines, e.At.Format("15:04:05.000 ")+string(e.Kind)+" "+e.Sentence)
	}
	return strings.Join(lines, "\n")
}

// recorded is how much of a camera lies on a server; 0 while it does not answer.
func (b *broken) recorded(ctx context.Context, server understudy.ServerID, camera understudy.CameraID) (length time.Duration) {
	segments, err := b.Client.Segments(ctx, server, camera, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), false)
	if err != nil {
		return 0
	}
	for _, s := range segments {
		length += s.End.Sub(s.Start)
	}
	return length
}

// since is when the newest durable frame of a camera on a server was captured.
func (b *broken) newest(ctx context.Context, server understudy.ServerID, camera understudy.CameraID) (newest time.Time) {
	segments, err := b.Client.Segments(ctx, server, camera, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), false)
	if err != nil {
		return newest
	}
	for _, s := range segments {
		if s.End.After(newest) {
			newest = s.End
		}
	}
	return newest
}

// recordsNow waits until a server has footage of a camera from after now.
func (b *broken) recordsNow(limit time.Duration, server understudy.ServerID, camera understudy.CameraID) time.Duration {
	b.Helper()
	now := time.Now()
	return b.within(limit, string(server)+" to record "+string(camera), func(ctx context.Context) bool {
		return b.newest(ctx, server, camera).After(now)
	})
}

// holds waits until a server holds all leases of the site.
func (b *broken) holds(limit time.Duration, server understudy.ServerID, count int) {
	b.Helper()
	b.within(limit, string(server)+" to hold the leases", func(ctx context.Context) bool {
		now, err := b.Client.Site(ctx)
		return err == nil && len(now.Holders()[server]) == count
	})
}

// emptied waits until a failover server has sent everything home.
func (b *broken) emptied(limit time.Duration, server understudy.ServerID) {
	b.Helper()
	b.within(limit, string(server)+" to be empty", func(ctx context.Context) bool {
		for _, c := range b.Layout.Cameras {
			segments, err := b.Client.Segments(ctx, server, c.ID, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), false)
			if err != nil || len(segments) > 0 {
				return false
			}
		}
		return len(b.files(server)) == 0
	})
}

// files are the segments on the disk of a server, whatever its index says.
func (b *broken) files(server understudy.ServerID) (files []string) {
	b.Helper()
	err := filepath.WalkDir(b.Folder(string(server)), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted under our eyes
		}
		if err == nil && strings.HasSuffix(path, ".mp4") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return files
}

// hole is frames that the camera sent and nobody has.
type hole struct {
	after, before time.Time // capture times of the frames around it
	frames        uint64
}

// account exports a camera's whole time and returns what is missing of it.
// Frames that are there twice, or out of order, are an error at once.
func (b *broken) account(camera understudy.CameraID) []hole {
	b.Helper()
	file, err := os.Create(filepath.Join(b.TempDir(), "export.mp4"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	result, err := b.Client.Export(b.Context(), camera, b.from, time.Now(), file, nil)
	if err != nil {
		b.Fatalf("camera %s could not be exported: %v", camera, err)
	}
	if len(result.Missing) > 0 {
		b.Errorf("the export of %s lacks what %v hold", camera, result.Missing)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		b.Fatal(err)
	}
	reader := fmp4.NewReader(file)
	if _, _, err := reader.Header(); err != nil {
		b.Fatal(err)
	}
	var holes []hole
	var last testcam.Stamp
	frames := 0
	for {
		fragment, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range fragment.Samples {
			stamp, ok := testcam.ParseStamp(s.Payload)
			switch {
			case !ok:
				b.Errorf("%s: a frame without a stamp", camera)
			case frames > 0 && stamp.Frame <= last.Frame:
				b.Errorf("%s: frame %d after frame %d at %s", camera, stamp.Frame, last.Frame, stamp.At.Format("15:04:05.000"))
			case frames > 0 && stamp.Frame > last.Frame+1:
				holes = append(holes, hole{after: last.At, before: stamp.At, frames: stamp.Frame - last.Frame - 1})
			}
			last = stamp
			frames++
		}
	}
	var lost uint64
	for _, h := range holes {
		lost += h.frames
		b.Logf("%s: %d frames lost from %s to %s", camera, h.frames, h.after.Format("15:04:05.000"), h.before.Format("15:04:05.000"))
	}
	b.Logf("%s: %d frames exported, %d lost in %d holes", camera, frames, lost, len(holes))
	if frames == 0 {
		b.Errorf("%s: nothing was exported", camera)
	}
	return holes
}

// viewer follows a camera live, as a person does, and remembers when it stood still.
type viewer struct {
	mu     sync.Mutex
	last   time.Time
	server understudy.ServerID
	frames int
}

func (b *broken) watch(camera understudy.CameraID) *viewer {
	v := &viewer{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.Client.Live(ctx, camera, func(e client.LiveEvent) error { // ends with the test
			if e.Sample == nil {
				return nil
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			v.last, v.server = time.Now(), e.Server
			v.frames++
			return nil
		})
	}()
	b.Cleanup(func() { cancel(); <-done })
	return v
}

// sees waits until the viewer gets new frames from a server.
func (b *broken) sees(limit time.Duration, v *viewer, server understudy.ServerID) time.Duration {
	b.Helper()
	now := time.Now()
	return b.within(limit, "the viewer to see "+string(server), func(context.Context) bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.server == server && v.last.After(now)
	})
}
