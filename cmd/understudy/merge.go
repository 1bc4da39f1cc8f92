package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
)

func serverMergeCommand() *cobra.Command {
	var rate, windows string
	var grace time.Duration
	c := &cobra.Command{
		Use:   "merge ID",
		Short: "Say how fast and when footage comes home to a recording server",
		Long: "Footage that a failover server recorded comes home with half of what line and disks give, at any time,\n" +
			"unless this says otherwise. Windows are weekly, in the recording server's local time.",
		Example: `  understudy server merge rec1 --rate 50MB/s
  understudy server merge rec1 --windows "mon-fri 20:00-06:00; sat,sun 00:00-24:00 50MB/s"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed
			return changeServer(cmd, understudy.ServerID(args[0]), func(server *understudy.RecordingServer) error {
				if given("rate") {
					n, err := humanize.ParseBytes(strings.TrimSuffix(rate, "/s"))
					if err != nil || n > 1<<50 {
						return understudy.Errorf(understudy.CodeInvalid, "a rate is written as 50MB/s, or 0 for half of what is free; found %q", rate)
					}
					server.Merge.BytesPerSecond = int64(n)
				}
				take(given("windows"), &server.Merge.Windows, windows)
				take(given("grace"), &server.Merge.Grace, grace)
				return nil
			}, nil)
		},
	}
	jsonFlag(c)
	c.Flags().StringVar(&rate, "rate", "0", "bytes a second at most, such as 50MB/s; 0 is half of what is free")
	c.Flags().StringVar(&windows, "windows", "", "when footage may come home, such as \"mon-fri 20:00-06:00\"; empty is always")
	c.Flags().DurationVar(&grace, "grace", 0, "from home's receipt to the confirmation after which a copy is deleted; 0 is "+understudy.DefaultGrace.String())
	return c
}

func mergeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "merge",
		Short: "Watch footage on its way home, until all of it has come",
		Args:  cobra.NoArgs,
	}
	c.AddCommand(mergeRetryCommand())
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		return watchMerge(cmd.Context(), site, cmd.OutOrStdout(), *asJSON)
	}
	return c
}

// watchMerge prints the transfers as they go, once a second.
func watchMerge(ctx context.Context, site *client.Client, w io.Writer, asJSON bool) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		status, err := site.Status(ctx)
		if err != nil {
			return err
		}
		transfers := transfersOf(status)
		show := func(t []understudy.Transfer) error { return printTransfers(w, t) }
		if asJSON {
			show = func(t []understudy.Transfer) error { return printJSON(w, t) }
		}
		if err := show(transfers); err != nil || len(transfers) == 0 && unmerged(status) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// transfersOf returns what senders tell, who know all of a transfer.
func transfersOf(status []understudy.ServerStatus) []understudy.Transfer {
	transfers := []understudy.Transfer{}
	for _, s := range status {
		if s.State == nil {
			continue
		}
		for _, t := range s.State.Transfers {
			if t.From == s.Server {
				transfers = append(transfers, t)
			}
		}
	}
	return transfers
}

func unmerged(status []understudy.ServerStatus) (segments int) {
	for _, s := range status {
		if s.State != nil {
			segments += s.State.Storage.UnmergedSegments
		}
	}
	return segments
}

const barWidth = 24

func printTransfers(w io.Writer, transfers []understudy.Transfer) error {
	if len(transfers) == 0 {
		_, err := fmt.Fprintln(w, "Nothing is on its way home.")
		return err
	}
	var rows [][]string
	for _, t := range transfers {
		until := ""
		if !t.Until.IsZero() {
			until = t.Until.Local().Format("15:04:05")
		}
		rows = append(rows, []string{fmt.Sprintf("%s → %s", t.From, t.To), bar(t), size(t.BytesLeft) + " left",
			size(t.BytesPerSecond) + "/s", until, fmt.Sprint(t.Held), string(t.Camera), t.Waiting})
	}
	return table(w, "MERGE\tDONE\tLEFT\tRATE\tUNTIL\tHELD\tCAMERA\tWAITING", rows)
}

func bar(t understudy.Transfer) string {
	done := float64(t.BytesDone) / float64(max(t.BytesDone+t.BytesLeft, 1))
	filled := min(max(int(done*barWidth), 0), barWidth)
	return fmt.Sprintf("%s%s %3.0f %%", strings.Repeat("█", filled), strings.Repeat("·", barWidth-filled), 100*done)
}

func size(bytes int64) string { return humanize.Bytes(uint64(max(0, bytes))) }
