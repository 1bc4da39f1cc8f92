package sqlstore

import (
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

// remember keeps a committed site for the next transaction. It is used only as
// long as its event is in the log, so an older one that comes late does no harm.
func (s *Store) remember(site *siteOf) {
	if site != nil {
		s.site.Store(site)
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
	site, known, err := r.remembered(log)
	if err == nil && !known {
		site, err = r.readSite(log)
	}
	if err != nil {
		return understudy.Site{}, err
	}
	r.site = &site
	return site.Site, nil
}

// remembered returns the site of the newest event if it is remembered, or if the
// one that is has only to be brought forward by what others have done since.
func (r *reader) remembered(log logRow) (site siteOf, known bool, err error) {
	cached := r.cache.Load()
	switch {
	case cached == nil || cached.Seq > log.Seq || log.Seq-cached.Seq > catchUp:
		return site, false, nil
	case cached.Seq == log.Seq:
		return *cached, cached.hash == log.Head, nil
	}
	events, err := all(r, func(e eventRow) eventRow { return e }, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("event_row.seq >= ?", cached.Seq).Order("event_row.seq")
	})
	if err != nil || len(events) == 0 || events[0].Seq != cached.Seq || events[0].Hash != cached.hash {
		return site, false, err // it is of another history, or forgotten
	}
	site = *cached
	for _, e := range events[1:] {
		site.Site, site.hash = site.Apply(e.event()), e.Hash
	}
	return site, site.Seq == log.Seq && site.hash == log.Head, nil
}

func (r *reader) readSite(log logRow) (siteOf, error) {
	site, err := r.readTables()
	site.Seq = log.Seq
	return siteOf{site, log.Head}, err
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
	site.Leases, err = all(r, leaseRow.lease, func(q *bun.SelectQuery) *bun.SelectQuery { return byCamera(q).Where("holder <> ''") })
	return site, err
}

func byID(q *bun.SelectQuery) *bun.SelectQuery     { return q.Order("id") }
func byCamera(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("camera") }
