package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	us "understudy"
	"understudy/internal/management"
	"understudy/internal/management/storetest"
	"understudy/internal/sqlstore"
	"understudy/internal/sqlstore/pgtest"
)

const (
	deaths = 8  // of the database, in a test
	lifes  = 20 // commits between two of them
)

// servers are management servers that a claimant asks in turn.
type servers struct {
	list []*management.Management
	next atomic.Uint32
}

func (s *servers) any() *management.Management {
	return s.list[int(s.next.Add(1))%len(s.list)]
}

func (s *servers) Claim(c us.Claim) (us.ClaimAnswer, error) {
	return s.any().Claim(context.Background(), c)
}

func (s *servers) Leases() (us.Leases, error) {
	site, err := s.any().Site(context.Background())
	return site.Leases, err
}

// Two management servers work on one PostgreSQL, which is killed again and again at
// the moment of a commit: its answer is never heard, or it may not even have been made.
func TestClaimsAreLinearizableWhenPostgresDies(t *testing.T) {
	server := pgtest.Start(t)
	dsn := server.Database(t)
	storetest.Contest(t, open(t, dsn))
	over := make(chan struct{})
	r := newReaper(t, server, over)
	both := &servers{}
	for range 2 {
		both.list = append(both.list, storetest.New(t, open(t, pgtest.Through(dsn, r.listener.Addr().String()))))
	}
	r.armed.Store(true)
	storetest.Linearizable(t, both, over)
}

// reaper is a relay before a PostgreSQL server that kills it at the moment of a commit.
type reaper struct {
	listener net.Listener
	server   pgtest.Server
	armed    atomic.Bool
	over     chan struct{}

	mu       sync.Mutex
	commits  int
	died     int
	failed   error
	sessions sync.WaitGroup
}

func newReaper(t *testing.T, server pgtest.Server, over chan struct{}) *reaper {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &reaper{listener: listener, server: server, over: over}
	r.sessions.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.sessions.Go(func() { r.serve(conn) })
		}
	})
	t.Cleanup(func() { // after the stores have closed their connections
		listener.Close()
		r.sessions.Wait()
		if r.failed != nil {
			t.Error(r.failed)
		}
	})
	return r
}

func (r *reaper) serve(conn net.Conn) {
	defer conn.Close()
	up, err := net.Dial("tcp", r.server.Address)
	if err != nil {
		return
	}
	defer up.Close()
	var back sync.WaitGroup
	var deaf atomic.Bool // the answer is not passed on
	answered := make(chan struct{})
	back.Go(func() {
		defer conn.Close()
		buffer := make([]byte, 1<<16)
		for {
			n, err := up.Read(buffer)
			if deaf.Load() {
				close(answered)
				return
			}
			if err != nil {
				return
			}
			if _, err := conn.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	defer back.Wait()
	defer up.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		kill, wait := r.due(buffer[:n])
		deaf.Store(kill)
		if _, err := up.Write(buffer[:n]); err != nil && !kill {
			return
		}
		if kill {
			if wait {
				<-answered
			}
			r.kill()
			return
		}
	}
}

// due reports whether this is the commit at which the server dies, and whether it shall be made before.
func (r *reaper) due(asked []byte) (kill, wait bool) {
	if !r.armed.Load() || !bytes.Contains(asked, []byte("commit\x00")) {
		return false, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commits++
	return r.commits%lifes == 0 && r.died < deaths, r.commits/lifes%2 == 0
}

func (r *reaper) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.server.Kill()
	r.failed = errors.Join(r.failed, r.server.Run())
	if r.died++; r.died == deaths {
		close(r.over)
	}
}

// SQLite lives and dies with its process: a management server in a process of its own
// kills itself between commit and answer, and another takes its place.
func TestClaimsAreLinearizableWhenTheProcessWithSQLiteDies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "site.db")
	s := open(t, "sqlite:"+path)
	storetest.Contest(t, s)
	over := make(chan struct{})
	a := &mortal{t: t, path: path, over: over}
	storetest.Linearizable(t, a, over)
	a.client.Close() //nolint:errcheck // its process may be dead
	<-a.gone
}

// mortalVariable names the database to the process of a mortal.
const mortalVariable = "UNDERSTUDY_TEST_MORTAL"

// mortal is an authority in a process of its own, and then in another.
type mortal struct {
	t    *testing.T
	path string
	over chan struct{}

	mu     sync.Mutex
	client *rpc.Client
	gone   chan struct{}
	died   int
}

func (a *mortal) Claim(c us.Claim) (answer us.ClaimAnswer, err error) {
	return answer, a.ask("Served.Claim", c, &answer)
}

func (a *mortal) Leases() (leases us.Leases, err error) {
	return leases, a.ask("Served.Leases", 0, &leases)
}

func (a *mortal) ask(method string, question, answer any) error {
	client, err := a.living()
	if err != nil {
		return err
	}
	return client.Call(method, question, answer)
}

func (a *mortal) living() (*rpc.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client != nil {
		select {
		case <-a.gone:
			if a.died++; a.died == deaths {
				close(a.over)
			}
		default:
			return a.client, nil
		}
	}
	c := exec.Command(os.Args[0]) //nolint:gosec // this test
	c.Env = append(os.Environ(), mortalVariable+"="+a.path)
	c.Stderr = os.Stderr
	in, err1 := c.StdinPipe()
	out, err2 := c.StdoutPipe()
	if err := errors.Join(err1, err2, c.Start()); err != nil {
		a.t.Error(err)
		return nil, err
	}
	gone := make(chan struct{})
	a.client, a.gone = rpc.NewClient(pipes{out, in}), gone
	go func() {
		_ = c.Wait() // it was killed
		close(gone)
	}()
	return a.client, nil
}

type pipes struct {
	io.ReadCloser
	io.Writer
}

func (p pipes) Close() error { return errors.Join(p.ReadCloser.Close(), p.Writer.(io.Closer).Close()) }

// Served is the authority in the process of a mortal.
type Served struct{ servers }

// Claim is the authority's.
func (s *Served) Claim(c us.Claim, answer *us.ClaimAnswer) (err error) {
	*answer, err = s.servers.Claim(c)
	return err
}

// Leases is the authority's.
func (s *Served) Leases(_ int, leases *us.Leases) (err error) {
	*leases, err = s.servers.Leases()
	return err
}

// suicidal is a store whose process dies after every so many commits, before anybody hears of the last.
type suicidal struct {
	management.Store
	commits atomic.Int32
}

func (s *suicidal) Update(ctx context.Context, f func(management.Tx) error) error {
	err := s.Store.Update(ctx, f)
	if err == nil && s.commits.Add(1) == lifes {
		err = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return err
}

// serveMortal serves until the process kills itself or the test has gone.
func serveMortal(path string) error {
	s, err := sqlstore.Open(context.Background(), "sqlite:"+path)
	if err != nil {
		return err
	}
	m, err := management.New(context.Background(), &suicidal{Store: s}, management.Options{})
	if err != nil {
		return err
	}
	r := rpc.NewServer()
	if err := r.Register(&Served{servers{list: []*management.Management{m}}}); err != nil {
		return err
	}
	r.ServeConn(pipes{os.Stdin, os.Stdout})
	return s.Close()
}
