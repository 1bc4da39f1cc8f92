package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"understudy"
	"understudy/internal/fs"
	"understudy/internal/identity"
	"understudy/internal/management"
)

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
func openAuthority(ctx context.Context, data, keyFile string, store management.Store) (*identity.Authority, error) {
	dir := filepath.Join(data, "authority")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		begun := false
		err := store.View(ctx, func(r management.Reader) error {
			log, err1 := r.Log()
			site, err2 := r.Site()
			begun = log.Stream != "" || site.Seq > 0 // a restored log has no name yet
			return errors.Join(err1, err2)
		})
		if err != nil {
			return nil, err
		}
		if begun {
			return nil, understudy.Errorf(understudy.CodeConflict,
				"the database is that of a site, and the keys of that site are missing (%s): restore both from one backup, or begin a new site in an empty folder with an empty database", dir)
		}
	}
	return identity.OpenSealedAuthority(dir, keyFile)
}
