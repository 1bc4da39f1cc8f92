package storage

import (
	"cmp"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"

	"understudy"
)

// entry is one segment in memory.
type entry struct {
	understudy.Segment                      // without marks
	last               understudy.Watermark // the last video sample
	marks              []openMark           // while it is open
	rest               bool                 // its file has damage in it
	table              tablePlace           // where its seek table is kept
	folder             *folder
}

// nameOf returns the file name of a segment without its ending.
func nameOf(id understudy.SegmentID) string {
	_, name, _ := strings.Cut(id.String(), "/")
	return name
}

// bySegment orders segments by holder, epoch and sequence.
func bySegment(a, b understudy.SegmentID) int {
	return cmp.Or(cmp.Compare(a.Holder, b.Holder), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Sequence, b.Sequence))
}

// place returns where in list the segment is or belongs.
func place(list []*entry, id understudy.SegmentID) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(e *entry, id understudy.SegmentID) int { return bySegment(e.ID, id) })
}

// Days that are held in memory: so many at most, but for those that must be,
// and after there were too many.
const (
	daysMost = 512
	daysLeft = 384
)

// day returns a day of a camera, made when it is not there; mu is held.
func (s *Store) day(camera understudy.CameraID, key dayKey) *day {
	c := s.cameras[camera]
	if c == nil {
		c = &cameraDays{days: map[dayKey]*day{}}
		s.cameras[camera] = c
	}
	d := c.days[key]
	if d == nil {
		d = &day{dayKey: key, camera: camera, open: map[uint64]begun{}, loaded: true, totals: totals{unfinished: -1}}
		c.days[key] = d
		s.loaded++
		s.uses++
		d.used = s.uses
		s.evict()
	}
	return d
}

// days returns the days of a camera, by date.
func (s *Store) days(camera understudy.CameraID) []*day {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cameras[camera].sorted()
}

// eachDay calls f with the days of a camera, by date, under mu.
func (s *Store) eachDay(camera understudy.CameraID, f func(d *day)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.cameras[camera].sorted() {
		f(d)
	}
}

// with brings a day into memory and calls f with its segments under mu: f must
// be short, and keep none of them.
func (s *Store) with(d *day, f func(entries []*entry)) error {
	for {
		s.mu.Lock()
		if d.loaded {
			s.uses++
			d.used = s.uses
			f(d.entries)
			s.mu.Unlock()
			return nil
		}
		version := d.version
		s.mu.Unlock()
		fresh, damaged, err := d.read()
		if err != nil {
			return err
		}
		s.mu.Lock()
		if !d.loaded && d.version == version {
			d.take(fresh)
			s.loaded++
			s.uses++
			d.used = s.uses
			s.evict()
			if damaged {
				d.stale = true
				d.folder.suspects[d.camera] = true
			}
		}
		s.mu.Unlock()
	}
}

// take takes over what was read; mu is held. What the camera's sums were of the
// day, they are of what is really there.
func (d *day) take(fresh *day) {
	c := d.folder.store.cameras[d.camera]
	if c != nil && c.days[d.dayKey] == d {
		s := d.folder.store
		s.account(d, -1)
		defer s.account(d, 1)
	}
	d.entries, d.open, d.totals, d.size, d.loaded = fresh.entries, fresh.open, fresh.totals, fresh.size, true
}

// evict lets go of the days that were not needed for the longest time; mu is held.
func (s *Store) evict() {
	if s.loaded <= daysMost {
		return
	}
	var loaded []*day
	for _, c := range s.cameras {
		for _, d := range c.days {
			if d.loaded && !d.pinned() {
				loaded = append(loaded, d)
			}
		}
	}
	slices.SortFunc(loaded, func(a, b *day) int { return cmp.Compare(a.used, b.used) })
	for _, d := range loaded[:max(0, len(loaded)-daysLeft)] {
		d.entries, d.loaded = nil, false
		s.loaded--
	}
}

// change takes a segment into the index or out of it, in memory at once and in
// the file before it returns. A failure of the disk costs time at the next
// start, not footage: it is logged only.
func (f *folder) change(kind recordKind, e *entry) error {
	f.indexMu.Lock()
	defer f.indexMu.Unlock()
	d, b, err := f.prepare(kind, e)
	if err != nil {
		return err
	}
	defer f.settle(d)
	if b == nil {
		return f.rewrite(d)
	}
	f.store.mu.Lock()
	listed := d.listed
	f.store.mu.Unlock()
	err = f.health.do("a write to the index", func() error {
		if !listed {
			if err := f.makeDir(cameraIndexDir(d.camera), indexDir); err != nil {
				return err
			}
		}
		file, err := f.fs.OpenFile(d.path(), os.O_WRONLY|os.O_CREATE|os.O_APPEND)
		if err != nil {
			return err
		}
		n, err := file.Write(b)
		f.written.Add(int64(n))
		return cmp.Or(err, file.Close())
	})
	if err != nil {
		f.log.Warn("a record of the index was not written; it is written anew with the next one", "camera", d.camera, "err", err)
		f.store.mu.Lock()
		d.stale = true
		f.store.mu.Unlock()
	}
	return err
}

// prepare makes the change in memory and returns the record to append, or nil
// if the whole file is to be written. The day is busy from now on.
func (f *folder) prepare(kind recordKind, e *entry) (d *day, b []byte, err error) {
	s := f.store
	e.folder = f
	for b == nil {
		s.mu.Lock()
		d = s.day(e.ID.Camera, keyOf(f, e))
		if d.loaded {
			d.busy++
			s.account(d, -1)
			t := d.apply(kind, e, d.size)
			s.account(d, 1)
			if !d.stale {
				b = appendRecord(nil, seedOf(d.path()), record{kind, e, t})
				d.size += int64(len(b))
			}
			s.mu.Unlock()
			return d, b, nil
		}
		s.mu.Unlock()
		if err := s.with(d, func([]*entry) {}); err != nil {
			return nil, nil, err
		}
	}
	return d, b, nil
}

