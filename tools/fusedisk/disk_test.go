package fusedisk

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	memory "understudy/internal/fs"
	"understudy/internal/storage"
	"understudy/test/crash"
)

func TestMain(m *testing.M) {
	crash.Child()
	os.Exit(m.Run())
}

const cases = 300

// forks keeps processes from being started while a disk is mounted or let go.
var forks sync.Mutex

// A real process records on a disk of the kernel that loses power at some
// operation, or fails one before, or the process is killed: what it told durable
// is there, whatever the disk made of what was not synced; also when the power
// fails in the recovery.
func TestADiskLosesPower(t *testing.T) {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("this machine has no FUSE")
	}
	seed := rand.Uint64()
	var lines, cuts, ended atomic.Int64
	var workers sync.WaitGroup
	jobs := make(chan int)
	for range 4 {
		workers.Go(func() {
			for n := range jobs {
				c := &broken{t: t, n: n, random: rand.New(rand.NewPCG(seed, uint64(n)))}
				told, cut := c.run()
				lines.Add(int64(told.Lines))
				if told.Ended {
					ended.Add(1)
				}
				if cut {
					cuts.Add(1)
				}
			}
		})
	}
	for n := range cases {
		jobs <- n
	}
	close(jobs)
	workers.Wait()
	t.Logf(`{"disks broken":%d,"in the middle":%d,"told":%d,"seed":%d}`, cases, cuts.Load(), lines.Load(), seed)
	if cuts.Load() < cases/2 || lines.Load() < cases {
		t.Errorf("too few were broken in the middle for this to prove anything: %d ended in order", ended.Load())
	}
}

// broken is one process and its disk.
type broken struct {
	t      *testing.T
	n      int
	random *rand.Rand
}

func (b *broken) run() (told crash.Told, cut bool) {
	at, kills := 1+b.random.IntN(1100), b.random.IntN(3) == 0
	reached := make(chan struct{})
	dir := b.t.TempDir()
	forks.Lock()
	disk, err := Mount(dir, func(n int) {
		if n == at {
			close(reached)
		}
	})
	forks.Unlock()
	if err != nil {
		b.t.Fatalf("a disk cannot be mounted (are you root?): %v", err)
	}
	failed := ""
	if b.random.IntN(3) == 0 {
		failed = b.fail(disk)
	}
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "UNDERSTUDY_CRASH_CHILD="+dir)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	forks.Lock()
	err = cmd.Start()
	forks.Unlock()
	if err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it may be killed
	}()
	select {
	case <-reached:
		cut = true
		if kills { // the process goes, the disk does not
			_ = cmd.Process.Signal(syscall.SIGKILL)
			<-ended
		}
	case <-ended:
	}
	left := disk.Cut()
	_ = cmd.Process.Signal(syscall.SIGKILL)
	<-ended
	forks.Lock()
	err = disk.Unmount()
	forks.Unlock()
	if err != nil {
		b.t.Error(err)
	}
	told, err = crash.Read(&out)
	if err != nil {
		b.t.Error(err)
	}
	b.verify(told, left, fmt.Sprintf("case %d, operation %d, killed %v, failed %q, %s", b.n, at, kills, failed, complaints.String()))
	return told, cut
}

// fail lets one operation of some kind fail once.
func (b *broken) fail(disk *Disk) string {
	op := []memory.Op{memory.OpSync, memory.OpWrite, memory.OpSyncDir, memory.OpRename, memory.OpCreate}[b.random.IntN(5)]
	nth := int64(1 + b.random.IntN(20))
	var count atomic.Int64
	disk.Fail(func(o memory.Op, _ string) error {
		if o == op && count.Add(1) == nth {
			return syscall.EIO
		}
		return nil
	})
	return fmt.Sprint(op, nth)
}

// verify opens what is there: all, none and any of what was not synced; and,
// where it is all, the power fails once more behind the recovery.
func (b *broken) verify(told crash.Told, left *memory.Memory, what string) {
	fates := map[string]func(int) memory.Fate{
		"dropped": nil,
		"kept":    func(int) memory.Fate { return memory.Kept },
		"any": func(int) memory.Fate {
			return memory.Fate{Bytes: b.random.IntN(4000) - 1000, Rest: memory.Rest(b.random.IntN(3))}
		},
	}
	for name, fate := range fates {
		if fate != nil && name == "any" {
			any := fate
			fate = func(i int) memory.Fate {
				f := any(i)
				f.Bytes = max(f.Bytes, 0)
				return f
			}
		}
		if err := told.Verify(storage.FolderConfig{Dir: "disk", FS: left.Crash(fate)}); err != nil {
			b.t.Errorf("%s, what was not synced %s: %v", what, name, err)
		}
	}
	here := left.Kill()
	if err := told.Verify(storage.FolderConfig{Dir: "disk", FS: here}); err != nil {
		b.t.Errorf("%s, the disk went on: %v", what, err)
	}
	if err := told.Verify(storage.FolderConfig{Dir: "disk", FS: here.Crash(nil)}); err != nil {
		b.t.Errorf("%s, and the power failed behind the recovery: %v", what, err)
	}
}
