package main

import (
	"time"

	"github.com/spf13/cobra"

	"understudy"
)

func serverCapacityCommand() *cobra.Command {
	var (
		capacity  understudy.Capacity
		megabits  float64
		diskHours float64
	)
	c := &cobra.Command{
		Use:   "capacity ID",
		Short: "Say what a failover server may carry at a time",
		Long: "When more cameras need a failover server than it can carry, those of the highest priority come first; the\n" +
			"others are taken by their second stream (camera put --sub), then live only, then left to the next standby.\n" +
			"A bound that is 0 bounds nothing.",
		Example: "  understudy server capacity fo1 --cameras 100 --mbit 400 --disk-hours 24",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed
			return changeFailoverServer(cmd, understudy.ServerID(args[0]), func(server *understudy.FailoverServer) {
				take(given("cameras"), &server.Capacity.Cameras, capacity.Cameras)
				take(given("mbit"), &server.Capacity.BitRate, int64(megabits*1e6))
				take(given("disk-hours"), &server.Capacity.DiskFor, time.Duration(diskHours*float64(time.Hour)))
			})
		},
	}
	c.Flags().IntVar(&capacity.Cameras, "cameras", 0, "cameras at a time")
	c.Flags().Float64Var(&megabits, "mbit", 0, "megabits a second of all cameras together")
	c.Flags().Float64Var(&diskHours, "disk-hours", 0, "hours of what it records that must find room on its disk")
	return c
}

// changeFailoverServer changes what is set of a failover server and nothing else.
func changeFailoverServer(cmd *cobra.Command, id understudy.ServerID, change func(*understudy.FailoverServer)) error {
	site, err := signedIn()
	if err != nil {
		return err
	}
	now, err := site.Site(cmd.Context())
	if err != nil {
		return err
	}
	server, ok := now.FailoverServer(id)
	if !ok {
		return understudy.Errorf(understudy.CodeNotFound, "there is no failover server %s; `understudy status` lists them", id)
	}
	change(&server)
	_, err = site.PutFailoverServer(cmd.Context(), server)
	return err
}
