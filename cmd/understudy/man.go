package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"understudy"
)

// manCommand is for whoever makes packages.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man FOLDER",
		Short:  "Write a manual page for each command into a folder",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // for everybody to read
				return understudy.Errorf(understudy.CodeUnavailable, "the folder of the manual pages could not be made: %w", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // the same pages from the same program
			return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "Understudy " + version(), Manual: "Understudy"}, args[0])
		},
	}
}
