package fs

import (
	"errors"
	"io"
	iofs "io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Op names an operation that can be made to fail.
type Op string

// The operations.
const (
	OpOpen     Op = "open" // of what is there
	OpCreate   Op = "create"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpTruncate Op = "truncate"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
	OpSyncDir  Op = "syncdir"
	OpFree     Op = "free"
)

// Memory is a folder in memory that keeps apart what is durable and what is
// not. It loses power, fails and hangs on request.
type Memory struct {
	mu    sync.Mutex
	files map[string]*node // by name, as programs see them
	disk  map[string]*node // as a power cut leaves them
	dirs  map[string]bool  // made durable at once: the programs sync them, and losing them adds no case
	locks map[string]bool
	fail  func(Op, string) error
	free  int64
}

// node is the content of a file.
type node struct {
	data    []byte
	durable []byte // what a sync has seen
	dirty   int    // data and durable are equal up to here
	changed time.Time
}

// NewMemory returns an empty folder on a volume with 1 TiB of room.
func NewMemory() *Memory {
	return &Memory{files: map[string]*node{}, disk: map[string]*node{}, dirs: map[string]bool{".": true},
		locks: map[string]bool{}, free: 1 << 40}
}

// Fail makes f decide for each operation whether it fails, with which error. f
// may block: the operation hangs. nil ends it.
func (m *Memory) Fail(f func(op Op, name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = f
}

// SetFree sets the room on the volume. Less than a write needs is ENOSPC only
// through Fail: programs are to look before.
func (m *Memory) SetFree(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = n
}

// Crash is a power cut: names that were not synced are as they were before, and
// of unsynced bytes tail decides what is there instead: it gets the durable
// ones and the lost ones and returns what the disk has; nil loses them. Locks
// are free again; files that were open must not be used any more.
func (m *Memory) Crash(tail func(durable, lost []byte) []byte) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := NewMemory()
	after.free = m.free
	for dir := range m.dirs {
		after.dirs[dir] = true
	}
	for name, n := range m.disk {
		data := slices.Clone(n.durable)
		if tail != nil && len(n.data) > len(n.durable) {
			data = tail(data, slices.Clone(n.data[len(n.durable):]))
		}
		kept := &node{data: data, durable: slices.Clone(data), dirty: len(data)}
		after.files[name], after.disk[name] = kept, kept
	}
	return after
}

// do runs one operation, unless it is to fail.
func (m *Memory) do(op Op, name string, f func() error) error {
	m.mu.Lock()
	fail := m.fail
	m.mu.Unlock()
	if fail != nil {
		if err := fail(op, name); err != nil {
			return &iofs.PathError{Op: string(op), Path: name, Err: err}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := f(); err != nil {
		return &iofs.PathError{Op: string(op), Path: name, Err: err}
	}
	return nil
}

// OpenFile opens or creates a file.
func (m *Memory) OpenFile(name string, flag int) (File, error) {
	name = path.Clean(name)
	m.mu.Lock()
	_, there := m.files[name]
	m.mu.Unlock()
	op := OpOpen
	if !there && flag&os.O_CREATE != 0 {
		op = OpCreate
	}
	f := &memoryFile{m: m, name: name, atEnd: flag&os.O_APPEND != 0}
	err := m.do(op, name, func() error {
		n, there := m.files[name]
		switch {
		case there && flag&os.O_EXCL != 0:
			return os.ErrExist
		case !there && flag&os.O_CREATE == 0 || m.dirs[name]:
			return os.ErrNotExist
		case !there && !m.dirs[path.Dir(name)]:
			return os.ErrNotExist
		case !there:
			n = &node{changed: time.Now()}
			m.files[name] = n
		}
		if flag&os.O_TRUNC != 0 {
			n.data, n.durable, n.dirty = nil, nil, 0
		}
		f.node = n
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Rename gives a file another name.
func (m *Memory) Rename(from, to string) error {
	from, to = path.Clean(from), path.Clean(to)
	return m.do(OpRename, from, func() error {
		n, ok := m.files[from]
		if !ok || !m.dirs[path.Dir(to)] {
			return os.ErrNotExist
		}
		delete(m.files, from)
		m.files[to] = n
		return nil
	})
}

// Remove removes a file.
func (m *Memory) Remove(name string) error {
	name = path.Clean(name)
	return m.do(OpRemove, name, func() error {
		if _, ok := m.files[name]; !ok {
			return os.ErrNotExist
		}
		delete(m.files, name)
		return nil
	})
}

// MkdirAll creates a folder and its parents.
func (m *Memory) MkdirAll(name string) error {
	name = path.Clean(name)
	return m.do(OpCreate, name, func() error {
		for ; !m.dirs[name]; name = path.Dir(name) {
			m.dirs[name] = true
		}
		return nil
	})
}

// ReadDir returns the entries of a folder by name.
func (m *Memory) ReadDir(name string) ([]iofs.DirEntry, error) {
	name = path.Clean(name)
	var entries []iofs.DirEntry
	err := m.do(OpRead, name, func() error {
		if !m.dirs[name] {
			return os.ErrNotExist
		}
		for file, n := range m.files {
			if path.Dir(file) == name {
				entries = append(entries, iofs.FileInfoToDirEntry(info{name: path.Base(file), size: int64(len(n.data)), changed: n.changed}))
			}
		}
		for dir := range m.dirs {
			if path.Dir(dir) == name && dir != name {
				entries = append(entries, iofs.FileInfoToDirEntry(info{name: path.Base(dir), dir: true}))
			}
		}
		return nil
	})
	slices.SortFunc(entries, func(a, b iofs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Stat describes a file or folder.
func (m *Memory) Stat(name string) (iofs.FileInfo, error) {
	name = path.Clean(name)
	var i info
	err := m.do(OpRead, name, func() error {
		n, ok := m.files[name]
		if !ok && !m.dirs[name] {
			return os.ErrNotExist
		}
		i = info{name: path.Base(name), dir: !ok}
		if ok {
			i.size, i.changed = int64(len(n.data)), n.changed
		}
		return nil
	})
	return i, err
}

// SyncDir makes the names in a folder durable.
func (m *Memory) SyncDir(name string) error {
	name = path.Clean(name)
	return m.do(OpSyncDir, name, func() error {
		for file := range m.disk {
			if path.Dir(file) == name {
				delete(m.disk, file)
			}
		}
		for file, n := range m.files {
			if path.Dir(file) == name {
				m.disk[file] = n
			}
		}
		return nil
	})
}

// FreeBytes returns what SetFree said, less what is stored.
func (m *Memory) FreeBytes() (free int64, err error) {
	err = m.do(OpFree, ".", func() error {
		free = m.free
		for _, n := range m.files {
			free -= int64(len(n.data))
		}
		return nil
	})
	return free, err
}

// Lock takes the lock of a file.
func (m *Memory) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, errors.New("the lock is held")
	}
	m.locks[name] = true
	return unlock(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.locks[name] = false
	}), nil
}

type unlock func()

func (u unlock) Close() error {
	u()
	return nil
}

// memoryFile is an open file.
type memoryFile struct {
	m      *Memory
	name   string
	node   *node
	offset int64
	atEnd  bool
}

func (f *memoryFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.offset)
	f.offset += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *memoryFile) ReadAt(p []byte, at int64) (n int, err error) {
	failed := f.m.do(OpRead, f.name, func() error {
		if at < int64(len(f.node.data)) {
			n = copy(p, f.node.data[at:])
		}
		return nil
	})
	if failed != nil {
		return 0, failed
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memoryFile) Write(p []byte) (int, error) {
	if f.atEnd {
		f.m.mu.Lock()
		f.offset = int64(len(f.node.data))
		f.m.mu.Unlock()
	}
	n, err := f.WriteAt(p, f.offset)
	f.offset += int64(n)
	return n, err
}

func (f *memoryFile) WriteVector(parts [][]byte) (int, error) { return f.Write(slices.Concat(parts...)) }

func (f *memoryFile) WriteAt(p []byte, at int64) (int, error) {
	err := f.m.do(OpWrite, f.name, func() error {
		if need := at + int64(len(p)); need > int64(len(f.node.data)) {
			f.node.data = append(f.node.data, make([]byte, need-int64(len(f.node.data)))...)
		}
		copy(f.node.data[at:], p)
		f.node.changed = time.Now()
		f.node.dirty = min(f.node.dirty, int(at))
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *memoryFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		f.m.mu.Lock()
		offset += int64(len(f.node.data))
		f.m.mu.Unlock()
	}
	if offset < 0 {
		return 0, &iofs.PathError{Op: "seek", Path: f.name, Err: os.ErrInvalid}
	}
	f.offset = offset
	return offset, nil
}

func (f *memoryFile) Stat() (iofs.FileInfo, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return info{name: path.Base(f.name), size: int64(len(f.node.data)), changed: f.node.changed}, nil
}

func (f *memoryFile) Truncate(size int64) error {
	return f.m.do(OpTruncate, f.name, func() error {
		if size < int64(len(f.node.data)) {
			f.node.data = f.node.data[:size:size]
			f.node.dirty = min(f.node.dirty, int(size))
		}
		return nil
	})
}

func (f *memoryFile) Sync() error {
	return f.m.do(OpSync, f.name, func() error {
		f.node.durable = append(f.node.durable[:f.node.dirty], f.node.data[f.node.dirty:]...)
		f.node.dirty = len(f.node.data)
		return nil
	})
}

func (f *memoryFile) Close() error { return nil }

// info describes a file or folder.
type info struct {
	name    string
	size    int64
	dir     bool
	changed time.Time
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) IsDir() bool        { return i.dir }
func (i info) ModTime() time.Time { return i.changed }
func (i info) Sys() any           { return nil }
func (i info) Mode() iofs.FileMode {
	if i.dir {
		return iofs.ModeDir | 0o750
	}
	return 0o640
}
