// Package fs is the few file operations that storage needs: the system's, and
// one in memory that fails, hangs and loses power on request.
package fs

import (
	"io"
	iofs "io/fs"
)

// FS is a folder. Names are relative to it and slash-separated.
type FS interface {
	// OpenFile opens a file with the os.O_ flags; a created one has mode 0640.
	OpenFile(name string, flag int) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// MkdirAll creates a folder and its parents, mode 0750.
	MkdirAll(name string) error
	// ReadDir returns the entries of a folder by name.
	ReadDir(name string) ([]iofs.DirEntry, error)
	Stat(name string) (iofs.FileInfo, error)
	// SyncDir makes the creations, renames and removals in a folder durable.
	SyncDir(name string) error
	// FreeBytes returns what is left on the volume for this process.
	FreeBytes() (int64, error)
	// Lock takes the exclusive lock of a file, which it creates, or fails at
	// once if it is held. It lasts until the result is closed or the process ends.
	Lock(name string) (io.Closer, error)
}

// File is an open file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Seeker
	io.Closer
	// WriteVector is Write of the parts as if they were one slice. It does not change them.
	WriteVector(parts [][]byte) (int, error)
	Stat() (iofs.FileInfo, error)
	Truncate(size int64) error
	// Sync makes the data and the size durable. A failure is final: the data may
	// be lost although a later Sync of the same file succeeds.
	Sync() error
}
