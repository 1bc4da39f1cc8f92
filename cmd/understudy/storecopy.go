package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"understudy/internal/sqlstore"
)

// copyStore fills an empty database from another one, with a bar.
func copyStore(cmd *cobra.Command, from, to string, o sqlstore.CopyOptions) (err error) {
	source, err := sqlstore.Find(cmd.Context(), from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := sqlstore.Open(cmd.Context(), to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	draw, ended := progress(cmd, "copying rows", progressbar.OptionShowCount())
	defer ended()
	o.Progress = draw
	return sqlstore.Copy(cmd.Context(), source, target, o)
}

// alone keeps management servers away from the data folders that these databases lie
// in, and is refused where one runs.
func alone(dsns []string, f func() error) (err error) {
	locked := map[string]bool{}
	for _, dsn := range dsns {
		file, isFile := strings.CutPrefix(dsn, "sqlite:")
		dir := filepath.Dir(file)
		if _, err := os.Stat(filepath.Join(dir, "lock")); !isFile || err != nil || locked[dir] {
			continue
		}
		var lock io.Closer
		if lock, err = dataFolder(dir); err != nil {
			return err
		}
		locked[dir] = true
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	return f()
}
