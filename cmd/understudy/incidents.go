package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"understudy"
)

func incidentsCommand() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "incidents",
		Short: "Show takeovers: who saw what and when, what it cost, and whether all is home again",
		Args:  cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.Flags().IntVarP(&limit, "number", "n", 20, "how many of the newest")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		all, err := site.Incidents(cmd.Context(), limit)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), all)
		}
		var rows [][]string
		for _, i := range all {
			rows = append(rows, []string{i.ID, i.Begun.Local().Format("2006-01-02 15:04:05"), phase(i), fmt.Sprint(len(i.Cameras)), i.Sentence})
		}
		return table(cmd.OutOrStdout(), "INCIDENT\tBEGAN\tNOW\tCAMERAS\tWHAT HAPPENED", rows)
	}
	c.AddCommand(incidentShowCommand(), incidentReportCommand())
	return c
}

func phase(i understudy.Incident) string {
	text := strings.ReplaceAll(string(i.Phase), "_", " ")
	if i.Drill {
		text += " (drill)"
	}
	return text
}

func incidentShowCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "show INCIDENT",
		Short: "Tell the story of one takeover, and what is missing of each camera",
		Args:  cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		i, err := site.Incident(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), i)
		}
		return showIncident(cmd.OutOrStdout(), i)
	}
	return c
}

func showIncident(w io.Writer, i understudy.Incident) error {
	fmt.Fprintf(w, "%s (%s)\n%s\n\n", i.ID, phase(i), i.Sentence)
	var rows [][]string
	for _, s := range i.Steps {
		rows = append(rows, []string{s.At.Local().Format("2006-01-02 15:04:05.000"), fmt.Sprintf("%+.3f s", s.At.Sub(i.Begun).Seconds()), string(s.Server), s.Sentence})
	}
	for _, t := range i.Transfers {
		rows = append(rows, []string{"now", "", string(t.From), fmt.Sprintf("%d segments, %d bytes are still to go home to %s", t.SegmentsLeft, t.BytesLeft, t.To)})
	}
	if err := table(w, "WHEN\tSINCE IT BEGAN\tWHO\tWHAT", rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	rows = nil
	for _, c := range i.Cameras {
		var held []string
		for _, t := range c.Tenures {
			held = append(held, string(t.Server))
		}
		account := "not to be seen without the right to play it"
		if c.Account != nil {
			account = c.Account.Sentence
		}
		rows = append(rows, []string{string(c.Camera), strings.Join(held, ", "), account})
	}
	return table(w, "CAMERA\tHELD BY\tITS FOOTAGE", rows)
}

func incidentReportCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "report INCIDENT -o FILE",
		Short: "Save one takeover as an HTML page that needs nothing else, to print or to send",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			page, err := site.IncidentReport(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := os.WriteFile(file, page, 0o600); err != nil {
				return understudy.Errorf(understudy.CodeUnavailable, "the report could not be written: %w", err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), file)
			return nil
		},
	}
	c.Flags().StringVarP(&file, "output", "o", "", "file to write")
	_ = c.MarkFlagRequired("output") // fails only for a flag that does not exist
	return c
}
