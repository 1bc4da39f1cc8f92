package sqlstore

import (
	"context"
	"embed"
	"io/fs"
	"strings"
	"text/template"
	"time"

	"github.com/uptrace/bun"

	"understudy"
)

// The migrations are one set for every kind of database: SQL in which a few words
// differ. What a landed one does is never changed.
//
//go:embed migrations/*.sql
var migrations embed.FS

// steps are the names of the migrations, numbered from 1 without holes: after the
// first n the database has form n.
var steps = func() []string {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted
	if err != nil {
		panic(err) // the pattern is wrong
	}
	return names
}()

// step returns the SQL of a migration.
func step(name string, w words) (string, error) {
	parsed, err := template.ParseFS(migrations, name)
	if err != nil {
		return "", understudy.Errorf(understudy.CodeInternal, "migration %s cannot be read: %w", name, err)
	}
	var text strings.Builder
	if err := parsed.Execute(&text, w); err != nil {
		return "", understudy.Errorf(understudy.CodeInternal, "migration %s has an unknown word: %w", name, err)
	}
	return text.String(), nil
}

// openFor is how long another process that opens or migrates the same database is waited for.
const openFor = time.Minute

// untilFree does what opens a database again for as long as another process keeps it
// from that. SQLite does not wait by itself there: who turns a new file to its
// write-ahead log while another does is refused at once.
func (s *Store) untilFree(ctx context.Context, do func() error) error {
	for deadline := time.Now().Add(openFor); ; {
		err := do()
		if err == nil || !s.engine.busy(err) || !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return err
		}
	}
}

// migrate brings the database to the newest form in one transaction, and returns
// the form that it had.
func (s *Store) migrate(ctx context.Context) (was int, err error) {
	err = s.untilFree(ctx, func() error {
		was, err = s.migrateOnce(ctx)
		return err
	})
	return was, err
}

func (s *Store) migrateOnce(ctx context.Context) (was int, err error) {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return 0, failed("migrate", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := s.engine.migrating(ctx, tx); err != nil {
		return 0, failed("migrate", err)
	}
	if was, err = readForm(ctx, tx); err != nil {
		return 0, err
	}
	for form := was; form < len(steps); form++ {
		text, err := step(steps[form], s.engine.words())
		if err != nil {
			return 0, err
		}
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return 0, failed(steps[form], err)
		}
		if _, err := tx.NewRaw("INSERT INTO schema_version (version) VALUES (?)", form+1).Exec(ctx); err != nil {
			return 0, failed("migrate", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, failed("migrate", err)
	}
	return was, nil
}

// readForm returns the form of the database. One that a newer binary has changed
// is refused: this one would not know what it leaves out.
func readForm(ctx context.Context, db bun.IDB) (form int, err error) {
	if err := db.NewRaw("SELECT COALESCE(MAX(version), 0) FROM schema_version").Scan(ctx, &form); err != nil {
		return 0, failed("read its form", err)
	}
	if form > len(steps) {
		return 0, understudy.Errorf(understudy.CodeConflict,
			"the database has form %d, and this version of understudy knows forms up to %d; start the newer version, or restore a backup of this one's", form, len(steps))
	}
	return form, nil
}
