package main

import (
	"slices"

	"github.com/spf13/cobra"

	"understudy"
)

func cameraGroupCommand() *cobra.Command {
	c := &cobra.Command{Use: "camera-group", Short: "List, add, change and remove groups of cameras that rights are given on"}
	c.AddCommand(cameraGroupListCommand(), cameraGroupPutCommand(), cameraGroupRemoveCommand())
	return c
}

func cameraGroupListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the camera groups", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		groups, err := site.CameraGroups(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), groups)
		}
		var rows [][]string
		for _, g := range groups {
			rows = append(rows, []string{string(g.ID), g.Name, joined(g.Cameras)})
		}
		return table(cmd.OutOrStdout(), "GROUP\tNAME\tCAMERAS", rows)
	}
	return c
}

func cameraGroupPutCommand() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:     "put ID [CAMERA...]",
		Aliases: []string{"add", "edit"},
		Short:   "Make a camera group, or give it other cameras; who has a right on it has it on these at once",
		Long: "Cameras take the place of those that the group has had, '' is none, and what is not given stays as it is:\n" +
			"camera-group edit doors --name \"All doors\" changes the name and no camera.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			groups, err := site.CameraGroups(cmd.Context())
			if err != nil {
				return err
			}
			group, given := understudy.CameraGroup{ID: understudy.CameraGroupID(args[0])}, cmd.Flags().Changed("name")
			if i := slices.IndexFunc(groups, func(g understudy.CameraGroup) bool { return g.ID == group.ID }); i >= 0 {
				group = groups[i]
				if len(args) == 1 && !given {
					return understudy.Errorf(understudy.CodeInvalid, "camera group %s is there; say its cameras, or '' for none, or --name", group.ID)
				}
			}
			take(given, &group.Name, name)
			if len(args) > 1 || group.Cameras == nil {
				group.Cameras = []understudy.CameraID{}
			}
			for _, camera := range args[1:] {
				if camera != "" || len(args) > 2 {
					group.Cameras = append(group.Cameras, understudy.CameraID(camera))
				}
			}
			group, err = site.PutCameraGroup(cmd.Context(), group)
			return changed(cmd, group, err)
		},
	}
	jsonFlag(c)
	c.Flags().StringVar(&name, "name", "", "for people; that of a new group is its id unless given")
	return c
}

func cameraGroupRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Forget a camera group that no user has a right on; its cameras stay",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			return site.DeleteCameraGroup(cmd.Context(), understudy.CameraGroupID(args[0]))
		},
	}
}
