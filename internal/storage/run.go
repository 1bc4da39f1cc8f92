package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
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
	// Apart from the other, because a hanging disk stops it and must not stop that.
	group.Go(func() error { return every(ctx, keepEvery, s.upkeep) })
	group.Go(func() error { return every(ctx, s.config.SyncEvery, s.saveNotes) })
	group.Go(func() error { return every(ctx, expireEvery, s.deleteExpired) })
	group.Go(func() error { return every(ctx, partsEvery, s.expireNotes) })
	group.Go(func() error { return every(ctx, partsEvery, s.removeOldParts) })
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
	defer s.mu.Unlock()
	for w := range s.writers {
		poke(w.tick)
	}
}

// upkeep deletes what is too much, and tries a disk that failed or was idle.
func (s *Store) upkeep() {
	s.makeRoom()
	if s.health.idle(probeAfter) {
		s.probe()
	}
}

// probe writes and syncs a small file, so that a disk that is bad is known
// before it is needed, and one that is well again is known, too.
func (s *Store) probe() {
	err := s.health.do("a probe", func() error {
		f, err := s.fs.OpenFile("probe", os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
		if err != nil {
			return err
		}
		_, err = f.Write([]byte("understudy\n"))
		return errors.Join(err, f.Sync(), f.Close())
	})
	if err == nil {
		if s.health.succeeded() {
			s.report("", "the disk works again: recording goes on")
		}
		return
	}
	sentence := fmt.Sprintf("recordings cannot be written: %v; it is tried again every second", err)
	if s.health.failed(sentence) {
		s.report("", sentence)
	}
}

// deleteExpired deletes what is older than its camera's recordings may get.
func (s *Store) deleteExpired() {
	for _, id := range s.expired(time.Now()) {
		if !s.mayGo(id.Camera) {
			continue
		}
		segment, _ := s.find(id)
		if _, err := s.remove(id); err != nil {
			s.log.Warn("an expired segment could not be deleted", "segment", id, "err", err)
			return
		}
		s.noteRetention(id.Camera, segment.Start, segment.End)
		s.log.Debug("an expired segment was deleted", "segment", id)
	}
}

func (s *Store) expired(now time.Time) []understudy.SegmentID {
	s.mu.Lock()
	keepFor := s.keep
	s.mu.Unlock()
	if keepFor == nil {
		return nil
	}
	var ids []understudy.SegmentID
	for e := range s.mine() {
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
func (s *Store) mine() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, camera := range s.Cameras() {
			for _, e := range s.deletable(camera) {
				if !yield(e) {
					return
				}
			}
		}
	}
}

func (s *Store) deletable(camera understudy.CameraID) []*entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.home == nil || s.isForeign(camera) {
		return nil
	}
	closed := slices.Clone(s.cameras[camera])
	return slices.DeleteFunc(closed, func(e *entry) bool { return !e.Closed })
}

// victims are the oldest segments that retention may take, oldest first, kept
// from one time to the next: sorting all of them for each that must go would
// cost a full store seconds. They belong to the goroutine of upkeep.
type victims struct{ next []*entry }

const maxVictims = 10000

// oldest returns the next one to go; nil if there is none.
func (v *victims) oldest(s *Store) *entry {
	if len(v.next) == 0 {
		all := slices.Collect(s.mine())
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
func (s *Store) makeRoom() {
	excess, ahead, why, err := s.excess()
	if err != nil {
		sentence := fmt.Sprintf("the recordings' disk cannot be read: %v", err)
		if s.health.failed(sentence) {
			s.report("", sentence)
		}
		return
	}
	if excess+ahead > 0 {
		excess -= s.deleteOldest(excess + ahead)
	}
	if excess <= 0 {
		if s.health.setFull("") {
			s.report("", "there is room again: recording goes on")
		}
		return
	}
	sentence := fmt.Sprintf("the disk is full: %s, and all that is left must still go home or is being written; add room, or let the footage go home", why)
	if s.health.setFull(sentence) {
		s.report("", sentence)
	}
}

// excess returns how many bytes are too many, and in words by which bound. It is
// negative where there is room to spare. ahead is what was written since the last
// look: so much again will be until the next, and a disk that takes more in that
// time than the reserve has must not be full in between.
func (s *Store) excess() (excess, ahead int64, why string, err error) {
	var free int64
	err = s.health.do("a look at the free room", func() (err error) {
		free, err = s.fs.FreeBytes()
		return err
	})
	if err != nil {
		return 0, 0, "", err
	}
	s.health.setFree(free)
	ahead = s.written.Swap(0)
	s.mu.Lock()
	used := s.used
	s.mu.Unlock()
	excess = s.config.MinFreeBytes - free
	if over := used - s.config.MaxBytes; s.config.MaxBytes > 0 && over > 0 && excess <= 0 {
		return over, 0, fmt.Sprintf("the store has %d MB and may have %d MB", used>>20, s.config.MaxBytes>>20), nil
	}
	return excess, ahead, fmt.Sprintf("%d MB are free and %d MB must stay free", free>>20, s.config.MinFreeBytes>>20), nil
}

// deleteOldest deletes at least so many bytes, if it may, and returns how many.
func (s *Store) deleteOldest(bytes int64) (deleted int64) {
	spare := min(bytes/8, 64<<20)
	if s.config.MaxBytes > 0 {
		spare = min(s.config.MaxBytes/100, 64<<20)
	}
	count := 0
	var first, last understudy.Segment
	for deleted < bytes+spare {
		e := s.victims.oldest(s)
		if e == nil {
			break
		}
		if !s.mayGo(e.ID.Camera) {
			continue
		}
		size, err := s.remove(e.ID)
		if err != nil {
			s.log.Warn("a segment could not be deleted to make room", "segment", e.ID, "err", err)
			break
		}
		if size == 0 {
			continue // it had gone already
		}
		if count == 0 {
			first = e.Segment
		}
		last = e.Segment
		s.noteRetention(e.ID.Camera, e.Start, e.End)
		deleted += size
		count++
	}
	if count > 0 {
		s.log.Info("the oldest recordings were deleted to make room", "segments", count, "bytes", deleted, "from", first.Start, "to", last.End)
		s.trimmed.add(count, deleted, last.End)
		if sentence := s.trimmed.sentence(time.Now()); sentence != "" {
			s.report("", sentence)
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
