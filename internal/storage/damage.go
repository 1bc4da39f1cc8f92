package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fs"
)

// A segment with damage in it is shown as what is whole of it: the header and
// the fragments with the right checksum, one behind the other. The bytes between
// stay in its file. So whoever reads it sees a segment like any other, with a
// hole in time, and never a byte that was not verified.

// holed reads the whole extents of a file as one.
type holed struct {
	fs.File
	whole    []fmp4.Extent
	size, at int64
}

func sizeOf(whole []fmp4.Extent) (size int64) {
	for _, e := range whole {
		size += e.Size
	}
	return size
}

func (h *holed) Read(p []byte) (int, error) {
	at := h.at
	for _, e := range h.whole {
		if at < e.Size {
			n, err := h.ReadAt(p[:min(int64(len(p)), e.Size-at)], e.Offset+at)
			h.at += int64(n)
			if n > 0 && errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
		at -= e.Size
	}
	return 0, io.EOF
}

func (h *holed) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += h.at
	case io.SeekEnd:
		offset += h.size
	}
	if offset < 0 {
		return 0, os.ErrInvalid
	}
	h.at = offset
	return offset, nil
}

// section is the durable part of a segment's file.
type section struct {
	*io.SectionReader
	io.Closer
	damaged func(offset int64)
	table   func() seekTable
}

// FragmentAt tells an fmp4.Reader where the fragment with a video sample lies.
func (s section) FragmentAt(sample int) (offset int64, first int, ok bool) {
	if s.table == nil {
		return 0, 0, false
	}
	p, ok := s.table().place(sample)
	return p.offset, p.first, ok
}

// Damaged implements fmp4.Damaged.
func (s section) Damaged(offset int64) {
	if s.damaged != nil && offset < s.Size() {
		s.damaged(offset)
	}
}

// openEntry opens what is durable and whole of a segment.
func (f *folder) openEntry(e *entry) (io.ReadSeekCloser, error) {
	file, err := f.openFile(e.ID)
	if err != nil {
		return nil, err
	}
	if !e.rest {
		s := section{SectionReader: io.NewSectionReader(file, 0, e.Size), Closer: file}
		if e.Closed {
			s.damaged = func(int64) { f.store.doubt(e.ID) }
			s.table = sync.OnceValue(func() seekTable { return f.store.knownTable(e) })
		}
		return s, nil
	}
	_, _, _, whole, err := fmp4.Survey(file)
	if err == nil && sizeOf(whole) != e.Size {
		f.store.doubt(e.ID)
		err = understudy.Errorf(understudy.CodeUnavailable, "%d bytes of segment %s are whole, and %d were; ask again in a second", sizeOf(whole), e.ID, e.Size)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &holed{File: file, whole: whole, size: e.Size}, nil
}

func (f *folder) openFile(id understudy.SegmentID) (fs.File, error) {
	file, err := f.fs.OpenFile(segmentPath(id), os.O_RDONLY)
	if isNotExist(err) {
		return nil, notHere(id)
	}
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "segment %s cannot be read; check the disk: %w", id, err)
	}
	return file, nil
}

// doubt makes a segment be read and verified all through, soon.
func (s *Store) doubt(id understudy.SegmentID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubted[id] = true
}

func (s *Store) takeDoubted() []understudy.SegmentID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []understudy.SegmentID
	for id := range s.doubted {
		ids = append(ids, id)
	}
	clear(s.doubted)
	return ids
}

// verifyDoubted finds out what is whole of segments in which damage was met.
func (s *Store) verifyDoubted() {
	for _, id := range s.takeDoubted() {
		for _, e := range s.findAll(id) {
			if !e.Closed || e.Archived {
				continue
			}
			if err := e.folder.verify(e); err != nil {
				s.log.Warn("a damaged segment could not be read through", "segment", id, "err", err)
			}
		}
	}
}

// verify makes the index say what is whole of a segment.
func (f *folder) verify(was *entry) error {
	file, err := f.openFile(was.ID)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	e, err := f.surveyed(was.ID, file, info.Size())
	if err != nil {
		return err
	}
	if e == nil || e.Size == was.Size && e.rest == was.rest || !f.has(was) { // it may have gone while it was read
		return nil
	}
	if keyOf(f, e) != keyOf(f, was) { // what is left of it begins on another day
		gone := *was
		if err := f.change(recordGone, &gone); err != nil {
			return err
		}
	}
	if err := f.change(recordClosed, e); err != nil {
		return err
	}
	f.store.marks.drop(was.ID)
	f.noteHoles(was, e)
	return f.syncIndex(e)
}

// surveyed makes an entry of what is whole in a file, and tells of the damage;
// nil if nothing is.
func (f *folder) surveyed(id understudy.SegmentID, file fs.File, size int64) (*entry, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	header, tracks, marks, whole, err := fmp4.Survey(file)
	if err != nil || len(marks) == 0 || header.Segment != id {
		return nil, err
	}
	left := sizeOf(whole)
	if left < size {
		f.store.report(id.Camera, fmt.Sprintf("segment %s is damaged: %d of its %d bytes are whole and shown; the others stay in its file. If the disk has other errors, replace it", id, left, size))
	}
	return entryOf(f, id, tracks, marks, left, left < size), nil
}

// noteHoles notes what damage took from a segment. was may be nil.
func (f *folder) noteHoles(was, e *entry) {
	for _, h := range e.Holes {
		if was == nil || !slices.ContainsFunc(was.Holes, func(w understudy.Hole) bool { return w.From.Equal(h.From) && w.To.Equal(h.To) }) {
			f.noteDamage(e.ID.Camera, h.From, h.To, fmt.Sprintf("segment %s is damaged here", e.ID))
		}
	}
	if was == nil {
		return
	}
	for _, end := range [][2]time.Time{{was.Start, e.Start}, {e.End, was.End}} {
		if end[0].Before(end[1]) {
			f.noteDamage(e.ID.Camera, end[0], end[1], fmt.Sprintf("segment %s is damaged here", e.ID))
		}
	}
}
