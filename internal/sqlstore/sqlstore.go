// Package sqlstore keeps what the management server knows in an SQL database:
// SQLite, inside the process.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"understudy"
	"understudy/internal/management"
)

const (
	// busyFor is how long a transaction waits for another process that has the
	// database. Within this process they queue without it.
	busyFor    = time.Second
	retryAfter = 10 * time.Millisecond
	readers    = 4
)

// Store is a management.Store on an SQL database.
type Store struct {
	writer *bun.DB // one connection: transactions happen one after another
	reader *bun.DB
	site   atomic.Pointer[understudy.Site] // as it was last read or committed
}

var _ management.Store = (*Store)(nil)

// Open opens the SQLite database in the file at path, and creates or migrates
// it. Leases must outlive a power cut, or an epoch could be granted twice: every
// commit is synced.
func Open(ctx context.Context, path string) (*Store, error) {
	if err := makePrivate(path); err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "the database file cannot be written; give the management server a folder of its own: %w", err)
	}
	writer, err := open(path, "_txlock=immediate", 1)
	if err != nil {
		return nil, err
	}
	s := &Store{writer: writer}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.reader, err = open(path, "_query_only=1", readers); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) error {
	if err := checkVersion(ctx, s.writer); err != nil {
		return err
	}
	return migrate(ctx, s.writer)
}

// makePrivate creates the file for its owner only, before SQLite would create it
// for everyone; SQLite gives its journal the same mode.
func makePrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func open(path, option string, connections int) (*bun.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, failed("open", err)
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: fmt.Sprintf(
		"_busy_timeout=%d&_journal_mode=WAL&_synchronous=FULL&_dqs=0&_defensive=1&%s", busyFor.Milliseconds(), option)}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, failed("open", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return bun.NewDB(db, sqlitedialect.New()), nil
}

// Close closes the database.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*bun.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Update runs f in one transaction, again if the database was busy, within the
// time that a busy database is waited for.
func (s *Store) Update(ctx context.Context, f func(management.Tx) error) error {
	deadline := time.Now().Add(busyFor)
	for {
		site, err := s.update(ctx, f)
		if err == nil {
			s.remember(site)
			return nil
		}
		if !busy(err) || !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return err
		}
	}
}

func (s *Store) update(ctx context.Context, f func(management.Tx) error) (*understudy.Site, error) {
	sqltx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, failed("begin", err)
	}
	defer func() { _ = sqltx.Rollback() }() // after a commit it does nothing
	t := &tx{reader{ctx: ctx, db: sqltx, cache: &s.site}}
	if err := f(t); err != nil {
		return nil, err
	}
	if err := sqltx.Commit(); err != nil {
		return nil, failed("commit", err)
	}
	return t.site, nil
}

// View runs f on one consistent state.
func (s *Store) View(ctx context.Context, f func(management.Reader) error) error {
	sqltx, err := s.reader.BeginTx(ctx, nil)
	if err != nil {
		return failed("begin", err)
	}
	defer func() { _ = sqltx.Rollback() }()
	r := &reader{ctx: ctx, db: sqltx, cache: &s.site}
	if err := f(r); err != nil {
		return err
	}
	s.remember(r.site)
	return nil
}

// remember keeps a committed site for the next reader. It is used only while
// its number is the database's, so an older one that comes late does no harm.
func (s *Store) remember(site *understudy.Site) {
	if site != nil {
		s.site.Store(site)
	}
}

func failed(what string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return understudy.Errorf(understudy.CodeUnavailable, "the database was not waited for any longer (%s): %w", what, err)
	}
	return understudy.Errorf(understudy.CodeUnavailable, "the database failed (%s); see that its disk is well: %w", what, err)
}

func busy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED)
}
