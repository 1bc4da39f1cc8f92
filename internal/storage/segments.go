package storage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"io"
	"math"
	"slices"
	"time"

	"understudy"
)

// Segments implements understudy.RecordingService.
func (s *Store) Segments(ctx context.Context, camera understudy.CameraID, from, to time.Time, marks bool) ([]understudy.Segment, error) {
	segments, err := s.list(camera, from, to)
	if err != nil {
		return nil, err
	}
	for i := range segments {
		if !segments[i].Closed {
			segments[i].Holes = understudy.HolesIn(segments[i].Marks)
		}
		if !marks {
			segments[i].Marks = nil
		}
	}
	if !marks {
		return segments, nil
	}
	kept := segments[:0]
	for _, segment := range segments {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if segment.Marks == nil {
			var err error
			segment.Marks, err = s.readMarks(segment)
			if understudy.CodeOf(err) == understudy.CodeNotFound {
				continue // deleted meanwhile
			}
			if err != nil { // one bad file must not hide the others
				s.log.Error("a segment cannot be read and is left out of the timeline; run understudy check", "segment", segment.ID, "err", err)
				continue
			}
		}
		kept = append(kept, segment)
	}
	return kept, nil
}

// list returns the segments that touch [from, to), the open ones with their
// marks. One that came home twice, because the folder it lay in was away, is listed once.
func (s *Store) list(camera understudy.CameraID, from, to time.Time) ([]understudy.Segment, error) {
	var segments []understudy.Segment
	for _, d := range s.days(camera) {
		s.mu.Lock()
		touches := d.touches(from, to)
		s.mu.Unlock()
		if !touches {
			continue
		}
		err := s.with(d, func(entries []*entry) {
			for _, e := range entries {
				if e.Size > 0 && e.Start.Before(to) && e.End.After(from) {
					segment := e.Segment
					segment.Marks = sampleMarks(e.marks)
					segments = append(segments, segment)
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(segments, func(a, b understudy.Segment) int {
		return cmp.Or(bySegment(a.ID, b.ID), compareBool(a.Archived, b.Archived))
	})
	return slices.CompactFunc(segments, func(a, b understudy.Segment) bool { return a.ID == b.ID }), nil
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// readMarks returns the marks of a closed segment. They are shared.
func (s *Store) readMarks(segment understudy.Segment) ([]understudy.SampleMark, error) {
	if table := s.marks.get(segment.ID); table.marks != nil && s.isHere(segment.ID) {
		return table.marks, nil
	}
	table, err := s.readTable(segment)
	if err != nil {
		return nil, err
	}
	if segment.Closed {
		s.marks.put(segment.ID, table)
	}
	return table.marks, nil
}

// readTable reads the seek table that is kept of a segment, or makes it from the
// heads of its fragments. Of one in the archive it has the marks, which stayed here.
func (s *Store) readTable(segment understudy.Segment) (seekTable, error) {
	now := s.find(segment.ID)
	if now == nil {
		return seekTable{}, notHere(segment.ID)
	}
	if now.Archived {
		_, marks, err := now.folder.readMarksFile(segment.ID)
		return seekTable{marks: marks}, err
	}
	if table, ok := now.folder.keptTable(now); ok {
		return table, nil
	}
	r, err := s.OpenSegment(context.Background(), segment.ID)
	if err != nil {
		return seekTable{}, err
	}
	defer r.Close()
	_, _, table, err := scanTable(r, math.MaxInt64)
	return table, err
}

// knownTable returns a closed segment's seek table if it need not be made from
// its heads; an empty one else.
func (s *Store) knownTable(e *entry) seekTable {
	table := s.marks.get(e.ID)
	if table.size != e.Size { // none, or of what was in another folder or before damage was found
		var ok bool
		if table, ok = e.folder.keptTable(e); ok {
			s.marks.put(e.ID, table)
		}
	}
	return table
}

func (s *Store) isHere(id understudy.SegmentID) bool {
	return s.find(id) != nil
}

// OpenSegment implements understudy.RecordingService: the durable bytes as of now.
// One that is in the archive is read from there while ctx lasts.
func (s *Store) OpenSegment(ctx context.Context, id understudy.SegmentID) (io.ReadSeekCloser, error) {
	for {
		segment := s.find(id)
		switch {
		case segment == nil || segment.Size == 0:
			return nil, notHere(id)
		case segment.Archived && s.mover == nil:
			return nil, understudy.Errorf(understudy.CodeUnavailable, "segment %s is in the archive, and this server is configured with none; set storage.archive again", id)
		case segment.Archived:
			return s.config.Archive.Open(ctx, objectName(id), segment.Size), nil
		}
		r, err := segment.folder.openEntry(segment)
		if now := s.find(id); err != nil && now != nil && now.Archived {
			continue // moved meanwhile
		}
		return r, err
	}
}

func notHere(id understudy.SegmentID) error {
	return understudy.Errorf(understudy.CodeNotFound, "segment %s is not here", id)
}

func (f *folder) openDurable(id understudy.SegmentID, size int64) (io.ReadSeekCloser, error) {
	file, err := f.openFile(id)
	if err != nil {
		return nil, err
	}
	return section{SectionReader: io.NewSectionReader(file, 0, size), Closer: file}, nil
}

// Foreign returns the closed segments that belong to another server and have
// not gone there yet, oldest first.
func (s *Store) Foreign() []understudy.Segment {
	s.mu.Lock()
	var cameras []understudy.CameraID
	for camera, c := range s.cameras {
		if c.count > 0 && s.isForeign(camera) {
			cameras = append(cameras, camera)
		}
	}
	s.mu.Unlock()
	var segments []understudy.Segment
	for _, camera := range cameras {
		for _, e := range s.closed(camera, func(d *day) bool { return d.totals.count > 0 }) {
			if !e.Archived {
				segments = append(segments, e.Segment)
			}
		}
	}
	slices.SortFunc(segments, func(a, b understudy.Segment) int { return cmp.Or(a.Start.Compare(b.Start), bySegment(a.ID, b.ID)) })
	return slices.CompactFunc(segments, func(a, b understudy.Segment) bool { return a.ID == b.ID })
}

// Has reads a closed segment back from the disk and returns its size and
// SHA-256; not ok if it is not here whole. Of one in the archive it returns
// what the archive had when it was moved there.
func (s *Store) Has(id understudy.SegmentID) (size int64, sum [32]byte, ok bool) {
	segment := s.find(id)
	if segment == nil || !segment.Closed {
		return 0, sum, false
	}
	if segment.Archived {
		l, _, err := segment.folder.readMarksFile(id)
		if err != nil {
			return 0, sum, false
		}
		return l.Size, [32]byte(l.SHA256), true
	}
	r, err := segment.folder.openEntry(segment)
	if err != nil {
		return 0, sum, false
	}
	defer r.Close()
	hash := sha256.New()
	if n, err := io.Copy(hash, r); err != nil || n != segment.Size {
		return 0, sum, false
	}
	return segment.Size, [32]byte(hash.Sum(nil)), true
}

// Delete removes a closed segment and logs why: whoever deletes many tells of
// them in one event. Deleting what is not here is no error; an open one is CodeConflict.
func (s *Store) Delete(id understudy.SegmentID, why string) error {
	size, err := s.remove(id)
	if err == nil && size > 0 {
		s.log.Info("a segment was deleted", "segment", id, "bytes", size, "why", why)
	}
	return err
}

// Discard removes a closed segment that nobody needs, without a word.
func (s *Store) Discard(id understudy.SegmentID) error {
	_, err := s.remove(id)
	return err
}

// remove deletes a closed segment in all folders that have it: from the index
// first, so that nobody opens it, then the file. What a crash in between leaves
// is listed again when the folder is compared with its index.
func (s *Store) remove(id understudy.SegmentID) (size int64, err error) {
	defer s.leaving(id)()
	for e := s.find(id); e != nil; e = s.find(id) {
		if !e.Closed || e.Archived {
			return 0, understudy.Errorf(understudy.CodeConflict, "segment %s is being written or in the archive and cannot be deleted", id)
		}
		f, gone := e.folder, *e
		if err := f.change(recordGone, &gone); err != nil && s.find(id) != nil {
			return 0, understudy.Errorf(understudy.CodeUnavailable, "segment %s could not be deleted; check the disk: %w", id, err)
		}
		// Durable first: an index that has what is gone would call it a loss.
		err := f.syncIndex(&gone)
		if err == nil || isNotExist(err) { // another one took the day's last segment, and its file
			err = f.health.do("a deletion", func() error { return f.fs.Remove(segmentPath(id)) })
		}
		if err != nil && !isNotExist(err) {
			_ = f.change(recordClosed, e)
			return 0, understudy.Errorf(understudy.CodeUnavailable, "segment %s could not be deleted; check the disk: %w", id, err)
		}
		size = e.Size
	}
	return size, nil
}

// leaving says that a segment's file is about to go, until the returned function is called.
func (s *Store) leaving(id understudy.SegmentID) (left func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removing[id] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.removing, id)
	}
}