// account adds a day to the sums, or takes it out of them; mu is held.
func (s *Store) account(d *day, sign int) {
	c := s.cameras[d.camera]
	c.count += sign * int(d.totals.count)
	c.bytes += int64(sign) * d.totals.bytes
	c.remote += int64(sign) * d.totals.inArchive
	s.archived.segments += sign * int(d.totals.archived)
	s.archived.bytes += int64(sign) * d.totals.inArchive
	used := d.totals.bytes
	for _, e := range d.entries {
		if !e.Closed {
			used += e.Size
		}
	}
	d.folder.used += int64(sign) * used
}

// settle ends a change: a day that has nothing any more goes.
func (f *folder) settle(d *day) {
	s := f.store
	s.mu.Lock()
	d.busy--
	empty := d.busy == 0 && len(d.open) == 0 && d.loaded && len(d.entries) == 0
	if empty {
		delete(s.cameras[d.camera].days, d.dayKey)
		if d.loaded {
			s.loaded--
		}
	}
	s.mu.Unlock()
	if !empty {
		return
	}
	err := f.health.do("a deletion", func() error {
		f.dropTables(d.tables())
		return f.fs.Remove(d.path())
	})
	if err != nil && !isNotExist(err) {
		f.log.Warn("an index file that has nothing any more could not be removed; the next start does", "file", d.path(), "err", err)
	}
}

// rewrite replaces a day's file from memory, durably; indexMu is held.
func (f *folder) rewrite(d *day) error {
	s := f.store
	s.mu.Lock()
	s.account(d, -1)
	content := d.encode()
	s.account(d, 1)
	d.size = int64(len(content))
	s.mu.Unlock()
	err := f.health.do("a write to the index", func() error {
		if err := f.makeDir(cameraIndexDir(d.camera), indexDir); err != nil {
			return err
		}
		f.written.Add(int64(len(content)))
		return f.replaceFile(cameraIndexDir(d.camera), d.path(), content)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	d.stale, d.listed = err != nil, d.listed || err == nil
	if err != nil {
		f.log.Warn("an index file was not written; the next start reads the segments again", "camera", d.camera, "err", err)
	}
	return err
}

// syncIndex makes durable what the index says of the day in which a segment lies.
func (f *folder) syncIndex(e *entry) error {
	f.store.mu.Lock()
	var d *day
	var stale, listed bool
	if c := f.store.cameras[e.ID.Camera]; c != nil && c.days[keyOf(f, e)] != nil {
		d = c.days[keyOf(f, e)]
		stale, listed = d.stale, d.listed
	}
	f.store.mu.Unlock()
	if d == nil { // it went with its last segment
		return f.health.do("a sync of the index", func() error { return f.fs.SyncDir(cameraIndexDir(e.ID.Camera)) })
	}
	if stale {
		f.indexMu.Lock()
		defer f.indexMu.Unlock()
		return f.rewrite(d)
	}
	err := f.health.do("a sync of the index", func() error {
		file, err := f.fs.OpenFile(d.path(), os.O_WRONLY)
		if err != nil {
			return err
		}
		if err := errors.Join(file.Sync(), file.Close()); err != nil || listed {
			return err
		}
		return f.fs.SyncDir(cameraIndexDir(d.camera))
	})
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	d.stale, d.listed = d.stale || err != nil, d.listed || err == nil
	return err
}

// find returns a copy of a segment's entry; nil if it is not here. Of several
// folders that have it, one counts that has its bytes.
func (s *Store) find(id understudy.SegmentID) *entry {
	var found *entry
	for _, e := range s.findAll(id) {
		if found == nil || found.Archived && !e.Archived {
			found = e
		}
	}
	return found
}

// findAll returns copies of a segment's entries, one of each folder that has it.
func (s *Store) findAll(id understudy.SegmentID) (all []*entry) {
	for _, d := range s.days(id.Camera) {
		s.mu.Lock()
		may := d.has(id)
		s.mu.Unlock()
		if !may {
			continue
		}
		err := s.with(d, func(entries []*entry) {
			if i, ok := place(entries, id); ok {
				e := *entries[i]
				all = append(all, &e)
			}
		})
		if err != nil {
			s.log.Warn("a segment could not be looked for", "segment", id, "err", err)
		}
	}
	return all
}

// closed returns copies of the closed segments of a camera, of those days that
// are wanted.
func (s *Store) closed(camera understudy.CameraID, wanted func(d *day) bool) (list []*entry) {
	var days []*day
	s.eachDay(camera, func(d *day) {
		if wanted(d) {
			days = append(days, d)
		}
	})
	for _, d := range days {
		err := s.with(d, func(entries []*entry) {
			for _, e := range entries {
				if e.Closed {
					kept := *e
					list = append(list, &kept)
				}
			}
		})
		if err != nil {
			s.log.Warn("the index of a day could not be read", "camera", camera, "day", d.date, "err", err)
		}
	}
	return list
}

// dates returns the days of which any of the cameras has footage in the folder, in order.
func (f *folder) dates(cameras []understudy.CameraID) []string {
	all := map[string]bool{}
	for _, camera := range cameras {
		f.store.eachDay(camera, func(d *day) {
			if d.folder == f && d.totals.count > 0 {
				all[d.date] = true
			}
		})
	}
	return slices.Sorted(maps.Keys(all))
}
