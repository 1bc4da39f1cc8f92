package faults_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"understudy"
	"understudy/internal/site"
)

// smallDisk gives a server a disk of its own, of 96 MB.
func smallDisk(t *testing.T, server string) func(dir string) {
	t.Helper()
	return func(dir string) {
		folder := filepath.Join(dir, server, "footage")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", folder).CombinedOutput(); err != nil {
			t.Skipf("a small disk cannot be mounted here (are you root?): %s", out)
		}
		t.Cleanup(func() { _ = exec.Command("umount", "-l", folder).Run() })
	}
}

// fill leaves not a byte on a server's small disk; the returned function makes room again.
func (b *broken) fill(server string) (room func()) {
	b.Helper()
	ballast := filepath.Join(b.Folder(server), "footage", "ballast")
	stop := make(chan struct{})
	done := make(chan struct{})
	file, err := os.Create(ballast)
	if err != nil {
		b.Fatal(err)
	}
	go func() { // what retention frees is filled again
		defer close(done)
		block := make([]byte, 64<<10)
		for size := len(block); ; {
			n, err := file.Write(block[:size])
			if err != nil && n == 0 {
				size = max(size/2, 1)
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				if size == 1 {
					size = 4096
				}
			}
		}
	}()
	return func() {
		close(stop)
		<-done
		file.Close()
		if err := os.Remove(ballast); err != nil {
			b.Fatal(err)
		}
	}
}

// storage is what the state port of a server says of its disk, as the management server heard it.
func (b *broken) storage(ctx context.Context, server understudy.ServerID) understudy.StorageState {
	list, err := b.Client.Status(ctx)
	if err != nil {
		return understudy.StorageState{Writable: true}
	}
	for _, s := range list {
		if s.Server == server && s.State != nil {
			return s.State.Storage
		}
	}
	return understudy.StorageState{Writable: true}
}

// A recording server whose disk is full says so, and its standby records until there is room again.
func TestDiskOfTheRecordingServerIsFull(t *testing.T) {
	b := up(t, hot("north", "south"), smallDisk(t, "rec1"))
	v := b.watch("north")
	room := b.fill("rec1")
	b.within(20*time.Second, "rec1 to say that its disk is full", func(ctx context.Context) bool {
		s := b.storage(ctx, "rec1")
		return !s.Writable && s.Sentence != ""
	})
	t.Log(b.storage(t.Context(), "rec1").Sentence)
	b.recordsNow(20*time.Second, "fo1", "north")
	b.holds(10*time.Second, "fo1", 2)
	b.sees(5*time.Second, v, "fo1")
	b.from = time.Now()
	room()
	b.holds(40*time.Second, "rec1", 2)
	b.emptied(40*time.Second, "fo1")
	for _, c := range b.Layout.Cameras {
		if holes := b.account(c.ID); len(holes) != 0 {
			t.Errorf("%s: nothing may be lost on the way back, found %v", c.ID, holes)
		}
	}
	t.Log(b.story())
}

// A failover server whose disk fills up while it stands in loses nothing of
// what it has, and goes on when there is room again.
func TestDiskOfTheFailoverServerIsFull(t *testing.T) {
	b := up(t, hot("north", "south"), smallDisk(t, "fo1"))
	b.do(site.FaultKill, "rec1")
	b.recordsNow(10*time.Second, "fo1", "north")
	time.Sleep(4 * time.Second)
	before := b.recorded(t.Context(), "fo1", "north")
	files := b.files("fo1")
	room := b.fill("fo1")
	b.within(20*time.Second, "fo1 to say that its disk is full", func(ctx context.Context) bool {
		s := b.storage(ctx, "fo1")
		return !s.Writable && s.Sentence != ""
	})
	t.Log(b.storage(t.Context(), "fo1").Sentence)
	if after := b.recorded(t.Context(), "fo1", "north"); after < before {
		t.Errorf("fo1 had %s of north and has %s since its disk is full", before, after)
	}
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			t.Errorf("what had not gone home was deleted: %v", err)
		}
	}
	room()
	b.recordsNow(15*time.Second, "fo1", "north")
	b.do(site.CureStart, "rec1")
	b.holds(40*time.Second, "rec1", 2)
	b.emptied(40*time.Second, "fo1")
	for _, c := range b.Layout.Cameras {
		b.account(c.ID)
	}
	if story := b.story(); t.Failed() || !strings.Contains(story, "fo1") {
		t.Log(story)
	}
}

// A disk that answers syncs with an error is not trusted: the standby records,
// and what was durable before is there afterwards.
func TestDiskFailsToSync(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace injects the failure, and is not here")
	}
	b := up(t, hot("north"), nil)
	p, _ := b.Process("rec1")
	cmd := exec.Command("strace", "-f", "-q", "-p", strconv.Itoa(p.PID()), "-o", os.DevNull, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	heal := sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	t.Cleanup(heal)
	b.within(20*time.Second, "rec1 to say that its disk fails", func(ctx context.Context) bool {
		s := b.storage(ctx, "rec1")
		return !s.Writable && s.Sentence != ""
	})
	t.Log(b.storage(t.Context(), "rec1").Sentence)
	b.recordsNow(20*time.Second, "fo1", "north")
	heal()
	b.holds(60*time.Second, "rec1", 1)
	b.emptied(40*time.Second, "fo1")
	for _, h := range b.account("north") {
		if length := h.before.Sub(h.after); length > 10*time.Second {
			t.Errorf("%s are missing", length)
		}
	}
	if t.Failed() {
		t.Log(b.story())
	}
}

// The index is a cache: without it, or with another's, every frame that was
// durable is found again.
func TestIndexIsLost(t *testing.T) {
	b := up(t, hot("north", "south"), nil)
	indexes := func() (files []string) {
		for _, c := range b.Layout.Cameras {
			files = append(files, filepath.Join(b.Folder("rec1"), "footage", "cameras", string(c.ID), "index"))
		}
		return files
	}
	for _, spoil := range []func(string) error{
		os.Remove,
		func(path string) error { return os.WriteFile(path, []byte("nonsense\x00\xff"), 0o600) },
		func(path string) error { return os.Truncate(path, 7) },
	} {
		before := b.recorded(t.Context(), "rec1", "north")
		b.do(site.FaultKill, "rec1")
		for _, path := range indexes() {
			if err := spoil(path); err != nil && !errors.Is(err, os.ErrNotExist) { // it is written now and then
				t.Fatal(err)
			}
		}
		b.do(site.CureStart, "rec1")
		b.within(10*time.Second, "rec1 to show what it had", func(ctx context.Context) bool { return b.recorded(ctx, "rec1", "north") >= before })
		b.recordsNow(10*time.Second, "rec1", "south")
	}
	b.holds(40*time.Second, "rec1", 2)
	b.emptied(40*time.Second, "fo1")
	for _, c := range b.Layout.Cameras {
		if holes := b.account(c.ID); len(holes) > 3 {
			t.Errorf("%s: three restarts and %v", c.ID, holes)
		}
	}
	if t.Failed() {
		t.Log(b.story())
	}
}
