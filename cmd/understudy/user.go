package main

import (
	"fmt"
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
			rows = append(rows, []string{u.Name, string(u.Role), second, fmt.Sprint(u.Cameras)})
		}
		return table(cmd.OutOrStdout(), "USER\tROLE\tSECOND FACTOR\tCAMERAS", rows)
	}
	return c
}

func userPutCommand() *cobra.Command {
	var role, cameras string
	var keep bool
	c := &cobra.Command{
		Use:     "put NAME",
		Aliases: []string{"add", "edit"},
		Short:   "Add a user, or change role, cameras and password",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			user := understudy.User{Name: args[0], Role: understudy.UserRole(role)}
			for id := range strings.SplitSeq(cameras, ",") {
				user.Cameras = append(user.Cameras, understudy.CameraID(id))
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
	c.Flags().StringVar(&role, "role", string(understudy.RoleViewer), "viewer, operator or administrator")
	c.Flags().StringVar(&cameras, "cameras", string(understudy.AllCameras), "ids of the cameras that the role holds for, with commas between; * is every one")
	c.Flags().BoolVar(&keep, "keep-password", false, "leave the password as it is")
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
