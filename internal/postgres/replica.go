package postgres

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"understudy/internal/child"
)

// followWithin bounds how long a replica may take to follow, and to become the primary.
const followWithin = 30 * time.Second

// Replica makes another server below parent that follows this one, as Follow does.
func (s *Server) Replica(parent string) (_ *Server, err error) {
	r, err := prepare(parent)
	if err != nil {
		return nil, err
	}
	if r.Address, err = freeAddress(); err == nil {
		err = r.Follow(s)
	}
	if err != nil {
		_ = r.Stop() // what went wrong is said below
		return nil, err
	}
	return r, nil
}

// Follow makes this server, which does not run, a streaming replica of that one, and forgets
// what it had. From then on the primary answers no commit that this one has not synced.
func (s *Server) Follow(primary *Server) error {
	if err := os.RemoveAll(s.cluster()); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(primary.Address)
	if err != nil {
		return err
	}
	// What is copied waits for nobody: once it is promoted, it has no replica itself.
	if err := primary.Asynchronous(); err != nil {
		return err
	}
	copied := s.command("pg_basebackup", "--pgdata", s.cluster(), "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync",
		"--dbname", fmt.Sprintf("host=%s port=%s user=%s password=%s", host, port, superuser, password))
	var said bytes.Buffer
	copied.Stdout, copied.Stderr = &said, &said
	if err := child.Run(copied, syscall.SIGKILL); err != nil {
		return fmt.Errorf("pg_basebackup: %w\n%s", err, said.String())
	}
	if err := s.Run(); err != nil {
		return err
	}
	if err := primary.synchronous("*"); err != nil {
		return err
	}
	return primary.until("SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')")
}

// Asynchronous lets commits wait for no replica any more.
func (s *Server) Asynchronous() error { return s.synchronous("") }

// synchronous sets whose word a commit waits for: * is any replica, nothing is nobody.
func (s *Server) synchronous(standbys string) error {
	if err := s.exec("ALTER SYSTEM SET synchronous_standby_names = '" + standbys + "'"); err != nil {
		return err
	}
	return s.exec("SELECT pg_reload_conf()")
}

// Promote makes a replica the primary, and returns when it takes writes.
func (s *Server) Promote() error {
	if err := s.exec(fmt.Sprintf("SELECT pg_promote(true, %d)", int(followWithin.Seconds()))); err != nil {
		return err
	}
	return s.until("SELECT NOT pg_is_in_recovery()")
}

// until asks until the answer is true.
func (s *Server) until(question string) error {
	return s.connected(func(ctx context.Context, c *pgx.Conn) error {
		for deadline := time.Now().Add(followWithin); ; time.Sleep(20 * time.Millisecond) {
			var yes bool
			if err := c.QueryRow(ctx, question).Scan(&yes); err != nil || yes {
				return err
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("in %s it did not come true: %s", followWithin, question)
			}
		}
	})
}
