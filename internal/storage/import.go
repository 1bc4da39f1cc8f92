package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fs"
)

// importMaxBytes is more than any segment has.
const importMaxBytes = 2 * segmentMaxBytes

// Import is a segment on its way into the store. It belongs to one goroutine.
type Import struct {
	store  *Store
	folder *folder // where it comes to lie
	id     understudy.SegmentID
	size   int64
	sum    [32]byte

	mu       diskLock // against a second Import of the same segment
	file     fs.File  // nil once it is complete, sealed or given up
	offset   int64
	right    int64 // up to where Seal found whole fragments
	complete bool
}

// incomingPath names a part by all that it must become, so that after a restart
// it is resumed only for the same bytes.
func incomingPath(id understudy.SegmentID, size int64, sum [32]byte) string {
	return fmt.Sprintf("%s%d.%s.part", incomingPrefix(id), size, hex.EncodeToString(sum[:]))
}

func incomingPrefix(id understudy.SegmentID) string {
	return incomingDir + "/" + strings.ReplaceAll(id.String(), "/", "_") + "."
}

// Import begins or resumes taking a segment that another server recorded. A
// part that lies here from before is resumed at its end. A
// second Import of the same segment ends the first. CodeConflict if a segment
// of that name with other bytes is here already, CodeUnavailable without room.
func (s *Store) Import(id understudy.SegmentID, size int64, sha256 [32]byte) (*Import, error) {
	if err := id.Validate(); err != nil {
		return nil, err
	}
	if size <= 0 || size > importMaxBytes || id.Holder == s.server {
		return nil, understudy.Errorf(understudy.CodeInvalid,
			"a segment to take in has 1 to %d bytes and was recorded elsewhere; %s has %d", int64(importMaxBytes), id, size)
	}
	i := &Import{store: s, id: id, size: size, sum: sha256}
	i.mu.Lock() // before anybody can find it and end it
	s.mu.Lock()
	before := s.imports[id]
	s.imports[id] = i
	s.mu.Unlock()
	if before != nil {
		before.abandon()
	}
	err := i.open()
	i.mu.Unlock()
	if err != nil {
		_ = i.Close()
		if i.folder != nil {
			err = i.folder.explain(err)
		}
		return nil, err
	}
	return i, nil
}

func (i *Import) open() error {
	s := i.store
	if s.isHere(i.id) {
		size, sum, ok := s.Has(i.id)
		if ok && size == i.size && sum == i.sum {
			i.complete, i.offset = true, size
			e := s.find(i.id)
			if e == nil {
				return notHere(i.id)
			}
			return e.folder.syncIndex(e)
		}
		return understudy.Errorf(understudy.CodeConflict,
			"segment %s is here already, with other bytes; both copies are kept: compare them with ffprobe and delete one", i.id)
	}
	part := incomingPath(i.id, i.size, i.sum)
	f, err := s.importFolder(i.id, part)
	if err != nil {
		return err
	}
	i.folder = f
	if full := f.health.isFull(); full != "" {
		return understudy.Errorf(understudy.CodeUnavailable, "%s", full)
	}
	if err := f.removeOtherParts(i.id, part); err != nil {
		return err
	}
	file, err := f.fs.OpenFile(part, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	i.file = file
	r := fmp4.NewReader(file)
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, io.EOF) && understudy.CodeOf(err) != understudy.CodeInvalid {
		return err
	}
	if i.offset, err = tornAt(file, r.Offset()); err != nil {
		return err
	}
	if i.offset > i.size {
		i.offset = r.Offset()
	}
	if err := file.Truncate(i.offset); err != nil {
		return err
	}
	_, err = file.Seek(i.offset, io.SeekStart)
	return err
}

// importFolder returns where a segment from elsewhere comes to lie: where a part
// of it lies, where its camera's own footage lies, or where there is most room.
func (s *Store) importFolder(id understudy.SegmentID, part string) (*folder, error) {
	for _, f := range s.folders {
		if sentence, _ := f.health.sentence(); sentence != "" && len(s.folders) > 1 {
			continue
		}
		if _, err := f.fs.Stat(part); err == nil {
			return f, nil
		} else if !isNotExist(err) && len(s.folders) == 1 {
			return f, f.explain(err)
		}
	}
	return s.choose(id.Camera, nil), nil
}

