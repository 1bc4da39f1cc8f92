package main

import (
	"strings"

	"github.com/spf13/cobra"

	"understudy"
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

func userPutCommand() *cobra.Command {
	var role, cameras string
	var also []string
	var keep bool
	c := &cobra.Command{
		Use:     "put NAME",
		Aliases: []string{"add", "edit"},
		Short:   "Add a user, or change roles, cameras and password",
		Long: "A user has a role for cameras, and with --also further ones for others. Cameras are ids with commas between, @GROUP for\n" +
			"those that are in a camera group, and * for every one: --role viewer --cameras '*' --also operator:@doors,lobby.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			first := grantOf(role, cameras)
			user := understudy.User{Name: args[0], Role: first.Role, Cameras: first.Cameras, CameraGroups: first.CameraGroups}
			for _, text := range also {
				role, cameras, ok := strings.Cut(text, ":")
				if !ok || cameras == "" {
					return understudy.Errorf(understudy.CodeInvalid, "--also is ROLE:CAMERAS, such as operator:@doors,lobby, found %q", text)
				}
				user.Also = append(user.Also, grantOf(role, cameras))
			}
			var password *understudy.Secret
			if !keep {
				secret, err := readPassword(cmd, "New password of "+user.Name+": ")
				if err != nil {
					return err
				}
				password = &secret
			}
			_, err = site.PutUser(cmd.Context(), user, password)
			return err
		},
	}
	c.Flags().StringVar(&role, "role", string(understudy.RoleViewer), "viewer, operator, administrator, or one of the site's own (understudy role list)")
	c.Flags().StringVar(&cameras, "cameras", string(understudy.AllCameras), "cameras that the role holds for")
	c.Flags().StringArrayVar(&also, "also", nil, "a further role, as ROLE:CAMERAS; may be given several times")
	c.Flags().BoolVar(&keep, "keep-password", false, "leave the password as it is")
	return c
}

// grantOf reads the cameras of a role, as understudy.Grant.On writes them.
func grantOf(role, cameras string) understudy.Grant {
	g := understudy.Grant{Role: understudy.UserRole(role), Cameras: []understudy.CameraID{}}
	for id := range strings.SplitSeq(cameras, ",") {
		if group, ok := strings.CutPrefix(id, "@"); ok {
			g.CameraGroups = append(g.CameraGroups, understudy.CameraGroupID(group))
			continue
		}
		g.Cameras = append(g.Cameras, understudy.CameraID(id))
	}
	return g
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
