package fs

import "golang.org/x/sys/unix"

func datasync(fd int) error {
	for {
		if err := unix.Fdatasync(fd); err != unix.EINTR {
			return err
		}
	}
}

func uncache(fd int) { _ = unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) }
