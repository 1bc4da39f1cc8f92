package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
)

func eventsCommand() *cobra.Command {
	var (
		follow bool
		query  understudy.EventQuery
	)
	c := &cobra.Command{
		Use:   "events",
		Short: "Show what happened, and why, a sentence each",
		Args:  cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on as they come")
	c.Flags().IntVarP(&query.Limit, "number", "n", 50, "how many of the newest")
	searchFlags(c, &query)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if follow && (query.Server != "" || query.Actor != "" || query.Text != "" || !query.Since.IsZero() || !query.Until.IsZero()) {
			return understudy.Errorf(understudy.CodeInvalid, "what comes is followed by --kind and --camera; search the past without --follow")
		}
		site, err := signedIn()
		if err != nil {
			return err
		}
		print := func(e understudy.Event) error {
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), e)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%6d  %s  %-9s %s\n", e.Seq, e.At.Local().Format("2006-01-02 15:04:05.000"), e.Kind, e.Sentence)
			return err
		}
		past, err := site.Events(cmd.Context(), query)
		if err != nil {
			return err
		}
		last := uint64(0)
		for _, e := range past {
			if err := print(e); err != nil {
				return err
			}
			last = e.Seq
		}
		if !follow {
			return nil
		}
		return followEvents(cmd, site, query, last, print)
	}
	return c
}

// followEvents prints what comes after last. A connection that is lost is made
// again, and what happened meanwhile is read from the log.
func followEvents(cmd *cobra.Command, site *client.Client, query understudy.EventQuery, last uint64, print func(understudy.Event) error) error {
	var failed error
	cancel := site.Subscribe(func(_ understudy.Site, u understudy.Update) {
		e := u.Event
		if e == nil || e.Seq <= last || failed != nil ||
			query.Kind != "" && e.Kind != query.Kind || query.Camera != "" && e.Camera != query.Camera {
			return
		}
		last = e.Seq
		failed = print(*e)
	})
	defer cancel()
	if err := site.Run(cmd.Context()); failed == nil {
		return err
	}
	return failed
}
