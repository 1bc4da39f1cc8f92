package sqlstore

import (
	"context"
	"embed"
	"io/fs"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"understudy"
)

//go:embed migrations/*.sql
var migrations embed.FS

// SQLite 3.7.0 to 3.51.2 can corrupt a database when its write-ahead log is reset.
var oldestSQLite = [3]int{3, 51, 3}

func checkVersion(ctx context.Context, db *bun.DB) error {
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

// migrate brings the database to the newest form, each step in a transaction. A
// database that a newer binary has changed is refused: this one would not know
// what it leaves out.
func migrate(ctx context.Context, db *bun.DB) error {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted, and numbered from 1 without holes
	if err != nil {
		return understudy.Errorf(understudy.CodeInternal, "the migrations cannot be read: %w", err)
	}
	if _, err := db.NewRaw("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)").Exec(ctx); err != nil {
		return failed("migrate", err)
	}
	for {
		done, err := migrateOnce(ctx, db, names)
		if err != nil || done {
			return err
		}
	}
}

// migrateOnce takes one step, unless there is none left.
func migrateOnce(ctx context.Context, db *bun.DB, names []string) (done bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, failed("migrate", err)
	}
	defer func() { _ = tx.Rollback() }()
	version := 0
	if err := tx.NewRaw("SELECT COALESCE(MAX(version), 0) FROM schema_version").Scan(ctx, &version); err != nil {
		return false, failed("migrate", err)
	}
	switch {
	case version > len(names):
		return false, understudy.Errorf(understudy.CodeConflict,
			"the database has form %d, and this version of understudy knows forms up to %d; start the newer version, or restore a backup of this one's", version, len(names))
	case version == len(names):
		return true, nil
	}
	text, err := migrations.ReadFile(names[version])
	if err != nil {
		return false, understudy.Errorf(understudy.CodeInternal, "migration %s cannot be read: %w", names[version], err)
	}
	if _, err := tx.ExecContext(ctx, string(text)); err != nil {
		return false, failed(names[version], err)
	}
	if _, err := tx.NewRaw("INSERT INTO schema_version (version) VALUES (?)", version+1).Exec(ctx); err != nil {
		return false, failed("migrate", err)
	}
	if err := tx.Commit(); err != nil {
		return false, failed("migrate", err)
	}
	return false, nil
}
