package main

import (
	"context"

	"github.com/spf13/cobra"

	"understudy"
)

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
				_, err = site.Export(cmd.Context(), camera, s.from, s.to, cmd.OutOrStdout(), nil)
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
