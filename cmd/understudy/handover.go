package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
)

func handOverCommand() *cobra.Command {
	var (
		to, reason  string
		last        time.Duration
		force, wait bool
	)
	c := &cobra.Command{
		Use:   "handover SERVER",
		Short: "Hand a recording server's part over to a failover server, without losing a frame",
		Long: "The failover server records first, then clients are sent there. The recording server goes on recording as long\n" +
			"as it runs, and takes nothing back until `understudy failback`, or until the time is over.",
		Example: "  understudy handover rec1 --reason \"new disks\" --for 2h --wait",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			order := understudy.HandOver{To: understudy.ServerID(to), Until: after(last), Reason: reason}
			give := site.HandOver
			if force {
				give = site.ForceHandOver
			}
			server, err := give(cmd.Context(), understudy.ServerID(args[0]), order)
			if err != nil {
				return err
			}
			if err := changedOr(cmd, server, fmt.Sprintf("%s is %s", server.ID, server.HandOver), nil); err != nil {
				return err
			}
			return waitServed(cmd, site, wait, server.ID, server.HandOver.To)
		},
	}
	jsonFlag(c)
	c.Flags().StringVar(&to, "to", "", "failover server; empty is the first of its standbys that can")
	c.Flags().StringVar(&reason, "reason", "", "why, for the log and the page")
	c.Flags().DurationVar(&last, "for", 0, "then the part goes home by itself; 0 is not before it is ordered back")
	c.Flags().BoolVar(&force, "force", false, "order it although the failover server named cannot take the part now")
	c.Flags().BoolVar(&wait, "wait", false, "return when all cameras are served there")
	return c
}

func failBackCommand() *cobra.Command {
	var wait bool
	c := &cobra.Command{
		Use:   "failback SERVER",
		Short: "Let a recording server take its part back now, whatever its policy and its hold-down",
		Long:  "It ends a hand-over, and is how a part goes home whose failback is manual. The server claims what it records.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			server, err := site.FailBack(cmd.Context(), understudy.ServerID(args[0]))
			if err := changed(cmd, server, err); err != nil {
				return err
			}
			return waitServed(cmd, site, wait, server.ID, server.ID)
		},
	}
	jsonFlag(c)
	c.Flags().BoolVar(&wait, "wait", false, "return when all its cameras are served at home")
	return c
}

// after is the end of what begins now; zero for no time at all.
func after(last time.Duration) time.Time {
	if last == 0 {
		return time.Time{}
	}
	return time.Now().Add(last).UTC()
}

// waitServed returns when holder serves all cameras of home that may move, and says
// how many it does, beside the JSON that was asked for.
func waitServed(cmd *cobra.Command, site *client.Client, wait bool, home, holder understudy.ServerID) error {
	ctx, w := cmd.Context(), cmd.OutOrStdout()
	if asked, _ := cmd.Flags().GetBool("json"); asked {
		w = cmd.ErrOrStderr()
	}
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for said := -1; wait; {
		now, err := site.Site(ctx)
		if err != nil {
			return err
		}
		served, all := now.Served(home, holder)
		if served != said {
			fmt.Fprintf(w, "%s serves %d of %d cameras of %s\n", holder, served, all, home)
		}
		if said = served; served == all {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// ordersOf says what is ordered of a recording server, as the status shows it.
func ordersOf(r understudy.RecordingServer) (text string) {
	if r.HandOver.Stands(time.Now()) {
		text += "; " + r.HandOver.String()
	}
	if r.Maintenance.Stands(time.Now()) {
		text += "; " + r.Maintenance.String()
	}
	return text
}
