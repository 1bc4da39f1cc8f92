// Command understudy is every role of the video management system, a
// subcommand each, and the tools to look at it, rehearse its failures and
// measure them. This file is the table of contents.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// SIGTERM is a planned stop: what must finish, finishes. A second one ends at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := commands().ExecuteContext(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "understudy:", err)
		os.Exit(1)
	}
}

func commands() *cobra.Command {
	root := &cobra.Command{
		Use:           "understudy",
		Short:         "A video management system whose recording survives the loss of a recording server",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.AddGroup(
		&cobra.Group{ID: "roles", Title: "Servers:"},
		&cobra.Group{ID: "video", Title: "Video:"},
		&cobra.Group{ID: "site", Title: "Administration:"},
		&cobra.Group{ID: "proof", Title: "Rehearsal and proof:"},
	)
	add := func(group string, list ...*cobra.Command) {
		for _, c := range list {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("roles", managementCommand(), channelCommand(), recordingCommand(), failoverCommand())
	add("video", watchCommand(), playCommand(), exportCommand(), stillCommand(), timelineCommand(), gapsCommand())
	add("site", signInCommand(), signOutCommand(), statusCommand(), eventsCommand(), auditCommand(), secretsCommand(), caCommand(), incidentsCommand(), eventCommand(), lockCommand(), cameraCommand(), serverCommand(), handOverCommand(), failBackCommand(), maintenanceCommand(), mergeCommand(), groupCommand(), preflightCommand(), notifyCommand(), applyCommand(), exportConfigCommand(), userCommand(), roleCommand(), cameraGroupCommand(), storeCommand())
	root.AddCommand(manCommand())
	add("proof", demoCommand(), drillCommand(), checkCommand(), benchCommand(), testcamCommand())
	return root
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
