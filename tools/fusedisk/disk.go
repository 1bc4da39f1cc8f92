// Package fusedisk is a disk for tests: a file system in the kernel (FUSE) over
// internal/fs.Memory, which real processes use, and which loses power and fails
// on request. It is a module of its own, as only its tests need FUSE.
package fusedisk

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	memory "understudy/internal/fs"
)

// Disk is a folder in memory that is mounted.
type Disk struct {
	memory *memory.Memory
	server *fuse.Server
	after  func(n int) // is told after each operation how many there were

	power sync.RWMutex // held for writing to cut it: no operation is half done then
	off   bool
	mu    sync.Mutex
	count int
}

// Mount mounts an empty disk. after must not wait for an operation of the disk.
func Mount(dir string, after func(n int)) (*Disk, error) {
	return MountWith(dir, memory.NewMemory(), after)
}

// MountWith mounts a disk that has something: what another one had when its power was cut.
func MountWith(dir string, content *memory.Memory, after func(n int)) (*Disk, error) {
	d := &Disk{memory: content, after: after}
	server, err := fs.Mount(dir, &node{disk: d}, &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true, FsName: "crash"}})
	if err != nil {
		return nil, err
	}
	d.server = server
	return d, nil
}

// Unmount ends it, when nobody has it open.
func (d *Disk) Unmount() error { return d.server.Unmount() }

// Cut lets every operation from now on fail, and returns what the disk had.
func (d *Disk) Cut() *memory.Memory {
	d.power.Lock()
	defer d.power.Unlock()
	d.off = true
	return d.memory.Kill()
}

// Fail is that of the memory.
func (d *Disk) Fail(f func(op memory.Op, name string) error) { d.memory.Fail(f) }

// SetFree is that of the memory.
func (d *Disk) SetFree(n int64) { d.memory.SetFree(n) }

// do runs one operation, if there is power.
func (d *Disk) do(f func() error) syscall.Errno {
	d.power.RLock()
	defer d.power.RUnlock()
	if d.off {
		return syscall.EIO
	}
	err := f()
	d.mu.Lock()
	d.count++
	n := d.count
	d.mu.Unlock()
	d.after(n)
	return errno(err)
}

func errno(err error) syscall.Errno {
	var number syscall.Errno
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return 0
	case errors.As(err, &number):
		return number
	case errors.Is(err, os.ErrNotExist):
		return syscall.ENOENT
	case errors.Is(err, os.ErrExist):
		return syscall.EEXIST
	}
	return syscall.EIO
}

// node is a file or a folder.
type node struct {
	fs.Inode
	disk *Disk
}

func (n *node) name(child string) string { return path.Join(n.Path(n.Root()), child) }

func (n *node) child(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, error) {
	info, err := n.disk.memory.Stat(n.name(name))
	if err != nil {
		return nil, err
	}
	fill(&out.Attr, info)
	return n.NewInode(ctx, &node{disk: n.disk}, fs.StableAttr{Mode: out.Mode & syscall.S_IFMT}), nil
}

