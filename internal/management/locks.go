package management

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"understudy"
)

// maxLocks bounds what every server and client of the site carries.
const maxLocks = 10_000

// Locks returns those in force, by id.
func (m *Management) Locks(ctx context.Context) ([]understudy.Lock, error) {
	site, err := m.Site(ctx)
	at := m.now()
	return slices.DeleteFunc(slices.Clone(site.Locks), func(l understudy.Lock) bool { return !l.Holds(at) }), err
}

// PutLock makes a lock, or changes one: its owner is who made it. With it go
// those that have ended by themselves.
func (m *Management) PutLock(ctx context.Context, l understudy.Lock) (understudy.Lock, error) {
	if l.ID == "" {
		l.ID = rand.Text()
	}
	l.From, l.To, l.Until = settle(l.From), settle(l.To), settle(l.Until)
	if err := l.Validate(); err != nil {
		return l, err
	}
	if !l.Holds(m.now()) {
		return l, understudy.Errorf(understudy.CodeInvalid, "lock %s would have ended at %s already; give a later time, or none", l.ID, l.Until.Format(time.RFC3339))
	}
	err := m.update(ctx, func(tx *change) error {
		asker := understudy.Asker(ctx)
		before, exists := tx.site.Lock(l.ID)
		switch {
		case exists && before.Camera != l.Camera:
			return understudy.Errorf(understudy.CodeConflict, "lock %s is of another camera; another lock needs another id", l.ID)
		case exists:
			if err := mayChange(asker, before); err != nil {
				return err
			}
			l.Owner = before.Owner
		default:
			l.Owner = asker.User
		}
		if _, ok := tx.site.Camera(l.Camera); !ok {
			return noCamera(l.Camera)
		}
		e := understudy.Event{Kind: understudy.EventLock, Camera: l.Camera, Changes: []understudy.Change{{Lock: &l}}, Sentence: oneSentence(fmt.Sprintf(
			"The footage of camera %s from %s to %s was locked by %s%s: %s", l.Camera, l.From.Format(time.RFC3339), l.To.Format(time.RFC3339), asker, until(l), l.Reason))}
		for _, old := range tx.site.Locks {
			if !old.Holds(tx.now) && old.ID != l.ID {
				e.Changes = append(e.Changes, understudy.Change{GoneLock: old.ID})
			}
		}
		if len(tx.site.Locks)-len(e.Changes)+1 >= maxLocks && !exists {
			return understudy.Errorf(understudy.CodeConflict, "there are %d locks and there may be no more; remove some, or lock longer stretches", maxLocks)
		}
		return tx.record(e)
	})
	return l, err
}

func until(l understudy.Lock) string {
	if l.Until.IsZero() {
		return ""
	}
	return " until " + l.Until.Format(time.RFC3339)
}

// settle is what every database keeps exactly.
func settle(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// RemoveLock lets the footage go its way again.
func (m *Management) RemoveLock(ctx context.Context, id string) error {
	return m.update(ctx, func(tx *change) error {
		l, ok := tx.site.Lock(id)
		if !ok {
			return understudy.Errorf(understudy.CodeNotFound, "there is no lock %.80q", id)
		}
		asker := understudy.Asker(ctx)
		if err := mayChange(asker, l); err != nil {
			return err
		}
		return tx.record(understudy.Event{Kind: understudy.EventLock, Camera: l.Camera, Changes: []understudy.Change{{GoneLock: id}}, Sentence: oneSentence(fmt.Sprintf(
			"The lock of camera %s from %s to %s (%s) was removed by %s.", l.Camera, l.From.Format(time.RFC3339), l.To.Format(time.RFC3339), l.Reason, asker))})
	})
}

// mayChange holds what Identity.May cannot: a lock is its owner's, or an administrator's.
func mayChange(asker understudy.Identity, l understudy.Lock) error {
	if asker.User != "" && asker.User == l.Owner && asker.May(understudy.ActionLock, l.Camera) == nil || asker.May(understudy.ActionAdminister, l.Camera) == nil {
		return nil
	}
	return understudy.Errorf(understudy.CodeForbidden, "%s may not change lock %s; %s, who made it, and administrators may", asker, l.ID, l.Owner)
}
