package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"understudy"
)

func eventCommand() *cobra.Command {
	c := &cobra.Command{Use: "event", Short: "Tell that something happened at a camera, and find what did"}
	c.AddCommand(eventTriggerCommand())
	return c
}

func eventTriggerCommand() *cobra.Command {
	var (
		trigger understudy.Trigger
		at      timeFlag
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
			trigger.Camera, trigger.Name, trigger.At = understudy.CameraID(args[0]), args[1], at.Time
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
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), told.ID)
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&trigger.ID, "id", "", "name of the event: told twice, it happened once; made unless given")
	f.Var(&at, "at", "when: 2026-11-23T14:05:00Z, 14:05 (today) or 10s (ago); now unless given")
	f.DurationVar(&length, "for", 0, "how long it lasts")
	f.StringVar(&data, "data", "", "JSON that is kept with it, at most 4096 bytes")
	return c
}
