package main

import (
	"github.com/spf13/cobra"
)

func userSessionsCommand() *cobra.Command {
	c := &cobra.Command{Use: "sessions", Short: "List your sessions; an administrator sees everyone's", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		sessions, err := site.Sessions(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), sessions)
		}
		const minutes = "2006-01-02 15:04"
		var rows [][]string
		for _, s := range sessions {
			rows = append(rows, []string{s.ID, s.User.Name, s.Address, s.Began.Local().Format(minutes), s.Expires.Local().Format(minutes)})
		}
		return table(cmd.OutOrStdout(), "SESSION\tUSER\tFROM\tBEGAN\tENDS", rows)
	}
	return c
}

func userEndCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "end-session SESSION",
		Short: "End a session, yours or, as an administrator, anyone's",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			return site.EndSession(cmd.Context(), args[0])
		},
	}
}
