package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/management"
	"understudy/internal/sqlstore"
)

func storeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "store",
		Short: "Migrate, back up, restore or move the management server's database",
		Long: "A database is named by its DSN: sqlite:/var/lib/understudy/management/site.db, postgres://user@host/database or\n" +
			"sqlserver://user@host?database=name. A password is read from the file that password_file=… in it names, or from\n" +
			"UNDERSTUDY_STORE_PASSWORD. The keys of the site are not in it, but in the data folder.",
	}
	c.AddCommand(storeMigrateCommand(), storeBackupCommand(), storeRestoreCommand(), storeCopyCommand())
	return c
}

// openSite opens the database of a management server and says what it did to it.
func openSite(ctx context.Context, dsn string, log *slog.Logger) (*sqlstore.Store, error) {
	s, err := sqlstore.Open(ctx, dsn)
	if err == nil {
		if was, now := s.Form(); was != now && was != 0 {
			log.Info("the database was brought to the form of this version, which older ones refuse", "was", was, "is", now)
		}
	}
	return s, err
}

func storeMigrateCommand() *cobra.Command {
	var to string
	c := &cobra.Command{Use: "migrate --to DSN", Short: "Bring a database to the form of this version, as the management server does when it starts", Args: cobra.NoArgs}
	required(c, &to, "to", "DSN of the database")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := sqlstore.Open(cmd.Context(), to)
		if err != nil {
			return err
		}
		was, now := s.Form()
		switch was {
		case 0:
			fmt.Fprintf(cmd.OutOrStdout(), "the database was empty and has form %d\n", now)
		case now:
			fmt.Fprintf(cmd.OutOrStdout(), "the database has form %d, as it should\n", now)
		default:
			fmt.Fprintf(cmd.OutOrStdout(), "the database had form %d and has form %d; older versions refuse it\n", was, now)
		}
		return s.Close()
	}
	return c
}

func storeBackupCommand() *cobra.Command {
	var from, to string
	c := &cobra.Command{Use: "backup --from DSN --to FILE", Short: "Write a database into a new file, also while it is used", Args: cobra.NoArgs,
		Long: "The file is a SQLite database of one moment, whatever the database is. The site's keys are not in it: keep the data\nfolder of the management server with it."}
	required(c, &from, "from", "DSN of the database")
	required(c, &to, "to", "file that does not exist yet")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := os.Lstat(to); err == nil {
			return understudy.Errorf(understudy.CodeConflict, "%s is there already; a backup overwrites nothing: name another file", to)
		}
		part := to + ".part" // what a backup that was interrupted has left is not taken for one
		err := errors.Join(removeDatabase(part), copyStore(cmd, from, "sqlite:"+part, sqlstore.CopyOptions{InUse: true}))
		if err != nil {
			return errors.Join(err, removeDatabase(part))
		}
		return os.Rename(part, to)
	}
	return c
}

func removeDatabase(file string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(file + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func storeRestoreCommand() *cobra.Command {
	var from, to string
	c := &cobra.Command{Use: "restore --from FILE --to DSN", Short: "Fill an empty database from a backup", Args: cobra.NoArgs,
		Long: "What was granted after the backup is not in it, so when the management server starts on it, all leases go on under\nepochs well above those that it knows, and every client starts over."}
	required(c, &from, "from", "file that `store backup` has written")
	required(c, &to, "to", "DSN of an empty database")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		return alone([]string{to}, func() error {
			return copyStore(cmd, "sqlite:"+from, to, sqlstore.CopyOptions{InUse: true, Then: unname})
		})
	}
	return c
}

// unname tells the authority that comes next that the database was restored.
func unname(tx management.Tx) error {
	log, err := tx.Log()
	if err != nil {
		return err
	}
	log.Stream = ""
	return tx.PutLog(log)
}

func storeCopyCommand() *cobra.Command {
	var from, to string
	c := &cobra.Command{Use: "copy --from DSN --to DSN", Short: "Move a site to another database; no management server may run meanwhile", Args: cobra.NoArgs}
	required(c, &from, "from", "DSN of the database")
	required(c, &to, "to", "DSN of an empty database")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		err := alone([]string{from, to}, func() error { return copyStore(cmd, from, to, sqlstore.CopyOptions{}) })
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "the site was copied; name the new database as `store` in the configuration, and start nothing on the old one again")
		return err
	}
	return c
}

func required(c *cobra.Command, into *string, name, usage string) {
	c.Flags().StringVar(into, name, "", usage)
	if err := c.MarkFlagRequired(name); err != nil {
		panic(err) // the flag was just made
	}
}
