package main

import (
	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/bench"
)

func benchTimelineCommand() *cobra.Command {
	var o bench.TimelineOptions
	c := &cobra.Command{
		Use:   "timeline",
		Short: "Measure how fast footage is found in a large store",
		Long: "Fills an index as large as the cameras' segments of so many days would make it, without their bytes, and times\n" +
			"opening it, a day's timeline, a seek and the first byte of an export; then an index made anew from footage.\n" +
			"Files are read from the disk, not from what the system holds of them in memory. Beside each stands what reading\n" +
			"the same files plainly takes.",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.IntVar(&o.Cameras, "cameras", 200, "how many cameras")
	f.IntVar(&o.Days, "days", 30, "of how many days")
	f.IntVar(&o.Megabytes, "megabytes", 2000, "from how much footage an index is made anew")
	f.StringVar(&o.Dir, "dir", "", "folder on the disk to use; the temporary folder unless given")
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Cameras < 1 || o.Days < bench.LeastDays || o.Megabytes < 1 {
			return understudy.Errorf(understudy.CodeInvalid, "at least a camera, %d days (what is smaller is compared with its footage at once) and a megabyte, found %d, %d and %d",
				bench.LeastDays, o.Cameras, o.Days, o.Megabytes)
		}
		o.Say = steps(cmd)
		result, err := bench.Timeline(cmd.Context(), o)
		return printResult(cmd.OutOrStdout(), result, err, *asJSON)
	}
	return c
}
