package pgtest

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	inMemory = "/dev/shm"
	prefix   = "understudy-pg-"
	// enough is room for a cluster and what tests write to it.
	enough = 1 << 30
)

// folder makes a folder for a cluster, in memory where there is room: every commit
// is synced, and a test has hundreds. What a process left that was killed is removed.
func folder() (dir string, lock *os.File, err error) {
	parent := os.TempDir()
	var room unix.Statfs_t
	if err := unix.Statfs(inMemory, &room); err == nil && room.Bavail*uint64(room.Bsize) > enough {
		parent = inMemory
	}
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
