package main

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
)

func lockCommand() *cobra.Command {
	c := &cobra.Command{Use: "lock", Short: "Keep footage from being deleted: evidence"}
	c.AddCommand(lockAddCommand(), lockListCommand(), lockRemoveCommand())
	return c
}

func lockAddCommand() *cobra.Command {
	var (
		given    understudy.Lock
		from, to time.Time
		keep     time.Duration
	)
	c := &cobra.Command{
		Use:   "add CAMERA",
		Short: "Lock a stretch of a camera's footage; it stays on every server until the lock ends or is removed",
		Long:  "With the --id of a lock that is there it changes that one: what is not given stays as it is.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := signedIn()
			if err != nil {
				return err
			}
			lock, err := lockToChange(cmd, site, given.ID)
			if err != nil {
				return err
			}
			lock.Camera = understudy.CameraID(args[0]) // of another one the server refuses it
			f := cmd.Flags().Changed
			take(f("from"), &lock.From, from)
			take(f("to"), &lock.To, to)
			take(f("reason"), &lock.Reason, given.Reason)
			take(f("for"), &lock.Until, after(keep))
			lock, err = site.PutLock(cmd.Context(), lock)
			return changedOr(cmd, lock, lock.ID, err)
		},
	}
	jsonFlag(c)
	f := c.Flags()
	f.Var((*timeFlag)(&from), "from", "beginning: 2026-11-23T14:05:00Z, 14:05 (today) or 10m (ago)")
	f.Var((*timeFlag)(&to), "to", "end, written as --from")
	f.StringVar(&given.Reason, "reason", "", "why, so that somebody can judge it later")
	f.DurationVar(&keep, "for", 0, "how long from now; 0 is until it is removed")
	f.StringVar(&given.ID, "id", "", "name of the lock, to change one; made unless given")
	return c
}

// lockToChange returns the lock of that id, or a new one, of which everything has to be said.
func lockToChange(cmd *cobra.Command, site *client.Client, id string) (understudy.Lock, error) {
	if id != "" {
		locks, err := site.Locks(cmd.Context())
		if err != nil {
			return understudy.Lock{}, err
		}
		if i := slices.IndexFunc(locks, func(l understudy.Lock) bool { return l.ID == id }); i >= 0 {
			return locks[i], nil
		}
	}
	for _, flag := range []string{"from", "to", "reason"} {
		if !cmd.Flags().Changed(flag) {
			return understudy.Lock{}, understudy.Errorf(understudy.CodeInvalid, "a new lock needs --from, --to and --reason, and --%s is missing", flag)
		}
	}
	return understudy.Lock{ID: id}, nil
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
