package postgres

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const prefix = "understudy-pg-"

// folder makes a folder for a cluster below parent. What a process left there that was killed is removed.
func folder(parent string) (dir string, lock *os.File, err error) {
	if err := sweep(parent); err != nil {
		return "", nil, err
	}
	if dir, err = os.MkdirTemp(parent, prefix); err != nil {
		return "", nil, err
	}
	if lock, err = locked(dir); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, lock, nil
}

// InMemory returns a folder in memory where there is room for a cluster, else the
// temporary folder: every commit is synced, and who only tries something has hundreds.
func InMemory() string {
	const memory, enough = "/dev/shm", 1 << 30
	var room unix.Statfs_t
	if err := unix.Statfs(memory, &room); err == nil && room.Bavail*uint64(room.Bsize) > enough {
		return memory
	}
	return os.TempDir()
}

func locked(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

func sweep(parent string) error {
	const young = time.Minute // it may not be locked yet
	left, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < young {
			continue
		}
		lock, err := locked(dir)
		if err != nil {
			continue // it is somebody's
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
			return err
		}
	}
	return nil
}
