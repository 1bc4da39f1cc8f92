package storage_test

import (
	"io"
	iofs "io/fs"
	"path"

	"understudy/internal/fs"
)

// sub is a folder of a disk: several of them lose power at the same moment.
type sub struct {
	disk *fs.Memory
	dir  string
}

func (s sub) in(name string) string { return path.Join(s.dir, name) }

func (s sub) OpenFile(name string, flag int) (fs.File, error) {
	return s.disk.OpenFile(s.in(name), flag)
}
func (s sub) Rename(from, to string) error                 { return s.disk.Rename(s.in(from), s.in(to)) }
func (s sub) Remove(name string) error                     { return s.disk.Remove(s.in(name)) }
func (s sub) MkdirAll(name string) error                   { return s.disk.MkdirAll(s.in(name)) }
func (s sub) ReadDir(name string) ([]iofs.DirEntry, error) { return s.disk.ReadDir(s.in(name)) }
func (s sub) Stat(name string) (iofs.FileInfo, error)      { return s.disk.Stat(s.in(name)) }
func (s sub) SyncDir(name string) error                    { return s.disk.SyncDir(s.in(name)) }
func (s sub) FreeBytes() (int64, error)                    { return s.disk.FreeBytes() }
func (s sub) Lock(name string) (io.Closer, error)          { return s.disk.Lock(s.in(name)) }
