package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"understudy"
)

// postgres is a PostgreSQL database, of which several management servers may
// have connections. Transactions that write lock the row of the log first: with
// that lock, read committed is serial.
type postgres struct{ config *pgx.ConnConfig }

// oldestPostgres is the oldest that the tests run on.
const oldestPostgres = 150000

func newPostgres(dsn string) (engine, error) {
	d, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	if !d.local() {
		d.setDefault("sslmode", "verify-full") // the driver's own default goes on without TLS
	}
	d.setDefault("connect_timeout", "5")
	config, err := pgx.ParseConfig(d.String())
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the store's DSN is not one of PostgreSQL, such as postgres://user@host/database: %w", err)
	}
	if d.password != "" {
		config.Password = d.password
	}
	// Queries come whole, without parameters: to prepare each would cost a round trip.
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	// Of several hosts, the one that is the primary now; also to read, since a replica may be behind.
	config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	config.RuntimeParams["application_name"] = "understudy"
	config.RuntimeParams["standard_conforming_strings"] = "on" // as the queries are quoted
	config.RuntimeParams["lock_timeout"] = "5s"
	// A management server that hangs, or whose machine is gone, does not keep the others waiting for ever.
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "10s"
	return postgres{config}, nil
}

func (e postgres) exists() error { return nil } // who connects, sees

func (e postgres) open(ctx context.Context) (writer, readers *bun.DB, err error) {
	connect := func(connections int) *bun.DB {
		db := stdlib.OpenDB(*e.config)
		limit(db, connections)
		db.SetConnMaxLifetime(10 * time.Minute) // so that the load returns to a server that was away
		return bun.NewDB(db, pgdialect.New())
	}
	writer, readers = connect(1), connect(maxReaders)
	if err := writer.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(understudy.Errorf(understudy.CodeUnavailable,
			"PostgreSQL could not be reached; see that it runs there, and that user, password and database of the store are right: %w", err), writer.Close(), readers.Close())
	}
	return writer, readers, nil
}

func (e postgres) check(ctx context.Context, db *bun.DB) error {
	var version int
	var fsync, synchronous, encoding string
	err := db.NewRaw("SELECT current_setting('server_version_num')::int, current_setting('fsync'), current_setting('synchronous_commit'), current_setting('server_encoding')").
		Scan(ctx, &version, &fsync, &synchronous, &encoding)
	switch {
	case err != nil:
		return failed("its settings", err)
	case version < oldestPostgres:
		return understudy.Errorf(understudy.CodeInternal, "PostgreSQL %d or newer is needed; this one is %d", oldestPostgres/10000, version/10000)
	case fsync == "off" || synchronous == "off":
		return understudy.Errorf(understudy.CodeInternal, "PostgreSQL may lose what it has committed (fsync is %s, synchronous_commit is %s), "+
			"and an epoch could be granted twice; set both to on, the latter at least for this user (ALTER ROLE … SET synchronous_commit = on)", fsync, synchronous)
	case encoding != "UTF8":
		return understudy.Errorf(understudy.CodeInternal, "the database is encoded as %s, and names may have any letter; make one with ENCODING 'UTF8'", encoding)
	}
	return nil
}

func (postgres) words() words {
	return words{ID: `TEXT COLLATE "C"`, Text: "TEXT", Number: "BIGINT", Bytes: "BYTEA", Hash: "BYTEA", NoBytes: "''"}
}

func (postgres) migrating(ctx context.Context, tx bun.Tx) error {
	_, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '60s'; SELECT pg_advisory_xact_lock(hashtext('understudy')); "+
		"CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
	return err
}

func (postgres) inTurn(q *bun.SelectQuery) *bun.SelectQuery { return q.For("UPDATE") }

func (postgres) upserts() bool { return true }

func (postgres) tend(context.Context, *bun.DB) {} // it does that itself

func (postgres) snapshot() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

// The classes and codes are of PostgreSQL's appendix A.
func (postgres) busy(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(e.Code, "40") && e.Code != "40003" || // rolled back, by deadlock too; 40003 is that it is not known
		e.Code == "55P03") // the lock was not to be had in time
}

func (postgres) lost(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(e.Code, "08") || // connection
			strings.HasPrefix(e.Code, "57P") || // shut down, crashed, starting up
			e.Code == "25006" || // it has become a replica
			e.Code == "25P03" || // this end was silent for too long
			e.Code == "40003"
	}
	return unreachable(err)
}

// unreachable reports that the connection failed, or none could be made.
func unreachable(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
