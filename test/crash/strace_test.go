package crash_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"understudy/internal/storage"
	"understudy/test/crash"
)

func TestMain(m *testing.M) {
	crash.Child()
	os.Exit(m.Run())
}

// forks keeps processes from being started while a store is open here: for a
// moment a new process has what this one has open, locks of folders included.
var forks sync.RWMutex

// broken runs the recording process under strace, which breaks it as told.
func broken(dir, calls, how string) (told crash.Told, output string, err error) {
	self, err := os.Executable()
	if err != nil {
		return told, "", err
	}
	cmd := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace="+calls, "-e", "inject="+calls+":"+how, self)
	cmd.Env = append(os.Environ(), "UNDERSTUDY_CRASH_CHILD="+dir)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	forks.Lock()
	err = cmd.Start()
	forks.Unlock()
	if err != nil {
		return told, "", err
	}
	_ = cmd.Wait() // it is meant to be killed
	told, err = crash.Read(&out)
	return told, complaints.String(), err
}

// A real process on a real disk, killed in the nth call of each kind, or refused
// it once: what it told durable is there, and after a refusal all that it recorded.
func TestARealProcessIsBroken(t *testing.T) {
	if os.Getenv("UNDERSTUDY_CRASH_STATES") == "" {
		t.Skip("make crash runs this: it takes a minute")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is needed: run scripts/install-test-tools.sh")
	}
	type brake struct{ calls, how string }
	var brakes []brake
	for _, calls := range []string{"fdatasync,fsync", "write,pwritev,writev", "openat", "renameat,renameat2", "unlinkat", "mkdirat", "ftruncate", "close"} {
		for when := 1; when <= 14; when++ {
			brakes = append(brakes, brake{calls, fmt.Sprintf("signal=SIGKILL:when=%d", when)})
		}
	}
	for _, calls := range []string{"fdatasync,fsync", "pwritev,writev", "renameat,renameat2"} {
		for _, failure := range []string{"EIO", "ENOSPC"} {
			for when := 1; when <= 14; when++ {
				brakes = append(brakes, brake{calls, fmt.Sprintf("error=%s:when=%d", failure, when)})
			}
		}
	}
	var killed, ended, lines atomic.Int64
	var workers sync.WaitGroup
	jobs := make(chan int)
	for range 2 * runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range jobs {
				dir := filepath.Join(t.TempDir(), "store")
				told, output, err := broken(dir, brakes[i].calls, brakes[i].how)
				if err != nil {
					t.Error(err)
				}
				lines.Add(int64(told.Lines))
				if told.Ended {
					ended.Add(1)
				} else {
					killed.Add(1)
					// Each thread is refused its nth call, so that three in a row may be: then it says so.
					if !strings.Contains(brakes[i].how, "SIGKILL") && told.Lines > 0 && !strings.Contains(output, "they are lost") {
						t.Errorf("%v: the process did not go on, and does not say why: %s", brakes[i], output)
					}
				}
				forks.RLock()
				err = told.Verify(storage.FolderConfig{Dir: dir})
				forks.RUnlock()
				if err != nil {
					t.Errorf("%v: %v", brakes[i], err)
				}
			}
		})
	}
	for i := range brakes {
		jobs <- i
	}
	close(jobs)
	workers.Wait()
	t.Logf(`{"real processes broken":%d,"killed":%d,"went on":%d,"told":%d}`, len(brakes), killed.Load(), ended.Load(), lines.Load())
	if killed.Load() < 50 || lines.Load() < 1000 {
		t.Error("too few were broken for this to prove anything")
	}
}
