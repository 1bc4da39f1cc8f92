package main

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// progress draws how far something is for who looks at a terminal, and for nobody
// else: a log has no use for a line that is drawn anew. done and total are in the
// unit of the option. ended takes the bar away.
func progress(cmd *cobra.Command, what string, unit progressbar.Option) (draw func(done, total int64), ended func()) {
	stderr, ok := cmd.ErrOrStderr().(*os.File)
	bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionSetDescription(what), unit,
		progressbar.OptionSetVisibility(ok && term.IsTerminal(int(stderr.Fd()))),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	draw = func(done, total int64) {
		bar.ChangeMax64(total)
		_ = bar.Set64(done) // a bar that cannot be drawn is no reason to stop
	}
	return draw, func() { _ = bar.Finish() }
}
