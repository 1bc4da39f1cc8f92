package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"understudy"
	"understudy/internal/postgres"
	"understudy/internal/site"
)

// ManagementOptions are what Management is asked for.
type ManagementOptions struct {
	Store   string // sqlite, postgres, or the DSN of an empty database
	Servers int    // recording servers
	Cameras int    // of each
	Failing int    // servers that fail in the same second
	Clients int    // of the service channel
	Seconds int    // of claims beside heartbeats, and then of sign-ins
	Dir     string
	Binary  string // the understudy program; empty is this one
	Profile string // file for a processor profile of the claims beside heartbeats; empty: none
	Say     func(string)
}

// ManagementResult is how fast the authority of a large site is, whose cameras have no
// passwords and whose servers do not run.
type ManagementResult struct {
	Machine
	Store   string `json:"store"`
	Servers int    `json:"recording_servers"`
	Cameras int    `json:"cameras_of_each"`
	Failing int    `json:"failing"`
	Clients int    `json:"clients"`

	// Claims of a whole recording server each, over the database and in this process, at a steady
	// rate; late ones count from when they were due.
	Claims      int     `json:"claims"`
	ClaimMedian float64 `json:"claim_median_ms"`
	ClaimP99    float64 `json:"claim_p99_ms"`
	Heartbeats  float64 `json:"heartbeats_per_s"` // that were answered beside them

	// With a management server and a service channel as processes, over TLS.
	AllGranted    float64 `json:"all_claims_granted_ms"` // from the moment at which all fail
	EventsLost    int     `json:"events_lost"`
	EventsDoubled int     `json:"events_doubled"`
	Told          int     `json:"clients_told"`       // of each takeover, once
	Resumed       int     `json:"clients_resumed"`    // were cut off and went on where they were
	ToldAll       spread  `json:"told_all_ms"`        // a client heard of the last takeover, from the moment at which all fail
	ChannelRSS    float64 `json:"channel_rss_mib"`    // the most
	Logins        int     `json:"logins"`             // at a steady rate, each with its password
	LoginsRefused int     `json:"logins_refused"`     // since too many waited
	LoginMedian   float64 `json:"login_median_ms"`    // of the others; late ones count from when they were due
	LoginP99      float64 `json:"login_p99_ms"`       // likewise
	IdleRSS       float64 `json:"management_rss_mib"` // of the management server, before the sign-ins
	LoginRSS      float64 `json:"login_rss_mib"`      // the most during them
}

const (
	claimsASecond     = 50
	heartbeatsASecond = 1000
	loginsASecond     = 20
	standbys          = 20 // failover servers, in one group
)

// Management fills a database with a large site and lets many claim at once, many be told
// of it, and many sign in.
func Management(ctx context.Context, o ManagementOptions) (_ ManagementResult, err error) {
	result := ManagementResult{Machine: ThisMachine(), Store: o.Store, Servers: o.Servers, Cameras: o.Cameras, Failing: o.Failing, Clients: o.Clients}
	dir, err := os.MkdirTemp(o.Dir, "bench-management-")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.Binary == "" {
		if o.Binary, err = os.Executable(); err != nil {
			return result, err
		}
	}
	dsn, stop, err := database(o, dir)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	network, release, err := site.TakeNetwork(ctx)
	if err != nil {
		return result, err
	}
	defer release()
	up, err := site.Up(ctx, site.Options{Dir: filepath.Join(dir, "site"), Binary: o.Binary, Network: network, Ports: [2]int{8080, 8443}, Store: dsn, Say: o.Say})
	if err != nil {
		return result, err
	}
	defer up.Down()
	b := &managementBench{ManagementOptions: o, network: network, dsn: dsn,
		crowd: crowd{dir: dir, binary: o.Binary, site: up, say: o.Say}, result: &result}
	defer b.end()
	for _, step := range []func(context.Context) error{b.claimInProcess, b.furnish, b.meet, b.failAtOnce, b.signIn} {
		if err := step(ctx); err != nil {
			return result, err
		}
	}
	result.ChannelRSS = b.rss
	return result, nil
}

// database makes an empty one where the options do not name it; stop ends what was started for it.
func database(o ManagementOptions, dir string) (dsn string, stop func() error, err error) {
	stop = func() error { return nil }
	switch o.Store {
	case "sqlite":
		return "sqlite:" + filepath.Join(dir, "site.db"), stop, nil
	case "postgres":
		server, err := postgres.Start(o.Dir)
		if err != nil {
			return "", nil, understudy.Errorf(understudy.CodeUnavailable, "PostgreSQL could not be started; install Debian's postgresql and use a folder that its user can reach, or give the DSN of an empty database: %w", err)
		}
		if dsn, err = server.Database("bench"); err != nil {
			return "", nil, errors.Join(err, server.Stop())
		}
		return dsn, server.Stop, nil
	}
	return o.Store, stop, nil
}

// Print writes the result for people.
func (r ManagementResult) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, row := range [][2]string{
		{"machine", r.Machine.Machine}, {"store", strings.SplitN(r.Store, "?", 2)[0]},
		{"site", fmt.Sprintf("%d recording servers, %d cameras each", r.Servers, r.Cameras)},
		{fmt.Sprintf("%d claims, %d a second", r.Claims, claimsASecond), fmt.Sprintf("half within %.1f ms, 99 %% within %.1f ms, beside %.0f heartbeats a second", r.ClaimMedian, r.ClaimP99, r.Heartbeats)},
		{fmt.Sprintf("%d servers failed at once", r.Failing), fmt.Sprintf("all claims granted after %.0f ms, %d events lost, %d doubled", r.AllGranted, r.EventsLost, r.EventsDoubled)},
		{fmt.Sprintf("%d clients", r.Clients), fmt.Sprintf("%d told of each takeover once (%d had to connect again), half after %.0f ms, the last after %.0f ms; the channel's memory %.0f MiB", r.Told, r.Resumed, r.ToldAll.Median, r.ToldAll.Most, r.ChannelRSS)},
		{fmt.Sprintf("%d sign-ins, %d a second", r.Logins, loginsASecond), fmt.Sprintf("half within %.0f ms, 99 %% within %.0f ms, %d refused; the management server's memory %.0f MiB, %.0f MiB before", r.LoginMedian, r.LoginP99, r.LoginsRefused, r.LoginRSS, r.IdleRSS)},
	} {
		fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
	}
	return t.Flush()
}
