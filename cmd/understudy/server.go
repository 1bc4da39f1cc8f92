package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"understudy"
)

func serverCommand() *cobra.Command {
	c := &cobra.Command{Use: "server", Short: "Add, change and remove recording and failover servers"}
	c.AddCommand(serverAddCommand(), serverStandbyCommand(), serverMergeCommand(), serverCapacityCommand(), serverFailbackCommand(), serverReplaceCommand(), serverRevokeCommand(), serverRemoveCommand())
	return c
}

func serverAddCommand() *cobra.Command {
	var (
		role string
		ttl  time.Duration
	)
	c := &cobra.Command{
		Use:   "add ID",
		Short: "Make a one-time token with which a server joins the installation",
		Long: "Prints a token. On the new machine run: understudy recording --config FILE --join TOKEN (or failover, or\n" +
			"channel). The token holds the fingerprint of the installation's CA: the server will trust nobody else.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			token, err := site.CreateJoinToken(cmd.Context(), understudy.Role(role), understudy.ServerID(args[0]), ttl)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), string(token))
			return nil
		},
	}
	c.Flags().StringVar(&role, "role", string(understudy.RoleRecording), "recording, failover or channel")
	c.Flags().DurationVar(&ttl, "valid", time.Hour, "how long the token can be used, once")
	return c
}

func serverStandbyCommand() *cobra.Command {
	var mirror, hot, primary, secondary string
	c := &cobra.Command{
		Use:   "standby ID",
		Short: "Say who stands in for a recording server",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed
			return changeRecordingServer(cmd, understudy.ServerID(args[0]), func(server *understudy.RecordingServer) error {
				take(given("mirror"), &server.MirrorStandby, understudy.ServerID(mirror))
				take(given("hot"), &server.HotStandby, understudy.ServerID(hot))
				take(given("primary"), &server.PrimaryGroup, understudy.GroupID(primary))
				take(given("secondary"), &server.SecondaryGroup, understudy.GroupID(secondary))
				return nil
			})
		},
	}
	c.Flags().StringVar(&mirror, "mirror", "", "failover server that mirrors it: keeps the streams open and loses no frame; empty for none")
	c.Flags().StringVar(&hot, "hot", "", "failover server that is its hot standby; empty for none")
	c.Flags().StringVar(&primary, "primary", "", "failover group asked first; empty for none")
	c.Flags().StringVar(&secondary, "secondary", "", "failover group asked when none of the first can; empty for none")
	return c
}

// changeRecordingServer changes what is set of a recording server and nothing else.
func changeRecordingServer(cmd *cobra.Command, id understudy.ServerID, change func(*understudy.RecordingServer) error) error {
	site, err := signedIn()
	if err != nil {
		return err
	}
	now, err := site.Site(cmd.Context())
	if err != nil {
		return err
	}
	server, ok := now.RecordingServer(id)
	if !ok {
		return understudy.Errorf(understudy.CodeNotFound, "there is no recording server %s; `understudy status` lists them", id)
	}
	if err := change(&server); err != nil {
		return err
	}
	_, err = site.PutRecordingServer(cmd.Context(), server)
	return err
}

func serverRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Forget a server that has no cameras, leases or groups left",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			return site.DeleteServer(cmd.Context(), understudy.ServerID(args[0]))
		},
	}
}

func groupCommand() *cobra.Command {
	c := &cobra.Command{Use: "group", Short: "Keep failover groups: failover servers in the order in which they are asked"}
	put := &cobra.Command{
		Use:   "put ID FAILOVER-SERVER...",
		Short: "Make a group, or give it other members",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			group := understudy.FailoverGroup{ID: understudy.GroupID(args[0]), Name: args[0]}
			for _, member := range args[1:] {
				group.Members = append(group.Members, understudy.ServerID(member))
			}
			_, err = site.PutGroup(cmd.Context(), group)
			return err
		},
	}
	remove := &cobra.Command{
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
	c.AddCommand(put, remove)
	return c
}
