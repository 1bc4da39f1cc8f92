package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
)

func auditCommand() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "See who did what, and that the log is as it was written"}
	c.AddCommand(auditVerifyCommand(), auditExportCommand())
	return c
}

func auditVerifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "verify",
		Short: "Look through the whole log for what was changed or removed",
		Long: "Every event carries a hash of itself and of the one before, under a key that is in no database. This looks\n" +
			"through all of them, and ends with an error if one was changed or removed. What was cut off at the end is found\n" +
			"by the management server that answers, which keeps the end in its folder, and by comparison with a file of\n" +
			"`understudy audit export`.",
		Args: cobra.NoArgs,
	}
	var export string
	c.Flags().StringVar(&export, "export", "", "compare the log with this file of `audit export` (jsonl), too")
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		audit, err := site.VerifyAudit(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), audit)
		} else {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), audit.Sentence)
			for _, f := range audit.Faults {
				fmt.Fprintf(cmd.OutOrStdout(), "%6d  %s\n", f.Event, f.Sentence)
			}
		}
		if err == nil && export != "" {
			err = verifyExport(cmd.Context(), cmd.ErrOrStderr(), site, export)
		}
		if err == nil && len(audit.Faults) > 0 {
			err = understudy.Errorf(understudy.CodeConflict, "the log is not as it was written; compare it with a backup of the database")
		}
		return err
	}
	return c
}

func auditExportCommand() *cobra.Command {
	var query understudy.EventQuery
	var format string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the log, or what is searched for in it, as JSON Lines or CSV",
		Args:  cobra.NoArgs,
	}
	searchFlags(c, &query)
	c.Flags().StringVar(&format, "format", "jsonl", "jsonl or csv")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		write, flush, err := eventWriter(cmd.OutOrStdout(), format)
		if err != nil {
			return err
		}
		site, err := signedIn()
		if err != nil {
			return err
		}
		return exportEvents(cmd, site, query, write, flush)
	}
	return c
}

// exportEvents writes what the query finds, the newest first, in lots.
func exportEvents(cmd *cobra.Command, site *client.Client, query understudy.EventQuery, write func(understudy.Event) error, flush func() error) error {
	const lot = 1000
	for query.Limit = lot; ; {
		events, err := site.Events(cmd.Context(), query)
		if err != nil {
			return err
		}
		for i := len(events) - 1; i >= 0; i-- {
			if err := write(events[i]); err != nil {
				return err
			}
		}
		if err := flush(); err != nil || len(events) == 0 {
			return err
		}
		query.Before = events[0].Seq
	}
}
