package fs

import (
	"errors"
	"io"
	iofs "io/fs"

	"golang.org/x/sys/unix"
)

// maxVector is IOV_MAX: as many parts as one writev takes.
const maxVector = 1024

// WriteVector is writev, as often as it takes: more than once only where there
// are more parts than it takes, or the disk took less than it was given.
func (f systemFile) WriteVector(parts [][]byte) (written int, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	whole := 0
	for _, p := range parts {
		whole += len(p)
	}
	failure := conn.Control(func(fd uintptr) {
		rest := parts
		for written < whole && err == nil {
			var n int
			n, err = unix.Writev(int(fd), rest[:min(len(rest), maxVector)])
			switch {
			case errors.Is(err, unix.EINTR):
				err = nil
				continue
			case err == nil && n == 0:
				err = io.ErrShortWrite
			case err == nil:
				written += n
				rest = behind(parts, written)
			}
		}
	})
	if failure != nil {
		return written, failure
	}
	if err != nil {
		return written, &iofs.PathError{Op: "write", Path: f.Name(), Err: err}
	}
	return written, nil
}

// behind returns parts without their first n bytes.
func behind(parts [][]byte, n int) [][]byte {
	for i, p := range parts {
		if n < len(p) {
			return append([][]byte{p[n:]}, parts[i+1:]...)
		}
		n -= len(p)
	}
	return nil
}
