package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
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
	group.Go(func() error { return every(ctx, s.config.SyncEvery, s.syncAll) })
	// Each apart from the others, because a hanging disk stops its own and must not stop those.
	for _, f := range s.folders {
		group.Go(func() error { return every(ctx, keepEvery, f.upkeep) })
		group.Go(func() error { return every(ctx, s.config.SyncEvery, f.saveNotes) })
		group.Go(func() error { return every(ctx, expireEvery, f.deleteExpired) })
		group.Go(func() error { return every(ctx, partsEvery, f.expireNotes) })
		group.Go(func() error { return every(ctx, partsEvery, f.removeOldParts) })
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

// syncAll tells all writers that it is time; none waits for another.
func (s *Store) syncAll() {
	s.mu.Lock()
	writers := slices.Collect(maps.Keys(s.writers))
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

// deleteExpired deletes what is older than its camera's recordings may get.
func (f *folder) deleteExpired() {
	for _, id := range f.expired(time.Now()) {
		if !f.store.mayGo(id.Camera) {
			continue
		}
		segment, _ := f.store.find(id)
		if _, err := f.store.remove(id); err != nil {
			f.log.Warn("an expired segment could not be deleted", "segment", id, "err", err)
			return
		}
		f.store.noteRetention(id.Camera, segment.Start, segment.End)
		f.log.Debug("an expired segment was deleted", "segment", id)
	}
}

func (f *folder) expired(now time.Time) []understudy.SegmentID {
	f.store.mu.Lock()
	keepFor := f.store.keep
	f.store.mu.Unlock()
	if keepFor == nil {
		return nil
	}
	var ids []understudy.SegmentID
	for e := range f.mine() {
		if keep := keepFor(e.ID.Camera); keep > 0 && now.Sub(e.End) >= keep {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// mine yields the closed segments that retention may take, in no order: none
// that belongs elsewhere, and none while nobody has said what belongs where. mu
// is held for one camera at a time, since a full store has millions of them,
// and those who record must not wait for a look at all.
func (f *folder) mine() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, camera := range f.store.Cameras() {
			for _, e := range f.deletable(camera) {
				if !yield(e) {
					return
				}
			}
		}
	}
}

func (f *folder) deletable(camera understudy.CameraID) []*entry {
	s := f.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.home == nil || s.isForeign(camera) {
		return nil
	}
	closed := slices.Clone(s.cameras[camera])
	return slices.DeleteFunc(closed, func(e *entry) bool { return !e.Closed || e.folder != f })
}

// victims are the oldest segments that retention may take, oldest first, kept
// from one time to the next: sorting all of them for each that must go would
// cost a full store seconds. They belong to the goroutine of upkeep.
type victims struct{ next []*entry }

const maxVictims = 10000

// oldest returns the next one to go; nil if there is none.
func (v *victims) oldest(f *folder) *entry {
	if len(v.next) == 0 {
		all := slices.Collect(f.mine())
		slices.SortFunc(all, func(a, b *entry) int { return cmp.Or(a.Start.Compare(b.Start), bySegment(a.ID, b.ID)) })
		n := min(max(len(all)/16, 1), len(all), maxVictims)
		v.next = slices.Clone(all[:n])
	}
	if len(v.next) == 0 {
		return nil
	}
	e := v.next[0]
	v.next = v.next[1:]
	return e
}

// mayGo reports whether retention may still take a segment of a camera, which
// may have moved to another home since it was looked at.
func (s *Store) mayGo(camera understudy.CameraID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.home != nil && !s.isForeign(camera)
}

// makeRoom deletes the oldest segments until the store fits, with a little to
// spare, and says so if it does not.
func (f *folder) makeRoom() {
	excess, ahead, why, err := f.excess()
	if err != nil {
		sentence := fmt.Sprintf("the recordings' disk cannot be read: %v", err)
		if f.health.failed(sentence) {
			f.store.report("", sentence)
		}
		return
	}
	if excess+ahead > 0 {
		excess -= f.deleteOldest(excess + ahead)
	}
	if excess <= 0 {
		if f.health.setFull("") {
			f.store.report("", "there is room again: recording goes on")
		}
		return
	}
	sentence := fmt.Sprintf("the disk is full: %s, and all that is left must still go home or is being written; add room, or let the footage go home", why)
	if f.health.setFull(sentence) {
		f.store.report("", sentence)
	}
}

// excess returns how many bytes are too many, and in words by which bound. It is
// negative where there is room to spare. ahead is what was written since the last
// look: so much again will be until the next, and a disk that takes more in that
// time than the reserve has must not be full in between.
func (f *folder) excess() (excess, ahead int64, why string, err error) {
	var free int64
	err = f.health.do("a look at the free room", func() (err error) {
		free, err = f.fs.FreeBytes()
		return err
	})
	if err != nil {
		return 0, 0, "", err
	}
	f.health.setFree(free)
	ahead = f.written.Swap(0)
	f.store.mu.Lock()
	used := f.used
	f.store.mu.Unlock()
	excess = f.config.MinFreeBytes - free
	if over := used - f.config.MaxBytes; f.config.MaxBytes > 0 && over > 0 && excess <= 0 {
		return over, 0, fmt.Sprintf("the store has %d MB and may have %d MB", used>>20, f.config.MaxBytes>>20), nil
	}
	return excess, ahead, fmt.Sprintf("%d MB are free and %d MB must stay free", free>>20, f.config.MinFreeBytes>>20), nil
}

// deleteOldest deletes at least so many bytes, if it may, and returns how many.
func (f *folder) deleteOldest(bytes int64) (deleted int64) {
	spare := min(bytes/8, 64<<20)
	if f.config.MaxBytes > 0 {
		spare = min(f.config.MaxBytes/100, 64<<20)
	}
	count := 0
	var first, last understudy.Segment
	for deleted < bytes+spare {
		e := f.victims.oldest(f)
		if e == nil {
			break
		}
		if !f.store.mayGo(e.ID.Camera) {
			continue
		}
		size, err := f.store.remove(e.ID)
		if err != nil {
			f.log.Warn("a segment could not be deleted to make room", "segment", e.ID, "err", err)
			break
		}
		if size == 0 {
			continue // it had gone already
		}
		if count == 0 {
			first = e.Segment
		}
		last = e.Segment
		f.store.noteRetention(e.ID.Camera, e.Start, e.End)
		deleted += size
		count++
	}
	if count > 0 {
		f.log.Info("the oldest recordings were deleted to make room", "segments", count, "bytes", deleted, "from", first.Start, "to", last.End)
		f.trimmed.add(count, deleted, last.End)
		if sentence := f.trimmed.sentence(time.Now()); sentence != "" {
			f.store.report("", sentence)
		}
	}
	return deleted
}

// trimmed adds up what was deleted to make room, so that the event log gets a
// line an hour and not one a segment. It belongs to the goroutine of upkeep.
type trimmed struct {
	segments int
	bytes    int64
	until    time.Time // recordings before this are gone
	told     time.Time
}

func (t *trimmed) add(segments int, bytes int64, until time.Time) {
	t.segments += segments
	t.bytes += bytes
	t.until = until
}

// sentence returns what has to be told now, if anything.
func (t *trimmed) sentence(now time.Time) string {
	if now.Sub(t.told) < time.Hour {
		return ""
	}
	sentence := fmt.Sprintf("%d segments (%d MB) up to %s were deleted to make room, the oldest first", t.segments, t.bytes>>20, clock(t.until))
	*t = trimmed{told: now}
	return sentence
}
