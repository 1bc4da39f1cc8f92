package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/declare"
)

func exportConfigCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "export-config",
		Short: "Write servers, groups, cameras, roles and users as the file that `understudy apply` reads, without passwords",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			var now declare.Now
			if now.Site, err = site.Site(cmd.Context()); err != nil {
				return err
			}
			now.Users, err = site.Users(cmd.Context())
			if understudy.CodeOf(err) == understudy.CodeForbidden {
				fmt.Fprintln(cmd.ErrOrStderr(), "who may do what is left out: only an administrator sees it")
			} else if err != nil {
				return err
			}
			var text bytes.Buffer
			if err := declare.Export(now).Write(&text); err != nil {
				return err
			}
			if file == "" {
				_, err = cmd.OutOrStdout().Write(text.Bytes())
				return err
			}
			if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
				return understudy.Errorf(understudy.CodeUnavailable, "the file could not be written: %w", err)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&file, "output", "o", "", "file to write; standard output unless given")
	return c
}

func cameraImportCommand() *cobra.Command {
	var o applyOptions
	c := &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Add cameras, or change them, from a table; - is standard input",
		Long: "The first row names the settings: id, name, home, url, sub, username, password and so on, as the API does, those of a\n" +
			"rule as rule.mode. Columns that are left out leave a camera that is there as it is. It shows what changes, and asks.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.apply(cmd, func(now understudy.Site) (declare.Document, error) {
				if args[0] == "-" {
					return declare.ReadTable(cmd.InOrStdin(), now)
				}
				r, err := os.Open(args[0])
				if err != nil {
					return declare.Document{}, understudy.Errorf(understudy.CodeInvalid, "the table could not be opened: %w", err)
				}
				defer r.Close()
				return declare.ReadTable(r, now)
			})
		},
	}
	o.flags(c)
	return c
}
