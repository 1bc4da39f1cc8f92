package main

import (
	"github.com/spf13/cobra"

	"understudy"
)

func groupCommand() *cobra.Command {
	c := &cobra.Command{Use: "group", Short: "List and keep failover groups: failover servers in the order in which they are asked"}
	c.AddCommand(groupListCommand(), groupPutCommand(), groupRemoveCommand())
	return c
}

func groupListCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the failover groups, and whom they stand in for",
		Long:  "Groups of cameras, which rights are given on, are listed by `understudy camera-group list`.",
		Args:  cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		_, now, err := siteNow(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), now.Groups)
		}
		var rows [][]string
		for _, g := range now.Groups {
			var homes []understudy.ServerID
			for _, r := range now.RecordingServers {
				if r.PrimaryGroup == g.ID || r.SecondaryGroup == g.ID {
					homes = append(homes, r.ID)
				}
			}
			rows = append(rows, []string{string(g.ID), g.Name, joined(g.Members), joined(homes)})
		}
		return table(cmd.OutOrStdout(), "GROUP\tNAME\tFAILOVER SERVERS\tSTANDS IN FOR", rows)
	}
	return c
}

func groupPutCommand() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:     "put ID [FAILOVER-SERVER...]",
		Aliases: []string{"add", "edit"},
		Short:   "Make a failover group, or give it other members or another name; what is not given stays",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, now, err := siteNow(cmd.Context())
			if err != nil {
				return err
			}
			id, members := understudy.GroupID(args[0]), args[1:]
			group, exists := now.Group(id)
			switch given := cmd.Flags().Changed("name"); {
			case !exists && len(members) == 0:
				return understudy.Errorf(understudy.CodeInvalid, "there is no failover group %.63q yet: name its failover servers, in the order in which they are asked", string(id))
			case len(members) == 0 && !given:
				return understudy.Errorf(understudy.CodeInvalid, "failover group %s is there; say its failover servers, in the order in which they are asked, or --name", id)
			default:
				take(given, &group.Name, name)
			}
			group.ID = id
			if len(members) > 0 {
				group.Members = nil
			}
			for _, member := range members {
				group.Members = append(group.Members, understudy.ServerID(member))
			}
			group, err = site.PutGroup(cmd.Context(), group)
			return changed(cmd, group, err)
		},
	}
	jsonFlag(c)
	c.Flags().StringVar(&name, "name", "", "for people; that of a new group is its id unless given")
	return c
}

func groupRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Forget a group that no recording server names",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			return site.DeleteGroup(cmd.Context(), understudy.GroupID(args[0]))
		},
	}
}
