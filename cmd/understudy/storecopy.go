package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

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
	bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionSetDescription("copying rows"),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	o.Progress = func(done, total int64) {
		bar.ChangeMax64(total)
		_ = bar.Set64(done) // a bar that cannot be drawn is no reason to stop
	}
	defer func() { _ = bar.Finish() }()
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