func fill(out *fuse.Attr, info os.FileInfo) {
	changed := info.ModTime()
	out.SetTimes(nil, &changed, nil)
	out.Size, out.Mode = uint64(info.Size()), uint32(info.Mode().Perm())|syscall.S_IFREG
	if info.IsDir() {
		out.Mode = uint32(info.Mode().Perm()) | syscall.S_IFDIR
	}
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (inode *fs.Inode, failed syscall.Errno) {
	failed = n.disk.do(func() (err error) {
		inode, err = n.child(ctx, name, out)
		return err
	})
	return inode, failed
}

func (n *node) Getattr(_ context.Context, f fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	return n.disk.do(func() error { return n.stat(f, &out.Attr) })
}

func (n *node) stat(f fs.FileHandle, out *fuse.Attr) error {
	info, err := n.disk.memory.Stat(n.name(""))
	if h, ok := f.(*handle); ok {
		info, err = h.file.Stat()
	}
	if err == nil {
		fill(out, info)
	}
	return err
}

func (n *node) Setattr(_ context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return n.disk.do(func() error {
		if size, ok := in.GetSize(); ok {
			h, open := f.(*handle)
			if !open {
				file, err := n.disk.memory.OpenFile(n.name(""), os.O_WRONLY)
				if err != nil {
					return err
				}
				h = &handle{n.disk, file}
			}
			if err := h.file.Truncate(int64(size)); err != nil {
				return err
			}
		}
		return n.stat(f, &out.Attr)
	})
}

func (n *node) Mkdir(ctx context.Context, name string, _ uint32, out *fuse.EntryOut) (inode *fs.Inode, failed syscall.Errno) {
	failed = n.disk.do(func() error {
		err := n.disk.memory.MkdirAll(n.name(name))
		if err == nil {
			inode, err = n.child(ctx, name, out)
		}
		return err
	})
	return inode, failed
}

func (n *node) Create(ctx context.Context, name string, flags, _ uint32, out *fuse.EntryOut) (inode *fs.Inode, f fs.FileHandle, _ uint32, failed syscall.Errno) {
	failed = n.disk.do(func() error {
		file, err := n.disk.memory.OpenFile(n.name(name), int(flags)&^os.O_APPEND|os.O_CREATE)
		if err == nil {
			inode, err = n.child(ctx, name, out)
		}
		f = &handle{n.disk, file}
		return err
	})
	return inode, f, 0, failed
}

func (n *node) Open(_ context.Context, flags uint32) (f fs.FileHandle, _ uint32, failed syscall.Errno) {
	failed = n.disk.do(func() error {
		file, err := n.disk.memory.OpenFile(n.name(""), int(flags)&^os.O_APPEND)
		f = &handle{n.disk, file}
		return err
	})
	return f, 0, failed
}

func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	return n.disk.do(func() error { return n.disk.memory.Remove(n.name(name)) })
}

func (n *node) Rename(_ context.Context, name string, to fs.InodeEmbedder, toName string, _ uint32) syscall.Errno {
	return n.disk.do(func() error {
		parent := to.EmbeddedInode()
		return n.disk.memory.Rename(n.name(name), path.Join(parent.Path(parent.Root()), toName))
	})
}

func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	var list []fuse.DirEntry
	failed := n.disk.do(func() error {
		entries, err := n.disk.memory.ReadDir(n.name(""))
		for _, e := range entries {
			mode := uint32(syscall.S_IFREG)
			if e.IsDir() {
				mode = syscall.S_IFDIR
			}
			list = append(list, fuse.DirEntry{Name: e.Name(), Mode: mode})
		}
		return err
	})
	return fs.NewListDirStream(list), failed
}

// Fsync is of a file or of a folder.
func (n *node) Fsync(_ context.Context, f fs.FileHandle, _ uint32) syscall.Errno {
	return n.disk.do(func() error {
		if h, ok := f.(*handle); ok {
			return h.file.Sync()
		}
		return n.disk.memory.SyncDir(n.name(""))
	})
}

func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	return n.disk.do(func() error {
		free, err := n.disk.memory.FreeBytes()
		out.Bsize, out.Bavail, out.Bfree = 4096, uint64(free)/4096, uint64(free)/4096
		return err
	})
}

// handle is an open file.
type handle struct {
	disk *Disk
	file memory.File
}

func (h *handle) Read(_ context.Context, p []byte, at int64) (result fuse.ReadResult, failed syscall.Errno) {
	var n int
	failed = h.disk.do(func() (err error) {
		n, err = h.file.ReadAt(p, at)
		return err
	})
	return fuse.ReadResultData(p[:n]), failed
}

func (h *handle) Write(_ context.Context, p []byte, at int64) (n uint32, failed syscall.Errno) {
	failed = h.disk.do(func() error {
		written, err := h.file.WriteAt(p, at)
		n = uint32(written)
		return err
	})
	return n, failed
}
