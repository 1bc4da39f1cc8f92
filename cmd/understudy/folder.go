package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"understudy"
	"understudy/internal/fs"
	"understudy/internal/identity"
)

// databaseFile is the management server's database, in its data folder.
const databaseFile = "site.db"

// dataFolder makes the data folder of a server and keeps every other process
// out of it: two with one identity, or two authorities over one database, would
// undo each other's work. The lock ends with the process, however it ends.
func dataFolder(dir string) (lock io.Closer, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "the data folder could not be made; name another as `data` in the configuration: %w", err)
	}
	lock, err = fs.System(dir).Lock("lock")
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, understudy.Errorf(understudy.CodeConflict, "the data folder %s is used by another process; stop that one, or name another folder as `data` in the configuration", dir)
	case err != nil:
		return nil, understudy.Errorf(understudy.CodeUnavailable, "the data folder %s could not be locked; it must be writable for this user: %w", dir, err)
	}
	return lock, nil
}

// openAuthority opens the keys of the installation, or makes them for a new
// one; never for a site that has had others, to whose servers they mean nothing
// and which do not open the passwords in its database.
func openAuthority(data, keyFile string) (*identity.Authority, error) {
	dir := filepath.Join(data, "authority")
	_, noKeys := os.Stat(dir)
	if _, err := os.Stat(filepath.Join(data, databaseFile)); err == nil && errors.Is(noKeys, os.ErrNotExist) {
		return nil, understudy.Errorf(understudy.CodeConflict,
			"%s holds the database of a site, and the keys of that site are missing (%s): restore both from one backup, or begin a new site in an empty folder", data, dir)
	}
	return identity.OpenSealedAuthority(dir, keyFile)
}
