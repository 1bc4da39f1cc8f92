package sqlstore

import (
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"understudy"
)

// catchUp is how many events a remembered site is brought forward by; a site that
// is further behind is read anew.
const catchUp = 1000

// siteOf is the site after an event, and that event's hash. A number alone does not
// name an event: after a database was restored, or went on with a replica that had
// missed the last commits, another event gets it. The hash is of all events up to it.
type siteOf struct {
	understudy.Site
	hash string
}

// expect keeps the site of a commit that is about to be made: a reader that finds its
// event in the log needs not make it again. An event without a hash is not recognised.
func (s *Store) expect(r *reader) {
	if r.site != nil {
		s.next.Store(r.site)
	}
}

// remember keeps a committed site for the next transaction, unless another one has
// kept one meanwhile.
func (s *Store) remember(r *reader) {
	if r.site != nil && r.site != r.cached {
		s.site.CompareAndSwap(r.cached, r.site)
	}
}

// Site returns the site as this transaction sees it.
func (r *reader) Site() (understudy.Site, error) {
	if r.site != nil {
		return r.site.Site, nil
	}
	log, err := r.log(nil)
	if err != nil {
		return understudy.Site{}, err
	}
	if r.site, err = r.remembered(log); err == nil && r.site == nil {
		r.site, err = r.readSite(log)
	}
	if err != nil {
		return understudy.Site{}, err
	}
	return r.site.Site, nil
}

// remembered returns the site of the newest event if it is remembered, or if the
// one that is has only to be brought forward by what others have done since.
func (r *reader) remembered(log logRow) (*siteOf, error) {
	switch {
	case r.cached == nil || r.cached.Seq > log.Seq || log.Seq-r.cached.Seq > catchUp:
		return nil, nil
	case r.cached.Seq == log.Seq && r.cached.hash == log.Head:
		return r.cached, nil
	}
	if next := r.store.next.Load(); next != nil && next.hash != "" && next.Seq == log.Seq && next.hash == log.Head {
		return next, nil
	}
	events, err := all(r, func(e eventRow) eventRow { return e }, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("event_row.seq >= ?", r.cached.Seq).Order("event_row.seq")
	})
	if err != nil || len(events) == 0 || events[0].Seq != r.cached.Seq || events[0].Hash != r.cached.hash {
		return nil, err // it is of another history, or forgotten
	}
	site := *r.cached
	for _, e := range events[1:] {
		site.Site, site.hash = site.Apply(e.event()), e.Hash
	}
	if site.Seq != log.Seq || site.hash != log.Head {
		return nil, nil
	}
	return &site, nil
}

func (r *reader) readSite(log logRow) (*siteOf, error) {
	site, err := r.readTables()
	site.Seq = log.Seq
	return &siteOf{site, log.Head}, err
}

func (r *reader) readTables() (site understudy.Site, err error) {
	if site.Cameras, err = all(r, cameraRow.camera, byID); err != nil {
		return site, err
	}
	if site.RecordingServers, err = all(r, recordingServerRow.server, byID); err != nil {
		return site, err
	}
	if site.FailoverServers, err = all(r, failoverServerRow.server, byID); err != nil {
		return site, err
	}
	if site.Groups, err = all(r, groupRow.group, byID); err != nil {
		return site, err
	}
	if site.Locks, err = all(r, lockRow.lock, byID); err != nil {
		return site, err
	}
	if site.Moved, err = all(r, movedCameraRow.moved, byCamera); err != nil {
		return site, err
	}
	if site.Revoked, err = all(r, revocationRow.revocation, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("server") }); err != nil {
		return site, err
	}
	if site.Recalls, err = all(r, recallRow.recall, byHash); err != nil {
		return site, err
	}
	slices.SortFunc(site.Recalls, func(a, b understudy.Recall) int { return strings.Compare(a.User, b.User) })
	if site.CameraGroups, err = all(r, cameraGroupRow.group, byID); err != nil {
		return site, err
	}
	if site.Roles, err = all(r, roleRow.role, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("name") }); err != nil {
		return site, err
	}
	site.Leases, err = all(r, leaseRow.lease, func(q *bun.SelectQuery) *bun.SelectQuery { return byCamera(q).Where("holder <> ''") })
	return site, err
}

func byHash(q *bun.SelectQuery) *bun.SelectQuery   { return q.Order("hash") }
func byID(q *bun.SelectQuery) *bun.SelectQuery     { return q.Order("id") }
func byCamera(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("camera") }
