package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"understudy"
)

func preflightCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "preflight [FAILOVER-SERVER]",
		Short: "Show whether failover servers could stand in now; exit status 1 if something would not be recorded",
		Args:  cobra.MaximumNArgs(1),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		all, err := site.Preflights(cmd.Context())
		if err != nil {
			return err
		}
		if len(args) > 0 {
			all = slices.DeleteFunc(all, func(p understudy.Preflight) bool { return string(p.Server) != args[0] })
			if len(all) == 0 {
				return understudy.Errorf(understudy.CodeNotFound, "%s has told of no pre-flight yet; the first comes within a minute of its start", args[0])
			}
		}
		show := printPreflights
		if *asJSON {
			show = func(w io.Writer, all []understudy.Preflight) error { return printJSON(w, all) }
		}
		if err := show(cmd.OutOrStdout(), all); err != nil {
			return err
		}
		if i := slices.IndexFunc(all, func(p understudy.Preflight) bool { return p.Red("") }); i >= 0 {
			return understudy.Errorf(understudy.CodeConflict, "%s could not stand in for all that it may have to: see its findings, and mend them before the day", all[i].Server)
		}
		return nil
	}
	return c
}

func printPreflights(w io.Writer, all []understudy.Preflight) error {
	var rows [][]string
	for _, p := range all {
		for _, home := range p.Homes {
			rows = append(rows, []string{string(p.Server), string(home), colour(p.Red(home)), p.At.Local().Format("2006-01-02 15:04:05")})
		}
	}
	if err := table(w, "FAILOVER SERVER\tFOR\tPRE-FLIGHT\tAT", rows); err != nil {
		return err
	}
	for _, p := range all {
		fmt.Fprintf(w, "\n%s: %d of %d cameras are as they must be\n", p.Server, p.Reached, p.Cameras)
		for _, f := range p.Findings {
			fmt.Fprintf(w, "  %-6s %-11s %s\n", map[bool]string{true: "RED", false: "note"}[f.Red], f.About, f.Sentence)
		}
	}
	return nil
}

func colour(red bool) string {
	if red {
		return "red"
	}
	return "green"
}
