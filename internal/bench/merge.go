package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/merge"
	"understudy/internal/storage"
)

// MergeOptions are what Merge is asked for.
type MergeOptions struct {
	Megabytes int // of footage that goes home
	Cameras   int // that record at home meanwhile
	Cuts      int // so often all connections are cut on the way
	Dir       string
	Say       func(string)
}

// MergeResult is how fast footage comes home, beside what a plain copy over TLS
// of the same files takes in the same run.
type MergeResult struct {
	Machine
	Bytes          int64   `json:"bytes"`
	Segments       int     `json:"segments"`
	Seconds        float64 `json:"seconds"`  // from the first offer to the last confirmation, cuts included
	MBPerSecond    float64 `json:"mb_per_s"` // 10^6 bytes, durable and confirmed
	FloorMBPerS    float64 `json:"floor_mb_per_s"`
	Ratio          float64 `json:"ratio"` // of the floor
	Cuts           int     `json:"cuts"`
	StoredTwice    int64   `json:"bytes_stored_twice"`
	SentAgain      int64   `json:"bytes_sent_again"` // of the line: what a cut lost there, and the words of the protocol
	Missing        int     `json:"missing_segments"`
	LiveCameras    int     `json:"live_cameras"`
	LiveFrames     int     `json:"live_frames"`
	LiveFramesLost int     `json:"live_frames_lost"`
}

const benchStandby understudy.ServerID = "standby"

// Merge brings footage home over mutual TLS on the loopback interface, from a
// store of this process to a recording server in another one that records
// cameras of a third.
func Merge(ctx context.Context, o MergeOptions) (r MergeResult, err error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	o.Say("the cameras' clip")
	file, err := clip(ctx)
	if err != nil {
		return r, err
	}
	dir, err := os.MkdirTemp(o.Dir, "understudy-bench-")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &mergeBench{MergeOptions: o, dir: dir, away: filepath.Join(dir, "away"), result: MergeResult{Machine: ThisMachine(), LiveCameras: o.Cameras}}
	o.Say(fmt.Sprintf("%d MB of footage that a failover server recorded", o.Megabytes))
	if err := b.fill(ctx); err != nil {
		return r, err
	}
	cameras, urls, err := start(ctx, "cameras", cameraOrders{File: file, Count: o.Cameras})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, cameras.end()) }()
	err = b.run(ctx, urls)
	return b.result, err
}

type mergeBench struct {
	MergeOptions
	dir, away string
	node      *identity.Node // of the failover server
	home      string         // address
	total     int64
	result    MergeResult
}

// fill makes the store that is to go home. Its footage is of the cameras that
// record meanwhile, an hour ago.
func (b *mergeBench) fill(ctx context.Context) error {
	store, err := storage.Open(ctx, storage.Config{Folders: []storage.FolderConfig{{Dir: b.away}}, Server: benchStandby})
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil { // the folder is one of a store now
		return err
	}
	f := newFootage(b.away, benchStandby)
	start := time.Now().Add(-time.Hour)
	for n := 0; b.total < int64(b.Megabytes)*1e6; n++ {
		bytes, err := f.write(benchCamera(n%b.Cameras), uint64(1000*64+n), start.Add(time.Duration(n/b.Cameras)*time.Minute), 1)
		if err != nil {
			return err
		}
		b.total += bytes
		b.result.Segments++
	}
	b.result.Bytes = b.total
	return nil
}

func (b *mergeBench) run(ctx context.Context, urls []string) error {
	b.Say("a recording server records the cameras")
	recorder, said, err := start(ctx, "recorder", recorderOrders{URLs: urls, Dir: b.dir, Merge: true})
	if err != nil {
		return err
	}
	from := time.Now()
	err = b.measure(ctx, strings.Join(said, ""))
	to := time.Now()
	// Afterwards it goes on for a while: what a busy camera sends late is not lost.
	if err := errors.Join(err, sleep(ctx, settleTime), recorder.end()); err != nil {
		return err
	}
	b.Say("reading the recordings back")
	live, err := account(ctx, b.dir, b.Cameras, from, to)
	if err != nil {
		return err
	}
	b.result.LiveFrames, b.result.LiveFramesLost = live.frames, live.lost
	return b.compare(ctx)
}

func (b *mergeBench) measure(ctx context.Context, address string) (err error) {
	b.home = address
	if b.node, err = joinedNode(b.dir, filepath.Join(b.dir, "standby"), benchStandby, understudy.RoleFailover); err != nil {
		return err
	}
	if err := sleep(ctx, settleTime); err != nil {
		return err
	}
	b.Say("the floor: a plain copy of the same files over TLS")
	took, err := b.copyPlainly(ctx)
	if err != nil {
		return err
	}
	b.result.FloorMBPerS = round(float64(b.total) / 1e6 / took.Seconds())
	b.Say("the merge")
	if took, err = b.merge(ctx); err != nil {
		return err
	}
	b.result.Seconds = round(took.Seconds())
	b.result.MBPerSecond = round(float64(b.total) / 1e6 / took.Seconds())
	b.result.Ratio = round(b.result.MBPerSecond / b.result.FloorMBPerS)
	return nil
}

