package main

import (
	"io"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/bench"
)

func benchCommand() *cobra.Command {
	c := &cobra.Command{Use: "bench", Short: "Measure on this machine what recording costs"}
	c.AddCommand(benchRecordCommand(), benchMergeCommand(), benchTimelineCommand(), benchChannelCommand(), benchManagementCommand(), benchPartCommand())
	return c
}

func benchRecordCommand() *cobra.Command {
	var o bench.RecordOptions
	c := &cobra.Command{
		Use:   "record",
		Short: "Measure processor time and memory of recording, and that no frame is lost",
		Long: "Runs cameras (1080p25, H.264 of 4 Mbit/s, a key frame each 2 s, RTSP over TCP) in a process of their own and\n" +
			"measures in turn a plain client that discards and the recorder with its sync each second. Then it reads the\n" +
			"recordings back and counts the frames. The clip is made with ffmpeg on first use.",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.IntVar(&o.Cameras, "cameras", 50, "how many cameras")
	f.IntVar(&o.Seconds, "seconds", 30, "how long each of the two is measured")
	f.StringVar(&o.Dir, "dir", "", "folder on the disk to record to; the temporary folder unless given")
	f.StringVar(&o.Profile, "profile", "", "write a processor profile of the recorder to this file")
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Cameras < 1 || o.Cameras > maxTestCameras || o.Seconds < 1 {
			return understudy.Errorf(understudy.CodeInvalid, "1 to %d cameras are recorded for a second or longer, found %d cameras for %d s", maxTestCameras, o.Cameras, o.Seconds)
		}
		o.Say = steps(cmd)
		result, err := bench.Record(cmd.Context(), o)
		return printResult(cmd.OutOrStdout(), result, err, *asJSON)
	}
	return c
}

// printResult prints what a benchmark measured, unless it failed.
func printResult(w io.Writer, result interface{ Print(w io.Writer) error }, err error, asJSON bool) error {
	switch {
	case err != nil:
		return err
	case asJSON:
		return printJSON(w, result)
	}
	return result.Print(w)
}

// benchPartCommand is what a benchmark starts itself.
func benchPartCommand() *cobra.Command {
	return &cobra.Command{
		Use: "part NAME", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return bench.Part(cmd.Context(), args[0], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
