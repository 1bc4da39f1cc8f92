package main

import (
	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/bench"
)

func benchMergeCommand() *cobra.Command {
	var o bench.MergeOptions
	c := &cobra.Command{
		Use:   "merge",
		Short: "Measure how fast footage comes home, and that recording does not feel it",
		Long: "Brings footage home over mutual TLS on the loopback interface, to a recording server in a process of its own that\n" +
			"records cameras meanwhile. The connections are cut several times on the way. A plain copy of the same files over\n" +
			"TLS, in the same run, is the floor.",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.IntVar(&o.Megabytes, "megabytes", 3000, "how much footage goes home")
	f.IntVar(&o.Cameras, "cameras", 10, "how many cameras are recorded meanwhile")
	f.IntVar(&o.Cuts, "cuts", 5, "how often all connections are cut")
	f.StringVar(&o.Dir, "dir", "", "folder on the disk to use; the temporary folder unless given")
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Cameras < 1 || o.Cameras > maxTestCameras || o.Megabytes < 1 || o.Cuts < 0 {
			return understudy.Errorf(understudy.CodeInvalid, "1 to %d cameras and at least a megabyte, found %d cameras and %d MB", maxTestCameras, o.Cameras, o.Megabytes)
		}
		o.Say = steps(cmd)
		result, err := bench.Merge(cmd.Context(), o)
		return printResult(cmd.OutOrStdout(), result, err, *asJSON)
	}
	return c
}
