package main

import (
	"time"

	"github.com/spf13/cobra"

	"understudy"
)

func serverCommand() *cobra.Command {
	c := &cobra.Command{Use: "server", Short: "List, add, change and remove recording and failover servers"}
	c.AddCommand(serverListCommand(), serverAddCommand(), serverEditCommand(), serverStandbyCommand(), serverMergeCommand(), serverCapacityCommand(), serverFailbackCommand(), serverReplaceCommand(), serverRevokeCommand(), serverRemoveCommand())
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
			return changedOr(cmd, joinToken{understudy.ServerID(args[0]), understudy.Role(role), token}, string(token), err)
		},
	}
	jsonFlag(c)
	c.Flags().StringVar(&role, "role", string(understudy.RoleRecording), "recording, failover or channel")
	c.Flags().DurationVar(&ttl, "valid", time.Hour, "how long the token can be used, once")
	return c
}

// joinToken is what --json prints of a token with which a server joins.
type joinToken struct {
	Server understudy.ServerID `json:"server"`
	Role   understudy.Role     `json:"role"`
	Token  understudy.Secret   `json:"token"`
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
