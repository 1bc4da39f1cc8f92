package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
)

// span is the range of time that play and export are asked for.
type span struct{ from, to timeFlag }

func (s *span) flags(c *cobra.Command) {
	s.from.Time, s.to.Time = time.Now().Add(-time.Minute), time.Now()
	c.Flags().Var(&s.from, "from", "beginning: 2026-11-23T14:05:00Z, 14:05 (today) or 10m (ago)")
	c.Flags().Var(&s.to, "to", "end, written alike; now unless given")
}

func (s *span) check() error {
	if s.from.Before(s.to.Time) {
		return nil
	}
	return understudy.Errorf(understudy.CodeInvalid, "--from must be earlier than --to, found %s and %s", s.from.Local().Format(time.DateTime), s.to.Local().Format(time.DateTime))
}

func exportCommand() *cobra.Command {
	var s span
	var output string
	c := &cobra.Command{
		Use:   "export CAMERA",
		Short: "Take a range of a camera's recordings, over all servers that hold some, as one MP4 file",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			if output == "" {
				output = args[0] + "-" + s.from.Local().Format("20060102-150405") + ".mp4"
			}
			return exportTo(cmd, site, understudy.CameraID(args[0]), s, output)
		},
	}
	s.flags(c)
	c.Flags().StringVarP(&output, "output", "o", "", "file to write; named for camera and time unless given")
	return c
}

// exportTo writes beside the file and renames: a broken export never looks like a whole one.
func exportTo(cmd *cobra.Command, site *client.Client, camera understudy.CameraID, s span, output string) error {
	if err := s.check(); err != nil {
		return err
	}
	part := output + ".part"
	file, err := os.Create(part)
	if err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "the export could not be written; name another file with --output: %w", err)
	}
	defer func() { _ = os.Remove(part) }() // it is gone once it has its name
	defer file.Close()
	bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionSetDescription(string(camera)),
		progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	result, err := site.Export(cmd.Context(), camera, s.from.Time, s.to.Time, file, func(done, total int64) {
		bar.ChangeMax64(total)
		_ = bar.Set64(done) // a bar that cannot be drawn is no reason to stop
	})
	_ = bar.Finish()
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the export could not be finished: %w", err)
	}
	if err := os.Rename(part, output); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the export could not be named %s: %w", output, err)
	}
	return tellExport(cmd.ErrOrStderr(), output, s, result)
}

// tellExport says what is in the file and, plainly, what is not.
func tellExport(w io.Writer, output string, s span, result client.ExportResult) error {
	gaps := understudy.Gaps(result.Pieces, s.from.Time, s.to.Time, noticeableGap)
	holders := map[understudy.ServerID]bool{}
	for _, piece := range result.Pieces {
		holders[piece.Segment.Holder] = true
	}
	names := make([]string, 0, len(holders))
	for holder := range holders {
		names = append(names, string(holder))
	}
	fmt.Fprintf(w, "%s: recorded by %s, %d gaps\n", output, strings.Join(names, " and "), len(gaps))
	for _, gap := range gaps {
		fmt.Fprintf(w, "  nothing from %s to %s\n", gap.From.Local().Format("15:04:05.0"), gap.To.Local().Format("15:04:05.0"))
	}
	for _, piece := range result.Skipped {
		fmt.Fprintf(w, "  from %s to %s could not be fetched from %s: export again\n",
			piece.From.Local().Format("15:04:05.0"), piece.To.Local().Format("15:04:05.0"), piece.Segment.Holder)
	}
	for _, server := range result.Missing {
		fmt.Fprintf(w, "  %s did not answer; what it holds is not in the file: export again when it is back\n", server)
	}
	return nil
}

func playCommand() *cobra.Command {
	var s span
	c := &cobra.Command{
		Use:   "play CAMERA",
		Short: "Write a range of a camera's recordings to standard output, for a player",
		Long:  "For example: understudy play lobby --from 10m | ffplay -\nWithout --from the camera is played live, across failovers.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			camera := understudy.CameraID(args[0])
			if cmd.Flags().Changed("from") {
				if err := s.check(); err != nil {
					return err
				}
				_, err = site.Export(cmd.Context(), camera, s.from.Time, s.to.Time, cmd.OutOrStdout(), nil)
				return err
			}
			return following(cmd.Context(), site, func(ctx context.Context) error {
				return site.Play(ctx, camera, cmd.OutOrStdout())
			})
		},
	}
	s.flags(c)
	return c
}
