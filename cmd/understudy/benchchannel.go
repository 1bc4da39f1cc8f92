package main

import (
	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/bench"
)

func benchChannelCommand() *cobra.Command {
	var o bench.ChannelOptions
	c := &cobra.Command{
		Use:   "channel",
		Short: "Measure how soon the clients of one service channel hear of a takeover",
		Long: "Runs a management server and a service channel, connects clients of different rights to the channel, takes\n" +
			"cameras over, and times when each client has the event; that each hears of its own cameras and no others is\n" +
			"looked at as well. Beside it stands what sending as many bytes over TLS takes by itself.",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.IntVar(&o.Clients, "clients", 10000, "how many clients; each needs two of the files that a process may have open")
	f.IntVar(&o.Cameras, "cameras", 200, "how many cameras are taken over")
	f.StringVar(&o.Dir, "dir", "", "folder to use; the temporary folder unless given")
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Clients < 1 || o.Cameras < 1 || o.Clients > 10000 {
			return understudy.Errorf(understudy.CodeInvalid, "1 to 10000 clients (more a channel does not take) and at least a camera, found %d and %d", o.Clients, o.Cameras)
		}
		o.Say = steps(cmd)
		result, err := bench.Channel(cmd.Context(), o)
		return printResult(cmd.OutOrStdout(), result, err, *asJSON)
	}
	return c
}
