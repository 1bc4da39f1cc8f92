package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/config"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

func mergeRetryCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "retry",
		Short: "Let quarantined segments come home again",
		Long: "A segment whose bytes failed their hash three times is quarantined: it stays on the failover server, and\n" +
			"what came of it lies in incoming/ of the recording server's folders. Check both disks, then run this on the\n" +
			"recording server, which may be running: it removes what lies there, and the segments come again within ten minutes.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.LoadMedia(file, understudy.RoleRecording)
			if err != nil {
				return err
			}
			var errs []error
			count := 0
			for _, folder := range c.Storage.Folders {
				released, err := storage.Release(fs.System(folder.Dir))
				errs = append(errs, err)
				for _, name := range released {
					fmt.Fprintf(cmd.OutOrStdout(), "released %s\n", name)
					count++
				}
			}
			if err := errors.Join(errs...); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d segments may come again.\n", count)
			return err
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration file of the recording server (YAML); the defaults unless given")
	return c
}
