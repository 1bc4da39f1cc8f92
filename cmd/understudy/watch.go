package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
)

// A picture that stands still for this long is worth a line.
const noticeableGap = time.Second

func watchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "watch CAMERA",
		Short: "Follow a camera live across failovers: who serves it, frames, gaps",
		Args:  cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		w := watching{cmd: cmd, asJSON: *asJSON}
		return following(cmd.Context(), site, func(ctx context.Context) error {
			return site.Live(ctx, understudy.CameraID(args[0]), w.see)
		})
	}
	return c
}

// following does something while the client follows the service channel.
func following(ctx context.Context, site *client.Client, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = site.Run(ctx) }) // ends because it is told to
	err := do(ctx)
	cancel()
	running.Wait()
	return err
}

// watching is what `understudy watch` has seen so far.
type watching struct {
	cmd    *cobra.Command
	asJSON bool

	server  understudy.ServerID
	frames  uint64
	last    understudy.Sample // the last frame
	printed time.Time
}

// seen is one line of `understudy watch --json`.
type seen struct {
	At     time.Time           `json:"at"`
	Server understudy.ServerID `json:"server"`
	Frames uint64              `json:"frames"`
	Gap    float64             `json:"gap_s,omitempty"`
}

func (w *watching) see(e client.LiveEvent) error {
	s := e.Sample
	if s == nil || s.Track != understudy.VideoTrack {
		return nil
	}
	now := time.Now()
	line := seen{At: now, Server: e.Server}
	if gap := s.At.Sub(w.last.At); w.frames > 0 && gap > noticeableGap {
		line.Gap = gap.Seconds()
	}
	w.frames++
	line.Frames = w.frames
	moved := e.Server != w.server
	w.last, w.server = *s, e.Server
	if !moved && line.Gap == 0 && now.Sub(w.printed) < noticeableGap {
		return nil
	}
	w.printed = now
	return w.print(line, moved)
}

func (w *watching) print(line seen, moved bool) error {
	if w.asJSON {
		return printJSON(w.cmd.OutOrStdout(), line)
	}
	note := ""
	if moved {
		note = "  now from " + string(line.Server)
	}
	if line.Gap > 0 {
		note += fmt.Sprintf("  nothing for %.1f s", line.Gap)
	}
	_, err := fmt.Fprintf(w.cmd.OutOrStdout(), "%s  %-12s %8d frames%s\n", line.At.Format("15:04:05"), line.Server, line.Frames, note)
	return err
}
