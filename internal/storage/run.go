package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

// keepEvery is how often room and ages are looked at.
const keepEvery = time.Second

// expireEvery is how often all segments are looked through for old ones.
const expireEvery = 10 * time.Second

// partsEvery is how often parts that were never resumed are looked for.
const partsEvery = 10 * time.Minute

// probeAfter is how long a disk may do nothing before it is tried.
const probeAfter = 5 * time.Second

// Run syncs on the timer and applies retention until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	turn := uint64(0)
	group.Go(func() error {
		return every(ctx, s.config.SyncEvery/syncTurns, func() { s.syncSome(turn % syncTurns); turn++ })
	})
	// Each apart from the others, because a hanging disk stops its own and must not stop those.
	for _, f := range s.folders {
		group.Go(func() error { return every(ctx, keepEvery, f.upkeep) })
		group.Go(func() error { return every(ctx, s.config.SyncEvery, f.saveNotes) })
		group.Go(func() error { return every(ctx, expireEvery, f.deleteDue) })
		group.Go(func() error { return every(ctx, partsEvery, f.expireNotes) })
		group.Go(func() error { return f.compareSuspects(ctx) })
		group.Go(func() error { return every(ctx, partsEvery, f.removeOldParts) })
	}
	group.Go(func() error { return every(ctx, keepEvery, s.verifyDoubted) })
	if s.mover != nil {
		group.Go(func() error { return s.mover.run(ctx) })
	}
	return group.Wait()
}

func every(ctx context.Context, interval time.Duration, f func()) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			f()
		}
	}
}

// syncTurns is in how many parts the writers sync. If all did at once, the memory
// of what all cameras sent in that time would be needed, and then be free at once.
const syncTurns = 20

// syncSome tells the writers of a turn that it is time; none waits for another.
func (s *Store) syncSome(turn uint64) {
	s.mu.Lock()
	var writers []*Writer
	for w := range s.writers {
		if w.number%syncTurns == turn {
			writers = append(writers, w)
		}
	}
	s.mu.Unlock()
	for _, w := range writers {
		poke(w.tick)
		w.leaveHanging()
	}
}

// upkeep deletes what is too much, and tries a disk that failed or was idle.
func (f *folder) upkeep() {
	f.makeRoom()
	if f.health.idle(probeAfter) {
		f.probe()
	}
}

// probe writes and syncs a small file, so that a disk that is bad is known
// before it is needed, and one that is well again is known, too.
func (f *folder) probe() {
	err := f.health.do("a probe", func() error {
		file, err := f.fs.OpenFile("probe", os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
		if err != nil {
			return err
		}
		_, err = file.Write([]byte("understudy\n"))
		return errors.Join(err, file.Sync(), file.Close())
	})
	if err == nil {
		if f.health.succeeded() {
			f.store.report("", "the disk works again: recording goes on")
		}
		return
	}
	sentence := fmt.Sprintf("recordings cannot be written: %v; it is tried again every second", err)
	if f.health.failed(sentence) {
		f.store.report("", sentence)
	}
}
