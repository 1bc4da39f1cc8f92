package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"
	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/recording"
	"understudy/internal/storage"
	"understudy/internal/testcam"
)

// What each part is told, as one line of JSON on its standard input.
type (
	cameraOrders struct {
		File  string
		Count int
	}
	floorOrders    struct{ URLs []string }
	recorderOrders struct {
		URLs    []string
		Dir     string
		Profile string
		Merge   bool // also takes footage that comes home, at the address it says
	}
)

// Part runs one part of a benchmark in this process until in ends: cameras,
// floor or recorder. It is what this package starts; people do not.
func Part(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	orders := bufio.NewReader(in)
	line, err := orders.ReadBytes('\n')
	if err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "a part of a benchmark gets its orders on standard input: %w", err)
	}
	go func() { // as long as the process, which ends when the input does
		_, _ = io.Copy(io.Discard, orders)
		cancel()
	}()
	switch name {
	case "cameras":
		err = decoded(line, func(o cameraOrders) error { return serveCameras(ctx, o, out) })
	case "floor":
		err = decoded(line, func(o floorOrders) error { return discard(ctx, o, out) })
	case "recorder":
		err = decoded(line, func(o recorderOrders) error { return recordAll(ctx, o, out) })
	case "push":
		err = decoded(line, func(o pushOrders) error { return push(ctx, o, out) })
	default:
		return understudy.Errorf(understudy.CodeNotFound, "a benchmark has no part %q", name)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func decoded[T any](line []byte, f func(T) error) error {
	var orders T
	if err := json.Unmarshal(line, &orders); err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "the orders of a benchmark's part cannot be read: %w", err)
	}
	return f(orders)
}

func serveCameras(ctx context.Context, o cameraOrders, out io.Writer) error {
	crowd, err := testcam.NewCrowd("127.0.0.1:0", o.File, o.Count, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	for _, u := range crowd.URLs() {
		fmt.Fprintln(out, u)
	}
	fmt.Fprintln(out, readyLine)
	return crowd.Run(ctx)
}

// discard is the floor: what it costs to receive all packets with the usual
// library and its usual settings, and do nothing.
func discard(ctx context.Context, o floorOrders, out io.Writer) error {
	var group errgroup.Group
	began := make(chan struct{}, len(o.URLs))
	for _, u := range o.URLs {
		group.Go(func() error {
			err := receive(ctx, u, func() { began <- struct{}{} })
			if ctx.Err() == nil {
				return understudy.Errorf(understudy.CodeUnavailable, "the floor lost %s: %w", u, err)
			}
			return nil
		})
	}
	for range o.URLs {
		select {
		case <-began:
		case <-ctx.Done():
		}
	}
	fmt.Fprintln(out, readyLine)
	return group.Wait()
}

func receive(ctx context.Context, address string, first func()) error {
	u, err := base.ParseURL(address)
	if err != nil {
		return err
	}
	tcp := gortsplib.ProtocolTCP
	c := &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Protocol: &tcp}
	if err := c.Start(); err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, c.Close)()
	session, _, err := c.Describe(u)
	if err != nil {
		return err
	}
	if err := c.SetupAll(session.BaseURL, session.Medias); err != nil {
		return err
	}
	begun := false
	c.OnPacketRTPAny(func(*description.Media, format.Format, *rtp.Packet) {
		if !begun {
			begun = true
			first()
		}
	})
	if _, err := c.Play(nil); err != nil {
		return err
	}
	return c.Wait()
}

// benchServer is the recorder of a benchmark.
const benchServer understudy.ServerID = "bench"

func benchCamera(n int) understudy.CameraID { return understudy.CameraID(fmt.Sprintf("cam%d", n+1)) }

func storageDir(dir string) string { return filepath.Join(dir, "recordings") }

// recordAll is the recording server as it always is, without a management server.
func recordAll(ctx context.Context, o recorderOrders, out io.Writer) error {
	recording.Frugal()
	node, err := loneNode(o.Dir)
	if err != nil {
		return err
	}
	store, err := storage.Open(ctx, storage.Config{Folders: []storage.FolderConfig{{Dir: storageDir(o.Dir)}}, Server: benchServer})
	if err != nil {
		return err
	}
	media, err := listen(ctx)
	if err != nil {
		return err
	}
	state, err := listen(ctx)
	if err != nil {
		return err
	}
	config := recording.Config{ID: benchServer, Role: understudy.RoleRecording, Node: node, Store: store, Media: media, State: state,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if o.Merge {
		if config.Merge, err = listen(ctx); err != nil {
			return err
		}
		fmt.Fprintln(out, config.Merge.Addr())
	}
	server := recording.New(config)
	assignment := understudy.Assignment{Server: benchServer, Seq: 1}
	for i, u := range o.URLs {
		camera := understudy.Camera{ID: benchCamera(i), Home: benchServer, URL: u}.WithDefaults()
		assignment.Cameras = append(assignment.Cameras, understudy.AssignedCamera{Camera: camera, Epoch: 1, Record: true})
	}
	server.Apply(assignment)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Run(ctx) })
	group.Go(func() error {
		for len(server.Covered()) < len(o.URLs) {
			if err := sleep(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		}
		stop, err := profile(o.Profile)
		if err != nil {
			return err
		}
		defer stop()
		fmt.Fprintln(out, readyLine)
		<-ctx.Done()
		return ctx.Err()
	})
	err = group.Wait()
	return errors.Join(err, store.Close())
}

// profile writes a processor profile until stop is called; an empty name is none.
func profile(name string) (stop func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}

func listen(ctx context.Context) (net.Listener, error) {
	var listening net.ListenConfig
	return listening.Listen(ctx, "tcp", "127.0.0.1:0")
}

// loneNode is the only server of an installation of its own.
func loneNode(dir string) (*identity.Node, error) {
	return joinedNode(dir, filepath.Join(dir, "identity"), benchServer, understudy.RoleRecording)
}

// joinedNode is a server, in a folder of its own, of the installation whose authority lies in dir.
func joinedNode(dir, folder string, id understudy.ServerID, role understudy.Role) (*identity.Node, error) {
	authority, err := identity.OpenAuthority(filepath.Join(dir, "authority"))
	if err != nil {
		return nil, err
	}
	request, err := identity.NewJoinRequest(folder)
	if err != nil {
		return nil, err
	}
	certificate, err := authority.Sign(request, id, role, []string{"127.0.0.1"}, 0)
	if err != nil {
		return nil, err
	}
	return identity.SaveNode(folder, certificate, authority.Trust())
}
