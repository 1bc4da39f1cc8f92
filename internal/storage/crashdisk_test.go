package storage_test

import (
	"bytes"
	"context"
	"io"
	iofs "io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"understudy"
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

// bucket is an archive in memory, which no crash of a server touches.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func (b *bucket) String() string { return "a bucket" }

func (b *bucket) Put(_ context.Context, name string, r io.ReadSeeker, _ int64, _ map[string]string) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[name] = content
	return nil
}

func (b *bucket) Open(_ context.Context, name string, _ int64) io.ReadSeekCloser {
	content, _ := b.get(name)
	return opened{bytes.NewReader(content)}
}

type opened struct{ *bytes.Reader }

func (opened) Close() error { return nil }

func (b *bucket) get(name string) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	content, ok := b.objects[name]
	return content, ok
}

func (b *bucket) List(_ context.Context, under string, found func(name string, size int64) error) error {
	b.mu.Lock()
	names := slices.Sorted(maps.Keys(b.objects))
	b.mu.Unlock()
	for _, name := range names {
		if content, ok := b.get(name); ok && strings.HasPrefix(name, under) {
			if err := found(name, int64(len(content))); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bucket) Delete(_ context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.objects[name]; !ok {
		return understudy.Errorf(understudy.CodeNotFound, "%s is not there", name)
	}
	delete(b.objects, name)
	return nil
}

func (b *bucket) Tidy(context.Context, time.Time) error { return nil }
