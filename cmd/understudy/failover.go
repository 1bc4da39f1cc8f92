package main

import (
	"context"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/failover"
)

func failoverCommand() *cobra.Command {
	var file, token string
	c := &cobra.Command{
		Use:   "failover",
		Short: "Run a failover server",
		Long: "Polls the recording servers that it may have to play, takes over from one that has failed, gives back\n" +
			"when it works again, and sends home what it recorded meanwhile.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := openMediaServer(cmd.Context(), understudy.RoleFailover, file, token)
			if err != nil {
				return err
			}
			server := failover.New(failover.Config{
				Recorder: m.recorder, Management: m.followed, Preflights: m.site, Store: m.store, Node: m.node,
				Report: m.outbox.Report, Log: m.log,
			})
			return m.run(cmd.Context(), server.Run, func(ctx context.Context) { m.recorder.Leave(ctx, "it was asked to stop") })
		},
	}
	mediaFlags(c, &file, &token)
	return c
}
