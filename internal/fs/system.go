package fs

import (
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// System returns the folder root of the operating system.
func System(root string) FS { return system(root) }

type system string

func (s system) path(name string) string {
	return filepath.Join(string(s), filepath.FromSlash(name))
}

// OpenFile opens a file.
func (s system) OpenFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(s.path(name), flag, 0o640)
	if err != nil {
		return nil, err
	}
	return systemFile{f}, nil
}

func (s system) Rename(from, to string) error { return os.Rename(s.path(from), s.path(to)) }
func (s system) Remove(name string) error     { return os.Remove(s.path(name)) }

// MkdirAll creates a folder. The one that all names are relative to is made
// durable with its parents: nobody else can sync what it is in.
func (s system) MkdirAll(name string) error {
	path := s.path(name)
	var missing []string
	for at := path; filepath.Clean(name) == "."; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		missing = append(missing, at)
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	for _, made := range missing {
		if err := syncDir(filepath.Dir(made)); err != nil {
			return err
		}
	}
	return nil
}

func (s system) ReadDir(name string) ([]iofs.DirEntry, error) { return os.ReadDir(s.path(name)) }
func (s system) Stat(name string) (iofs.FileInfo, error)      { return os.Stat(s.path(name)) }

func (s system) SyncDir(name string) error { return syncDir(s.path(name)) }

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func (s system) FreeBytes() (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(string(s), &stat); err != nil {
		return 0, &iofs.PathError{Op: "statfs", Path: string(s), Err: err}
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil
}

func (s system) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(s.path(name), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

type systemFile struct{ *os.File }

// Sync is fdatasync: the size is made durable, the times need not be.
func (f systemFile) Sync() error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	if err := conn.Control(func(fd uintptr) { failure = datasync(int(fd)) }); err != nil {
		return err
	}
	if failure != nil {
		return &iofs.PathError{Op: "sync", Path: f.Name(), Err: failure}
	}
	return nil
}

// Uncache lets the operating system forget what it holds of a synced file in
// memory, so that the next reader reads the disk. It is advice, and costs nothing
// where it is not taken.
func Uncache(f File) {
	s, ok := f.(systemFile)
	if !ok {
		return
	}
	if conn, err := s.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { uncache(int(fd)) })
	}
}