// merge sends batch after batch until nothing is left, as a failover server does.
func (b *mergeBench) merge(ctx context.Context) (time.Duration, error) {
	store, err := storage.Open(ctx, storage.Config{Folders: []storage.FolderConfig{{Dir: b.away}}, Server: benchStandby})
	if err != nil {
		return 0, err
	}
	defer func() { _ = store.Close() }()
	store.SetHome(func(understudy.CameraID) understudy.ServerID { return benchServer })
	var memory merge.Memory
	var sent atomic.Int64
	began := time.Now()
	for left := store.Foreign(); len(left) > 0; left = store.Foreign() {
		cut := &cutter{left: 1 << 62, sent: &sent}
		if b.result.Cuts < b.Cuts {
			cut.left = b.total / int64(b.Cuts+1)
		}
		batch := merge.NewBatch(benchStandby, benchServer, store, left, nil, merge.SendOptions{Memory: &memory})
		done, err := batch.Run(ctx, func(ctx context.Context) (net.Conn, error) {
			dialer := tls.Dialer{Config: b.node.ClientTLS(benchServer)}
			conn, err := dialer.DialContext(ctx, "tcp", b.home)
			if err != nil {
				return nil, err
			}
			return cut.wrap(conn), nil
		})
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case err != nil && !cut.happened():
			return 0, err
		case len(done.Refused) > 0:
			return 0, understudy.Errorf(understudy.CodeInternal, "home refused %d segments: %v", len(done.Refused), done.Refused)
		case cut.happened():
			b.result.Cuts++
		}
	}
	b.result.SentAgain = sent.Load() - b.total
	return time.Since(began), nil
}

// compare counts what lies at home of what went there.
func (b *mergeBench) compare(ctx context.Context) error {
	store, err := storage.Open(ctx, storage.Config{Folders: []storage.FolderConfig{{Dir: storageDir(b.dir)}}, Server: benchServer})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	var bytes int64
	found := 0
	for n := range b.Cameras {
		segments, err := store.Segments(ctx, benchCamera(n), time.Unix(0, 0), time.Now().Add(time.Hour), false)
		if err != nil {
			return err
		}
		for _, s := range segments {
			if s.ID.Holder == benchStandby {
				found++
				bytes += s.Size
			}
		}
	}
	parts, err := filepath.Glob(filepath.Join(storageDir(b.dir), "incoming", "*"))
	for _, part := range parts {
		if info, err := os.Stat(part); err == nil {
			bytes += info.Size()
		}
	}
	b.result.Missing = b.result.Segments - found
	b.result.StoredTwice = max(0, bytes-b.total)
	return err
}

// copyPlainly sends the files over one TLS connection, written and synced at the other end.
func (b *mergeBench) copyPlainly(ctx context.Context) (time.Duration, error) {
	files, err := filepath.Glob(filepath.Join(b.away, "cameras", "*", "*.mp4"))
	if err != nil {
		return 0, err
	}
	plain, err := listen(ctx)
	if err != nil {
		return 0, err
	}
	listener := tls.NewListener(plain, b.node.PeerTLS())
	defer listener.Close()
	began := time.Now()
	var group errgroup.Group
	group.Go(func() error {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		defer conn.Close()
		return b.receivePlainly(conn, files)
	})
	group.Go(func() error {
		dialer := tls.Dialer{Config: b.node.ClientTLS(benchStandby)}
		conn, err := dialer.DialContext(ctx, "tcp", listener.Addr().String())
		if err != nil {
			return err
		}
		defer conn.Close()
		for _, name := range files {
			if err := sendPlainly(conn, name); err != nil {
				return err
			}
		}
		return nil
	})
	err = group.Wait()
	took := time.Since(began)
	return took, errors.Join(err, os.RemoveAll(filepath.Join(b.dir, "floor")))
}

func sendPlainly(conn io.Writer, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{file}, make([]byte, 256<<10))
	return err
}

func (b *mergeBench) receivePlainly(conn io.Reader, files []string) error {
	dir := filepath.Join(b.dir, "floor")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	buffer := make([]byte, 256<<10)
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		file, err := os.Create(filepath.Join(dir, filepath.Base(name)))
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{file}, io.LimitReader(conn, info.Size()), buffer)
		if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// cutter ends all its connections when they have sent so many bytes.
type cutter struct {
	sent *atomic.Int64 // by all cutters

	mu    sync.Mutex
	left  int64
	conns []net.Conn
}

func (c *cutter) wrap(conn net.Conn) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	if c.left <= 0 {
		conn.Close()
	}
	return cutConn{conn, c}
}

func (c *cutter) count(n int) {
	c.sent.Add(int64(n))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left -= int64(n); c.left > 0 {
		return
	}
	for _, conn := range c.conns {
		conn.(*tls.Conn).NetConn().Close() // without a word, as a cable
	}
}

func (c *cutter) happened() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left <= 0
}

type cutConn struct {
	net.Conn
	cutter *cutter
}

func (c cutConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.cutter.count(n)
	return n, err
}

// Print writes the result for people.
func (r MergeResult) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "%s, %s\n", r.Machine.Machine, r.Date.Format("2006-01-02"))
	fmt.Fprintf(t, "merge\t%.0f MB/s\t%d MB in %d segments, %d cuts\n", r.MBPerSecond, r.Bytes/1e6, r.Segments, r.Cuts)
	fmt.Fprintf(t, "plain copy over TLS\t%.0f MB/s\n", r.FloorMBPerS)
	fmt.Fprintf(t, "stored twice\t%d bytes\tsent again after cuts: %d bytes; missing: %d segments\n", r.StoredTwice, r.SentAgain, r.Missing)
	fmt.Fprintf(t, "recorded meanwhile\t%d frames of %d cameras, %d lost\n", r.LiveFrames, r.LiveCameras, r.LiveFramesLost)
	return t.Flush()
}
