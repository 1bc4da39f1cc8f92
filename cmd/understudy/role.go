package main

import (
	"strings"

	"github.com/spf13/cobra"

	"understudy"
)

func roleCommand() *cobra.Command {
	c := &cobra.Command{Use: "role", Short: "List, add, change and remove roles: what users may do"}
	c.AddCommand(roleListCommand(), rolePutCommand(), roleRemoveCommand())
	return c
}

func roleListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the roles that every site has, and the site's own", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		roles, err := site.Roles(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), roles)
		}
		var rows [][]string
		for _, r := range roles {
			of := "this site's"
			if r.BuiltIn {
				of = "every site's"
			}
			rows = append(rows, []string{string(r.Name), of, joined(r.Actions)})
		}
		return table(cmd.OutOrStdout(), "ROLE\tOF\tACTIONS", rows)
	}
	return c
}

func rolePutCommand() *cobra.Command {
	var actions []string
	c := &cobra.Command{
		Use:     "put NAME --actions ACTION,...",
		Aliases: []string{"add", "edit"},
		Short:   "Add a role, or let it allow something else",
		Long: "A role allows actions on the cameras that a user has it for: " + joined(understudy.Actions()) + ".\n" +
			"Each sees the status of its cameras. configure is cameras, rules, failover groups and servers; who may do what is for administer.\n" +
			"What is changed holds at once for those who have the role.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			role := understudy.SiteRole{Name: understudy.UserRole(args[0])}
			for _, a := range actions {
				role.Actions = append(role.Actions, understudy.Action(a))
			}
			role, err = site.PutRole(cmd.Context(), role)
			return changed(cmd, role, err)
		},
	}
	jsonFlag(c)
	c.Flags().StringSliceVar(&actions, "actions", nil, "what it allows, with commas between")
	_ = c.MarkFlagRequired("actions") // it has just been made
	return c
}

func roleRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Forget a role that no user has",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			return site.DeleteRole(cmd.Context(), understudy.UserRole(args[0]))
		},
	}
}

func joined[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, t := range list {
		texts[i] = string(t)
	}
	return strings.Join(texts, ", ")
}
