// Command mount mounts a disk of package fusedisk in a folder, for as long as
// its input is open, and does to it what a line of the input says: "fail EIO"
// (or ENOSPC, EROFS) to every change from now on, "slow 300ms" for each
// operation, "hang", "heal" from all that, "power SEED" to lose power and come
// back with what a power cut leaves. Each line is answered with one.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	memory "understudy/internal/fs"
	"understudy/tools/fusedisk"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: mount FOLDER")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// failures are what a disk answers.
var failures = map[string]syscall.Errno{"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "EROFS": syscall.EROFS}

// room is what is free on a disk that is not full, in bytes.
const room = 1 << 40

// changing are the operations that fail on a disk that takes no changes.
var changing = map[memory.Op]bool{
	memory.OpCreate: true, memory.OpMkdir: true, memory.OpWrite: true, memory.OpTruncate: true,
	memory.OpRename: true, memory.OpRemove: true, memory.OpSync: true, memory.OpSyncDir: true,
}

// pace is how slow the disk is.
type pace struct {
	mu   sync.Mutex
	slow time.Duration
	hang chan struct{} // closed to go on; nil unless it hangs
}

func (p *pace) wait(int) {
	p.mu.Lock()
	slow, hang := p.slow, p.hang
	p.mu.Unlock()
	time.Sleep(slow)
	if hang != nil {
		<-hang
	}
}

func (p *pace) set(slow time.Duration, hangs bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hang != nil {
		close(p.hang)
	}
	p.slow, p.hang = slow, nil
	if hangs {
		p.hang = make(chan struct{})
	}
}

func serve(dir string) error {
	p := &pace{}
	disk, err := fusedisk.Mount(dir, p.wait)
	if err != nil {
		return err
	}
	fmt.Println("mounted")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "fail":
			err = fail(disk, rest)
		case "slow":
			var each time.Duration
			if each, err = time.ParseDuration(rest); err == nil {
				p.set(each, false)
			}
		case "hang":
			p.set(0, true)
		case "heal":
			p.set(0, false)
			disk.Fail(nil)
			disk.SetFree(room)
		case "power":
			disk, err = power(disk, dir, rest, p)
		default:
			err = fmt.Errorf("fail, slow, hang, heal or power is expected, found %q", lines.Text())
		}
		if err != nil {
			return err
		}
		fmt.Println("ok")
	}
	return disk.Unmount()
}

func fail(disk *fusedisk.Disk, name string) error {
	failure, ok := failures[name]
	if !ok {
		return fmt.Errorf("EIO, ENOSPC or EROFS is expected, found %q", name)
	}
	if failure == syscall.ENOSPC {
		disk.SetFree(0)
	}
	disk.Fail(func(op memory.Op, _ string) error {
		if changing[op] {
			return failure
		}
		return nil
	})
	return nil
}

// power cuts the power and switches it on again. Nobody has the disk open then.
func power(disk *fusedisk.Disk, dir, text string, p *pace) (*fusedisk.Disk, error) {
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return disk, err
	}
	random := rand.New(rand.NewPCG(seed, 0))
	left := disk.Cut().Crash(func(int) memory.Fate {
		switch random.IntN(4) {
		case 0:
			return memory.Kept
		case 1:
			return memory.Fate{Bytes: random.IntN(100_000), Rest: memory.Rest(random.IntN(3)), Holes: random.Uint64() & random.Uint64()}
		}
		return memory.Fate{}
	})
	if err := disk.Unmount(); err != nil {
		return disk, errors.Join(errors.New("the disk is still open"), err)
	}
	return fusedisk.MountWith(dir, left, p.wait)
}
