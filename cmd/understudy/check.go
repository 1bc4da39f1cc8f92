package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"understudy/internal/storage"
)

var errStoreFaulty = errors.New("the store has faults")

func checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check DIR",
		Short: "Read every byte of a media database and verify what it promises",
		Long:  "Changes nothing, and may run beside the server that writes the store. DIR is its folder of footage.",
		Args:  cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionSetDescription("checking"),
			progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		found, err := storage.Check(cmd.Context(), args[0], func(done, total int64) {
			bar.ChangeMax64(total)
			_ = bar.Set64(done) // a bar that cannot be drawn is no reason to stop
		})
		_ = bar.Finish()
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), found)
		} else {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d segments, %d bytes, %d frames, %d faults\n", found.Segments, found.Bytes, found.Samples, len(found.Faults))
			for _, fault := range found.Faults {
				fmt.Fprintln(cmd.OutOrStdout(), " ", fault)
			}
		}
		if err == nil && len(found.Faults) > 0 {
			return errStoreFaulty
		}
		return err
	}
	return c
}
