package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/mssqldialect"

	"understudy"
)

// sqlServer is a Microsoft SQL Server database, of which several management
// servers may have connections. Transactions that write take the update lock of
// the log's row first: with that lock, read committed is serial. Readers see a
// snapshot, which the database must allow.
type sqlServer struct {
	config   msdsn.Config
	database string
}

func newSQLServer(dsn string) (engine, error) {
	d, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	database := d.query.Get("database")
	if database == "" {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the store's DSN names no database; write sqlserver://user@host?database=name")
	}
	if !d.local() {
		d.setDefault("encrypt", "true") // the driver's own default goes on without TLS
	}
	config, err := msdsn.Parse(d.String())
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the store's DSN is not one of SQL Server, such as sqlserver://user@host?database=name: %w", err)
	}
	config.Password, config.AppName = d.password, "understudy"
	return sqlServer{config, database}, nil
}

func (e sqlServer) exists() error { return nil } // who connects, sees

func (e sqlServer) open(ctx context.Context) (writer, readers *bun.DB, err error) {
	connect := func(connections int) *sql.DB {
		connector := mssql.NewConnectorConfig(e.config)
		connector.SessionInitSQL = "SET LOCK_TIMEOUT 5000; SET XACT_ABORT ON" // an error undoes the whole transaction
		db := sql.OpenDB(connector)
		limit(db, connections)
		return db
	}
	one, several := connect(1), connect(maxReaders)
	if err := one.PingContext(ctx); err != nil { // before bun asks for the version, and gets none
		return nil, nil, errors.Join(understudy.Errorf(understudy.CodeUnavailable,
			"SQL Server could not be reached; see that it runs there, and that user, password and database of the store are right: %w", err), one.Close(), several.Close())
	}
	return bun.NewDB(one, mssqldialect.New()), bun.NewDB(several, mssqldialect.New()), nil
}

func (e sqlServer) check(ctx context.Context, db *bun.DB) error {
	var snapshots, delayed int
	err := db.NewRaw("SELECT snapshot_isolation_state, delayed_durability FROM sys.databases WHERE name = DB_NAME()").Scan(ctx, &snapshots, &delayed)
	switch {
	case err != nil:
		return failed("its settings", err)
	case snapshots != 1:
		return understudy.Errorf(understudy.CodeInternal, "the database does not allow snapshots, without which readers and writers wait for each other; "+
			"let an administrator run ALTER DATABASE [%s] SET ALLOW_SNAPSHOT_ISOLATION ON", e.database)
	case delayed == 2:
		return understudy.Errorf(understudy.CodeInternal, "the database delays durability, and an epoch could be granted twice; "+
			"let an administrator run ALTER DATABASE [%s] SET DELAYED_DURABILITY = DISABLED", e.database)
	}
	return nil
}

// Keys are at most 900 bytes long; what they hold is bounded by management.
func (sqlServer) words() words {
	return words{ID: "NVARCHAR(200) COLLATE Latin1_General_100_BIN2", Text: "NVARCHAR(MAX)", Number: "BIGINT",
		Bytes: "VARBINARY(MAX)", Hash: "VARBINARY(64)", NoBytes: "0x"}
}

func (sqlServer) migrating(ctx context.Context, tx bun.Tx) error {
	_, err := tx.ExecContext(ctx, "DECLARE @got INT; EXEC @got = sp_getapplock @Resource = N'understudy', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 60000; "+
		"IF @got < 0 THROW 50000, N'another process migrates the database', 1; "+
		"IF OBJECT_ID(N'schema_version', N'U') IS NULL CREATE TABLE schema_version (version BIGINT NOT NULL)")
	return err
}

func (sqlServer) inTurn(q *bun.SelectQuery) *bun.SelectQuery {
	return q.ModelTableExpr("log AS log_row WITH (UPDLOCK, ROWLOCK)")
}

func (sqlServer) upserts() bool { return false } // its MERGE does so, and has too many ways to go wrong

func (sqlServer) tend(context.Context, *bun.DB) {} // it does that itself

func (sqlServer) snapshot() *sql.TxOptions { return &sql.TxOptions{Isolation: sql.LevelSnapshot} }

// The numbers are those of sys.messages.
func (sqlServer) busy(err error) bool {
	e, ok := errors.AsType[mssql.Error](err)
	if !ok {
		return false
	}
	switch e.Number {
	case 1205, // deadlock
		1222, // the lock was not to be had in time
		3960: // a snapshot was overtaken
		return true
	}
	return false
}

func (sqlServer) lost(err error) bool {
	if e, ok := errors.AsType[mssql.Error](err); ok {
		switch e.Number {
		case 976, 983, 3906, // the replica is not the primary, or the database is read-only
			4060, 40197, 40501, 40613, // the database is not there at the moment
			6005, 17142: // the server shuts down, or is paused
			return true
		}
		return false
	}
	_, broken := errors.AsType[mssql.StreamError](err)
	return broken || unreachable(err)
}
