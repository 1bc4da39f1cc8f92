package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"understudy"
)

func timelineCommand() *cobra.Command {
	var s span
	c := &cobra.Command{
		Use:   "timeline CAMERA",
		Short: "Show what is recorded of a camera, over all servers, where it lies, and why something is missing",
		Args:  cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(c)
	s.flags(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := s.check(); err != nil {
			return err
		}
		site, err := signedIn()
		if err != nil {
			return err
		}
		line, err := site.Timeline(cmd.Context(), understudy.CameraID(args[0]), s.from, s.to)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), line)
		}
		return showTimeline(cmd.OutOrStdout(), line)
	}
	return c
}

// showTimeline writes spans, gaps and events in order of time.
func showTimeline(w io.Writer, line understudy.Timeline) error {
	var rows [][]string
	gaps, notes := line.Gaps, line.Notes
	until := func(end time.Time) {
		for len(gaps) > 0 && gaps[0].From.Before(end) {
			rows = append(rows, gapRow(gaps[0]))
			gaps = gaps[1:]
		}
		for len(notes) > 0 && notes[0].From.Before(end) {
			rows = append(rows, []string{clock(notes[0].From), clock(notes[0].To), "event", notes[0].Name})
			notes = notes[1:]
		}
	}
	for _, s := range line.Spans {
		until(s.From)
		where := "lies on " + string(s.At)
		if s.Archived {
			where += ", in its archive"
		}
		rows = append(rows, []string{clock(s.From), clock(s.To), string(s.Holder), "epoch " + strconv.FormatUint(s.Epoch, 10) + ", " + where})
	}
	until(line.To)
	if err := table(w, "FROM\tTO\tRECORDED BY\t", rows); err != nil {
		return err
	}
	return showMissing(w, line.Missing)
}

func gapRow(g understudy.Gap) []string {
	why := string(g.Cause)
	if g.Epoch > 0 {
		why += ", epoch " + strconv.FormatUint(g.Epoch, 10)
	}
	if g.Sentence != "" {
		why += ": " + g.Sentence
	}
	return []string{clock(g.From), clock(g.To), fmt.Sprintf("nobody, %d ms", g.Milliseconds), why}
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.000") }

func showMissing(w io.Writer, missing []understudy.ServerID) error {
	for _, server := range missing {
		if _, err := fmt.Fprintf(w, "%s did not answer: what lies there is not shown\n", server); err != nil {
			return err
		}
	}
	return nil
}

func gapsCommand() *cobra.Command {
	var s span
	var epoch uint64
	c := &cobra.Command{
		Use:   "gaps [CAMERA...]",
		Short: "List what is missing of cameras, in milliseconds, and why; of one incident with --epoch",
		Long: "For example: understudy gaps --from 24h\n" +
			"With --epoch only the gaps of one incident: the takeover or failback to that epoch, as its event names it.",
	}
	asJSON := jsonFlag(c)
	s.flags(c)
	c.Flags().Uint64Var(&epoch, "epoch", 0, "only of the incident that this lease ended")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := s.check(); err != nil {
			return err
		}
		site, err := signedIn()
		if err != nil {
			return err
		}
		var cameras []understudy.CameraID
		for _, camera := range args {
			cameras = append(cameras, understudy.CameraID(camera))
		}
		all, err := site.Gaps(cmd.Context(), cameras, s.from, s.to, epoch)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), all)
		}
		var rows [][]string
		missing := map[understudy.ServerID]bool{}
		for _, of := range all {
			for _, g := range of.Gaps {
				rows = append(rows, append([]string{string(of.Camera)}, gapRow(g)...))
			}
			for _, server := range of.Missing {
				missing[server] = true
			}
		}
		for server := range missing {
			rows = append(rows, []string{"", "", "", string(server) + " did not answer", "what lies there looks like a gap"})
		}
		return table(cmd.OutOrStdout(), "CAMERA\tFROM\tTO\tRECORDED BY\tWHY", rows)
	}
	return c
}
