package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/client"
)

// siteStatus is what `understudy status --json` prints.
type siteStatus struct {
	Site   understudy.Site           `json:"site"`
	Status []understudy.ServerStatus `json:"status"`
}

func statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show servers, their standbys, and who serves which camera",
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
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), now)
		}
		return printStatus(cmd, now)
	}
	return c
}

func readStatus(ctx context.Context, site *client.Client) (siteStatus, error) {
	now, err := site.Site(ctx)
	if err != nil {
		return siteStatus{}, err
	}
	status, err := site.Status(ctx)
	return siteStatus{Site: now, Status: status}, err
}

func printStatus(cmd *cobra.Command, now siteStatus) error {
	seen := map[understudy.ServerID]understudy.ServerStatus{}
	for _, s := range now.Status {
		seen[s.Server] = s
	}
	held := now.Site.Holders()
	var rows [][]string
	row := func(id understudy.ServerID, role, standby string) {
		rows = append(rows, []string{string(id), role, fmt.Sprint(len(held[id])), standby, seen[id].Sentence})
	}
	for _, r := range now.Site.RecordingServers {
		row(r.ID, "recording", standbyOf(now.Site, r)+ordersOf(r))
	}
	for _, f := range now.Site.FailoverServers {
		row(f.ID, "failover", "capacity: "+f.Capacity.String())
	}
	if err := table(cmd.OutOrStdout(), "SERVER\tROLE\tCAMERAS\tSTANDBY\tSTATE", rows); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout())
	if transfers := transfersOf(now.Status); len(transfers) > 0 {
		if err := printTransfers(cmd.OutOrStdout(), transfers); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout())
	}
	rows = nil
	for _, camera := range now.Site.Cameras {
		lease, _ := now.Site.Lease(camera.ID)
		rows = append(rows, []string{string(camera.ID), string(camera.Home), string(lease.Holder), mirrorsOf(now.Status, camera.ID), fmt.Sprint(lease.Epoch), lease.Sentence})
	}
	return table(cmd.OutOrStdout(), "CAMERA\tHOME\tSERVED BY\tMIRRORED BY\tEPOCH\tWHY", rows)
}

// mirrorsOf says who keeps a camera's stream open, and whether a takeover now would
// lose nothing of it.
func mirrorsOf(status []understudy.ServerStatus, camera understudy.CameraID) string {
	var mirrors []string
	for _, s := range status {
		if !s.Reachable || s.State == nil {
			continue
		}
		for _, c := range s.State.Cameras {
			switch {
			case c.Camera != camera || !c.Mirrored:
			case c.Complete:
				mirrors = append(mirrors, fmt.Sprintf("%s: complete", s.Server))
			default:
				mirrors = append(mirrors, fmt.Sprintf("%s: not complete", s.Server))
			}
		}
	}
	return strings.Join(mirrors, ", ")
}

func standbyOf(site understudy.Site, r understudy.RecordingServer) string {
	var standby []string
	if r.MirrorStandby != "" {
		standby = append(standby, "mirror: "+string(r.MirrorStandby))
	}
	if r.HotStandby != "" {
		standby = append(standby, "hot: "+string(r.HotStandby))
	}
	for _, id := range []understudy.GroupID{r.PrimaryGroup, r.SecondaryGroup} {
		if group, ok := site.Group(id); ok {
			names := make([]string, len(group.Members))
			for i, member := range group.Members {
				names[i] = string(member)
			}
			standby = append(standby, fmt.Sprintf("cold: %s (%s)", id, strings.Join(names, ", ")))
		}
	}
	if standby == nil {
		return "none"
	}
	return strings.Join(standby, "; ")
}
