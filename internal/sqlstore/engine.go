package sqlstore

import (
	"context"
	"database/sql"
	"strings"

	"github.com/uptrace/bun"

	"understudy"
)

// engine is a kind of database: all that is not the same SQL everywhere.
type engine interface {
	// exists returns an error that says so if there surely is no database.
	exists() error
	// open makes the database if it can, and connects: writer is one connection, on
	// which the transactions of this process queue; readers may be several.
	open(ctx context.Context) (writer, readers *bun.DB, err error)
	// check refuses a database that might lose or change what was committed.
	check(ctx context.Context, db *bun.DB) error
	words() words
	// migrating waits until nobody else migrates, until tx ends, and makes the
	// table of forms if there is none.
	migrating(ctx context.Context, tx bun.Tx) error
	// inTurn makes a transaction that reads the log's row by this query wait until
	// every other that did has ended, in whatever process. What it reads afterwards
	// is what those left.
	inTurn(q *bun.SelectQuery) *bun.SelectQuery
	// upserts is whether one statement may insert a row or update the one that is there.
	upserts() bool
	// snapshot begins a transaction that reads one state, and waits for no writer.
	snapshot() *sql.TxOptions
	// tend does in the background, until ctx ends, what would keep transactions waiting if
	// it were left to them.
	tend(ctx context.Context, db *bun.DB)
	// busy reports an error that says that the transaction was undone because of
	// others, a commit's too: it may go well when it is done again.
	busy(err error) bool
	// lost reports that the database or the way to it went away: what was not
	// committed is undone, and of a commit nobody knows.
	lost(err error) bool
}

// words are what migrations write differently.
type words struct {
	ID      string // a text that is a key or selected by; compares as bytes
	Text    string
	Number  string // 64 bits
	Bytes   string
	Hash    string // bytes that are a key
	NoBytes string // the literal
	Strict  string // ends a table
	// StrictByKey ends a table whose rows are found by their key alone.
	StrictByKey string
	// HadSites is whether there were sites on it before each form: what only they need is left out elsewhere.
	HadSites bool
}

// engineOf returns the kind of database that a DSN names.
func engineOf(dsn string) (engine, error) {
	scheme, rest, _ := strings.Cut(dsn, ":")
	switch scheme {
	case "sqlite":
		if rest == "" {
			break
		}
		return sqliteFile{path: rest}, nil
	case "postgres", "postgresql":
		return newPostgres(dsn)
	case "sqlserver":
		return newSQLServer(dsn)
	}
	return nil, understudy.Errorf(understudy.CodeInvalid,
		"a store is sqlite:/path/to/file, postgres://user@host/database or sqlserver://user@host?database=name; found %q", dsn)
}
