package main

import (
	"cmp"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/channel"
	"understudy/internal/config"
	"understudy/internal/notify"
)

func notifyCommand() *cobra.Command {
	c := &cobra.Command{Use: "notify", Short: "Try whom the management server tells of events"}
	c.AddCommand(notifyTestCommand())
	return c
}

func notifyTestCommand() *cobra.Command {
	var file, target string
	c := &cobra.Command{
		Use:   "test",
		Short: "Send a message to each target that is configured, and say what became of it",
		Long: "Reads the management server's configuration on this machine and sends a message to each of notify.targets, as\n" +
			"the server would. Run it as the user that the server runs as, so that it can read the same secrets.",
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.Flags().StringVar(&file, "config", "/etc/understudy/management.yaml", "configuration file of the management server")
	c.Flags().StringVar(&target, "target", "", "only this one")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		m, err := config.LoadManagement(file)
		if err != nil {
			return err
		}
		settings := notifySettings(m)
		var chosen []config.Target
		for _, t := range settings.Targets {
			if target == "" || t.Name == target {
				chosen = append(chosen, t)
			}
		}
		if len(chosen) == 0 {
			return understudy.Errorf(understudy.CodeNotFound, "%s has no such target under notify.targets, and %d others", file, len(settings.Targets))
		}
		settings.Targets = chosen
		results, err := notify.Try(cmd.Context(), settings, time.Now())
		if err != nil {
			return err
		}
		return printResults(cmd, results, *asJSON)
	}
	return c
}

func printResults(cmd *cobra.Command, results []notify.Result, asJSON bool) error {
	type result struct {
		Target string `json:"target"`
		Error  string `json:"error,omitempty"`
	}
	var all []result
	var rows [][]string
	var errs []error
	for _, r := range results {
		one := result{Target: r.Target}
		if r.Err != nil {
			one.Error = r.Err.Error()
			errs = append(errs, understudy.Errorf(understudy.CodeUnavailable, "%s was not told", r.Target))
		}
		all, rows = append(all, one), append(rows, []string{r.Target, cmp.Or(one.Error, "was told")})
	}
	err := table(cmd.OutOrStdout(), "TARGET\tRESULT", rows)
	if asJSON {
		err = printJSON(cmd.OutOrStdout(), all)
	}
	return errors.Join(append(errs, err)...)
}

// notifySettings names the site where the configuration does not.
func notifySettings(c config.Management) config.Notify {
	n := c.Notify
	if n.Site == "" && len(c.Hosts) > 0 {
		n.Site = c.Hosts[0]
	}
	return n
}

func (m *managementServer) notifications() (*notify.Notifier, error) {
	return notify.New(notifySettings(m.config), notify.Feeds{News: channel.Tail(m.service), Whole: channel.Whole(m.service)}, m.config.Data, m.log)
}
