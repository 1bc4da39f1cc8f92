package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
)

// userSettings are what is given of a user on the command line.
type userSettings struct {
	role, cameras  string
	also           []string
	password, keep bool
}

func userPutCommand() *cobra.Command {
	var s userSettings
	c := &cobra.Command{
		Use:     "put NAME",
		Aliases: []string{"add", "edit"},
		Short:   "Add a user, or change what is given: roles, cameras or the password",
		Long: "A user has a role for cameras, and with --also further ones for others. Cameras are ids with commas between, @GROUP for\n" +
			"those that are in a camera group, and * for every one. A new user needs --cameras, and a password, which is asked for or\n" +
			"read from standard input. Of a user who is there, what is not given stays as it is, the password too.",
		Example: `  understudy user add ada --role viewer --cameras '*' --also operator:@doors,lobby
  understudy user edit ada --role operator
  understudy user edit ada --password`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			user, exists, err := userNamed(cmd.Context(), site, args[0])
			if err == nil {
				err = s.change(&user, exists, cmd.Flags().Changed)
			}
			if err != nil {
				return err
			}
			var password *understudy.Secret
			switch {
			case s.password || !exists && !s.keep:
				secret, err := readPassword(cmd, "New password of "+user.Name+": ")
				if err != nil {
					return err
				}
				password = &secret
			case !s.keep: // who sends one as before learns that it was not read
				fmt.Fprintf(cmd.ErrOrStderr(), "the password of %s stays as it is; --password asks for another\n", user.Name)
			}
			user, err = site.PutUser(cmd.Context(), user, password)
			return changed(cmd, user, err)
		},
	}
	jsonFlag(c)
	f := c.Flags()
	f.StringVar(&s.role, "role", string(understudy.RoleViewer), "viewer, operator, administrator, or one of the site's own (understudy role list); of a new user unless given")
	f.StringVar(&s.cameras, "cameras", "", "cameras that the role holds for, in place of those of before; '' for none")
	f.StringArrayVar(&s.also, "also", nil, "a further role, as ROLE:CAMERAS, in place of those of before; may be given several times; '' for none")
	f.BoolVar(&s.password, "password", false, "ask for another password (or read it from standard input), which ends the user's sessions")
	f.BoolVar(&s.keep, "keep-password", false, "leave the password as it is, as is done without --password, too")
	c.MarkFlagsMutuallyExclusive("password", "keep-password")
	return c
}

// userNamed returns the user of that name, or a new one who may do nothing yet.
func userNamed(ctx context.Context, site *client.Client, name string) (user understudy.User, exists bool, err error) {
	users, err := site.Users(ctx)
	if i := slices.IndexFunc(users, func(u understudy.User) bool { return u.Name == name }); i >= 0 {
		return users[i], true, err
	}
	return understudy.User{Name: name, Role: understudy.RoleViewer}, false, err
}

// change changes of a user what was given. Which cameras a new user sees has to be said.
func (s userSettings) change(user *understudy.User, exists bool, given func(flag string) bool) error {
	switch {
	case !exists && !given("cameras"):
		return understudy.Errorf(understudy.CodeInvalid, "there is no user %.80q yet; say which cameras a new one is given: --cameras with ids and commas between, @GROUP, '*' for every one, or '' for none yet", user.Name)
	case exists && !slices.ContainsFunc([]string{"role", "cameras", "also", "password", "keep-password"}, given):
		return understudy.Errorf(understudy.CodeInvalid, "user %s is there; say what to change: --role, --cameras, --also or --password", user.Name)
	}
	take(given("role"), &user.Role, understudy.UserRole(s.role))
	if given("cameras") {
		first := grantOf(s.role, s.cameras)
		user.Cameras, user.CameraGroups = first.Cameras, first.CameraGroups
	}
	if !given("also") {
		return nil
	}
	user.Also = nil
	for _, text := range s.also {
		if text == "" && len(s.also) == 1 {
			return nil
		}
		role, cameras, ok := strings.Cut(text, ":")
		if !ok || cameras == "" {
			return understudy.Errorf(understudy.CodeInvalid, "--also is ROLE:CAMERAS, such as operator:@doors,lobby, found %q", text)
		}
		user.Also = append(user.Also, grantOf(role, cameras))
	}
	return nil
}

// grantOf reads the cameras of a role, as understudy.Grant.On writes them.
func grantOf(role, cameras string) understudy.Grant {
	g := understudy.Grant{Role: understudy.UserRole(role), Cameras: []understudy.CameraID{}}
	if cameras == "" {
		return g
	}
	for id := range strings.SplitSeq(cameras, ",") {
		if group, ok := strings.CutPrefix(id, "@"); ok {
			g.CameraGroups = append(g.CameraGroups, understudy.CameraGroupID(group))
			continue
		}
		g.Cameras = append(g.Cameras, understudy.CameraID(id))
	}
	return g
}
