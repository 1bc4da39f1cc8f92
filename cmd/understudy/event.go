package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
)

func eventCommand() *cobra.Command {
	c := &cobra.Command{Use: "event", Short: "Tell that something happened at a camera, and find what did"}
	c.AddCommand(eventTriggerCommand(), eventListCommand(), eventSearchCommand())
	return c
}

func eventTriggerCommand() *cobra.Command {
	var (
		trigger understudy.Trigger
		at      time.Time
		length  time.Duration
		data    string
	)
	c := &cobra.Command{
		Use:   "trigger CAMERA NAME",
		Short: "Tell that something happened; the camera's rule says what is recorded",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			trigger.Camera, trigger.Name, trigger.At = understudy.CameraID(args[0]), args[1], at
			if length > 0 {
				if trigger.At.IsZero() {
					trigger.At = time.Now()
				}
				trigger.Until = trigger.At.Add(length)
			}
			if data != "" {
				trigger.Data = json.RawMessage(data)
			}
			told, err := site.Trigger(cmd.Context(), trigger)
			return changedOr(cmd, told, told.ID, err)
		},
	}
	jsonFlag(c)
	f := c.Flags()
	f.StringVar(&trigger.ID, "id", "", "name of the event: told twice, it happened once; made unless given")
	f.Var((*timeFlag)(&at), "at", "when: 2026-11-23T14:05:00Z, 14:05 (today) or 10s (ago); now unless given")
	f.DurationVar(&length, "for", 0, "how long it lasts")
	f.StringVar(&data, "data", "", "JSON that is kept with it, at most 4096 bytes")
	return c
}

func eventListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list [CAMERA...]", Short: "List what happened at cameras, over all servers"}
	search := eventFlags(c)
	c.RunE = func(cmd *cobra.Command, args []string) error { return search(cmd, "", args) }
	return c
}

func eventSearchCommand() *cobra.Command {
	c := &cobra.Command{Use: "search TEXT [CAMERA...]", Short: "Find events by their name or data, over all servers", Args: cobra.MinimumNArgs(1)}
	search := eventFlags(c)
	c.RunE = func(cmd *cobra.Command, args []string) error { return search(cmd, args[0], args[1:]) }
	return c
}

// eventFlags adds the range and returns the search.
func eventFlags(c *cobra.Command) func(cmd *cobra.Command, text string, cameras []string) error {
	var from, to time.Time
	c.Flags().Var((*timeFlag)(&from), "from", "beginning: 2026-11-23T14:05:00Z, 14:05 (today) or 10m (ago); a day ago unless given")
	c.Flags().Var((*timeFlag)(&to), "to", "end; now unless given")
	asJSON := jsonFlag(c)
	return func(cmd *cobra.Command, text string, cameras []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		q := client.NoteSearch{From: from, To: to, Kind: understudy.NoteEvent, Text: text}
		if q.To.IsZero() {
			q.To = time.Now()
		}
		if q.From.IsZero() {
			q.From = q.To.Add(-24 * time.Hour)
		}
		for _, camera := range cameras {
			q.Cameras = append(q.Cameras, understudy.CameraID(camera))
		}
		found, missing, err := site.FindNotes(cmd.Context(), q)
		if err != nil {
			return err
		}
		for _, server := range missing {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s did not answer; what only it knows is missing\n", server)
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), found)
		}
		rows := make([][]string, len(found))
		for i, n := range found {
			rows[i] = []string{n.From.Local().Format(time.DateTime), string(n.Camera), n.To.Sub(n.From).Round(time.Millisecond).String(), n.Name, string(n.Data)}
		}
		return table(cmd.OutOrStdout(), "WHEN\tCAMERA\tFOR\tWHAT\tDATA", rows)
	}
}
