package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/drill"
)

// live is a drill on the running site that one is signed in at.
type live struct {
	on     bool
	server string
	hold   time.Duration
	every  time.Duration
}

func (l *live) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&l.on, "site", false, "rehearse on the site that you are signed in at: hand over and back, without touching a process")
	f.StringVar(&l.server, "server", "", "with --site: recording server to hand over; left out, each in turn")
	f.DurationVar(&l.hold, "hold", 20*time.Second, "with --site: how long others hold the cameras")
	f.DurationVar(&l.every, "every", 0, "with --site: again and again, so long after the last beginning, such as 24h")
}

// run rehearses once, or again and again: then a drill that is refused, because
// a real failure would not be covered, or did not pass, is told, and the next one comes.
func (l *live) run(cmd *cobra.Command, asJSON bool) error {
	for {
		begun := time.Now()
		err := l.once(cmd, asJSON)
		if l.every <= 0 || cmd.Context().Err() != nil {
			return err
		}
		if err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "understudy:", err)
		}
		next := time.NewTimer(time.Until(begun.Add(l.every)))
		select {
		case <-cmd.Context().Done():
			next.Stop()
			return context.Cause(cmd.Context())
		case <-next.C:
		}
	}
}

func (l *live) once(cmd *cobra.Command, asJSON bool) error {
	site, err := signedIn()
	if err != nil {
		return err
	}
	servers := []understudy.ServerID{understudy.ServerID(l.server)}
	if l.server == "" {
		now, err := site.Site(cmd.Context())
		if err != nil {
			return err
		}
		servers = nil
		for _, r := range now.RecordingServers {
			servers = append(servers, r.ID)
		}
	}
	var failed error
	for _, server := range servers {
		r, err := drill.RunLive(cmd.Context(), site, drill.Live{Home: server, Hold: l.hold, Say: steps(cmd)})
		if err == nil {
			err = report(cmd, r, asJSON)
		}
		if err == nil && !r.Passed {
			err = fmt.Errorf("%w: %s", errDrillFailed, r.Why)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
