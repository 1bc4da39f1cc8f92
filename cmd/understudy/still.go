package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"understudy"
)

func stillCommand() *cobra.Command {
	var at time.Time
	var output string
	c := &cobra.Command{
		Use:   "still CAMERA",
		Short: "Take one picture: the key frame at or before a time, or the live one",
		Long:  "A JPEG of a Motion JPEG camera, else an MP4 of that one picture: ffmpeg -i FILE.mp4 FILE.png",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			still, err := site.Still(cmd.Context(), understudy.CameraID(args[0]), at)
			if err != nil {
				return err
			}
			if output == "" {
				kind := ".mp4"
				if still.Type == "image/jpeg" {
					kind = ".jpg"
				}
				output = args[0] + "-" + still.Captured.Local().Format("20060102-150405.000") + kind
			}
			if err := os.WriteFile(output, still.Body, 0o600); err != nil {
				return understudy.Errorf(understudy.CodeInvalid, "the picture could not be written; name another file with --output: %w", err)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: captured at %s\n", output, still.Captured.Local().Format(time.StampMilli))
			return nil
		},
	}
	c.Flags().Var((*timeFlag)(&at), "at", "2026-11-23T14:05:00Z, 14:05 (today) or 10m (ago); live unless given")
	c.Flags().StringVarP(&output, "output", "o", "", "file to write; named for camera and time unless given")
	return c
}
