package main

import (
	"github.com/spf13/cobra"

	"understudy"
)

func serverEditCommand() *cobra.Command {
	var (
		name string
		at   understudy.Addresses
	)
	c := &cobra.Command{
		Use:   "edit ID",
		Short: "Change the settings that are given of a recording or failover server",
		Long: "Standbys are of a recording server, capacity is of a failover server. How footage comes home to a recording server\n" +
			"is for `understudy server merge`, when it takes its part back for `understudy server failback`. Addresses are where\n" +
			"clients and other servers find it; where it listens stands in its own configuration.",
		Example: "  understudy server edit rec1 --name \"Hall A\" --mirror fo1 --primary spares",
		Args:    cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.StringVar(&name, "name", "", "name for people")
	f.StringVar(&at.Media, "media-address", "", "host:port of live and recorded video")
	f.StringVar(&at.State, "state-address", "", "host:port of state polls")
	f.StringVar(&at.Merge, "merge-address", "", "host:port of footage that comes home")
	jsonFlag(c)
	takeStandby, takeCapacity := standbyFlags(c), capacityFlags(c)
	takeBoth := func(n *string, a *understudy.Addresses) {
		take(f.Changed("name"), n, name)
		take(f.Changed("media-address"), &a.Media, at.Media)
		take(f.Changed("state-address"), &a.State, at.State)
		take(f.Changed("merge-address"), &a.Merge, at.Merge)
	}
	// of refuses a setting of the other role, which would be lost without a word.
	of := func(id, is, other string, flags ...string) error {
		for _, flag := range flags {
			if f.Changed(flag) {
				return understudy.Errorf(understudy.CodeInvalid, "%s is a %s server, and --%s is of a %s server", id, is, flag, other)
			}
		}
		return nil
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return changeServer(cmd, understudy.ServerID(args[0]), func(server *understudy.RecordingServer) error {
			takeBoth(&server.Name, &server.Addresses)
			takeStandby(server)
			return of(args[0], "recording", "failover", "cameras", "mbit", "disk-hours")
		}, func(server *understudy.FailoverServer) error {
			takeBoth(&server.Name, &server.Addresses)
			takeCapacity(&server.Capacity)
			return of(args[0], "failover", "recording", "mirror", "hot", "primary", "secondary")
		})
	}
	return c
}

func serverStandbyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "standby ID",
		Short: "Say who stands in for a recording server",
		Args:  cobra.ExactArgs(1),
	}
	jsonFlag(c)
	takeStandby := standbyFlags(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return changeServer(cmd, understudy.ServerID(args[0]), func(server *understudy.RecordingServer) error {
			takeStandby(server)
			return nil
		}, nil)
	}
	return c
}

// standbyFlags adds who stands in for a recording server; takeStandby sets what was given.
func standbyFlags(c *cobra.Command) (takeStandby func(*understudy.RecordingServer)) {
	var given understudy.RecordingServer
	f := c.Flags()
	f.StringVar((*string)(&given.MirrorStandby), "mirror", "", "failover server that mirrors it: keeps the streams open and loses no frame; empty for none")
	f.StringVar((*string)(&given.HotStandby), "hot", "", "failover server that is its hot standby; empty for none")
	f.StringVar((*string)(&given.PrimaryGroup), "primary", "", "failover group asked first; empty for none")
	f.StringVar((*string)(&given.SecondaryGroup), "secondary", "", "failover group asked when none of the first can; empty for none")
	return func(server *understudy.RecordingServer) {
		take(f.Changed("mirror"), &server.MirrorStandby, given.MirrorStandby)
		take(f.Changed("hot"), &server.HotStandby, given.HotStandby)
		take(f.Changed("primary"), &server.PrimaryGroup, given.PrimaryGroup)
		take(f.Changed("secondary"), &server.SecondaryGroup, given.SecondaryGroup)
	}
}

// changeServer changes what is set of a server and nothing else. One of the two
// changes may be nil: that of a role which the setting is not of.
func changeServer(cmd *cobra.Command, id understudy.ServerID, recording func(*understudy.RecordingServer) error, failover func(*understudy.FailoverServer) error) error {
	site, now, err := siteNow(cmd.Context())
	if err != nil {
		return err
	}
	if server, ok := now.RecordingServer(id); ok && recording != nil {
		if err := recording(&server); err != nil {
			return err
		}
		server, err = site.PutRecordingServer(cmd.Context(), server)
		return changed(cmd, server, err)
	}
	if server, ok := now.FailoverServer(id); ok && failover != nil {
		if err := failover(&server); err != nil {
			return err
		}
		server, err = site.PutFailoverServer(cmd.Context(), server)
		return changed(cmd, server, err)
	}
	role := ""
	switch {
	case failover == nil:
		role = "recording "
	case recording == nil:
		role = "failover "
	}
	return understudy.Errorf(understudy.CodeNotFound, "there is no %sserver %.63q; `understudy server list` lists them", role, string(id))
}
