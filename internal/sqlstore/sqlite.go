package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"understudy"
)

// sqliteFile is a SQLite database inside the process. A transaction that writes
// begins with the lock of the file (immediate), so it waits its turn at once and
// not half way; a second process that has it is waited for as long as for anyone.
type sqliteFile struct{ path string }

func (e sqliteFile) exists() error {
	if _, err := os.Stat(e.path); err != nil {
		return understudy.Errorf(understudy.CodeNotFound, "there is no database in %s: %w", e.path, err)
	}
	return nil
}

func (e sqliteFile) open(context.Context) (writer, readers *bun.DB, err error) {
	if err := makePrivate(e.path); err != nil {
		return nil, nil, understudy.Errorf(understudy.CodeUnavailable, "the database file cannot be written; give the management server a folder of its own: %w", err)
	}
	if writer, err = e.connect(fmt.Sprintf("_txlock=immediate&_pragma=wal_autocheckpoint(%d)", checkpointAfter), 1); err != nil {
		return nil, nil, err
	}
	if readers, err = e.connect("_query_only=1", maxReaders); err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	return writer, readers, nil
}

// makePrivate creates the file for its owner only, before SQLite would create it
// for everyone; SQLite gives its journal the same mode.
func makePrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

func (e sqliteFile) connect(option string, connections int) (*bun.DB, error) {
	path, err := filepath.Abs(e.path)
	if err != nil {
		return nil, failed("open", err)
	}
	// Leases must outlive a power cut, or an epoch could be granted twice: every commit is synced.
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: fmt.Sprintf(
		"_busy_timeout=%d&_journal_mode=WAL&_synchronous=FULL&_dqs=0&_defensive=1&%s", busyFor.Milliseconds(), option)}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, failed("open", err)
	}
	limit(db, connections)
	return bun.NewDB(db, sqlitedialect.New()), nil
}

// SQLite 3.7.0 to 3.51.2 can corrupt a database when its write-ahead log is reset.
var oldestSQLite = [3]int{3, 51, 3}

func (sqliteFile) check(ctx context.Context, db *bun.DB) error {
	var version string
	if err := db.NewRaw("SELECT sqlite_version()").Scan(ctx, &version); err != nil {
		return failed("its version", err)
	}
	if !atLeast(version, oldestSQLite) {
		return understudy.Errorf(understudy.CodeInternal, "SQLite %d.%d.%d or newer is needed, since older ones can corrupt a database; this binary has %s",
			oldestSQLite[0], oldestSQLite[1], oldestSQLite[2], version)
	}
	return nil
}

func atLeast(version string, oldest [3]int) bool {
	parts := strings.SplitN(version, ".", 3)
	for i, least := range oldest {
		if i >= len(parts) {
			return false
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < least {
			return false
		}
		if n > least {
			return true
		}
	}
	return true
}

func (sqliteFile) words() words {
	return words{ID: "TEXT", Text: "TEXT", Number: "INTEGER", Bytes: "BLOB", Hash: "BLOB", NoBytes: "x''",
		Strict: " STRICT", StrictByKey: " STRICT, WITHOUT ROWID", HadSites: true}
}

func (sqliteFile) migrating(ctx context.Context, tx bun.Tx) error {
	_, err := tx.NewRaw("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)").Exec(ctx)
	return err
}

func (sqliteFile) inTurn(q *bun.SelectQuery) *bun.SelectQuery { return q }

func (sqliteFile) upserts() bool { return true }

const (
	// checkpointEvery is how often what was committed is brought from the write-ahead log into the database.
	checkpointEvery = time.Second
	// checkpointAfter is how many pages (4 KiB) of the log a commit brings there itself: under a
	// load that never pauses, only it lets the log begin anew.
	checkpointAfter = 16384
)

// tend brings commits from the log into the database, which a commit would otherwise do
// when 1000 pages have come together: one in twenty waited for a second sync.
func (sqliteFile) tend(ctx context.Context, db *bun.DB) {
	ticker := time.NewTicker(checkpointEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		_, _ = db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)") // what it cannot do now is done the next time
	}
}

func (sqliteFile) snapshot() *sql.TxOptions { return nil }

func (sqliteFile) busy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED)
}

func (sqliteFile) lost(error) bool { return false }
