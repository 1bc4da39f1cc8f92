package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
	"understudy/internal/fmp4"
)

// span is the range of time that play and export are asked for.
type span struct{ from, to time.Time }

func (s *span) flags(c *cobra.Command) {
	s.from, s.to = time.Now().Add(-time.Minute), time.Now()
	c.Flags().Var((*timeFlag)(&s.from), "from", "beginning: 2026-11-23T14:05:00Z, 14:05 (today) or 10m (ago)")
	c.Flags().Var((*timeFlag)(&s.to), "to", "end, written alike; now unless given")
}

func (s *span) check() error {
	if s.from.Before(s.to) {
		return nil
	}
	return understudy.Errorf(understudy.CodeInvalid, "--from must be earlier than --to, found %s and %s", s.from.Local().Format(time.DateTime), s.to.Local().Format(time.DateTime))
}

func exportCommand() *cobra.Command {
	var s span
	var e exporting
	c := &cobra.Command{
		Use:   "export CAMERA",
		Short: "Take a range of a camera's recordings, over all servers that hold some, as an MP4 file",
		Long: `Take a range of a camera's recordings, over all servers that hold some, as an MP4 file.

The formats are fmp4, in which times and hashes of all frames are kept, and mp4,
with one index in front, for players that know nothing else. Where the camera's
coding changes another file is begun: one file holds one coding.

An export that broke off leaves FILE.part, and --resume goes on with it; --from
and --to are then written as they were, as points in time.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(s.check(), e.check()); err != nil {
				return err
			}
			site, err := signedIn()
			if err != nil {
				return err
			}
			e.cmd, e.site, e.camera = cmd, site, understudy.CameraID(args[0])
			if e.output == "" {
				e.output = args[0] + "-" + s.from.Local().Format("20060102-150405") + ".mp4"
			}
			return e.run(s)
		},
	}
	s.flags(c)
	c.Flags().StringVarP(&e.output, "output", "o", "", "file to write; named for camera and time unless given")
	c.Flags().StringVar(&e.format, "format", string(fmp4.Fragmented), "fmp4 or mp4")
	c.Flags().BoolVar(&e.resume, "resume", false, "go on with an export that broke off")
	return c
}

// exporting is one `understudy export`.
type exporting struct {
	cmd    *cobra.Command
	site   *client.Client
	camera understudy.CameraID
	output string
	format string
	resume bool
}

func (e *exporting) check() error {
	if f := fmp4.Format(e.format); f != fmp4.Fragmented && f != fmp4.Faststart {
		return understudy.Errorf(understudy.CodeInvalid, "--format is %s or %s, found %q", fmp4.Fragmented, fmp4.Faststart, e.format)
	}
	return nil
}

// run writes one file for each coding of the camera.
func (e *exporting) run(s span) error {
	output := e.output
	for n := 2; ; n++ {
		result, err := e.file(s, output)
		if understudy.CodeOf(err) != understudy.CodeConflict || result.Frames == 0 || result.Changed.IsZero() {
			return err
		}
		fmt.Fprintf(e.cmd.ErrOrStderr(), "at %s the camera's coding changes: another file is begun\n", result.Changed.Local().Format("15:04:05.0"))
		s.from, e.resume = result.Changed, false
		output = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(e.output, filepath.Ext(e.output)), n, filepath.Ext(e.output))
	}
}

// file writes beside the file and renames: a broken export never looks like a
// whole one, and is left for --resume.
func (e *exporting) file(s span, output string) (client.ExportResult, error) {
	part := output + ".part"
	flags := os.O_RDWR | os.O_CREATE | os.O_TRUNC
	if e.resume {
		flags = os.O_RDWR
	}
	file, err := os.OpenFile(part, flags, 0o600)
	if err != nil {
		return client.ExportResult{}, understudy.Errorf(understudy.CodeInvalid, "the export could not be written to %s; name another file with --output, or leave out --resume: %w", part, err)
	}
	defer file.Close()
	draw, ended := progress(e.cmd, string(e.camera), progressbar.OptionShowBytes(true))
	var result client.ExportResult
	if e.resume {
		result, err = e.site.ResumeExport(e.cmd.Context(), e.camera, s.from, s.to, file, draw)
	} else {
		result, err = e.site.Export(e.cmd.Context(), e.camera, s.from, s.to, file, draw)
	}
	ended()
	changed := understudy.CodeOf(err) == understudy.CodeConflict && result.Frames > 0
	switch {
	case err != nil && result.Bytes == 0:
		_ = os.Remove(part) // nothing is in it
		return result, err
	case err != nil && !changed:
		return result, understudy.Errorf(understudy.CodeOf(err), "%w; what came is in %s: go on with --resume", err, part)
	}
	if failed := finish(file, part, output, fmp4.Format(e.format)); failed != nil {
		return result, failed
	}
	tellExport(e.cmd.ErrOrStderr(), output, s, result)
	return result, err
}
