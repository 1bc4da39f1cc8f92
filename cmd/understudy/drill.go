package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"understudy/internal/drill"
	"understudy/internal/site"
)

var errDrillFailed = errors.New("the drill did not pass")

func drillCommand() *cobra.Command {
	var o drill.Options
	var asJSON bool
	var runs int
	var onSite live
	c := &cobra.Command{
		Use:   "drill",
		Short: "Rehearse the failure of a recording server with real processes, and account for each frame",
		Long: "Brings up a site in a temporary folder, records, makes the fault, waits for takeover, failback and\n" +
			"merge, exports every camera's whole range and accounts for every frame. Exit status 0 only if all\n" +
			"promises were kept. Times count from the fault.\n\n" +
			"With --site it brings up nothing and breaks nothing: the recording server of the site that you are signed in\n" +
			"at hands over to those who stand by for it, and takes its cameras back. It is refused while a real failure\n" +
			"would not be covered.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if onSite.on {
				return onSite.run(cmd, asJSON)
			}
			o.Say = steps(cmd)
			return withStore(o.Store, runs, func(dsn string) error {
				o.Store = dsn
				series, err := drill.RunSeries(cmd.Context(), o, runs, func(r drill.Result) error { return report(cmd, r, asJSON) })
				if err == nil && runs > 1 {
					err = report(cmd, series, asJSON)
				}
				if err == nil && series.Good < series.Runs {
					return fmt.Errorf("%w: %s", errDrillFailed, strings.Join(series.Why, "; "))
				}
				return err
			})
		},
	}
	onSite.flags(c)
	f := c.Flags()
	f.StringVar((*string)(&o.Mode), "mode", string(drill.Hot), "mirror, hot or cold standby")
	f.StringVar((*string)(&o.Fault), "fault", string(site.FaultKill), "kill (SIGKILL), stop (SIGTERM), hang (SIGSTOP), disk (storage fails, the process lives) or cameras (half of them turn the recording server away)")
	f.IntVar(&o.Cameras, "cameras", 4, "how many test cameras")
	f.StringArrayVar(&o.Real, "camera", nil, "NAME=rtsp://[USER:PASSWORD@]HOST/PATH of a real camera, instead of test cameras; as often as there are cameras")
	f.Var((*seconds)(&o.GOP), "gop", "seconds between the key frames of the cameras")
	f.BoolVar(&o.KeyOnPlay, "key-on-play", false, "the test cameras send a key frame as soon as a session begins to play")
	f.IntVar(&o.Others, "others", 0, "how many cameras of another recording server the failover server holds already, and must not lose a frame of")
	f.BoolVar(&o.CutMerge, "cut-merge", false, "cut the connection over which footage goes home and kill both its ends, several times")
	f.BoolVar(&o.NoManagement, "no-management", false, "kill the management server just before the fault, and start it again before the recording server is back")
	f.StringVar(&o.Store, "store", "", "DSN of the management servers' database, or postgres for a PostgreSQL of the drill's own; a file unless given")
	f.IntVar(&o.Managements, "managements", 1, "how many management servers there are, on one --store")
	f.BoolVar(&o.KillManagement, "kill-management", false, "kill one of several management servers just before the fault, and start it again before the recording server is back")
	f.StringVar(&o.Keep, "keep", "", "keep stores, logs and exports in this folder")
	f.IntVar(&runs, "runs", 1, "rehearse so many times, each time on a new site, and sum up")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	o.GOP = 2 * time.Second
	return c
}

// report prints what was measured: for a person, or as one JSON object.
func report(cmd *cobra.Command, measured interface{ Print(w io.Writer) }, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(measured)
	}
	measured.Print(cmd.OutOrStdout())
	return nil
}

// seconds is a duration given as a number of seconds.
type seconds time.Duration

func (s *seconds) String() string { return fmt.Sprint(time.Duration(*s).Seconds()) }
func (*seconds) Type() string     { return "seconds" }

func (s *seconds) Set(text string) error {
	var n float64
	if _, err := fmt.Sscanf(text, "%g", &n); err != nil {
		return fmt.Errorf("a number of seconds such as 2 or 0.5 is expected, found %q", text)
	}
	*s = seconds(n * float64(time.Second))
	return nil
}
