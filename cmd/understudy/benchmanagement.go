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
		Short: "Measure how fast leases are granted on a large site",
		Long: "Fills a database with a site, lets many recording servers fail in the same second, each claimed as a whole, and counts\n" +
			"what the log has of it; then lets servers be taken over and go home at a steady rate, beside a thousand questions a\n" +
			"second. The database is made for it, unless the DSN of an empty one is given.",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&o.Store, "store", "sqlite", "sqlite, postgres (a server of its own is started), or the DSN of an empty database")
	f.IntVar(&o.Servers, "servers", 1000, "how many recording servers")
	f.IntVar(&o.Cameras, "cameras", 100, "how many cameras each of them has")
	f.IntVar(&o.Failing, "failing", 100, "how many of them fail at once")
	f.IntVar(&o.Seconds, "seconds", 20, "how long claims come at a steady rate")
	f.StringVar(&o.Dir, "dir", os.TempDir(), "folder on the disk to use")
	f.StringVar(&o.Profile, "profile", "", "write a processor profile of what is measured to this file")
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Failing < 1 || o.Servers <= o.Failing || o.Cameras < 1 || o.Cameras > 1000 || o.Seconds < 1 {
			return understudy.Errorf(understudy.CodeInvalid, "at least one server fails and one does not, with 1 to 1000 cameras each, for a second; found %d of %d, %d and %d s",
				o.Failing, o.Servers, o.Cameras, o.Seconds)
		}
		o.Say = steps(cmd)
		result, err := bench.Management(cmd.Context(), o)
		return printResult(cmd.OutOrStdout(), result, err, *asJSON)
	}
	return c
}
