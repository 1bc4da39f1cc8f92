package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"understudy/internal/storage"
)

var errStoreFaulty = errors.New("the store has faults")

func checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check DIR",
		Short: "Read every byte of a folder of a media database and verify what it promises",
		Long: "Changes nothing, and may run beside the server that writes the store. DIR is one of its folders of footage.\n" +
			"With --repair the server must be stopped: the index is made anew, gaps are noted, and what does not belong there is\n" +
			"moved to DIR/set-aside. Footage is never deleted.",
		Args: cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(c)
	repair := c.Flags().Bool("repair", false, "mend what can be mended")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		draw, ended := progress(cmd, "checking", progressbar.OptionShowBytes(true))
		check := storage.Check
		if *repair {
			check = storage.Repair
		}
		found, err := check(cmd.Context(), args[0], draw)
		ended()
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), found)
		} else {
			err = printChecked(cmd.OutOrStdout(), found, *repair)
		}
		if err == nil && (*repair && len(found.Left) > 0 || !*repair && len(found.Faults) > 0) {
			return errStoreFaulty
		}
		return err
	}
	return c
}

func printChecked(w io.Writer, found storage.Checked, repaired bool) error {
	_, err := fmt.Fprintf(w, "%d segments, %d bytes, %d frames, %d with damage that is known, faults: %d\n", found.Segments, found.Bytes, found.Samples, found.Damaged, len(found.Faults))
	for _, fault := range found.Faults {
		fmt.Fprintln(w, " ", fault)
	}
	for _, done := range found.Repaired {
		fmt.Fprintln(w, "  repaired:", done)
	}
	for _, left := range found.Left {
		fmt.Fprintln(w, "  left:", left)
	}
	switch {
	case len(found.Faults) == 0:
		_, err = fmt.Fprintln(w, "the store is whole")
	case repaired && len(found.Left) == 0:
		_, err = fmt.Fprintln(w, "the store is whole again")
	}
	return err
}
