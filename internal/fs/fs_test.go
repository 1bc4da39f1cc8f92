package fs_test

import (
	"errors"
	"io"
	"os"
	"testing"

	"understudy/internal/fs"
)

// The contract, over every implementation.
func TestFS(t *testing.T) {
	for name, make := range map[string]func(t *testing.T) fs.FS{
		"system": func(t *testing.T) fs.FS { return fs.System(t.TempDir()) },
		"memory": func(*testing.T) fs.FS { return fs.NewMemory() },
	} {
		t.Run(name, func(t *testing.T) { contract(t, make(t)) })
	}
}

func contract(t *testing.T, f fs.FS) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.OpenFile("a/b/file", os.O_WRONLY|os.O_CREATE); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file in a folder that is not there: %v", err)
	}
	must(f.MkdirAll("a/b"))
	must(f.MkdirAll("a/b"))
	file, err := f.OpenFile("a/b/file", os.O_RDWR|os.O_CREATE|os.O_EXCL)
	must(err)
	if _, err := f.OpenFile("a/b/file", os.O_WRONLY|os.O_CREATE|os.O_EXCL); !errors.Is(err, os.ErrExist) {
		t.Errorf("created twice: %v", err)
	}
	_, err = file.Write([]byte("hello, world"))
	must(err)
	_, err = file.WriteAt([]byte("W"), 7)
	must(err)
	must(file.Sync())
	_, err = file.Seek(-5, io.SeekEnd)
	must(err)
	if b, err := io.ReadAll(file); string(b) != "World" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	must(file.Truncate(5))
	buffer := [3]byte{}
	if n, err := file.ReadAt(buffer[:], 3); n != 2 || !errors.Is(err, io.EOF) || string(buffer[:n]) != "lo" {
		t.Errorf("read %d at the end, %v", n, err)
	}
	must(file.Close())
	appended, err := f.OpenFile("a/b/file", os.O_WRONLY|os.O_APPEND)
	must(err)
	_, err = appended.Write([]byte("!"))
	must(err)
	must(appended.Close())
	must(f.SyncDir("a/b"))
	must(f.Rename("a/b/file", "a/c"))
	if info, err := f.Stat("a/c"); err != nil || info.Size() != 6 || info.IsDir() {
		t.Errorf("stat: %v, %v", info, err)
	}
	if info, err := f.Stat("a"); err != nil || !info.IsDir() {
		t.Errorf("stat of a folder: %v, %v", info, err)
	}
	entries, err := f.ReadDir("a")
	must(err)
	if len(entries) != 2 || entries[0].Name() != "b" || !entries[0].IsDir() || entries[1].Name() != "c" || entries[1].IsDir() {
		t.Errorf("the folder has %v", entries)
	}
	must(f.Remove("a/c"))
	if err := f.Remove("a/c"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := f.Stat("a/c"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat of what is gone: %v", err)
	}
	if free, err := f.FreeBytes(); free <= 0 || err != nil {
		t.Errorf("%d bytes are free, %v", free, err)
	}
	lock, err := f.Lock("lock")
	must(err)
	if _, err := f.Lock("lock"); err == nil {
		t.Error("locked twice")
	}
	must(lock.Close())
	lock, err = f.Lock("lock")
	must(err)
	must(lock.Close())
}

// A power cut takes what was not synced: bytes by Sync, names by SyncDir.
func TestCrash(t *testing.T) {
	m := fs.NewMemory()
	write := func(name, content string, syncs bool) {
		t.Helper()
		f, err := m.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if syncs {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("kept", "synced", true)
	write("removed", "x", true)
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	write("kept", " and not", false)
	write("unnamed", "synced, but not its name", true)
	if err := m.Remove("removed"); err != nil {
		t.Fatal(err)
	}
	read := func(m *fs.Memory, name string) string {
		f, err := m.OpenFile(name, os.O_RDONLY)
		if err != nil {
			return "-"
		}
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	after := m.Crash(nil)
	if read(after, "kept") != "synced" || read(after, "unnamed") != "-" || read(after, "removed") != "x" {
		t.Errorf("kept %q, unnamed %q, removed %q", read(after, "kept"), read(after, "unnamed"), read(after, "removed"))
	}
	after = m.Crash(func(durable, lost []byte) []byte { return append(durable, lost[:4]...) })
	if read(after, "kept") != "synced and" {
		t.Errorf("with some of the tail: %q", read(after, "kept"))
	}
}

func TestFail(t *testing.T) {
	m := fs.NewMemory()
	m.Fail(func(op fs.Op, name string) error {
		if op == fs.OpSync && name == "file" {
			return os.ErrDeadlineExceeded
		}
		return nil
	})
	f, err := m.OpenFile("file", os.O_WRONLY|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the sync gave %v", err)
	}
	m.Fail(nil)
	if err := f.Sync(); err != nil {
		t.Error(err)
	}
}
