package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/management"
	"understudy/internal/postgres"
	"understudy/internal/sqlstore"
)

// ManagementOptions are what Management is asked for.
type ManagementOptions struct {
	Store   string // sqlite, postgres, or the DSN of an empty database
	Servers int    // recording servers
	Cameras int    // of each
	Failing int    // servers that fail in the same second
	Seconds int    // of claims beside heartbeats
	Dir     string
	Profile string // file for a processor profile of what is measured; empty: none
	Say     func(string)
}

// ManagementResult is how fast the authority decides, over its database, on a site
// of that size, whose cameras have no passwords. Clients and their channel are not in it.
type ManagementResult struct {
	Machine
	Store   string `json:"store"`
	Servers int    `json:"recording_servers"`
	Cameras int    `json:"cameras_of_each"`
	Failing int    `json:"failing"`

	AllGranted    float64 `json:"all_claims_granted_ms"` // from the moment at which all fail
	EventsLost    int     `json:"events_lost"`
	EventsDoubled int     `json:"events_doubled"`

	// Claims of a whole recording server each, at a steady rate; late ones count from when they were due.
	Claims      int     `json:"claims"`
	ClaimMedian float64 `json:"claim_median_ms"`
	ClaimP99    float64 `json:"claim_p99_ms"`
	Heartbeats  float64 `json:"heartbeats_per_s"` // that were answered beside them
}

const (
	claimsASecond     = 50
	heartbeatsASecond = 1000
	standbys          = 20 // failover servers, in one group
)

// Management fills a database with a large site and lets many claim at once.
func Management(ctx context.Context, o ManagementOptions) (_ ManagementResult, err error) {
	result := ManagementResult{Machine: ThisMachine(), Store: o.Store, Servers: o.Servers, Cameras: o.Cameras, Failing: o.Failing}
	dir, err := os.MkdirTemp(o.Dir, "bench-management-")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	dsn := o.Store
	switch o.Store {
	case "sqlite":
		dsn = "sqlite:" + filepath.Join(dir, "site.db")
	case "postgres":
		server, err := postgres.Start(o.Dir)
		if err != nil {
			return result, understudy.Errorf(understudy.CodeUnavailable, "PostgreSQL could not be started; install Debian's postgresql and use a folder that its user can reach, or give the DSN of an empty database: %w", err)
		}
		defer func() { err = errors.Join(err, server.Stop()) }()
		if dsn, err = server.Database("bench"); err != nil {
			return result, err
		}
	}
	store, err := sqlstore.Open(ctx, dsn)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	keys, err := identity.OpenAuthority(filepath.Join(dir, "authority"))
	if err != nil {
		return result, err
	}
	b, err := newStorm(ctx, store, keys, o)
	if err != nil {
		return result, err
	}
	stop, err := profile(o.Profile)
	if err != nil {
		return result, err
	}
	defer stop()
	o.Say(fmt.Sprintf("%d recording servers fail at once", o.Failing))
	if err := b.failAtOnce(ctx, &result); err != nil {
		return result, err
	}
	o.Say(fmt.Sprintf("%d claims a second beside %d heartbeats, for %d s", claimsASecond, heartbeatsASecond, o.Seconds))
	return result, b.steady(ctx, &result)
}

// storm is a site on which many claim.
type storm struct {
	o     ManagementOptions
	m     *management.Management
	epoch []atomic.Uint64 // of each recording server's cameras, which move together
	ids   atomic.Uint64   // of claims
}

