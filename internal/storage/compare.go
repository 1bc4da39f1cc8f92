package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
)

// comparePause is how much longer than the comparison of a camera the pause
// behind it is, while the store works.
const comparePause = 4

// compareSome compares cameras with their index while the folder is opened: all
// if there are not too many segments, and the others later.
func (f *folder) compareSome(ctx context.Context, cameras []understudy.CameraID, missing map[understudy.CameraID]bool) error {
	left := comparedAtStart
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, camera := range cameras {
		known := f.known(camera)
		if left < known {
			f.suspect(camera)
			continue
		}
		files, err := f.segmentNames(camera)
		if err != nil {
			return err
		}
		if left < len(files.segments) {
			f.suspect(camera)
			continue
		}
		left -= max(known, len(files.segments))
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return f.compare(camera, files, missing[camera])
		})
	}
	return group.Wait()
}

// known returns how many segments of a camera the folder's index has.
func (f *folder) known(camera understudy.CameraID) (n int) {
	f.store.eachDay(camera, func(d *day) {
		if d.folder == f {
			n += int(d.totals.count)
		}
	})
	return n
}

func (f *folder) suspect(camera understudy.CameraID) {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	f.suspects[camera] = true
}

// compareSuspects compares those cameras that were left for later with the
// index, one after the other, with pauses: the disk has better things to do.
func (f *folder) compareSuspects(ctx context.Context) error {
	for {
		var took time.Duration
		if camera := f.nextSuspect(); camera != "" {
			began := time.Now()
			files, err := f.segmentNames(camera)
			if err == nil {
				err = f.compare(camera, files, f.known(camera) == 0)
			}
			if err == nil {
				err = f.findWatermark(camera)
			}
			if err != nil {
				f.log.Warn("a camera could not be compared with its index; the next start does", "camera", camera, "err", err)
			}
			took = time.Since(began)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(comparePause*took, 100*time.Millisecond)):
		}
	}
}

func (f *folder) nextSuspect() understudy.CameraID {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	for camera := range f.suspects {
		delete(f.suspects, camera)
		return camera
	}
	return ""
}

// cameraFiles is what lies in a camera's folder: segments, and the marks of those
// whose bytes are in the archive.
type cameraFiles struct{ segments, marks []understudy.SegmentID }

func (f *folder) segmentNames(camera understudy.CameraID) (all cameraFiles, err error) {
	files, err := f.fs.ReadDir(cameraDir(camera))
	if err != nil && !isNotExist(err) {
		return all, err
	}
	for _, file := range files {
		if id, ok := marksFileID(camera, file.Name()); ok {
			all.marks = append(all.marks, id)
			continue
		}
		name, ok := strings.CutSuffix(file.Name(), ".mp4")
		id, err := understudy.ParseSegmentID(string(camera) + "/" + name)
		if ok && err == nil && !file.IsDir() { // else it is not ours
			all.segments = append(all.segments, id)
		}
	}
	return all, nil
}

// newestOwn returns the last two segments that this server began, newest first:
// those that a crash may have torn when no index says which.
func newestOwn(server understudy.ServerID, ids []understudy.SegmentID) []understudy.SegmentID {
	own := slices.DeleteFunc(slices.Clone(ids), func(id understudy.SegmentID) bool { return id.Holder != server })
	slices.SortFunc(own, func(a, b understudy.SegmentID) int { return cmp.Compare(b.Sequence, a.Sequence) })
	return own[:min(2, len(own))]
}

// comparison is of one camera's files with its index.
type comparison struct {
	folder *folder
	camera understudy.CameraID
	rows   map[understudy.SegmentID]*entry
	torn   []understudy.SegmentID // those that may be
	read   int                    // segments that the index did not have, or not so
	fresh  []*entry               // what was read
	lost   []*entry               // rows without a file
}

// compare makes the index agree with the files. What the index lacks is read
// from the segments; what no file has any more goes.
func (f *folder) compare(camera understudy.CameraID, files cameraFiles, missing bool) error {
	c := comparison{folder: f, camera: camera, rows: map[understudy.SegmentID]*entry{}, torn: newestOwn(f.store.server, files.segments)}
	for _, e := range f.store.closed(camera, func(d *day) bool { return d.folder == f }) {
		c.rows[e.ID] = e
	}
	if err := c.leftOpen(); err != nil {
		return err
	}
	there := make(map[understudy.SegmentID]bool, len(files.segments))
	for _, id := range files.segments {
		there[id] = true
		if err := c.file(id); err != nil {
			return err
		}
	}
	for _, id := range files.marks {
		if !there[id] {
			there[id] = true
			c.archived(id)
		}
	}
	for id, e := range c.rows {
		if !there[id] && !f.isFile(id) && f.store.isHere(id) {
			c.lost = append(c.lost, e)
		}
	}
	c.noteLost()
	if err := c.put(); err != nil {
		return err
	}
	if err := f.mend(camera); err != nil {
		return err
	}
	if missing && c.read > 2 || c.read > len(c.torn) {
		f.store.report(camera, fmt.Sprintf("the index of camera %s was missing or damaged and was made anew from %d segments", camera, c.read))
	}
	return nil
}

