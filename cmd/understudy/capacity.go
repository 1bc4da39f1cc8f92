package main

import (
	"time"

	"github.com/spf13/cobra"

	"understudy"
)

func serverCapacityCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "capacity ID",
		Short: "Say what a failover server may carry at a time",
		Long: "When more cameras need a failover server than it can carry, those of the highest priority come first; the\n" +
			"others are taken by their second stream (camera put --sub), then live only, then left to the next standby.\n" +
			"A bound that is 0 bounds nothing.",
		Example: "  understudy server capacity fo1 --cameras 100 --mbit 400 --disk-hours 24",
		Args:    cobra.ExactArgs(1),
	}
	jsonFlag(c)
	takeCapacity := capacityFlags(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return changeServer(cmd, understudy.ServerID(args[0]), nil, func(server *understudy.FailoverServer) error {
			takeCapacity(&server.Capacity)
			return nil
		})
	}
	return c
}

// capacityFlags adds what a failover server may carry; takeCapacity sets what was given.
func capacityFlags(c *cobra.Command) (takeCapacity func(*understudy.Capacity)) {
	var (
		cameras             int
		megabits, diskHours float64
	)
	f := c.Flags()
	f.IntVar(&cameras, "cameras", 0, "of a failover server: cameras at a time")
	f.Float64Var(&megabits, "mbit", 0, "of a failover server: megabits a second of all cameras together")
	f.Float64Var(&diskHours, "disk-hours", 0, "of a failover server: hours of what it records that must find room on its disk")
	return func(capacity *understudy.Capacity) {
		take(f.Changed("cameras"), &capacity.Cameras, cameras)
		take(f.Changed("mbit"), &capacity.BitRate, int64(megabits*1e6))
		take(f.Changed("disk-hours"), &capacity.DiskFor, time.Duration(diskHours*float64(time.Hour)))
	}
}
