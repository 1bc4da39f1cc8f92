package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"understudy"
)

func lockCommand() *cobra.Command {
	c := &cobra.Command{Use: "lock", Short: "Keep footage from being deleted: evidence"}
	c.AddCommand(lockAddCommand(), lockListCommand(), lockRemoveCommand())
	return c
}

func lockAddCommand() *cobra.Command {
	var (
		lock     understudy.Lock
		from, to time.Time
		keep     time.Duration
	)
	c := &cobra.Command{
		Use:   "add CAMERA",
		Short: "Lock a stretch of a camera's footage; it stays on every server until the lock ends or is removed",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			lock.Camera, lock.From, lock.To = understudy.CameraID(args[0]), from, to
			if keep > 0 {
				lock.Until = time.Now().Add(keep)
			}
			made, err := site.PutLock(cmd.Context(), lock)
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), made.ID)
			}
			return err
		},
	}
	f := c.Flags()
	f.Var((*timeFlag)(&from), "from", "beginning: 2026-11-23T14:05:00Z, 14:05 (today) or 10m (ago)")
	f.Var((*timeFlag)(&to), "to", "end, written as --from")
	f.StringVar(&lock.Reason, "reason", "", "why, so that somebody can judge it later")
	f.DurationVar(&keep, "for", 0, "how long from now; 0 is until it is removed")
	f.StringVar(&lock.ID, "id", "", "name of the lock, to change one; made unless given")
	for _, name := range []string{"from", "to", "reason"} {
		_ = c.MarkFlagRequired(name) // it exists
	}
	return c
}

func lockListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the locks in force", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		locks, err := site.Locks(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), locks)
		}
		var rows [][]string
		for _, l := range locks {
			until := "removed"
			if !l.Until.IsZero() {
				until = l.Until.Local().Format(time.DateTime)
			}
			rows = append(rows, []string{l.ID, string(l.Camera), l.From.Local().Format(time.DateTime), l.To.Local().Format(time.DateTime), l.Owner, until, l.Reason})
		}
		return table(cmd.OutOrStdout(), "LOCK\tCAMERA\tFROM\tTO\tOWNER\tUNTIL\tREASON", rows)
	}
	return c
}

func lockRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a lock of your own (administrators: any); the footage goes when its time has come",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			return site.RemoveLock(cmd.Context(), args[0])
		},
	}
}
