package sqlstore

import (
	"slices"
	"time"

	"github.com/uptrace/bun"

	"understudy"
	"understudy/internal/management"
)

// tx reads and writes within a transaction.
type tx struct {
	reader
	wrote bool // to the log
}

// lotOf is how many rows a statement writes or selects by key; SQL Server takes 1000.
const lotOf = 500

// put replaces the row of that primary key, or inserts it.
func put[R any](t *tx, row *R) error {
	if err := gone(t, row); err != nil {
		return err
	}
	return insert(t, row)
}

func insert[R any](t *tx, rows *R) error {
	_, err := affected(t.db.NewInsert().Model(rows).Exec(t.ctx))
	return err
}

// gone deletes the row of that primary key, if there is one.
func gone[R any](t *tx, row *R) error {
	_, err := affected(t.db.NewDelete().Model(row).WherePK().Exec(t.ctx))
	return err
}

// result is what came of a statement.
type result interface{ RowsAffected() (int64, error) }

func affected(res result, err error) (int64, error) {
	if err != nil {
		return 0, failed("write", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, failed("write", err)
	}
	return n, nil
}

func (t *tx) PutLog(l management.Log) error {
	row, err := t.log(nil)
	if err != nil {
		return err
	}
	row.Stream, row.Floor = l.Stream, l.Floor
	return t.putLog(row)
}

func (t *tx) putLog(row logRow) error {
	_, err := affected(t.db.NewUpdate().Model(&row).WherePK().Exec(t.ctx))
	t.row, t.wrote = &row, true
	return err
}

func (t *tx) Append(e understudy.Event) (understudy.Event, error) {
	site, err := t.Site()
	if err != nil {
		return e, err
	}
	log, err := t.log(nil)
	if err != nil {
		return e, err
	}
	log.Seq, log.Head = log.Seq+1, e.Hash
	e.Seq = log.Seq
	if err := t.putLog(log); err != nil {
		return e, err
	}
	row := eventToRow(e)
	if err := insert(t, &row); err != nil {
		return e, err
	}
	for lot := range slices.Chunk(management.CamerasOf(e), lotOf) {
		rows := make([]eventCameraRow, len(lot))
		for i, camera := range lot {
			rows[i] = eventCameraRow{Camera: camera, Seq: e.Seq}
		}
		if err := insert(t, &rows); err != nil {
			return e, err
		}
	}
	if err := t.applyAll(e.Changes); err != nil {
		return e, err
	}
	t.site = &siteOf{site.Apply(e), e.Hash}
	return e, nil
}

func (t *tx) ForgetEvents(through uint64) error {
	for _, table := range []any{(*eventRow)(nil), (*eventCameraRow)(nil)} {
		if _, err := affected(t.db.NewDelete().Model(table).Where("seq <= ?", through).Exec(t.ctx)); err != nil {
			return err
		}
	}
	return nil
}

// applyAll makes the changes of an event in their order, those of cameras and of
// leases that follow each other in lots: a takeover moves the leases of a whole server.
func (t *tx) applyAll(changes []understudy.Change) error {
	for len(changes) > 0 {
		cameras := leading(changes, func(c understudy.Change) *understudy.Camera { return c.Camera }, func(c *understudy.Camera) understudy.CameraID { return c.ID })
		leases := leading(changes, func(c understudy.Change) *understudy.Lease { return c.Lease }, func(l *understudy.Lease) understudy.CameraID { return l.Camera })
		var err error
		switch {
		case len(cameras) > 0:
			err = t.putCameras(cameras)
		case len(leases) > 0:
			err = t.putLeases(leases)
		default:
			err = t.apply(changes[0])
		}
		if err != nil {
			return err
		}
		changes = changes[max(len(cameras), len(leases), 1):]
	}
	return nil
}

// leading returns what the first changes are of, if it is of one kind, each of
// another camera, and as many as fit a statement.
func leading[T any](changes []understudy.Change, of func(understudy.Change) *T, key func(*T) understudy.CameraID) (lot []T) {
	seen := map[understudy.CameraID]bool{}
	for _, c := range changes {
		t := of(c)
		if t == nil || seen[key(t)] || len(lot) == lotOf {
			break
		}
		seen[key(t)] = true
		lot = append(lot, *t)
	}
	return lot
}

func (t *tx) putCameras(cameras []understudy.Camera) error {
	rows, ids := make([]cameraRow, len(cameras)), make([]understudy.CameraID, len(cameras))
	for i, c := range cameras {
		rows[i], ids[i] = cameraToRow(c), c.ID
	}
	if _, err := affected(t.db.NewDelete().Model((*cameraRow)(nil)).Where("id IN (?)", bun.List(ids)).Exec(t.ctx)); err != nil {
		return err
	}
	return insert(t, &rows)
}

// apply makes one change of an event, of anything else.
func (t *tx) apply(c understudy.Change) error {
	switch {
	case c.RecordingServer != nil:
		row := recordingServerToRow(*c.RecordingServer)
		return put(t, &row)
	case c.FailoverServer != nil:
		row := failoverServerToRow(*c.FailoverServer)
		return put(t, &row)
	case c.Group != nil:
		row := groupToRow(*c.Group)
		return put(t, &row)
	case c.GoneCamera != "":
		if err := gone(t, &cameraRow{ID: c.GoneCamera}); err != nil {
			return err
		}
		if err := gone(t, &movedCameraRow{Camera: c.GoneCamera}); err != nil {
			return err
		}
		_, err := affected(t.db.NewUpdate().Model((*leaseRow)(nil)).Set("holder = ''").Where("camera = ?", c.GoneCamera).Exec(t.ctx))
		return err
	case c.GoneServer != "":
		if err := gone(t, &recordingServerRow{ID: c.GoneServer}); err != nil {
			return err
		}
		return gone(t, &failoverServerRow{ID: c.GoneServer})
	case c.GoneGroup != "":
		return gone(t, &groupRow{ID: c.GoneGroup})
	case c.Moved != nil:
		return put(t, &movedCameraRow{Camera: c.Moved.Camera, Homes: c.Moved.From})
	case c.Revoked != nil:
		return put(t, &revocationRow{Server: c.Revoked.Server, MadeBefore: micros(c.Revoked.Before), Reason: c.Revoked.Reason})
	case c.Lock != nil:
		row := lockToRow(*c.Lock)
		return put(t, &row)
	case c.GoneLock != "":
		return gone(t, &lockRow{ID: c.GoneLock})
	}
	return t.applyRights(c)
}

// applyRights makes a change of who may do what.
func (t *tx) applyRights(c understudy.Change) error {
	switch {
	case c.CameraGroup != nil:
		return put(t, &cameraGroupRow{ID: c.CameraGroup.ID, Name: c.CameraGroup.Name, Cameras: orEmpty(c.CameraGroup.Cameras)})
	case c.GoneCameraGroup != "":
		return gone(t, &cameraGroupRow{ID: c.GoneCameraGroup})
	case c.Recall != nil:
		return t.putRecall(*c.Recall)
	case c.Role != nil:
		return put(t, &roleRow{Name: c.Role.Name, Actions: orEmpty(c.Role.Actions)})
	case c.GoneRole != "":
		return gone(t, &roleRow{Name: c.GoneRole})
	}
	return nil
}

// putRecall keeps it, and none that it outlives.
func (t *tx) putRecall(r understudy.Recall) error {
	before, err := all(&t.reader, recallRow.recall, byHash)
	if err != nil {
		return err
	}
	for _, old := range before {
		if old.Outlived(r) {
			row := recallToRow(old)
			if err := gone(t, &row); err != nil {
				return err
			}
		}
	}
	row := recallToRow(r)
	return put(t, &row)
}

// putLeases is the compare-and-swap below all others: whatever was read and
// decided above, a row's epoch only grows.
func (t *tx) putLeases(leases []understudy.Lease) error {
	rows := make([]leaseRow, len(leases))
	for i, l := range leases {
		rows[i] = leaseToRow(l)
	}
	if !t.store.engine.upserts() {
		return t.swapLeases(leases, rows)
	}
	written, err := affected(t.db.NewInsert().Model(&rows).On("CONFLICT (camera) DO UPDATE").
		Set("holder = EXCLUDED.holder, epoch = EXCLUDED.epoch, since = EXCLUDED.since, sentence = EXCLUDED.sentence").
		Where("lease_row.epoch < EXCLUDED.epoch").Exec(t.ctx))
	if err != nil || written == int64(len(leases)) {
		return err
	}
	if _, err := t.above(leases); err != nil { // one of them did not grow
		return err
	}
	return understudy.Errorf(understudy.CodeInternal, "the database wrote %d leases of %d and does not say why", written, len(leases))
}

// swapLeases is putLeases where a row cannot be inserted or updated by one statement.
func (t *tx) swapLeases(leases []understudy.Lease, rows []leaseRow) error {
	cameras, err := t.above(leases)
	if err != nil {
		return err
	}
	if _, err := affected(t.db.NewDelete().Model((*leaseRow)(nil)).Where("camera IN (?)", bun.List(cameras)).Exec(t.ctx)); err != nil {
		return err
	}
	return insert(t, &rows)
}

// above refuses leases whose epochs are not above those that the cameras had, and returns the cameras.
func (t *tx) above(leases []understudy.Lease) ([]understudy.CameraID, error) {
	cameras := make([]understudy.CameraID, len(leases))
	wanted := make(map[understudy.CameraID]understudy.Lease, len(leases))
	for i, l := range leases {
		cameras[i], wanted[l.Camera] = l.Camera, l
	}
	before, err := all(&t.reader, leaseRow.lease, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("camera IN (?)", bun.List(cameras))
	})
	if err != nil {
		return nil, err
	}
	for _, had := range before {
		if err := wanted[had.Camera].Above(had.Epoch); err != nil {
			return nil, err
		}
	}
	return cameras, nil
}