func newStorm(ctx context.Context, store management.Store, keys *identity.Authority, o ManagementOptions) (*storm, error) {
	b := &storm{o: o, epoch: make([]atomic.Uint64, o.Servers)}
	var err error
	if b.m, err = management.New(ctx, store, management.Options{Sealer: keys, AuditKey: keys.AuditKey()}); err != nil {
		return nil, err
	}
	o.Say(fmt.Sprintf("making %d recording servers with %d cameras each", o.Servers, o.Cameras))
	at := understudy.Addresses{Media: "10.0.0.1:7563", State: "10.0.0.1:11000", Merge: "10.0.0.1:5210"}
	spares := understudy.FailoverGroup{ID: "spares"}
	var changes []understudy.Change
	for n := range standbys {
		id := understudy.ServerID(fmt.Sprintf("fo-%02d", n))
		spares.Members = append(spares.Members, id)
		changes = append(changes, understudy.Change{FailoverServer: &understudy.FailoverServer{ID: id, Addresses: at}})
	}
	changes = append(changes, understudy.Change{Group: &spares})
	for n := range o.Servers {
		changes = append(changes, understudy.Change{RecordingServer: &understudy.RecordingServer{ID: homeID(n), Addresses: at, PrimaryGroup: spares.ID}})
	}
	if err := appendChanges(ctx, store, changes); err != nil {
		return nil, err
	}
	const lot = 10 // servers
	for from := 0; from < o.Servers; from += lot {
		var cameras, leases []understudy.Change
		for n := from; n < min(from+lot, o.Servers); n++ {
			b.epoch[n].Store(1)
			for i := range o.Cameras {
				id := cameraID(n, i)
				cameras = append(cameras, understudy.Change{Camera: &understudy.Camera{ID: id, Name: "Camera " + string(id), Home: homeID(n), URL: "rtsp://10.1.2.3/stream1"}})
				leases = append(leases, understudy.Change{Lease: &understudy.Lease{Camera: id, Holder: homeID(n), Epoch: 1, Since: time.Now(), Sentence: "it is its home"}})
			}
		}
		if err := appendChanges(ctx, store, append(cameras, leases...)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendChanges configures as the authority would, several servers at a time instead of a camera.
func appendChanges(ctx context.Context, store management.Store, changes []understudy.Change) error {
	return store.Update(ctx, func(tx management.Tx) error {
		_, err := tx.Append(understudy.Event{At: time.Now(), Kind: understudy.EventConfig, Hash: rand.Text(), Sentence: "a site is made", Changes: changes})
		return err
	})
}

func homeID(n int) understudy.ServerID { return understudy.ServerID(fmt.Sprintf("rec-%04d", n)) }

func cameraID(home, n int) understudy.CameraID {
	return understudy.CameraID(fmt.Sprintf("cam-%04d-%03d", home, n))
}

// claim moves all cameras of a recording server, again and again until it is answered.
func (b *storm) claim(ctx context.Context, home int, kind understudy.ClaimKind) error {
	c := understudy.Claim{ID: fmt.Sprintf("claim-%09d", b.ids.Add(1)), Kind: kind, Home: homeID(home), Claimant: homeID(home),
		Sentence: "rec did not answer for 1.2 s", Decided: time.Now()}
	if kind == understudy.ClaimTakeover {
		c.Claimant = understudy.ServerID(fmt.Sprintf("fo-%02d", home%standbys))
	}
	for i := range b.o.Cameras {
		c.Cameras = append(c.Cameras, understudy.CameraEpoch{Camera: cameraID(home, i), Epoch: b.epoch[home].Load()})
	}
	for {
		answer, err := b.m.Claim(ctx, c)
		switch {
		case understudy.CodeOf(err) == understudy.CodeUnavailable && ctx.Err() == nil:
			continue
		case err != nil:
			return err
		case len(answer.Granted) != b.o.Cameras:
			return understudy.Errorf(understudy.CodeInternal, "claim %s was granted %d of %d cameras: %v", c.ID, len(answer.Granted), b.o.Cameras, answer.Refused)
		}
		b.epoch[home].Store(answer.Granted[0].Epoch)
		return nil
	}
}

// failAtOnce lets the first servers fail in the same moment, and counts what the log has of it.
func (b *storm) failAtOnce(ctx context.Context, result *ManagementResult) error {
	site, err := b.m.Site(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	var all sync.WaitGroup
	errs := make([]error, b.o.Failing)
	for n := range b.o.Failing {
		all.Go(func() { errs[n] = b.claim(ctx, n, understudy.ClaimTakeover) })
	}
	all.Wait()
	result.AllGranted = round(time.Since(began).Seconds() * 1000)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	told := map[understudy.ServerID]int{}
	events, err := b.m.Events(ctx, understudy.EventQuery{After: site.Seq, Limit: 1000})
	if err != nil {
		return err
	}
	for _, e := range events {
		if e.Kind == understudy.EventTakeover {
			told[e.Server]++
			result.EventsDoubled += min(told[e.Server]-1, 1)
		}
	}
	result.EventsLost = b.o.Failing - len(told)
	return nil
}

// steady lets servers that have not failed be taken over and go home, one after
// another at a steady rate, while others ask how the site is.
func (b *storm) steady(ctx context.Context, result *ManagementResult) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var beats atomic.Int64
	var beating, all sync.WaitGroup
	const askers = 20
	for range askers {
		beating.Go(func() { b.beat(ctx, time.Second*askers/heartbeatsASecond, &beats) })
	}
	count := b.o.Seconds * claimsASecond
	times, errs := make([]time.Duration, count), make([]error, count)
	began := time.Now()
	moving := make([]sync.Mutex, b.o.Servers)
	for n := range count {
		due := began.Add(time.Duration(n) * time.Second / claimsASecond)
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return ctx.Err()
		}
		healthy := b.o.Servers - b.o.Failing
		home, kind := b.o.Failing+n%healthy, understudy.ClaimTakeover
		if n/healthy%2 == 1 {
			kind = understudy.ClaimFailback
		}
		all.Go(func() {
			moving[home].Lock() // until it has come, it cannot go
			defer moving[home].Unlock()
			errs[n] = b.claim(ctx, home, kind)
			times[n] = time.Since(due)
		})
	}
	all.Wait()
	result.Heartbeats = round(float64(beats.Load()) / time.Since(began).Seconds())
	cancel()
	beating.Wait()
	slices.Sort(times)
	ms := func(d time.Duration) float64 { return round(d.Seconds() * 1000) }
	result.Claims, result.ClaimMedian, result.ClaimP99 = count, ms(times[count/2]), ms(times[count*99/100])
	return errors.Join(errs...)
}

// beat asks at a steady rate.
func (b *storm) beat(ctx context.Context, every time.Duration, beats *atomic.Int64) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, err := b.m.Site(ctx); err == nil {
			beats.Add(1)
		}
	}
}

// Print writes the result for people.
func (r ManagementResult) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, row := range [][2]string{
		{"machine", r.Machine.Machine}, {"store", strings.SplitN(r.Store, "?", 2)[0]},
		{"site", fmt.Sprintf("%d recording servers, %d cameras each", r.Servers, r.Cameras)},
		{fmt.Sprintf("%d servers failed at once", r.Failing), fmt.Sprintf("all claims granted after %.0f ms, %d events lost, %d doubled", r.AllGranted, r.EventsLost, r.EventsDoubled)},
		{fmt.Sprintf("%d claims, %d a second", r.Claims, claimsASecond), fmt.Sprintf("half within %.1f ms, 99 %% within %.1f ms, beside %.0f heartbeats a second", r.ClaimMedian, r.ClaimP99, r.Heartbeats)},
	} {
		fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
	}
	return t.Flush()
}
