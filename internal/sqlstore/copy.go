package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/uptrace/bun"

	"understudy"
	"understudy/internal/management"
)

// tables are all that a database holds besides its form, with the columns of their keys.
var tables = []struct{ name, key string }{
	{"log", "id"}, {"events", "seq"}, {"event_cameras", "camera, seq"}, {"cameras", "id"}, {"camera_passwords", "camera"},
	{"recording_servers", "id"}, {"failover_servers", "id"}, {"failover_groups", "id"}, {"leases", "camera"}, {"claims", "id"},
	{"accounts", "name"}, {"tokens", "hash"}, {"locks", "id"}, {"triggers", "id"}, {"preflights", "server"}, {"moved_cameras", "camera"},
	{"revocations", "server"}, {"camera_groups", "id"}, {"roles", "name"}, {"recalls", "hash"}, {"keyring", "id"},
}

// lotBytes is about how much one statement of a copy writes.
const lotBytes = 1 << 20

// CopyOptions say how a store is copied.
type CopyOptions struct {
	// InUse is whether the source may go on meanwhile: what it does then is not copied.
	InUse bool
	// Then is done to the copy in the same transaction; nil does nothing.
	Then func(management.Tx) error
	// Progress is told rows.
	Progress func(done, total int64)
}

// Copy writes all that one store holds into another, which must hold nothing: one
// consistent state in one transaction.
func Copy(ctx context.Context, from, to *Store, o CopyOptions) error {
	source, err := from.readers.BeginTx(ctx, from.engine.snapshot())
	if err != nil {
		return failed("begin to read", err)
	}
	defer func() { _ = source.Rollback() }()
	target, err := to.writer.BeginTx(ctx, nil)
	if err != nil {
		return failed("begin to write", err)
	}
	defer func() { _ = target.Rollback() }()
	total, err := count(ctx, source)
	if err != nil {
		return err
	}
	if err := to.empty(ctx, target); err != nil {
		return err
	}
	c := copying{ctx: ctx, source: source, target: target, told: func(done int64) { o.Progress(done, total) }}
	for _, t := range tables {
		if err := c.table(t.name, t.key); err != nil {
			return err
		}
	}
	if !o.InUse {
		if err := from.standsStill(ctx, source); err != nil {
			return err
		}
	}
	if o.Then != nil {
		if err := o.Then(&tx{reader: reader{store: to, ctx: ctx, db: target}}); err != nil {
			return err
		}
	}
	if err := target.Commit(); err != nil {
		return failed("commit", err)
	}
	return nil
}

// empty makes room for a copy: it refuses a database with anything in it.
func (s *Store) empty(ctx context.Context, target bun.Tx) error {
	r := reader{store: s, ctx: ctx, db: target}
	log, err := r.log(s.engine.inTurn)
	if err != nil {
		return err
	}
	rows, err := count(ctx, target)
	if err != nil {
		return err
	}
	if rows > 1 || log.Stream != "" {
		return understudy.Errorf(understudy.CodeConflict, "the store to write to holds a site already (%d rows); nothing is written over: name an empty one", rows)
	}
	if _, err := target.ExecContext(ctx, "DELETE FROM log"); err != nil {
		return failed("write", err)
	}
	return nil
}

func count(ctx context.Context, db bun.IDB) (rows int64, err error) {
	for _, t := range tables {
		var n int64
		if err := db.NewRaw("SELECT COUNT(*) FROM ?", bun.Ident(t.name)).Scan(ctx, &n); err != nil {
			return 0, failed("count "+t.name, err)
		}
		rows += n
	}
	return rows, nil
}

// standsStill refuses a store that has gone on since that transaction began.
func (s *Store) standsStill(ctx context.Context, since bun.Tx) error {
	var then, now logRow
	if err := errors.Join(since.NewSelect().Model(&then).Where("id = 1").Scan(ctx), s.writer.NewSelect().Model(&now).Where("id = 1").Scan(ctx)); err != nil {
		return failed("read the log", err)
	}
	if now != then {
		return understudy.Errorf(understudy.CodeConflict,
			"the store to copy was written to meanwhile (event %d, then %d), so a management server runs on it; stop it and copy again: nothing was copied", then.Seq, now.Seq)
	}
	return nil
}

// copying is a copy under way.
type copying struct {
	ctx            context.Context
	source, target bun.Tx
	done           int64
	told           func(done int64)
}

// table copies a table column by column, as it is stored.
func (c *copying) table(name, key string) error {
	rows, err := c.source.QueryContext(c.ctx, "SELECT * FROM "+name+" ORDER BY "+key)
	if err != nil {
		return failed("read "+name, err)
	}
	defer func() { _ = rows.Close() }() // what was left to say is asked below
	columns, err := rows.Columns()
	if err != nil {
		return failed("read "+name, err)
	}
	lot := lot{into: name, columns: columns}
	for rows.Next() {
		if err := lot.add(rows); err != nil {
			return failed("read "+name, err)
		}
		if lot.rows == lotOf || lot.bytes > lotBytes {
			if err := c.write(&lot); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return failed("read "+name, err)
	}
	return c.write(&lot)
}

// lot is rows that one statement inserts.
type lot struct {
	into        string
	columns     []string
	values      []any
	rows, bytes int
}

func (l *lot) add(from *sql.Rows) error {
	row := make([]any, len(l.columns))
	into := make([]any, len(row))
	for i := range row {
		into[i] = &row[i]
	}
	if err := from.Scan(into...); err != nil {
		return err
	}
	for _, v := range row {
		switch v := v.(type) {
		case string:
			l.bytes += len(v)
		case []byte:
			l.bytes += len(v)
		}
	}
	l.values = append(l.values, row...)
	l.rows++
	return nil
}

func (c *copying) write(l *lot) error {
	if l.rows == 0 {
		return nil
	}
	row := "(?" + strings.Repeat(", ?", len(l.columns)-1) + ")"
	names := make([]any, len(l.columns))
	for i, column := range l.columns {
		names[i] = bun.Ident(column)
	}
	query := "INSERT INTO " + l.into + " " + row + " VALUES " + row + strings.Repeat(", "+row, l.rows-1)
	if _, err := c.target.NewRaw(query, append(names, l.values...)...).Exec(c.ctx); err != nil {
		return failed("write "+l.into, err)
	}
	c.done += int64(l.rows)
	c.told(c.done)
	l.values, l.rows, l.bytes = l.values[:0], 0, 0
	return nil
}
