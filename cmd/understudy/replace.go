package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"understudy"
)

func serverReplaceCommand() *cobra.Command {
	var ttl time.Duration
	c := &cobra.Command{
		Use:   "replace ID",
		Short: "Make a token with which another machine joins in the place of a dead one",
		Long: "Revokes the certificates of the old machine and prints a token, to be used as after `understudy server add`. The\n" +
			"new machine keeps the id, and with it the cameras, standbys and settings; footage of the time since the old\n" +
			"one died comes home to it from those that stood in.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, now, err := siteNow(cmd.Context())
			if err != nil {
				return err
			}
			id := understudy.ServerID(args[0])
			role := understudy.RoleRecording
			if _, ok := now.FailoverServer(id); ok {
				role = understudy.RoleFailover
			} else if _, ok := now.RecordingServer(id); !ok {
				return understudy.Errorf(understudy.CodeNotFound, "there is no server %s; `understudy server list` lists them", id)
			}
			if _, err := site.RevokeServer(cmd.Context(), id, "another machine takes its place"); err != nil {
				return err
			}
			token, err := site.CreateJoinToken(cmd.Context(), role, id, ttl)
			return changedOr(cmd, joinToken{id, role, token}, string(token), err)
		},
	}
	jsonFlag(c)
	c.Flags().DurationVar(&ttl, "valid", time.Hour, "how long the token can be used, once")
	return c
}

func serverRevokeCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "revoke ID",
		Short: "Believe no certificate that a server has had so far: it was stolen or copied",
		Long: "Every server of the site refuses it within seconds, and ends its connections. To come back it has to join again\n" +
			"from an empty folder, with a token of `understudy server add`.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			revoked, err := site.RevokeServer(cmd.Context(), understudy.ServerID(args[0]), reason)
			return changedOr(cmd, revoked, fmt.Sprintf("certificates of %s from before %s are believed no more", revoked.Server, revoked.Before.Local().Format(time.DateTime)), err)
		},
	}
	jsonFlag(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the log")
	return c
}
