package main

import (
	"slices"

	"github.com/spf13/cobra"

	"understudy"
)

// listedServer is a line of `understudy server list`.
type listedServer struct {
	ID        understudy.ServerID  `json:"id"`
	Name      string               `json:"name"`
	Role      understudy.Role      `json:"role"`
	Addresses understudy.Addresses `json:"addresses"`
	// Groups are those that stand in for a recording server, in their order, or those that a failover server is in.
	Groups   []understudy.GroupID `json:"groups"`
	Answers  bool                 `json:"answers"`
	Sentence string               `json:"sentence"`
}

func serverListCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the recording and failover servers: where they are, their failover groups, and whether they answer",
		Args:  cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		site, err := signedIn()
		if err != nil {
			return err
		}
		now, err := readStatus(cmd.Context(), site)
		if err != nil {
			return err
		}
		servers := listServers(now)
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), servers)
		}
		var rows [][]string
		for _, s := range servers {
			answers := "yes"
			if !s.Answers {
				answers = "no"
			}
			rows = append(rows, []string{string(s.ID), s.Name, string(s.Role), s.Addresses.Media, s.Addresses.State, s.Addresses.Merge, joined(s.Groups), answers, s.Sentence})
		}
		return table(cmd.OutOrStdout(), "SERVER\tNAME\tROLE\tMEDIA\tSTATE\tMERGE\tGROUPS\tANSWERS\tWHAT WAS SEEN", rows)
	}
	return c
}

func listServers(now siteStatus) []listedServer {
	servers := []listedServer{}
	for _, r := range now.Site.RecordingServers {
		groups := slices.DeleteFunc([]understudy.GroupID{r.PrimaryGroup, r.SecondaryGroup}, func(g understudy.GroupID) bool { return g == "" })
		servers = append(servers, listedServer{ID: r.ID, Name: r.Name, Role: understudy.RoleRecording, Addresses: r.Addresses, Groups: groups})
	}
	for _, f := range now.Site.FailoverServers {
		groups := []understudy.GroupID{}
		for _, g := range now.Site.Groups {
			if slices.Contains(g.Members, f.ID) {
				groups = append(groups, g.ID)
			}
		}
		servers = append(servers, listedServer{ID: f.ID, Name: f.Name, Role: understudy.RoleFailover, Addresses: f.Addresses, Groups: groups})
	}
	for i, s := range servers {
		servers[i].Sentence = "not asked yet"
		if n := slices.IndexFunc(now.Status, func(seen understudy.ServerStatus) bool { return seen.Server == s.ID }); n >= 0 {
			servers[i].Answers, servers[i].Sentence = now.Status[n].Reachable, now.Status[n].Sentence
		}
	}
	return servers
}
