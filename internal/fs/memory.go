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
	OpMkdir    Op = "mkdir"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpTruncate Op = "truncate"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
	OpSyncDir  Op = "syncdir"
	OpFree     Op = "free"
)

// Memory is a folder in memory that remembers each change until it is synced.
// It loses power, fails and hangs on request. Contents are shared between it and
// what a crash leaves of it, and copied when one of them changes them.
type Memory struct {
	mu      sync.Mutex
	nodes   []*node // by number; the first is the folder itself
	pending []step  // changes not yet durable, in order
	steps   int     // changes and syncs so far
	record  *Recording
	locks   map[string]bool
	fail    func(Op, string) error
	free    int64
}

// node is a file or a folder. Names lead to it.
type node struct {
	number  int
	dir     bool
	changed time.Time
	// Of a file. While it is clean, durable is not kept: it equals data.
	data    []byte
	durable []byte // what a sync has seen
	shared  int    // so many bytes of data are seen by others, too, and never overwritten in place
	apart   bool   // a sync failed: data is not what the disk has, whatever is synced later
	// Of a folder. While it is clean, disk is not kept: it equals names.
	names map[string]*node
	disk  map[string]*node // what a sync of the folder has seen
	clean bool             // nothing is pending
}

// NewMemory returns an empty folder on a volume with 1 TiB of room.
func NewMemory() *Memory {
	return &Memory{nodes: []*node{{dir: true, clean: true, names: map[string]*node{}}}, locks: map[string]bool{}, free: 1 << 40}
}

// Fail makes f decide for each operation whether it fails, with which error. f
// may block: the operation hangs. nil ends it. Of a write that fails, the first
// half is in the file. What a sync that fails was to make durable, no later one does.
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

// Steps counts the changes and syncs so far, also those that failed half way.
func (m *Memory) Steps() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.steps
}

// do runs one operation, unless it is to fail; then failed, unless it is nil,
// does what the failure leaves behind.
func (m *Memory) do(op Op, name string, f, failed func() error) error {
	m.mu.Lock()
	fail := m.fail
	m.mu.Unlock()
	var err error
	if fail != nil {
		err = fail(op, name)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		err = f()
	case failed != nil:
		err = errors.Join(err, failed())
	}
	if err != nil {
		return &iofs.PathError{Op: string(op), Path: name, Err: err}
	}
	return nil
}

// find returns what a name leads to; nil if nothing.
func (m *Memory) find(name string) *node {
	n := m.nodes[0]
	for rest := name; rest != "." && n != nil; {
		var first string
		var more bool
		first, rest, more = strings.Cut(rest, "/")
		n = n.names[first]
		if !more {
			break
		}
	}
	return n
}

// folder returns the folder that a name is in; nil if there is none.
func (m *Memory) folder(name string) *node {
	if n := m.find(path.Dir(name)); n != nil && n.dir {
		return n
	}
	return nil
}

// OpenFile opens or creates a file.
func (m *Memory) OpenFile(name string, flag int) (File, error) {
	name = path.Clean(name)
	m.mu.Lock()
	there := m.find(name) != nil
	m.mu.Unlock()
	op := OpOpen
	if !there && flag&os.O_CREATE != 0 {
		op = OpCreate
	}
	f := &memoryFile{m: m, name: name, atEnd: flag&os.O_APPEND != 0}
	err := m.do(op, name, func() error {
		n, dir := m.find(name), m.folder(name)
		switch {
		case n != nil && flag&os.O_EXCL != 0:
			return os.ErrExist
		case n == nil && (flag&os.O_CREATE == 0 || dir == nil) || n != nil && n.dir:
			return os.ErrNotExist
		case n == nil:
			m.apply(step{op: OpCreate, name: name, to: dir.number, toName: path.Base(name), node: len(m.nodes), time: time.Now()})
			n = m.find(name)
		case flag&os.O_TRUNC != 0 && len(n.data) > 0:
			m.apply(step{op: OpTruncate, name: name, node: n.number})
		}
		f.node = n
		return nil
	}, nil)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Rename gives a file another name.
func (m *Memory) Rename(from, to string) error {
	from, to = path.Clean(from), path.Clean(to)
	return m.do(OpRename, from, func() error {
		n, dir := m.find(from), m.folder(to)
		if n == nil || dir == nil {
			return os.ErrNotExist
		}
		m.apply(step{op: OpRename, name: to, node: n.number,
			from: m.folder(from).number, fromName: path.Base(from), to: dir.number, toName: path.Base(to)})
		return nil
	}, nil)
}

// Remove removes a file.
func (m *Memory) Remove(name string) error {
	name = path.Clean(name)
	return m.do(OpRemove, name, func() error {
		n := m.find(name)
		if n == nil || n.dir {
			return os.ErrNotExist
		}
		m.apply(step{op: OpRemove, name: name, node: n.number, from: m.folder(name).number, fromName: path.Base(name)})
		return nil
	}, nil)
}

// MkdirAll creates a folder and its parents.
func (m *Memory) MkdirAll(name string) error {
	name = path.Clean(name)
	return m.do(OpMkdir, name, func() error { return m.mkdir(name) }, nil)
}

func (m *Memory) mkdir(name string) error {
	if n := m.find(name); n != nil {
		if !n.dir {
			return os.ErrExist
		}
		return nil
	}
	if err := m.mkdir(path.Dir(name)); err != nil {
		return err
	}
	m.apply(step{op: OpMkdir, name: name, to: m.folder(name).number, toName: path.Base(name), node: len(m.nodes)})
	return nil
}

// ReadDir returns the entries of a folder by name.
func (m *Memory) ReadDir(name string) ([]iofs.DirEntry, error) {
	name = path.Clean(name)
	var entries []iofs.DirEntry
	err := m.do(OpRead, name, func() error {
		n := m.find(name)
		if n == nil || !n.dir {
			return os.ErrNotExist
		}
		for name, n := range n.names {
			entries = append(entries, iofs.FileInfoToDirEntry(n.info(name)))
		}
		return nil
	}, nil)
	slices.SortFunc(entries, func(a, b iofs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Stat describes a file or folder.
func (m *Memory) Stat(name string) (iofs.FileInfo, error) {
	name = path.Clean(name)
	var i info
	err := m.do(OpRead, name, func() error {
		n := m.find(name)
		if n == nil {
			return os.ErrNotExist
		}
		i = n.info(path.Base(name))
		return nil
	}, nil)
	return i, err
}

// SyncDir makes the names in a folder durable.
func (m *Memory) SyncDir(name string) error {
	name = path.Clean(name)
	return m.do(OpSyncDir, name, func() error {
		n := m.find(name)
		if n == nil || !n.dir {
			return os.ErrNotExist
		}
		m.apply(step{op: OpSyncDir, name: name, to: n.number})
		return nil
	}, nil)
}

// FreeBytes returns what SetFree said, less what is stored.
func (m *Memory) FreeBytes() (free int64, err error) {
	err = m.do(OpFree, ".", func() error {
		free = m.free - m.nodes[0].bytes()
		return nil
	}, nil)
	return free, err
}

func (n *node) bytes() (sum int64) {
	for _, child := range n.names {
		sum += child.bytes()
	}
	return sum + int64(len(n.data))
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

func (n *node) info(name string) info {
	return info{name: name, size: int64(len(n.data)), dir: n.dir, changed: n.changed}
}

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
