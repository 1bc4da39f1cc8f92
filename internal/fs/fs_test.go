package fs_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
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

// The folder itself is made, with its parents, and each of them is synced.
func TestTheFolderIsMade(t *testing.T) {
	f := fs.System(filepath.Join(t.TempDir(), "a", "b"))
	if err := errors.Join(f.MkdirAll("."), f.MkdirAll("."), f.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat("."); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
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
	after = m.Crash(func(int) fs.Fate { return fs.Fate{Bytes: 4} })
	if read(after, "kept") != "synced and" || read(after, "unnamed") != "synced, but not its name" || read(after, "removed") != "-" {
		t.Errorf("with some of it: %q", read(after, "kept"))
	}
}

// Each change that was not synced is there or not by itself, a write also in part.
func TestWhatAPowerCutLeaves(t *testing.T) {
	m := fs.NewMemory()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(m.MkdirAll("a/b"))
	must(m.SyncDir("."))
	f, err := m.OpenFile("a/b/file", os.O_RDWR|os.O_CREATE)
	must(err)
	write := func(s string) {
		t.Helper()
		_, err := f.Write([]byte(s))
		must(err)
	}
	write("durable ")
	must(f.Sync())
	must(m.SyncDir("a/b"))
	if _, ok := m.Crash(nil).Bytes("a/b/file"); ok {
		t.Error("a folder whose name was not synced is there")
	}
	must(m.SyncDir("a"))
	write(strings.Repeat("x", 600))
	write("end")
	if u := m.Unsynced(); len(u) != 2 || u[0] != (fs.Unsynced{Op: fs.OpWrite, Name: "a/b/file", Bytes: 600}) {
		t.Fatalf("not synced are %v", u)
	}
	for want, fates := range map[string][2]fs.Fate{
		"durable ": {},
		"durable " + strings.Repeat("x", 600) + "end":    {fs.Kept, fs.Kept},
		"durable " + strings.Repeat("\x00", 600) + "end": {{}, fs.Kept},
		"durable xxx": {{Bytes: 3}, {}},
		"durable xxx" + strings.Repeat("\x00", 597):                              {{Bytes: 3, Rest: fs.Zeros}, {}},
		"durable " + strings.Repeat("\x00", 504) + strings.Repeat("x", 96):       {{Bytes: 600, Holes: 1}, {}},
		"durable " + strings.Repeat("x", 504) + strings.Repeat("\x00", 96) + "e": {{Bytes: 600, Holes: 2, Rest: fs.Zeros}, {Bytes: 1}},
	} {
		if got, _ := m.Crash(func(i int) fs.Fate { return fates[i] }).Bytes("a/b/file"); string(got) != want {
			t.Errorf("%v leave %d bytes %q, want %d", fates, len(got), got, len(want))
		}
	}
	garbage, _ := m.Crash(func(i int) fs.Fate { return fs.Fate{Bytes: 3, Rest: fs.Garbage} }).Bytes("a/b/file")
	if len(garbage) != 611 || string(garbage[:11]) != "durable xxx" || garbage[11] == 0 || garbage[11] == 'x' {
		t.Errorf("garbage: %q", garbage)
	}
	if killed, _ := m.Kill().Bytes("a/b/file"); len(killed) != 611 || len(m.Kill().Unsynced()) != 2 {
		t.Errorf("after the end of the process alone there are %d bytes", len(killed))
	}
	must(f.Truncate(9))
	if got, _ := m.Crash(func(i int) fs.Fate { return fs.Fate{Bytes: 9 * i} }).Bytes("a/b/file"); len(got) != 9 {
		t.Errorf("truncated: %q", got)
	}
	must(f.Sync())
	if got, _ := m.Crash(nil).Bytes("a/b/file"); string(got) != "durable x" {
		t.Errorf("truncated and synced: %q", got)
	}
}

// A rename is there or not as a whole; synced is the folder that it led to.
func TestARenameIsOneChange(t *testing.T) {
	m := fs.NewMemory()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(errors.Join(m.MkdirAll("from"), m.MkdirAll("to"), m.SyncDir(".")))
	_, err := m.OpenFile("from/file", os.O_WRONLY|os.O_CREATE)
	must(err)
	must(m.SyncDir("from"))
	must(m.Rename("from/file", "to/name"))
	names := func(m *fs.Memory) (from, to bool) {
		_, from = m.Bytes("from/file")
		_, to = m.Bytes("to/name")
		return from, to
	}
	if from, to := names(m.Crash(nil)); !from || to {
		t.Error("not done: ", from, to)
	}
	if from, to := names(m.Crash(func(int) fs.Fate { return fs.Kept })); from || !to {
		t.Error("done: ", from, to)
	}
	other := m.Kill()
	must(m.SyncDir("to"))
	if from, to := names(m.Crash(nil)); !from || !to {
		t.Error("the new name synced: ", from, to)
	}
	must(m.SyncDir("from"))
	if from, to := names(m.Crash(nil)); from || !to {
		t.Error("both synced: ", from, to)
	}
	must(other.SyncDir("from"))
	if from, to := names(other.Crash(nil)); from || !to {
		t.Error("the old name synced: ", from, to)
	}
}

// What was recorded can be looked at as of each step.
func TestRecording(t *testing.T) {
	m := fs.NewMemory()
	r := m.Record()
	f, err := m.OpenFile("file", os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"one ", "two ", "three"} {
		if _, err := f.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Sync(), m.SyncDir("."), m.Rename("file", "name")); err != nil {
		t.Fatal(err)
	}
	if r.Len() != 7 {
		t.Fatalf("%d steps", r.Len())
	}
	if got, _ := r.At(3).Bytes("file"); string(got) != "one two " || len(r.At(3).Unsynced()) != 3 {
		t.Errorf("after 3 steps: %q", got)
	}
	if got, _ := r.At(6).Crash(nil).Bytes("file"); string(got) != "one two three" {
		t.Errorf("after 6 steps: %q", got)
	}
	if !r.At(7).Same(m) || r.At(6).Same(m) {
		t.Error("after all steps it is the folder, and not before")
	}
	if op, name := r.Step(6); op != fs.OpRename || name != "name" {
		t.Errorf("the last step is %s of %s", op, name)
	}
}

// What a failed sync was to make durable is not, whatever is synced later; of a
// failed write the first half is there.
func TestWhatAFailureLeaves(t *testing.T) {
	m := fs.NewMemory()
	f, err := m.OpenFile("file", os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	failing := func(op fs.Op) {
		m.Fail(func(o fs.Op, _ string) error {
			if o == op {
				return os.ErrDeadlineExceeded
			}
			return nil
		})
	}
	failing(fs.OpWrite)
	if n, err := f.Write([]byte("abcd")); n != 2 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes were written, %v", n, err)
	}
	failing(fs.OpSync)
	if err := f.Sync(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the sync gave %v", err)
	}
	m.Fail(nil)
	if _, err := f.Write([]byte("ef")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), m.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	if seen, _ := m.Bytes("file"); string(seen) != "abef" {
		t.Errorf("programs see %q", seen)
	}
	if got, _ := m.Crash(nil).Bytes("file"); string(got) != "\x00\x00ef" {
		t.Errorf("the disk has %q", got)
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
