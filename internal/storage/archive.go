package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// Archive is where footage goes that has become old; internal/archive has one.
// Errors are CodeNotFound where there is no such object, and CodeUnavailable
// for what may succeed later.
type Archive interface {
	fmt.Stringer
	// Put returns nil only when the archive has told that it holds these bytes.
	Put(ctx context.Context, name string, r io.ReadSeeker, size int64, metadata map[string]string) error
	// Open asks the archive only when the reader is read, which belongs to ctx.
	Open(ctx context.Context, name string, size int64) io.ReadSeekCloser
	// List goes through names that begin with under, in their order.
	List(ctx context.Context, under string, found func(name string, size int64) error) error
	Delete(ctx context.Context, name string) error
	// Tidy removes what is left of uploads begun before a time and never ended.
	Tidy(ctx context.Context, before time.Time) error
}

// When the archive is looked after.
const (
	archiveEvery = 10 * time.Second
	// archiveAsk is how long it may be unused before it is asked whether it is there.
	archiveAsk = time.Minute
	// archiveCompare is how often it is compared with what is known of it.
	archiveCompare = 24 * time.Hour
	// archiveRetry is how long it is left alone after a failure, longer each time.
	archiveRetry    = 30 * time.Second
	archiveRetryMax = 10 * time.Minute
)

// mover moves footage to the archive, and deletes it there, in a goroutine of its
// own, so that a slow archive delays nothing else.
type mover struct {
	store   *Store
	archive Archive

	passing  diskLock  // one pass at a time; guards what follows
	compared time.Time // last
	asked    time.Time // last, with an answer
	retryAt  time.Time
	retry    time.Duration
	looks    looks
	damaged  map[understudy.SegmentID]bool // that cannot be moved

	mu       sync.Mutex                  // guards what follows
	sentence string                      // what is wrong
	waiting  map[understudy.CameraID]int // segments whose time to move has come
}

func newMover(s *Store, a Archive) *mover {
	return &mover{store: s, archive: a, damaged: map[understudy.SegmentID]bool{}}
}

// run looks after the archive until ctx ends.
func (m *mover) run(ctx context.Context) error {
	return every(ctx, archiveEvery, func() {
		if m.store.knowsHomes() {
			_ = m.lookAfter(ctx, false) // the state says what is wrong
		}
	})
}

// lookAfter makes one pass, unless the archive is left alone for now.
func (m *mover) lookAfter(ctx context.Context, now bool) error {
	m.passing.Lock()
	defer m.passing.Unlock()
	if !now && time.Now().Before(m.retryAt) {
		return nil
	}
	err := m.pass(ctx)
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		m.failed(err)
	}
	return err
}

// pass does all that is to do now. It ends at the first failure of the archive.
func (m *mover) pass(ctx context.Context) error {
	if time.Since(m.compared) >= archiveCompare {
		if err := m.compare(ctx); err != nil {
			return err
		}
		m.compared = time.Now()
		m.answered()
	}
	thorough := m.looks.thorough(time.Now())
	for _, camera := range m.store.Cameras() {
		if err := m.camera(ctx, camera, thorough); err != nil {
			m.looks = looks{} // again from the beginning
			return err
		}
	}
	m.store.tell(time.Now())
	if time.Since(m.asked) < archiveAsk {
		return nil
	}
	err := m.archive.List(ctx, ".", func(string, int64) error { return io.EOF })
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	m.answered()
	return nil
}

func (m *mover) camera(ctx context.Context, camera understudy.CameraID, thorough bool) error {
	for _, d := range m.store.due(camera, time.Now(), thorough) {
		if !m.store.isArchived(d.entry) {
			continue
		}
		// Asked again for each: a lock may have come while others were deleted.
		if !m.store.mayGo(camera) || m.store.protectionOf(camera, time.Now()).of(d.entry) == locked {
			continue
		}
		if err := m.delete(ctx, d); err != nil {
			return err
		}
		m.answered()
	}
	old := m.old(camera, time.Now())
	m.setWaiting(camera, len(old))
	for n, id := range old {
		if !m.store.mayGo(camera) {
			return nil
		}
		if err := m.move(ctx, id); err != nil {
			return err
		}
		m.setWaiting(camera, len(old)-n-1)
		m.answered()
	}
	return nil
}

