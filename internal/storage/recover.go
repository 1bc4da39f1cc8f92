package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/fmp4"
)

// tailVerified is how much of a segment that was open at a crash is checked
// against its checksums: more than any queue holds unsynced.
const tailVerified = 32 << 20

// recover brings the segments of all cameras into memory.
func (f *folder) recover(ctx context.Context) error {
	entries, err := f.fs.ReadDir(camerasDir)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, e := range entries {
		camera := understudy.CameraID(e.Name())
		if !e.IsDir() || understudy.ValidateID("camera", camera) != nil {
			continue
		}
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.Join(f.recoverNotes(camera), f.recoverCamera(camera))
		})
	}
	return group.Wait()
}

// recoverCamera compares a camera's index with its folder. What the index
// lacks, because of a crash or because the index is gone, is read from the
// segments, and the index is written anew.
func (f *folder) recoverCamera(camera understudy.CameraID) error {
	content, err := f.readFile(indexPath(camera))
	if err != nil && !isNotExist(err) {
		return err
	}
	missing := err != nil
	lines, stale := parseIndex(content)
	sizes, marks, err := f.segmentFiles(camera)
	if err != nil {
		return err
	}
	newest := newestOwn(f.store.server, sizes)
	var list []*entry
	var read int
	for id, size := range sizes {
		e := f.entryOf(camera, lines[nameOf(id)])
		switch {
		case e != nil && e.ID == id && (size == e.Size || e.rest && size > e.Size):
		case e != nil && e.ID == id && size > e.Size:
			err = f.cut(id, size, e.Size)
		default:
			read++
			crashed := id.Holder == f.store.server && (!missing || slices.Contains(newest, id))
			e, err = f.readSegment(id, size, crashed)
		}
		if err != nil {
			return err
		}
		if e != nil {
			e.Archived = false // it is here: a crash came before its file was deleted
			list = append(list, e)
		}
	}
	archived, fromMarks := f.recoverArchived(camera, lines, sizes, marks)
	list = append(list, archived...)
	read += fromMarks
	slices.SortFunc(list, func(a, b *entry) int { return bySegment(a.ID, b.ID) })
	if read > 0 { // their names may be no more durable than their bytes were
		if err := f.fs.SyncDir(cameraDir(camera)); err != nil {
			return err
		}
	}
	f.noteVanished(camera, lines, list)
	if stale || read > 0 || len(list) != len(lines) {
		f.rewriteIndex(camera, list)
	}
	if missing && read > 2 || read > 0 && stale {
		f.store.report(camera, fmt.Sprintf("the index of camera %s was missing or damaged and was made anew from %d segments", camera, read))
	}
	f.adopt(camera, list, newest)
	return nil
}

// segmentFiles returns the segments of a camera that are files, with their
// sizes, and those of which there are marks files.
func (f *folder) segmentFiles(camera understudy.CameraID) (sizes map[understudy.SegmentID]int64, marks []understudy.SegmentID, err error) {
	files, err := f.fs.ReadDir(cameraDir(camera))
	if err != nil {
		return nil, nil, err
	}
	sizes = make(map[understudy.SegmentID]int64, len(files))
	for _, file := range files {
		if id, ok := marksFileID(camera, file.Name()); ok {
			marks = append(marks, id)
			continue
		}
		name, ok := strings.CutSuffix(file.Name(), ".mp4")
		id, err := understudy.ParseSegmentID(string(camera) + "/" + name)
		if !ok || err != nil || file.IsDir() {
			continue // not ours
		}
		info, err := file.Info()
		if err != nil {
			return nil, nil, err
		}
		sizes[id] = info.Size()
	}
	return sizes, marks, nil
}

// newestOwn returns the last two segments that this server began, newest first:
// those that a crash may have torn.
func newestOwn(server understudy.ServerID, sizes map[understudy.SegmentID]int64) []understudy.SegmentID {
	var own []understudy.SegmentID
	for id := range sizes {
		if id.Holder == server {
			own = append(own, id)
		}
	}
	slices.SortFunc(own, func(a, b understudy.SegmentID) int { return -bySequence(a, b) })
	return own[:min(2, len(own))]
}

func bySequence(a, b understudy.SegmentID) int {
	switch {
	case a.Sequence < b.Sequence:
		return -1
	case a.Sequence > b.Sequence:
		return 1
	}
	return 0
}

// readSegment makes an entry of a file that the index does not know. nil if
// there is nothing in it.
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
	header, tracks, marks, whole, err := fmp4.Scan(file, verifyFrom)
	if understudy.CodeOf(err) == understudy.CodeInvalid || err == nil && header.Segment != id {
		return nil, f.setAside(id, size, err)
	}
	if err != nil {
		return nil, err
	}
	if len(marks) == 0 && !crashed {
		return nil, f.setAside(id, size, understudy.Errorf(understudy.CodeInvalid, "its first fragment is damaged"))
	}
	if len(marks) == 0 {
		f.log.Info("a segment that was begun and never got a picture is removed", "segment", id)
		return nil, f.fs.Remove(segmentPath(id))
	}
	rest := whole < size && !crashed // damage, not a torn tail: what is behind it may be footage
	switch {
	case rest:
		f.store.report(id.Camera, fmt.Sprintf("segment %s is damaged behind byte %d; the %d bytes from there on stay in its file and are not shown", id, whole, size-whole))
	case whole < size:
		if err := f.cut(id, size, whole); err != nil {
			return nil, err
		}
	}
	// A process that was killed left it to the kernel to bring this to the disk,
	// and what is listed is durable.
	if err := file.Sync(); err != nil {
		return nil, err
	}
	first, last := marks[0], marks[len(marks)-1]
	return &entry{
		Segment: understudy.Segment{ID: id, Start: first.At, End: last.At.Add(last.Duration), Size: whole, Closed: true, Codec: tracks[0].Codec, Holes: understudy.HolesIn(marks)},
		last:    understudy.Watermark{At: last.At, Hash: last.Hash},
		rest:    rest,
		folder:  f,
	}, nil
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

func (f *folder) rewriteIndex(camera understudy.CameraID, list []*entry) {
	var b []byte
	for _, e := range list {
		if e.Closed {
			b = appendLine(b, lineOf(e))
		}
	}
	err := f.health.do("a write to the index", func() error { return f.replaceFile(cameraDir(camera), indexPath(camera), b) })
	if err != nil {
		f.log.Warn("the index of a camera was not written; the next start reads the segments again", "camera", camera, "err", err)
	}
}

// adopt makes a camera's segments known.
func (f *folder) adopt(camera understudy.CameraID, list []*entry, newest []understudy.SegmentID) {
	s := f.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(newest) > 0 {
		s.next = max(s.next, newest[0].Sequence)
	}
	for _, e := range list {
		if e.ID.Holder != s.server {
			continue
		}
		if w, ok := s.watermarks[camera]; !ok || w.sequence < e.ID.Sequence {
			s.watermarks[camera] = watermark{sequence: e.ID.Sequence, Watermark: e.last}
			s.places[camera] = f
		}
	}
	if len(s.cameras[camera]) == 0 {
		s.cameras[camera] = list
		for _, e := range list {
			s.countIn(e)
		}
		return
	}
	for _, e := range list {
		s.insertLocked(e)
	}
}

// section is the durable part of a segment's file.
type section struct {
	*io.SectionReader
	io.Closer
}