func (t *tx) PutPassword(camera understudy.CameraID, sealed []byte) error {
	row := passwordRow{Camera: camera, Sealed: sealed}
	if sealed == nil {
		return gone(t, &row)
	}
	return put(t, &row)
}

func (t *tx) PutKeyring(sealed []byte) error {
	return put(t, &keyringRow{ID: 1, Sealed: sealed})
}

func (t *tx) PutClaim(c management.ClaimRecord) error {
	row := claimToRow(c)
	return insert(t, &row)
}

func (t *tx) ForgetClaims(before time.Time) error {
	_, err := affected(t.db.NewDelete().Model((*claimRow)(nil)).Where("at < ?", micros(before)).Exec(t.ctx))
	return err
}

func (t *tx) PutTrigger(trigger management.TriggerRecord) error {
	row := triggerToRow(trigger)
	return put(t, &row)
}

func (t *tx) ForgetTriggers(before time.Time) error {
	_, err := affected(t.db.NewDelete().Model((*triggerRow)(nil)).Where("told < ?", micros(before)).Exec(t.ctx))
	return err
}

func (t *tx) PutPreflight(p understudy.Preflight) error {
	return put(t, &preflightRow{Server: p.Server, Content: p})
}

func (t *tx) DeletePreflight(server understudy.ServerID) error {
	return gone(t, &preflightRow{Server: server})
}

func (t *tx) PutAccount(a management.Account) error {
	row := accountToRow(a)
	return put(t, &row)
}

func (t *tx) DeleteAccount(name string) error { return gone(t, &accountRow{Name: name}) }

func (t *tx) PutToken(token management.Token) error {
	row := tokenToRow(token)
	return put(t, &row)
}

func (t *tx) DeleteToken(hash management.TokenHash) error { return gone(t, &tokenRow{Hash: hash[:]}) }
