package fs

import (
	"io"
	iofs "io/fs"
	"os"
	"path"
	"slices"
	"time"
)

// memoryFile is an open file.
type memoryFile struct {
	m      *Memory
	name   string // when it was opened
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
	}, nil)
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

func (f *memoryFile) WriteVector(parts [][]byte) (int, error) {
	return f.Write(slices.Concat(parts...))
}

func (f *memoryFile) WriteAt(p []byte, at int64) (int, error) {
	write := func(p []byte) error {
		f.m.apply(step{op: OpWrite, name: f.name, node: f.node.number, at: at, data: slices.Clone(p), time: time.Now()})
		return nil
	}
	err := f.m.do(OpWrite, f.name,
		func() error { return write(p) },
		func() error { return write(p[:len(p)/2]) })
	if err != nil {
		return len(p) / 2, err
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
	return f.node.info(path.Base(f.name)), nil
}

func (f *memoryFile) Truncate(size int64) error {
	return f.m.do(OpTruncate, f.name, func() error {
		f.m.apply(step{op: OpTruncate, name: f.name, node: f.node.number, at: size})
		return nil
	}, nil)
}

func (f *memoryFile) Sync() error {
	sync := func(failed bool) error {
		f.m.apply(step{op: OpSync, name: f.name, node: f.node.number, failed: failed})
		return nil
	}
	return f.m.do(OpSync, f.name,
		func() error { return sync(false) },
		func() error { return sync(true) })
}

func (f *memoryFile) Close() error { return nil }
