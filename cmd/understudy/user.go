package main

import (
	"github.com/spf13/cobra"
)

func userCommand() *cobra.Command {
	c := &cobra.Command{Use: "user", Short: "List, add, change and remove users"}
	c.AddCommand(userListCommand(), userPutCommand(), userRemoveCommand(), userSessionsCommand(), userEndCommand(), userSecondCommand(), userResetSecondCommand())
	return c
}

func userListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the users", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		users, err := site.Users(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), users)
		}
		var rows [][]string
		for _, u := range users {
			second := ""
			if u.SecondFactor {
				second = "yes"
			}
			for i, g := range u.Grants() {
				name := u.Name
				if i > 0 {
					name, second = "", ""
				}
				rows = append(rows, []string{name, string(g.Role), second, g.On()})
			}
		}
		return table(cmd.OutOrStdout(), "USER\tROLE\tSECOND FACTOR\tCAMERAS", rows)
	}
	return c
}

func userRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Forget a user and end the sessions",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			return site.DeleteUser(cmd.Context(), args[0])
		},
	}
}