// old returns the segments of a camera whose time to move has come, oldest first.
func (m *mover) old(camera understudy.CameraID, now time.Time) []understudy.SegmentID {
	s := m.store
	s.mu.Lock()
	after := s.limitsOf(camera).ArchiveAfter
	mine := s.home != nil && !s.isForeign(camera)
	s.mu.Unlock()
	if after <= 0 || !mine {
		return nil
	}
	old := s.closed(camera, func(d *day) bool { return d.totals.count > 0 && d.start().Before(now.Add(-after)) })
	old = slices.DeleteFunc(old, func(e *entry) bool { return e.Archived || e.rest || now.Sub(e.End) < after || m.damaged[e.ID] })
	slices.SortFunc(old, byAge)
	ids := make([]understudy.SegmentID, len(old))
	for i, e := range old {
		ids[i] = e.ID
	}
	return ids
}

func (s *Store) knowsHomes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.home != nil
}

func objectName(id understudy.SegmentID) string  { return id.String() + ".mp4" }
func objectMarks(id understudy.SegmentID) string { return id.String() + ".marks" }

// move brings a segment to the archive. Whatever it is interrupted by, it is
// begun again and finds what is there already:
//
//  1. read the segment, all of it verified
//  2. upload its marks, then its bytes; each is compared there
//  3. write the marks file beside the segment: synced, renamed, folder synced
//  4. from now on it is read from the archive; a line of the index says so
//  5. delete the file
//
// After 2 and before 5 both have the bytes, and what is here counts.
func (m *mover) move(ctx context.Context, id understudy.SegmentID) error {
	s := m.store
	segment := s.find(id)
	if segment == nil || segment.Archived {
		return nil
	}
	f := segment.folder
	line, marks, err := f.survey(segment.Segment)
	if err != nil {
		if understudy.CodeOf(err) == understudy.CodeNotFound {
			return nil // retention took it meanwhile
		}
		m.damaged[id] = true
		s.report(id.Camera, fmt.Sprintf("segment %s cannot be read whole and is not moved to the archive; run understudy check: %v", id, err))
		return nil
	}
	content := marshalMarks(line, marks)
	if err := m.archive.Put(ctx, objectMarks(id), bytes.NewReader(content), int64(len(content)), nil); err != nil {
		return err
	}
	r, err := f.openDurable(id, segment.Size)
	if err != nil {
		return nil //nolint:nilerr // deleted meanwhile, or the disk's trouble, which is told elsewhere
	}
	defer r.Close()
	local := &remembersError{ReadSeeker: r}
	err = m.archive.Put(ctx, objectName(id), local, segment.Size, map[string]string{
		"Camera": string(id.Camera), "Start": clock(segment.Start), "End": clock(segment.End), "Codec": string(segment.Codec),
	})
	switch {
	case local.err != nil: // not the archive's fault
		f.log.Warn("a segment could not be read in order to archive it; it is tried again", "segment", id, "err", local.err)
		return nil
	case err != nil:
		return err
	}
	m.release(f, id, line, content)
	return nil
}

// remembersError tells an error of reading from one of writing.
type remembersError struct {
	io.ReadSeeker
	err error
}

