package main

import (
	"context"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/recording"
)

func recordingCommand() *cobra.Command {
	var file, token string
	c := &cobra.Command{
		Use:   "recording",
		Short: "Run a recording server",
		Long: "Records the cameras whose home it is, and streams live and recorded video. It records what it was\n" +
			"assigned last without asking anyone. SIGTERM is a planned stop: it records until a standby covers its cameras.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := openMediaServer(cmd.Context(), understudy.RoleRecording, file, token)
			if err != nil {
				return err
			}
			home := recording.NewHome(recording.HomeConfig{Server: m.recorder, Vault: m.node, Management: m.followed, HoldDown: m.config.HoldDown, Log: m.log})
			return m.run(cmd.Context(), home.Run, func(ctx context.Context) { home.Leave(ctx, "it was asked to stop") })
		},
	}
	mediaFlags(c, &file, &token)
	return c
}

func mediaFlags(c *cobra.Command, file, token *string) {
	c.Flags().StringVar(file, "config", "", "configuration file (YAML); the defaults unless given")
	c.Flags().StringVar(token, "join", "", "one-time token with which it joins an installation at its first start, or @FILE that holds it")
}