// removeOtherParts removes parts of the same segment that were to become something else.
func (f *folder) removeOtherParts(id understudy.SegmentID, but string) error {
	files, err := f.fs.ReadDir(incomingDir)
	if err != nil {
		return err
	}
	for _, file := range files {
		if name := incomingDir + "/" + file.Name(); strings.HasPrefix(name, incomingPrefix(id)) && name != but && !strings.HasSuffix(name, quarantinedSuffix) {
			if err := f.fs.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// partsAge is how long a part that nobody goes on with waits to be resumed. It is
// no footage yet: whoever sent it still has all of it.
const partsAge = 24 * time.Hour

// removeOldParts removes parts that were last written to long ago.
func (f *folder) removeOldParts() {
	files, err := f.fs.ReadDir(incomingDir)
	if err != nil {
		f.log.Warn("parts that were never resumed could not be looked for", "err", err)
		return
	}
	now := time.Now()
	for _, file := range files {
		name := incomingDir + "/" + file.Name()
		info, err := file.Info()
		if err != nil || strings.HasSuffix(name, quarantinedSuffix) || now.Sub(info.ModTime()) < partsAge || f.store.isComing(name) {
			continue
		}
		if err := f.fs.Remove(name); err != nil {
			f.log.Warn("a part that was never resumed could not be removed", "part", name, "err", err)
			continue
		}
		f.log.Info("a part that was not resumed for a day was removed; it begins anew when it is sent again", "part", name)
	}
}

func (s *Store) isComing(part string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, i := range s.imports {
		if incomingPath(id, i.size, i.sum) == part {
			return true
		}
	}
	return false
}

// Offset is where to go on writing: all before it is here. It is the size if nothing is lacking.
func (i *Import) Offset() int64 { return i.offset }

// Write appends. More than was announced is CodeInvalid.
func (i *Import) Write(p []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.offset+int64(len(p)) > i.size {
		return 0, understudy.Errorf(understudy.CodeInvalid, "segment %s was announced with %d bytes, and more came", i.id, i.size)
	}
	if i.file == nil {
		return 0, i.superseded()
	}
	n := 0
	err := i.folder.health.do("a write", func() (err error) {
		n, err = i.file.Write(p)
		return err
	})
	i.offset += int64(n)
	i.folder.written.Add(int64(n))
	if err != nil {
		return n, i.folder.explain(err)
	}
	return n, nil
}

func (i *Import) superseded() error {
	return understudy.Errorf(understudy.CodeUnavailable, "the transfer of segment %s was ended here; begin it again", i.id)
}

// Seal verifies, makes durable, and makes the segment part of the store: data
// synced, read back against its hash, renamed, folder synced, index written.
// CodeConflict if the bytes are not those announced: Reject says what becomes of
// them. Sealing twice, or what was here already, is no error.
func (i *Import) Seal(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.complete {
		return nil
	}
	if i.file == nil {
		return i.superseded()
	}
	if i.offset != i.size {
		return understudy.Errorf(understudy.CodeConflict, "segment %s has %d bytes, and %d are here", i.id, i.size, i.offset)
	}
	part := incomingPath(i.id, i.size, i.sum)
	if err := i.folder.health.do("a sync", i.file.Sync); err != nil {
		i.throwAway(part)
		return i.folder.explain(err)
	}
	e, table, err := i.verify(ctx)
	if err != nil {
		return i.folder.explain(err)
	}
	if err := i.install(part); err != nil {
		return i.folder.explain(err)
	}
	fs.Uncache(i.file) // so that whoever asks whether it is here reads the disk
	i.file.Close()
	i.file = nil
	i.folder.keepTable(e, table)
	_ = i.folder.change(recordClosed, e) // what fails here is written by the sync, or fails there, too
	i.store.forget(i)
	if err := i.folder.syncIndex(e); err != nil {
		return i.folder.explain(err)
	}
	i.complete = true
	return nil
}

// verify reads everything back: the hash, and that it is the segment it claims to be, whole.
func (i *Import) verify(ctx context.Context) (*entry, seekTable, error) {
	table := seekTable{size: i.size}
	if _, err := i.file.Seek(0, io.SeekStart); err != nil {
		return nil, table, err
	}
	hash := sha256.New()
	r := fmp4.NewReader(io.TeeReader(contextReader{ctx, i.file}, hash))
	header, tracks, err := r.Header()
	if understudy.CodeOf(err) == understudy.CodeInvalid {
		return nil, table, understudy.Errorf(understudy.CodeConflict, "what came as segment %s is none: %w", i.id, err)
	}
	for err == nil {
		err = table.take(r, true)
	}
	if !errors.Is(err, io.EOF) {
		return nil, table, err
	}
	marks := table.marks
	i.right = r.Offset()
	switch {
	case len(marks) == 0 || r.Offset() != i.size || header.Segment != i.id:
		return nil, table, understudy.Errorf(understudy.CodeConflict,
			"what came as segment %s names itself %s and is whole up to byte %d of %d; it is refused", i.id, header.Segment, r.Offset(), i.size)
	case [32]byte(hash.Sum(nil)) != i.sum:
		return nil, table, understudy.Errorf(understudy.CodeConflict, "the bytes of segment %s are not those that were announced; send it again", i.id)
	}
	return entryOf(i.folder, i.id, tracks, marks, i.size, false), table, nil
}

func (i *Import) install(part string) error {
	f := i.folder
	if err := f.makeCameraDir(i.id.Camera); err != nil {
		return err
	}
	if err := f.fs.Rename(part, segmentPath(i.id)); err != nil {
		return err
	}
	return errors.Join(f.fs.SyncDir(cameraDir(i.id.Camera)), f.fs.SyncDir(incomingDir))
}

// throwAway removes the part: what is in it is wrong, or unknown.
func (i *Import) throwAway(part string) {
	i.file.Close()
	i.file = nil
	if err := i.folder.fs.Remove(part); err != nil {
		i.folder.log.Warn("a part that is wrong could not be removed", "part", part, "err", err)
	}
}

// Close gives up for now; what was written stays to be resumed. After Seal it does nothing.
func (i *Import) Close() error {
	i.abandon()
	i.store.forget(i)
	return nil
}

func (i *Import) abandon() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.file != nil {
		i.file.Close()
		i.file = nil
	}
}

func (s *Store) forget(i *Import) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.imports[i.id] == i {
		delete(s.imports, i.id)
	}
}

// contextReader stops reading when ctx ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
