package management

import (
	"context"
	"fmt"

	"understudy"
)

const (
	// maxRatchet bounds how far one server's word can push the epochs.
	maxRatchet = 1_000_000
	// ratchetLeap is how far above the epoch that was seen a restored database goes
	// on: who has seen a later one may not answer just now.
	ratchetLeap = 1000
	// fromABackup is in the sentence of each event that gives the log a new name, and is
	// looked for there.
	fromABackup = "restored from a backup"
)

// Ratchet tells the authority an epoch that a server has seen granted. Below
// the highest that the store knows, nothing happens. Above it, the store has
// been restored from a backup that does not know what was granted since: all
// leases go on with their holders under an epoch well above the one seen, and the
// log gets a new name, so that every client starts over. A provisional epoch,
// which a standby records under before its claim is granted, was not granted
// and must not be told.
func (m *Management) Ratchet(ctx context.Context, epoch uint64) error {
	known := uint64(0)
	err := m.store.View(ctx, func(r Reader) (err error) {
		known, err = highestEpoch(r)
		return err
	})
	if err != nil || epoch <= known {
		return err
	}
	return m.update(ctx, func(tx *change) error {
		known, err := highestEpoch(tx)
		if err != nil || epoch <= known {
			return err
		}
		if epoch-known > maxRatchet || epoch >= maxEpoch-ratchetLeap {
			return understudy.Errorf(understudy.CodeInvalid,
				"the highest epoch known is %d, and one of %d cannot have been granted: it is more than %d beyond", known, epoch, maxRatchet)
		}
		return tx.leap(epoch, fmt.Sprintf("A server has seen epoch %d, and the database knew none above %d: it was %s.", epoch, known, fromABackup))
	})
}

// fromBackup is the first act over a store that was filled from a backup, which is
// seen by its log having events and no name. What was granted after the backup is not
// known, so all goes on as after Ratchet, before any server is heard. A server that has
// seen a higher epoch than that still ratchets.
func (c *change) fromBackup() error {
	known, err := highestEpoch(c)
	if err != nil {
		return err
	}
	if known >= maxEpoch-ratchetLeap {
		return understudy.Errorf(understudy.CodeInvalid, "the highest epoch of the backup is %d, and the site has used up its epochs", known)
	}
	return c.leap(known, fmt.Sprintf("The database was %s whose newest event is %d.", fromABackup, c.site.Seq))
}

// leap lets all leases go on with their holders under an epoch well above the one
// seen, which nobody is granted again, and gives the log a new name.
func (c *change) leap(seen uint64, why string) error {
	epoch := seen + ratchetLeap
	c.stream = newStream()
	if err := c.PutLog(Log{Stream: c.stream, Floor: epoch}); err != nil {
		return err
	}
	e := understudy.Event{Kind: understudy.EventConfig, Sentence: fmt.Sprintf("%s All leases go on under epoch %d.", why, epoch+1)}
	for _, lease := range c.site.Leases {
		now := *lease
		now.Epoch, now.Since = epoch+1, c.now
		e.Changes = append(e.Changes, understudy.Change{Lease: &now})
	}
	return c.record(e)
}

// Renamed returns the number of the event with which the log got the name that it
// has: events before it are those of the backup. 0 is a log that never got another
// name, or has forgotten when.
func (m *Management) Renamed(ctx context.Context) (uint64, error) {
	// Nobody asked for it, so that no camera that is called so is taken for it.
	events, err := m.Events(ctx, understudy.EventQuery{Kind: understudy.EventConfig, Actor: understudy.Identity{}.String(), Text: fromABackup, Limit: 1})
	if err != nil || len(events) == 0 {
		return 0, err
	}
	return events[0].Seq, nil
}

// highestEpoch is the highest that was ever granted, as far as the store knows.
func highestEpoch(r Reader) (uint64, error) {
	log, err := r.Log()
	if err != nil {
		return 0, err
	}
	epoch, err := r.Epoch(understudy.AllCameras)
	return max(epoch, log.Floor), err
}
