// Package pgtest runs a real PostgreSQL for tests: a cluster of its own in a
// temporary folder on a free port, once a test binary, by a user without rights.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superuser = "understudy"
	password  = "password-of-the-tests"
)

// Server is a PostgreSQL server.
type Server struct {
	Address      string // host:port
	PasswordFile string

	bin  string   // folder of its programs
	dir  string   // has the folder of the cluster
	lock *os.File // in it, held while this process lives
	as   *syscall.Credential
	mu   sync.Mutex
	proc *exec.Cmd
	gone chan struct{} // closed when it has ended
}

var (
	once   sync.Once
	server *Server
	failed error
)

// Main runs the tests of a package and then stops the server, if one was needed.
func Main(m *testing.M) {
	code := m.Run()
	if server != nil {
		if err := server.remove(); err != nil {
			fmt.Fprintln(os.Stderr, "the PostgreSQL of the tests:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// Shared returns the server of this test binary, whose package has a TestMain that calls Main.
func Shared(t testing.TB) *Server {
	t.Helper()
	once.Do(func() { server, failed = start() })
	if failed != nil {
		t.Fatalf("PostgreSQL could not be started; scripts/install-test-tools.sh installs it: %v", failed)
	}
	return server
}

// Start returns a server of the test's own, which it may kill.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatalf("PostgreSQL could not be started; scripts/install-test-tools.sh installs it: %v", err)
	}
	t.Cleanup(func() {
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var made atomic.Int64 // databases

// Database makes an empty database, which goes when the test ends, and returns its
// DSN. It is a schema of its own: PostgreSQL makes and drops those in no time.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "test" + strconv.FormatInt(made.Add(1), 10)
	s.exec(t, "CREATE SCHEMA "+name)
	t.Cleanup(func() { s.exec(t, "DROP SCHEMA "+name+" CASCADE") })
	return (&url.URL{Scheme: "postgres", User: url.User(superuser), Host: s.Address, Path: "postgres",
		RawQuery: url.Values{"password_file": {s.PasswordFile}, "search_path": {name}}.Encode()}).String()
}

// Through returns the DSN of a database on another address, such as a relay's.
func Through(dsn, address string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err) // it is of Database
	}
	u.Host = address
	return u.String()
}

func (s *Server) exec(t testing.TB, query string) {
	t.Helper()
	if err := s.connected(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, query)
		return err
	}); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func (s *Server) connected(f func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, fmt.Sprintf("postgres://%s:%s@%s/postgres", superuser, password, s.Address))
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, c), c.Close(ctx))
}

func start() (_ *Server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, lock, err := folder()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, lock: lock, PasswordFile: filepath.Join(dir, "password")}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.remove())
		}
	}()
	if err := os.WriteFile(s.PasswordFile, []byte(password+"\n"), 0o600); err != nil {
		return nil, err
	}
	if err := s.unprivileged(); err != nil {
		return nil, err
	}
	initdb := s.command("initdb", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--username="+superuser,
		"--auth=scram-sha-256", "--pwfile="+s.PasswordFile, s.cluster())
	if said, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, said)
	}
	for range 5 { // a port that was free a moment ago may be taken
		if s.Address, err = freeAddress(); err != nil {
			return nil, err
		}
		if err = s.Run(); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// programs finds the folder of the newest PostgreSQL.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // where Debian has it
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return strings.Compare(fmt.Sprintf("%80s", a), fmt.Sprintf("%80s", b)) })), nil
	}
	path, err := exec.LookPath("postgres")
	return filepath.Dir(path), err
}

// unprivileged hands the folder to another user where this one is root, since PostgreSQL refuses root.
func (s *Server) unprivileged() error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return err
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return errors.Join(err1, err2, os.Chown(s.dir, int(uid), int(gid)), os.Chown(s.PasswordFile, int(uid), int(gid)))
}

func (s *Server) cluster() string { return filepath.Join(s.dir, "c") }

func (s *Server) command(program string, arguments ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, program), arguments...)
	c.Dir = s.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	// It ends when this process does, however this one ends: SIGQUIT is its immediate shutdown.
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT, Credential: s.as}
	return c
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Run starts the server, after Kill too, and returns when it answers.
func (s *Server) Run() error {
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := s.runOnce()
		// What a killed server had in memory is freed when its last process has ended.
		if err == nil || !strings.Contains(err.Error(), "is still in use") && !strings.Contains(err.Error(), "is another postmaster") || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *Server) runOnce() error {
	_, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return err
	}
	var said bytes.Buffer
	c := s.command("postgres", "-D", s.cluster(), "-p", port, "-k", s.dir, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=60",
		"-c", "shared_buffers=32MB", "-c", "autovacuum=off", "-c", "log_min_messages=fatal")
	c.Stdout, c.Stderr = &said, &said
	if err := onOneThread(c.Start); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() {
		_ = c.Wait() // how it ended is what it said
		close(gone)
	}()
	s.mu.Lock()
	s.proc, s.gone = c, gone
	s.mu.Unlock()
	for {
		err := s.connected(func(ctx context.Context, c *pgx.Conn) error { return c.Ping(ctx) })
		if err == nil {
			return nil
		}
		select {
		case <-gone:
			return fmt.Errorf("postgres ended: %s", said.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// starts runs functions on a thread that never ends: the kernel sends Pdeathsig
// when the thread that started a child ends, and Go ends threads as it likes.
var starts = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

func onOneThread(f func() error) error {
	done := make(chan error, 1)
	starts() <- func() { done <- f() }
	return <-done
}

// Kill ends the server with SIGKILL and waits until it is gone; its other
// processes end by themselves when they see that.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

func (s *Server) end(signal syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return
	}
	_ = s.proc.Process.Signal(signal) // it may have ended
	<-s.gone
	s.proc = nil
}

// remove stops the server and deletes what it had.
func (s *Server) remove() error {
	s.end(syscall.SIGQUIT)
	return errors.Join(s.lock.Close(), os.RemoveAll(s.dir))
}
