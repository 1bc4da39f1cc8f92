// Package postgres runs a PostgreSQL server of one's own for tests, drills and
// benchmarks: a cluster in a temporary folder on a free port, by a user without
// rights. It ends when this process does.
package postgres

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
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"understudy/internal/child"
)

const (
	superuser = "understudy"
	password  = "password-of-one-run"
	// connectedFor bounds what an administrator of it does here at once.
	connectedFor = 40 * time.Second
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
	gone <-chan struct{} // closed when it has ended; how, is what it said
}

// Database makes an empty database of that name and returns its DSN. It is a schema of
// its own: PostgreSQL makes and drops those in no time.
func (s *Server) Database(name string) (dsn string, err error) {
	return (&url.URL{Scheme: "postgres", User: url.User(superuser), Host: s.Address, Path: "postgres",
		RawQuery: url.Values{"password_file": {s.PasswordFile}, "search_path": {name}}.Encode()}).String(), s.exec("CREATE SCHEMA " + name)
}

// Drop forgets a database.
func (s *Server) Drop(name string) error { return s.exec("DROP SCHEMA " + name + " CASCADE") }

func (s *Server) exec(query string) error {
	return s.connected(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, query)
		return err
	})
}

func (s *Server) connected(f func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), connectedFor)
	defer cancel()
	c, err := pgx.Connect(ctx, fmt.Sprintf("postgres://%s:%s@%s/postgres", superuser, password, s.Address))
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, c), c.Close(ctx))
}

// Start makes a cluster in a new folder below parent and runs it.
func Start(parent string) (_ *Server, err error) {
	s, err := prepare(parent)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	initdb := s.command("initdb", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--username="+superuser,
		"--auth=scram-sha-256", "--pwfile="+s.PasswordFile, s.cluster())
	var said bytes.Buffer
	initdb.Stdout, initdb.Stderr = &said, &said
	if err := child.Run(initdb, syscall.SIGKILL); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, said.String())
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

// prepare makes a folder below parent for a server, without a cluster.
func prepare(parent string) (_ *Server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, lock, err := folder(parent)
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, lock: lock, PasswordFile: filepath.Join(dir, "password")}
	if err = os.WriteFile(s.PasswordFile, []byte(password+"\n"), 0o600); err == nil {
		err = s.unprivileged()
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
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
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
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
	gone, err := child.Start(c, syscall.SIGQUIT) // its immediate shutdown
	if err != nil {
		return err
	}
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

// Stop stops the server and deletes what it had.
func (s *Server) Stop() error {
	s.end(syscall.SIGQUIT)
	return errors.Join(s.lock.Close(), os.RemoveAll(s.dir))
}
