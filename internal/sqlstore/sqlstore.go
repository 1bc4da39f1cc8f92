// Package sqlstore keeps what the management server knows in an SQL database:
// SQLite inside the process, PostgreSQL, or SQL Server. It is one schema and the
// same queries; what differs is in one file a kind (sqlite.go, postgres.go,
// sqlserver.go).
//
// Nothing that only this process knows decides anything, so that several
// management servers can work on one database: all that is kept in memory is the
// site of a certain event, and it is used only while that is the newest.
package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"

	"understudy"
	"understudy/internal/management"
)

const (
	// busyFor is how long a transaction is tried again when the database is busy or
	// away. Whoever asked asks again.
	busyFor    = time.Second
	retryAfter = 10 * time.Millisecond
	// longest bounds a transaction, its wait for others of this process included: a
	// network that swallows everything must not keep all others waiting.
	longest    = 10 * time.Second
	maxReaders = 4
)

// errUnknown is in the error of a commit that was not answered.
var errUnknown = errors.New("the database went away while it committed")

// Store is a management.Store on an SQL database.
type Store struct {
	engine          engine
	writer, readers *bun.DB
	was             int                    // the form that it had
	self            string                 // what tells it from others on the same database
	site            atomic.Pointer[siteOf] // committed
	next            atomic.Pointer[siteOf] // of a commit that is under way
	tending         sync.WaitGroup
	cancel          context.CancelFunc // of what tends
}

var _ management.Store = (*Store)(nil)

// Open opens the database of a DSN, and creates or migrates it.
func Open(ctx context.Context, dsn string) (*Store, error) {
	s, err := connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if s.was, err = s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Find opens a database that is there and has the form of this version. It
// changes nothing.
func Find(ctx context.Context, dsn string) (*Store, error) {
	e, err := engineOf(dsn)
	if err == nil {
		err = e.exists()
	}
	if err != nil {
		return nil, err
	}
	s, err := connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	s.was, err = readForm(ctx, s.readers)
	if err == nil && s.was < len(steps) {
		err = understudy.Errorf(understudy.CodeConflict, "the database has form %d, and this version of understudy wants form %d; "+
			"bring it there with understudy store migrate, or use the version of the database", s.was, len(steps))
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func connect(ctx context.Context, dsn string) (*Store, error) {
	e, err := engineOf(dsn)
	if err != nil {
		return nil, err
	}
	s := &Store{engine: e, self: rand.Text()}
	if s.writer, s.readers, err = e.open(ctx); err != nil {
		return nil, err
	}
	open, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	s.tending.Go(func() { e.tend(open, s.readers) })
	if err := s.untilFree(ctx, func() error { return e.check(ctx, s.writer) }); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Form returns the form of the database before it was opened, 0 if it was empty, and now.
func (s *Store) Form() (was, now int) { return s.was, len(steps) }

func limit(db *sql.DB, connections int) {
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
}

// Close closes the database.
func (s *Store) Close() error {
	s.cancel()
	s.tending.Wait()
	return errors.Join(s.readers.Close(), s.writer.Close())
}

// Update runs f in one transaction, again if it was surely undone by others or by
// a database that went away before the commit.
func (s *Store) Update(ctx context.Context, f func(management.Tx) error) error {
	return s.again(ctx, func(ctx context.Context) error { return s.update(ctx, f) })
}

// View runs f on one consistent state.
func (s *Store) View(ctx context.Context, f func(management.Reader) error) error {
	return s.again(ctx, func(ctx context.Context) error { return s.view(ctx, f) })
}

func (s *Store) again(ctx context.Context, once func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	deadline := time.Now().Add(busyFor)
	for {
		err := once(ctx)
		if err == nil || !s.undone(err) || !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return err
		}
	}
}

func (s *Store) undone(err error) bool {
	return s.engine.busy(err) || s.engine.lost(err) && !errors.Is(err, errUnknown)
}

func (s *Store) update(ctx context.Context, f func(management.Tx) error) error {
	sqltx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return failed("begin", err)
	}
	defer func() { _ = sqltx.Rollback() }() // after a commit it does nothing
	t := &tx{reader: reader{store: s, ctx: ctx, db: sqltx}}
	if _, err := t.log(s.engine.inTurn); err != nil {
		return err
	}
	t.cached = s.site.Load()
	if err := f(t); err != nil {
		return err
	}
	if err := s.ring(t); err != nil {
		return err
	}
	s.expect(&t.reader)
	if err := sqltx.Commit(); err != nil {
		if s.engine.busy(err) {
			return failed("commit", err)
		}
		return understudy.Errorf(understudy.CodeUnavailable, "%w, and may have done so or not: %w", errUnknown, err)
	}
	s.remember(&t.reader)
	return nil
}

func (s *Store) view(ctx context.Context, f func(management.Reader) error) error {
	sqltx, err := s.readers.BeginTx(ctx, s.engine.snapshot())
	if err != nil {
		return failed("begin", err)
	}
	defer func() { _ = sqltx.Rollback() }()
	r := &reader{store: s, ctx: ctx, db: sqltx, cached: s.site.Load()} // the first query takes the snapshot
	if err := f(r); err != nil {
		return err
	}
	s.remember(r)
	return nil
}

func failed(what string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return understudy.Errorf(understudy.CodeUnavailable, "the database was not waited for any longer (%s): %w", what, err)
	}
	return understudy.Errorf(understudy.CodeUnavailable, "the database failed (%s); see that it runs, and that its disk is well: %w", what, err)
}
