package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// compare goes through the archive and takes up what is there and not known
// here: because the index and its disk were lost, because a camera came from
// another server, or because a crash came between an upload and its record.
// What is taken up obeys retention again, so that nothing stays there for ever.
func (m *mover) compare(ctx context.Context) error {
	c := archiveComparison{mover: m}
	if err := m.archive.List(ctx, "", func(name string, size int64) error { return c.found(ctx, name, size) }); err != nil {
		return err
	}
	if err := c.orphan(ctx); err != nil {
		return err
	}
	if c.taken > 0 {
		m.store.report("", fmt.Sprintf("%s of the archive %s that were not known here were found there and are listed again", counted(c.taken, "segment"), m.archive))
	}
	return m.archive.Tidy(ctx, time.Now().Add(-archiveCompare))
}

// archiveComparison is one pass over the archive. Names come in their order, so that
// the marks of a segment are followed by its bytes.
type archiveComparison struct {
	*mover
	marks     understudy.SegmentID // seen last, and its bytes not yet
	marksSize int64
	taken     int
}

func (c *archiveComparison) found(ctx context.Context, name string, size int64) error {
	id, marks, ok := parseObject(name)
	if !ok || !c.store.isHome(id.Camera) {
		return nil // not ours
	}
	if c.marks != id {
		if err := c.orphan(ctx); err != nil {
			return err
		}
	}
	if marks {
		c.marks, c.marksSize = id, size
		return nil
	}
	marksSize := c.marksSize
	c.marks, c.marksSize = understudy.SegmentID{}, 0
	if c.store.isHere(id) {
		return nil
	}
	return c.take(ctx, id, size, marksSize)
}

// orphan deletes marks whose segment is neither there nor here.
func (c *archiveComparison) orphan(ctx context.Context) error {
	id := c.marks
	c.marks, c.marksSize = understudy.SegmentID{}, 0
	if id == (understudy.SegmentID{}) || c.store.isHere(id) {
		return nil
	}
	return c.archive.Delete(ctx, objectMarks(id))
}

// take makes a segment of the archive known here.
func (c *archiveComparison) take(ctx context.Context, id understudy.SegmentID, size, marksSize int64) error {
	s := c.store
	line, content, err := c.marksOf(ctx, id, size, marksSize)
	if understudy.CodeOf(err) == understudy.CodeUnavailable || ctx.Err() != nil {
		return err
	}
	if err != nil {
		s.report(id.Camera, fmt.Sprintf("%s in the archive %s is no segment and is left alone; look at it, and delete it there: %v", objectName(id), c.archive, err))
		return nil
	}
	f := s.choose(id.Camera, nil)
	err = f.health.do("a write of marks", func() error {
		return errors.Join(f.makeCameraDir(id.Camera), f.replaceFile(cameraDir(id.Camera), marksPath(id), content))
	})
	if err != nil {
		return f.explain(err)
	}
	e := f.archivedEntry(id.Camera, line.indexLine)
	if e == nil {
		return nil
	}
	c.taken++
	_ = f.change(recordClosed, e) // the marks file says it, too
	return nil
}

// marksOf returns the marks file of a segment: from the archive or, where that
// has none that is whole, made anew from all of the segment's bytes.
func (c *archiveComparison) marksOf(ctx context.Context, id understudy.SegmentID, size, marksSize int64) (archivedLine, []byte, error) {
	if marksSize > 0 && marksSize <= maxMarksFile {
		r := c.archive.Open(ctx, objectMarks(id), marksSize)
		content, err := io.ReadAll(r)
		r.Close()
		if err != nil && understudy.CodeOf(err) != understudy.CodeNotFound {
			return archivedLine{}, nil, err
		}
		if line, _, err := parseMarks(content); err == nil && line.Name == nameOf(id) && line.Size == size {
			return line, content, nil
		}
	}
	r := c.archive.Open(ctx, objectName(id), size)
	defer r.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return archivedLine{}, nil, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return archivedLine{}, nil, err
	}
	header, tracks, marks, whole, err := fmp4.Scan(r, math.MaxInt64)
	if err != nil {
		return archivedLine{}, nil, err
	}
	if header.Segment != id || len(marks) == 0 {
		return archivedLine{}, nil, understudy.Errorf(understudy.CodeInvalid, "it names itself %s and has %d pictures", header.Segment, len(marks))
	}
	first, last := marks[0], marks[len(marks)-1]
	line := archivedLine{SHA256: hash.Sum(nil), indexLine: indexLine{Name: nameOf(id), Start: first.At, End: last.At.Add(last.Duration),
		Size: size, Codec: tracks[0].Codec, Last: &understudy.Watermark{At: last.At, Hash: last.Hash}, Rest: whole < size, Holes: understudy.HolesIn(marks), Archived: true}}
	return line, marshalMarks(line, marks), nil
}

// parseObject returns which segment an object is of, and whether it is its marks.
func parseObject(name string) (id understudy.SegmentID, marks, ok bool) {
	whole, marks := strings.CutSuffix(name, ".marks")
	if !marks {
		if whole, ok = strings.CutSuffix(name, ".mp4"); !ok {
			return id, false, false
		}
	}
	id, err := understudy.ParseSegmentID(whole)
	return id, marks, err == nil
}

// isHome reports whether a camera belongs to this server.
func (s *Store) isHome(camera understudy.CameraID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.home != nil && s.home(camera) == s.server
}