// leftOpen takes in what became of segments that a damaged index file has as
// open, and nobody writes.
func (c *comparison) leftOpen() error {
	var open []*entry
	c.folder.store.eachDay(c.camera, func(d *day) {
		for _, o := range d.open {
			if d.folder == c.folder {
				open = append(open, o.entry)
			}
		}
	})
	for _, e := range open {
		if c.folder.isBusy(e.ID) {
			continue
		}
		if err := c.folder.recoverSegment(e); err != nil {
			return err
		}
		if now := c.folder.store.find(e.ID); now != nil {
			c.rows[e.ID] = now
		}
	}
	return nil
}

func (f *folder) isFile(id understudy.SegmentID) bool {
	_, err := f.fs.Stat(segmentPath(id))
	return !isNotExist(err)
}

// file compares one file with its row.
func (c *comparison) file(id understudy.SegmentID) error {
	f := c.folder
	info, err := f.fs.Stat(segmentPath(id))
	if isNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	size, e := info.Size(), c.rows[id]
	if e != nil && e.Archived && !f.isBusy(id) { // a crash came before its file was deleted: it is here
		if e.Archived = false; size == e.Size {
			c.fresh = append(c.fresh, e)
			return nil
		}
	}
	switch {
	case e != nil && (size == e.Size || e.rest && size > e.Size):
		return nil
	case f.isBusy(id):
		return nil
	case e != nil && size > e.Size:
		return f.cut(id, size, e.Size)
	}
	c.read++
	read, err := f.readSegment(id, size, e == nil && slices.Contains(c.torn, id))
	if err != nil {
		return err
	}
	if read != nil {
		c.fresh = append(c.fresh, read)
	}
	if e != nil {
		c.lost = append(c.lost, e)
	}
	if read != nil && read.rest {
		f.noteHoles(nil, read)
	}
	return nil
}

// archived takes in a segment of which only the marks are here. Marks that are
// damaged are left out, and replaced when the archive is compared.
func (c *comparison) archived(id understudy.SegmentID) {
	if e := c.rows[id]; e != nil && e.Archived || c.folder.isBusy(id) {
		return
	}
	c.read++
	l, _, err := c.folder.readMarksFile(id)
	if err != nil {
		c.folder.log.Warn("a segment of the archive is left out until that is compared", "segment", id, "err", err)
		return
	}
	if e := c.folder.archivedEntry(c.camera, l.indexLine); e != nil {
		c.fresh = append(c.fresh, e)
	}
}

// isBusy reports whether somebody else is about to make a segment or to remove it.
func (f *folder) isBusy(id understudy.SegmentID) bool {
	s := f.store
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removing[id] || s.imports[id] != nil || id.Holder == s.server && id.Sequence > s.born
}

// put makes the index say what the files have.
func (c *comparison) put() error {
	f, s := c.folder, c.folder.store
	for _, e := range c.lost {
		gone := *e
		if err := f.change(recordGone, &gone); err != nil {
			return err
		}
	}
	for _, e := range c.fresh {
		var d *day
		s.mu.Lock()
		d = s.day(c.camera, keyOf(f, e))
		s.mu.Unlock()
		if err := s.with(d, func([]*entry) {}); err != nil {
			return err
		}
		s.mu.Lock()
		d = s.day(c.camera, keyOf(f, e)) // it may have gone meanwhile
		if d.loaded {
			s.account(d, -1)
			d.apply(recordClosed, e, 0)
			s.account(d, 1)
			d.stale = true
		}
		s.mu.Unlock()
	}
	return nil
}

// mend writes the index files of a camera anew that are damaged or are not what
// is in memory.
func (f *folder) mend(camera understudy.CameraID) error {
	f.indexMu.Lock()
	defer f.indexMu.Unlock()
	var stale []*day
	f.store.eachDay(camera, func(d *day) {
		if d.folder == f && d.stale {
			d.busy++
			stale = append(stale, d)
		}
	})
	var errs []error
	for _, d := range stale {
		errs = append(errs, f.rewrite(d))
		f.settle(d)
	}
	return errors.Join(errs...)
}

// noteLost notes what the index knows of and no file holds any more. What is
// older than all that is left was deleted, and the crash came before the index said so.
func (c *comparison) noteLost() {
	var oldest time.Time
	left := map[understudy.SegmentID]*entry{}
	for _, e := range c.rows {
		left[e.ID] = e
	}
	for _, e := range c.lost {
		delete(left, e.ID)
	}
	for _, e := range c.fresh {
		left[e.ID] = e
	}
	for _, e := range left {
		if oldest.IsZero() || e.Start.Before(oldest) {
			oldest = e.Start
		}
	}
	for _, was := range c.lost {
		if was.Archived || oldest.IsZero() || was.Start.Before(oldest) {
			continue
		}
		from := was.Start
		if e := left[was.ID]; e != nil {
			from = e.End // what is left of it
		}
		if from.Before(was.End) {
			c.folder.noteDamage(c.camera, from, was.End, fmt.Sprintf("segment %s was recorded, and its file is damaged or gone", was.ID))
		}
	}
}
