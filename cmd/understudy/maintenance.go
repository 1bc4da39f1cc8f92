package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"understudy"
)

func maintenanceCommand() *cobra.Command {
	var (
		reason   string
		last     time.Duration
		handOver bool
	)
	c := &cobra.Command{
		Use:   "maintenance SERVER on|off",
		Short: "Say that somebody works on a recording server, and that nobody shall stand in for it",
		Long: "While it lasts, what happens to the server is no failure: no failover server takes its part over, and what it\n" +
			"does not record is recorded by nobody. With --handover its part is handed over first, and nothing is lost.",
		Example:   "  understudy maintenance rec1 on --handover --for 2h --reason \"new power supply\"",
		Args:      cobra.MatchAll(cobra.ExactArgs(2), func(_ *cobra.Command, args []string) error { return onOrOff(args[1]) }),
		ValidArgs: []string{"on", "off"},
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			id, order := understudy.ServerID(args[0]), understudy.Maintenance{}
			if args[1] == "on" {
				order = understudy.Maintenance{Until: after(last), Reason: reason}
			}
			if args[1] == "on" && handOver {
				server, err := site.HandOver(cmd.Context(), id, understudy.HandOver{Until: order.Until, Reason: reason})
				if err != nil {
					return err
				}
				if err := waitServed(cmd, site, true, id, server.HandOver.To); err != nil {
					return err
				}
			}
			server, err := site.Maintain(cmd.Context(), id, order)
			if args[1] == "off" {
				return changed(cmd, server, err)
			}
			return changedOr(cmd, server, fmt.Sprintf("%s is %s", id, server.Maintenance), err)
		},
	}
	jsonFlag(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the log and the page")
	c.Flags().DurationVar(&last, "for", 4*time.Hour, "then it ends by itself")
	c.Flags().BoolVar(&handOver, "handover", false, "hand its part over first, and wait for it")
	return c
}

func onOrOff(word string) error {
	if word != "on" && word != "off" {
		return understudy.Errorf(understudy.CodeInvalid, "a maintenance is on or off, not %q", word)
	}
	return nil
}

func serverFailbackCommand() *cobra.Command {
	var mode, windows, zone string
	c := &cobra.Command{
		Use:     "failback ID",
		Short:   "Say when a recording server takes its part back by itself",
		Example: "  understudy server failback rec1 --mode window --windows \"sun-thu 02:00-04:00\" --zone Europe/Berlin",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed
			return changeServer(cmd, understudy.ServerID(args[0]), func(server *understudy.RecordingServer) error {
				p := &server.Failback
				if given("mode") && understudy.FailbackMode(mode) != understudy.FailbackWindow {
					p.Windows, p.Zone = "", "" // which are of that mode only
				}
				take(given("mode"), &p.Mode, understudy.FailbackMode(mode))
				take(given("windows"), &p.Windows, windows)
				take(given("zone"), &p.Zone, zone)
				return nil
			}, nil)
		},
	}
	jsonFlag(c)
	c.Flags().StringVar(&mode, "mode", string(understudy.FailbackAutomatic), "automatic, manual or window")
	c.Flags().StringVar(&windows, "windows", "", "of mode window: when it may go home")
	c.Flags().StringVar(&zone, "zone", "", "time zone of the windows, such as Europe/Berlin; empty is UTC")
	return c
}
