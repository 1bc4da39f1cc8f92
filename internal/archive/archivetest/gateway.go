// Package archivetest runs a real S3-compatible store for tests, versitygw over
// a folder, behind a relay that can be cut.
package archivetest

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"understudy/internal/archive"
	"understudy/internal/child"
)

// Gateway is a store with one bucket.
type Gateway struct {
	Config archive.Config // of its bucket
	Dir    string         // the bucket as a folder: an object is a file

	socket   string
	listener net.Listener
	away     atomic.Bool
	requests atomic.Int64 // bytes that came back
	mu       sync.Mutex
	open     map[net.Conn]struct{}
	relays   sync.WaitGroup
}

// Start runs a store until the test ends.
func Start(t testing.TB) *Gateway {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw") // short: the path of a socket has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	g := &Gateway{Dir: filepath.Join(dir, "objects", "footage"), socket: filepath.Join(dir, "s"), open: map[net.Conn]struct{}{}}
	access, secret := filepath.Join(dir, "access"), filepath.Join(dir, "secret")
	for _, err := range []error{
		os.MkdirAll(g.Dir, 0o700), os.Mkdir(filepath.Join(dir, "sidecar"), 0o700),
		os.WriteFile(access, []byte("key-of-the-test\n"), 0o600), os.WriteFile(secret, []byte("secret-of-the-test\n"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	// What it keeps beside objects lies apart, since not every file system of a temporary folder has attributes.
	command := exec.CommandContext(context.Background(), binary(t), "--quiet", "--access", "key-of-the-test", "--secret", "secret-of-the-test", //nolint:gosec // a test's
		"--port", g.socket, "posix", "--sidecar", filepath.Join(dir, "sidecar"), filepath.Join(dir, "objects"))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = log, log
	ended, err := child.Start(command, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill() //nolint:errcheck // it may have ended
		<-ended
		log.Close()
	})
	g.relay(t)
	g.ready(t, log.Name())
	g.Config = archive.Config{Endpoint: "http://" + g.listener.Addr().String(), Bucket: "footage", Prefix: "site1", Region: "us-east-1", AccessKeyFile: access, SecretKeyFile: secret}
	return g
}

// ready waits until the store accepts connections.
func (g *Gateway) ready(t testing.TB, log string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("unix", g.socket)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log)
			t.Fatalf("the store of the test did not start: %v\n%s", err, said)
		}
	}
}

// SetAway cuts all connections and refuses others, or ends that.
func (g *Gateway) SetAway(away bool) {
	g.away.Store(away)
	if away {
		g.mu.Lock()
		defer g.mu.Unlock()
		for conn := range g.open {
			conn.Close()
		}
	}
}

// Received returns how many bytes the store has answered with.
func (g *Gateway) Received() int64 { return g.requests.Load() }

func (g *Gateway) relay(t testing.TB) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.listener = listener
	g.relays.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			g.relays.Go(func() { g.serve(t, conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		g.SetAway(true)
		g.relays.Wait()
	})
}

func (g *Gateway) serve(t testing.TB, conn net.Conn) {
	defer conn.Close()
	store, err := net.Dial("unix", g.socket)
	if err != nil {
		t.Logf("the store of the test does not accept connections: %v", err)
		return
	}
	defer store.Close()
	g.mu.Lock()
	if g.away.Load() {
		g.mu.Unlock()
		return
	}
	g.open[conn] = struct{}{}
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.open, conn)
	}()
	var way sync.WaitGroup
	way.Go(func() {
		io.Copy(store, conn) //nolint:errcheck // it ends when either side does
		store.Close()
	})
	n, _ := io.Copy(conn, store)
	g.requests.Add(n)
	conn.Close()
	way.Wait()
}

// binary returns the store's program, of the version in tools/versitygw/go.mod.
// `make tools` has built it; where it has not, it is built now, once.
func binary(t testing.TB) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(here), "..", "..", "..")
	script := exec.Command(filepath.Join(root, "scripts", "build-versitygw.sh"))
	if said, err := script.CombinedOutput(); err != nil {
		t.Fatalf("the S3-compatible store that the tests use could not be built: %v\n%s", err, said)
	}
	return filepath.Join(root, "bin", "versitygw")
}
