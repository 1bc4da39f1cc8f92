package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"understudy"
	"understudy/internal/management"
)

// reader reads within a transaction.
type reader struct {
	store *Store
	ctx   context.Context // of the transaction, whose life the reader shares
	db    bun.Tx
	// cached is the site that was remembered when nothing newer could be seen: before a
	// snapshot was taken, or with the lock of the log's row.
	cached *siteOf
	row    *logRow // as this transaction sees it, once it was asked for
	site   *siteOf // likewise
}

// all reads the rows that the query selects and makes of each what it means.
func all[R, T any](r *reader, meaning func(R) T, query func(*bun.SelectQuery) *bun.SelectQuery) ([]T, error) {
	var rows []R
	if err := query(r.db.NewSelect().Model(&rows)).Scan(r.ctx); err != nil {
		return nil, failed("read", err)
	}
	list := make([]T, len(rows))
	for i, row := range rows {
		list[i] = meaning(row)
	}
	return list, nil
}

// one reads the row of that primary key, whose fields are set in row.
func one[R any](r *reader, row *R) (found bool, err error) {
	err = r.db.NewSelect().Model(row).WherePK().Scan(r.ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, failed("read", err)
	}
	return true, nil
}

// log returns the log's row as this transaction sees it, read by that query once.
func (r *reader) log(query func(*bun.SelectQuery) *bun.SelectQuery) (logRow, error) {
	if r.row != nil {
		return *r.row, nil
	}
	row := logRow{ID: 1}
	q := r.db.NewSelect().Model(&row).Where("id = 1")
	if query != nil {
		q = query(q)
	}
	if err := q.Scan(r.ctx); err != nil {
		return row, failed("read the log", err)
	}
	r.row = &row
	return row, nil
}

func (r *reader) Log() (management.Log, error) {
	row, err := r.log(nil)
	return management.Log{Stream: row.Stream, Floor: row.Floor, Head: row.Head}, err
}

func (r *reader) Events(q understudy.EventQuery) ([]understudy.Event, error) {
	q.After = min(q.After, math.MaxInt64)
	events, err := all(r, eventRow.event, func(s *bun.SelectQuery) *bun.SelectQuery {
		s = s.Where("event_row.seq > ?", q.After).Limit(int64(q.Limit))
		if q.Before > 0 {
			s = s.Where("event_row.seq < ?", q.Before)
		}
		if q.Kind != "" {
			s = s.Where("event_row.kind = ?", q.Kind)
		}
		if q.Server != "" {
			s = s.Where("event_row.server = ?", q.Server)
		}
		if q.Actor != "" {
			s = s.Where("event_row.actor = ?", q.Actor)
		}
		if !q.Since.IsZero() {
			s = s.Where("event_row.at >= ?", q.Since.UnixMicro())
		}
		if !q.Until.IsZero() {
			s = s.Where("event_row.at < ?", q.Until.UnixMicro())
		}
		if q.Text != "" {
			s = s.Where("LOWER(event_row.sentence) LIKE ? ESCAPE '!'", containing(q.Text))
		}
		if q.Camera != "" {
			s = s.Join("JOIN event_cameras AS c ON c.seq = event_row.seq").Where("c.camera = ?", q.Camera)
		}
		if q.After > 0 {
			return s.Order("event_row.seq ASC")
		}
		return s.Order("event_row.seq DESC")
	})
	if q.After == 0 {
		slices.Reverse(events)
	}
	return events, err
}

// containing is the pattern of texts that have this one in them, in lower case.
func containing(text string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_", "[", "![").Replace(strings.ToLower(text)) + "%"
}

func (r *reader) Epoch(camera understudy.CameraID) (epoch uint64, err error) {
	q := r.db.NewSelect().Model((*leaseRow)(nil)).ColumnExpr("COALESCE(MAX(epoch), 0)")
	if camera != understudy.AllCameras {
		q = q.Where("camera = ?", camera)
	}
	if err := q.Scan(r.ctx, &epoch); err != nil {
		return 0, failed("read", err)
	}
	return epoch, nil
}

func (r *reader) Passwords(cameras []understudy.CameraID) (map[understudy.CameraID][]byte, error) {
	found := make(map[understudy.CameraID][]byte, len(cameras))
	for lot := range slices.Chunk(cameras, 500) {
		rows, err := all(r, func(p passwordRow) passwordRow { return p }, func(q *bun.SelectQuery) *bun.SelectQuery {
			return q.Where("camera IN (?)", bun.List(lot))
		})
		if err != nil {
			return nil, err
		}
		for _, p := range rows {
			found[p.Camera] = p.Sealed
		}
	}
	return found, nil
}

func (r *reader) Keyring() ([]byte, error) {
	row := keyringRow{ID: 1}
	_, err := one(r, &row)
	return row.Sealed, err
}

func (r *reader) Claim(id string) (management.ClaimRecord, bool, error) {
	row := claimRow{ID: id}
	found, err := one(r, &row)
	if !found {
		return management.ClaimRecord{}, false, err
	}
	return row.claim(), true, nil
}

func (r *reader) Trigger(id string) (management.TriggerRecord, bool, error) {
	row := triggerRow{ID: id}
	found, err := one(r, &row)
	if !found {
		return management.TriggerRecord{}, false, err
	}
	return row.trigger(), true, nil
}

func (r *reader) Preflights() ([]understudy.Preflight, error) {
	return all(r, preflightRow.preflight, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("server") })
}

func (r *reader) Accounts() ([]management.Account, error) {
	return all(r, accountRow.account, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("name") })
}

func (r *reader) Account(name string) (management.Account, bool, error) {
	row := accountRow{Name: name}
	found, err := one(r, &row)
	if !found {
		return management.Account{}, false, err
	}
	return row.account(), true, nil
}

func (r *reader) Token(hash management.TokenHash) (management.Token, bool, error) {
	row := tokenRow{Hash: hash[:]}
	found, err := one(r, &row)
	if !found {
		return management.Token{}, false, err
	}
	return row.token(), true, nil
}

func (r *reader) Tokens(purpose management.Purpose) ([]management.Token, error) {
	return all(r, tokenRow.token, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("purpose = ?", purpose).Order("created", "hash")
	})
}