func (r *remembersError) Read(p []byte) (int, error) {
	n, err := r.ReadSeeker.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// release lets the bytes of a segment go that the archive has.
func (m *mover) release(f *folder, id understudy.SegmentID, line archivedLine, content []byte) {
	s := m.store
	err := f.health.do("a write of marks", func() error { return f.replaceFile(cameraDir(id.Camera), marksPath(id), content) })
	if err != nil {
		f.log.Warn("the marks of a segment could not be written; it stays here and is moved to the archive later", "segment", id, "err", err)
		return
	}
	defer s.leaving(id)()
	archived := false
	for _, e := range s.findAll(id) {
		if !e.Closed || e.Archived {
			continue
		}
		kind := recordGone // a second copy, in another folder
		if e.folder == f {
			kind, e.Archived, archived = recordClosed, true, true
		}
		if err := errors.Join(e.folder.change(kind, e), e.folder.syncIndex(e)); err != nil {
			return // the file stays until the next start
		}
		err := e.folder.health.do("a deletion", func() error { return e.folder.fs.Remove(segmentPath(id)) })
		if err != nil && !isNotExist(err) {
			f.log.Warn("the file of a segment that is in the archive could not be deleted; the next start tries again", "segment", id, "err", err)
		}
	}
	if archived { // else retention took it meanwhile; what is in the archive is found when that is compared
		s.log.Debug("a segment was moved to the archive", "segment", id, "bytes", line.Size)
	}
}

// survey reads a closed segment, all of it verified, for its marks file.
func (f *folder) survey(segment understudy.Segment) (archivedLine, []understudy.SampleMark, error) {
	s := f.store
	r, err := f.openDurable(segment.ID, segment.Size)
	if err != nil {
		return archivedLine{}, nil, err
	}
	defer r.Close()
	header, _, marks, whole, err := fmp4.Scan(r, 0)
	if err != nil {
		return archivedLine{}, nil, err
	}
	if header.Segment != segment.ID || whole != segment.Size || len(marks) == 0 {
		return archivedLine{}, nil, understudy.Errorf(understudy.CodeInvalid, "its file is whole up to byte %d of %d, and names itself %s", whole, segment.Size, header.Segment)
	}
	_, sum, ok := s.Has(segment.ID)
	if !ok {
		return archivedLine{}, nil, notHere(segment.ID)
	}
	last := marks[len(marks)-1]
	return archivedLine{
		indexLine: indexLine{Name: nameOf(segment.ID), Start: segment.Start, End: segment.End, Size: segment.Size, Codec: segment.Codec, Holes: understudy.HolesIn(marks), Archived: true,
			Last: &understudy.Watermark{At: last.At, Hash: last.Hash}},
		SHA256: sum[:],
	}, marks, nil
}

// delete removes a segment from the archive, then what is known of it here.
func (m *mover) delete(ctx context.Context, d doomed) error {
	for _, name := range []string{objectMarks(d.ID), objectName(d.ID)} {
		if err := m.archive.Delete(ctx, name); err != nil {
			return err
		}
	}
	s := m.store
	if s.find(d.ID) == nil {
		return nil
	}
	err := d.folder.health.do("a deletion", func() error { return d.folder.fs.Remove(marksPath(d.ID)) })
	if err != nil && !isNotExist(err) {
		d.folder.log.Warn("the marks of a deleted segment could not be deleted; the next start tries again", "segment", d.ID, "err", err)
	}
	gone := *d.entry
	_ = d.folder.change(recordGone, &gone) // else the next start finds that it is gone
	s.countGone(d, d.Size, d.folder.config.Dir)
	return nil
}

// failed notes that the archive is of no use now.
func (m *mover) failed(err error) {
	m.retry = min(max(2*m.retry, archiveRetry), archiveRetryMax)
	m.retryAt = time.Now().Add(m.retry)
	sentence := fmt.Sprintf("the archive cannot be used: %v; nothing that belongs there is deleted here, and archived footage cannot be played until it is back", err)
	m.mu.Lock()
	news := m.sentence == ""
	m.sentence = sentence
	m.mu.Unlock()
	if news {
		m.store.report("", sentence)
	}
}

// answered notes that the archive is there.
func (m *mover) answered() {
	m.asked, m.retry = time.Now(), 0
	m.mu.Lock()
	news := m.sentence != ""
	m.sentence = ""
	m.mu.Unlock()
	if news {
		m.store.report("", fmt.Sprintf("the archive %s is back", m.archive))
	}
}

// setWaiting notes how many segments of a camera wait to be moved.
func (m *mover) setWaiting(camera understudy.CameraID, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting == nil {
		m.waiting = map[understudy.CameraID]int{}
	}
	m.waiting[camera] = n
}

// state adds the archive's condition to the store's.
func (m *mover) state() *understudy.ArchiveState {
	state := &understudy.ArchiveState{Where: m.archive.String()}
	m.mu.Lock()
	state.Sentence = m.sentence
	for _, n := range m.waiting {
		state.Waiting += n
	}
	m.mu.Unlock()
	state.Reachable = state.Sentence == ""
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	state.Segments, state.Bytes = m.store.archived.segments, m.store.archived.bytes
	return state
}
