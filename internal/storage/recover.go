package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/fs"
)

// tailVerified is how much of a segment that was open at a crash is checked
// against its checksums: more than any queue holds unsynced.
const tailVerified = 32 << 20

// comparedAtStart is how many segments a folder may have to be compared with its
// index while it is opened. Of more only what was open at the end is looked at;
// the rest is compared while the store works.
var comparedAtStart = 20_000 // a variable, so that tests see the rest in small stores

// atOnce is how many cameras are recovered at once.
const atOnce = 4

// recover brings the index of all cameras into memory, as much of it as is
// needed, and repairs what a crash left.
func (f *folder) recover(ctx context.Context) error {
	cameras, err := f.cameraNames()
	if err != nil {
		return err
	}
	missing := map[understudy.CameraID]bool{} // cameras without an index
	group, opening := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, camera := range cameras {
		group.Go(func() error {
			if opening.Err() != nil {
				return opening.Err()
			}
			without, err := f.openIndex(camera)
			f.store.mu.Lock()
			missing[camera] = without
			f.store.mu.Unlock()
			return errors.Join(f.recoverNotes(camera), err)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := f.compareSome(ctx, cameras, missing); err != nil {
		return err
	}
	for _, camera := range cameras {
		if err := f.findWatermark(camera); err != nil {
			return err
		}
	}
	return nil
}

// cameraNames returns the cameras that have footage or an index.
func (f *folder) cameraNames() ([]understudy.CameraID, error) {
	var cameras []understudy.CameraID
	for _, dir := range []string{camerasDir, indexDir} {
		entries, err := f.fs.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			camera := understudy.CameraID(e.Name())
			if e.IsDir() && understudy.ValidateID("camera", camera) == nil {
				cameras = append(cameras, camera)
			}
		}
	}
	slices.Sort(cameras)
	return slices.Compact(cameras), nil
}

// openIndex takes in the ends of a camera's index files, and reads the segments
// that were open when they were written last.
func (f *folder) openIndex(camera understudy.CameraID) (missing bool, err error) {
	files, err := f.fs.ReadDir(cameraIndexDir(camera))
	if err != nil && !isNotExist(err) {
		return false, err
	}
	var crashed []*entry
	missing = true
	f.dropStrayTables(camera, files)
	for _, file := range files {
		date, holder, ok := parseDayName(file.Name())
		if !ok {
			continue // what a crash left of a file that was to be replaced
		}
		missing = false
		d := &day{dayKey: dayKey{f, date, holder}, camera: camera}
		damaged, err := d.peek()
		if err != nil {
			return false, err
		}
		for _, o := range d.open {
			crashed = append(crashed, o.entry)
		}
		f.adopt(d, damaged)
	}
	for _, e := range crashed {
		if err := f.recoverSegment(e); err != nil {
			return false, err
		}
	}
	return missing, nil
}

// adopt makes a day known.
func (f *folder) adopt(d *day, damaged bool) {
	s := f.store
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cameras[d.camera]
	if c == nil {
		c = &cameraDays{days: map[dayKey]*day{}}
		s.cameras[d.camera] = c
	}
	c.days[d.dayKey] = d
	s.account(d, 1)
	if d.loaded {
		s.loaded++
	}
	if damaged {
		f.suspects[d.camera] = true
	}
	if d.holder == s.server {
		s.next = max(s.next, d.totals.high)
	}
}

// recoverSegment takes in what became of a segment that was open.
func (f *folder) recoverSegment(begun *entry) error {
	info, err := f.fs.Stat(segmentPath(begun.ID))
	if err != nil && !isNotExist(err) {
		return err
	}
	var e *entry
	if err == nil {
		if e, err = f.readSegment(begun.ID, info.Size(), true); err != nil {
			return err
		}
	}
	if e == nil || keyOf(f, e) != keyOf(f, begun) {
		gone := *begun
		if err := f.change(recordGone, &gone); err != nil {
			return err
		}
	}
	if e == nil {
		return nil
	}
	if err := f.change(recordClosed, e); err != nil {
		return err
	}
	return f.syncIndex(e)
}

// findWatermark looks for the newest segment of a camera that this server recorded.
func (f *folder) findWatermark(camera understudy.CameraID) error {
	s := f.store
	var own []*day
	var known *entry
	high := map[*day]uint64{}
	s.eachDay(camera, func(d *day) {
		if d.folder == f && d.holder == s.server {
			own, high[d] = append(own, d), d.totals.high
			if d.newest != nil && (known == nil || d.totals.high > known.ID.Sequence) {
				known = d.newest
			}
		}
	})
	slices.SortFunc(own, func(a, b *day) int { return cmp.Compare(high[b], high[a]) })
	newest := known
	for _, d := range own {
		if newest != nil && high[d] <= newest.ID.Sequence {
			break
		}
		err := s.with(d, func(entries []*entry) {
			for _, e := range entries {
				if newest == nil || e.ID.Sequence > newest.ID.Sequence {
					kept := *e
					newest = &kept
				}
			}
		})
		if err != nil {
			return err
		}
	}
	if newest == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.watermarks[camera]; !ok || w.sequence < newest.ID.Sequence {
		s.watermarks[camera] = watermark{sequence: newest.ID.Sequence, Watermark: newest.last}
		s.places[camera] = f
	}
	return nil
}

// readSegment makes an entry of a file that the index does not know, durably;
// nil if there is nothing in it.
func (f *folder) readSegment(id understudy.SegmentID, size int64, crashed bool) (*entry, error) {
	file, err := f.fs.OpenFile(segmentPath(id), os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	verifyFrom := int64(math.MaxInt64)
	if crashed {
		verifyFrom = max(0, size-tailVerified)
	}
	header, tracks, table, err := scanTable(file, verifyFrom)
	marks, whole := table.marks, table.size
	if understudy.CodeOf(err) == understudy.CodeInvalid || err == nil && header.Segment != id {
		return nil, f.setAside(id, size, err)
	}
	if err != nil {
		return nil, err
	}
	if whole < size && !crashed { // damage, not a torn tail: what is behind it may be footage
		e, err := f.surveyed(id, file, size)
		if err == nil && e == nil {
			err = f.setAside(id, size, understudy.Errorf(understudy.CodeInvalid, "none of its fragments is whole"))
		}
		if err != nil || e == nil {
			return nil, err
		}
		return e, f.keepRead(file, id)
	}
	if len(marks) == 0 {
		f.log.Info("a segment that was begun and never got a picture is removed", "segment", id)
		return nil, f.fs.Remove(segmentPath(id))
	}
	if whole < size {
		if err := f.cut(id, size, whole); err != nil {
			return nil, err
		}
	}
	e := entryOf(f, id, tracks, marks, whole, false)
	f.keepTable(e, table)
	return e, f.keepRead(file, id)
}

// keepRead makes durable what was read: a killed process leaves it to the kernel,
// and a power cut may still take it.
func (f *folder) keepRead(file fs.File, id understudy.SegmentID) error {
	return errors.Join(file.Sync(), f.fs.SyncDir(cameraDir(id.Camera)))
}

// entryOf makes an entry of what a file has.
func entryOf(f *folder, id understudy.SegmentID, tracks []understudy.Track, marks []understudy.SampleMark, size int64, rest bool) *entry {
	first, last := marks[0], marks[len(marks)-1]
	return &entry{
		Segment: understudy.Segment{ID: id, Start: first.At, End: last.At.Add(last.Duration), Size: size, Closed: true, Codec: tracks[0].Codec, Holes: understudy.HolesIn(marks)},
		last:    understudy.Watermark{At: last.At, Hash: last.Hash},
		rest:    rest,
		folder:  f,
	}
}

// setAside renames a file that carries a segment's name and is none, so that
// whoever knows better can look at it. An empty one is removed.
func (f *folder) setAside(id understudy.SegmentID, size int64, cause error) error {
	if size == 0 {
		return f.fs.Remove(segmentPath(id))
	}
	f.store.report(id.Camera, fmt.Sprintf("the file of segment %s cannot be read and was renamed to end in .damaged: %v", id, cause))
	return f.fs.Rename(segmentPath(id), segmentPath(id)+".damaged")
}

// cut makes a segment end at its last whole fragment.
func (f *folder) cut(id understudy.SegmentID, size, whole int64) error {
	file, err := f.fs.OpenFile(segmentPath(id), os.O_WRONLY)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := errors.Join(file.Truncate(whole), file.Sync()); err != nil {
		return err
	}
	f.store.report(id.Camera, fmt.Sprintf("segment %s had a torn tail of %d bytes, which was never durable and was cut", id, size-whole))
	return nil
}
