package management

import (
	"context"
	"fmt"
	"time"

	"understudy"
)

// headEvery is how much of the log's end may be cut off without being missed.
const headEvery = 5 * time.Second

// head is the newest event of the log, as it is known outside of the database.
type head struct {
	seq  uint64
	hash string
}

// anchor keeps a head where whoever can write to the database cannot.
type anchor interface {
	// Head is number 0 where none is kept.
	Head() (seq uint64, hash string, err error)
	KeepHead(seq uint64, hash string) error
}

func headOf(a anchor) (h head, err error) {
	h.seq, h.hash, err = a.Head()
	return h, err
}

// headIn is what the log's own row says.
func headIn(r Reader) (head, error) {
	log, err := r.Log()
	if err != nil {
		return head{}, err
	}
	site, err := r.Site()
	return head{site.Seq, log.Head}, err
}

// KeepHead keeps the log's head outside of the database every few seconds, until ctx ends. One
// that the log does not have any more stays, so that it is told of until an operator puts it away.
func (m *Management) KeepHead(ctx context.Context, complain func(error)) error {
	ticker := time.NewTicker(headEvery)
	defer ticker.Stop()
	told := ""
	for {
		missing, err := m.keepHead(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			complain(err)
		case missing != "" && missing != told:
			if err := m.tellMissing(ctx, missing); err != nil {
				complain(err)
				break
			}
			told = missing
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// keepHead returns what is wrong with the head that was kept, if anything is.
func (m *Management) keepHead(ctx context.Context) (missing string, err error) {
	if m.anchor == nil {
		return "", nil
	}
	known, err := headOf(m.anchor)
	if err != nil {
		return "", err
	}
	var now head
	err = m.store.View(ctx, func(r Reader) error {
		if now, err = headIn(r); err == nil {
			missing, err = known.missing(r, now.seq)
		}
		return err
	})
	if err != nil || missing != "" || now == known {
		return missing, err
	}
	return "", m.anchor.KeepHead(now.seq, now.hash)
}

// missing says in a sentence how the log differs from what was known of it; nothing when it goes
// on from there, or has forgotten it in its own time.
func (h head) missing(r Reader, last uint64) (string, error) {
	if h.seq == 0 {
		return "", nil
	}
	if last < h.seq {
		return fmt.Sprintf("event %d was in the log when this management server last kept its end, and the log ends with event %d: the end was cut off, or the database was restored from a backup", h.seq, last), nil
	}
	found, err := r.Events(understudy.EventQuery{After: h.seq - 1, Limit: 1})
	if err != nil || len(found) == 0 || found[0].Seq != h.seq || found[0].Hash == h.hash {
		return "", err
	}
	return fmt.Sprintf("event %d is another one than was in the log when this management server last kept its end: the end was cut off and written anew, or the database was restored from a backup", h.seq), nil
}

func (m *Management) tellMissing(ctx context.Context, missing string) error {
	return m.update(ctx, func(tx *change) error {
		return tx.record(understudy.Event{Kind: understudy.EventStorage, Sentence: fmt.Sprintf("The event log is not as it was: %s.", missing)})
	})
}
