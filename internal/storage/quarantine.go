package storage

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"

	"understudy"
	"understudy/internal/fs"
)

// quarantinedSuffix is of a part whose bytes failed their hash too often. Its
// being there is what keeps the segment from being taken again.
const quarantinedSuffix = ".quarantined"

// Of the bytes that were put aside, a folder keeps so much to be looked at; the
// names of more are kept without their bytes.
const (
	maxQuarantined      = 1000
	maxQuarantinedBytes = 1 << 30
)

func quarantinePath(id understudy.SegmentID, size int64, sum [32]byte) string {
	return strings.TrimSuffix(incomingPath(id, size, sum), ".part") + quarantinedSuffix
}

// Quarantined reports whether a segment with these bytes was put aside.
func (s *Store) Quarantined(id understudy.SegmentID, size int64, sum [32]byte) bool {
	for _, f := range s.folders {
		if _, err := f.fs.Stat(quarantinePath(id, size, sum)); err == nil {
			return true
		}
	}
	return false
}

// Release lets the segments come again that were put aside in a store's folder,
// which may be in use, and returns the names of the files it removed. The bytes
// are deleted: whoever sent them has them.
func Release(folder fs.FS) (released []string, err error) {
	files, err := quarantined(folder)
	for _, file := range files {
		if err := folder.Remove(incomingDir + "/" + file.name); err != nil {
			return released, understudy.Errorf(understudy.CodeUnavailable, "%s could not be removed: %w", file.name, err)
		}
		released = append(released, file.name)
	}
	return released, err
}

type asideFile struct {
	name string
	size int64
	at   int64
}

// quarantined lists what was put aside in a folder, the oldest first.
func quarantined(folder fs.FS) ([]asideFile, error) {
	files, err := folder.ReadDir(incomingDir)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "what was put aside cannot be listed; name the folder of a store: %w", err)
	}
	var aside []asideFile
	for _, file := range files {
		if info, err := file.Info(); err == nil && strings.HasSuffix(file.Name(), quarantinedSuffix) {
			aside = append(aside, asideFile{file.Name(), info.Size(), info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(aside, func(a, b asideFile) int { return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.name, b.name)) })
	return aside, nil
}

// Reject makes room for a segment's right bytes after Seal found wrong ones: it
// cuts the part behind its last fragment that is right, or forgets it when all
// fragments seem to be. The last time, the part is put aside for good.
func (i *Import) Reject(last bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.file == nil {
		return nil // somebody else goes on with it
	}
	if last {
		return i.quarantine()
	}
	if i.right >= i.size {
		i.right = 0
	}
	if err := i.file.Truncate(i.right); err != nil {
		i.throwAway(incomingPath(i.id, i.size, i.sum))
		return i.folder.explain(err)
	}
	i.file.Close()
	i.file = nil
	return nil
}

func (i *Import) quarantine() error {
	f := i.folder
	aside, err := quarantined(f.fs)
	if err != nil {
		return err
	}
	kept := i.size
	for _, file := range aside {
		kept += file.size
	}
	if kept > maxQuarantinedBytes {
		err = i.file.Truncate(0)
	}
	for len(aside) >= maxQuarantined {
		err = errors.Join(err, f.fs.Remove(incomingDir+"/"+aside[0].name))
		aside = aside[1:]
	}
	i.file.Close()
	i.file = nil
	err = errors.Join(err, f.fs.Rename(incomingPath(i.id, i.size, i.sum), quarantinePath(i.id, i.size, i.sum)), f.fs.SyncDir(incomingDir))
	if err != nil {
		return f.explain(err)
	}
	return nil
}

// tornAt returns where to go on with a part whose fragments are whole up to an
// offset: at its end, when a fragment is only cut short there, so that no byte
// of it comes twice; else at the offset, since what a power cut left may be anything.
func tornAt(file fs.File, whole int64) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	var head [8]byte
	for at := whole; ; {
		left := info.Size() - at
		if left < int64(len(head)) {
			return resumable(file, whole, info.Size())
		}
		if _, err := file.ReadAt(head[:], at); err != nil {
			return 0, err
		}
		size, kind := int64(binary.BigEndian.Uint32(head[:4])), string(head[4:])
		if size < int64(len(head)) || !slices.Contains([]string{"ftyp", "moov", "uuid", "moof", "mdat"}, kind) {
			return whole, nil
		}
		if size > left {
			return resumable(file, whole, info.Size())
		}
		if kind == "mdat" { // whole, and yet refused
			return whole, nil
		}
		at += size
	}
}

// resumable returns end, unless the bytes before it are zeros, as a power cut leaves them.
func resumable(file fs.File, whole, end int64) (int64, error) {
	if end-whole < 8 { // of a box's size, which begins with zeros
		return end, nil
	}
	tail := make([]byte, min(end-whole, 4<<10))
	if _, err := file.ReadAt(tail, end-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	for _, b := range tail {
		if b != 0 {
			return end, nil
		}
	}
	return whole, nil
}
