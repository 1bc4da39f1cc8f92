package main

import (
	"os"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/bench"
)

func benchManagementCommand() *cobra.Command {
	var o bench.ManagementOptions
	c := &cobra.Command{
		Use:   "management",
		Short: "Measure how fast leases are granted on a large site, and who is told of it",
		Long: "Fills a database with a site and lets servers be taken over and go home at a steady rate, beside a thousand questions\n" +
			"a second. Then, with a management server, a service channel and its clients, lets many recording servers fail in the\n" +
			"same second, each claimed as a whole, and counts what the log has of it and what each client is told; and then\n" +
			"lets users sign in. The database is made for it, unless the DSN of an empty one is given.",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&o.Store, "store", "sqlite", "sqlite, postgres (a server of its own is started), or the DSN of an empty database")
	f.IntVar(&o.Servers, "servers", 1000, "how many recording servers")
	f.IntVar(&o.Cameras, "cameras", 100, "how many cameras each of them has")
	f.IntVar(&o.Failing, "failing", 100, "how many of them fail at once")
	f.IntVar(&o.Clients, "clients", 1000, "how many clients the service channel has")
	f.IntVar(&o.Seconds, "seconds", 20, "how long claims come at a steady rate, and sign-ins after them")
	f.StringVar(&o.Dir, "dir", os.TempDir(), "folder on the disk to use")
	f.StringVar(&o.Profile, "profile", "", "write a processor profile of the claims at a steady rate to this file")
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Failing < 1 || o.Servers <= o.Failing || o.Cameras < 1 || o.Cameras > 1000 || o.Seconds < 1 || o.Clients < 1 || o.Clients > 10000 {
			return understudy.Errorf(understudy.CodeInvalid, "at least one server fails and one does not, with 1 to 1000 cameras each, for a second, and 1 to 10000 clients are told; found %d of %d, %d, %d s and %d",
				o.Failing, o.Servers, o.Cameras, o.Seconds, o.Clients)
		}
		o.Say = steps(cmd)
		result, err := bench.Management(cmd.Context(), o)
		return printResult(cmd.OutOrStdout(), result, err, *asJSON)
	}
	return c
}
