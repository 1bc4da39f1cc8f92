//go:build !linux

package fs

import "golang.org/x/sys/unix"

func datasync(fd int) error { return unix.Fsync(fd) }

func uncache(int) {}
