package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
	"understudy/internal/management"
	"understudy/internal/site"
	"understudy/internal/sqlstore"
)

const (
	// seers: one of so many clients sees the whole site, the others see one camera of each server that fails.
	seers = 10
	// watchers is how many different rights those others have.
	watchers = 7
	// tellWithin bounds how long all takeovers may take to be granted and told.
	tellWithin = 2 * time.Minute
)

// managementBench is a large site with its management server and its service channel.
type managementBench struct {
	ManagementOptions
	crowd
	network string
	dsn     string
	storm   *storm
	cursor  understudy.Cursor   // when the site was made
	tokens  []understudy.Secret // of the watchers, and of who sees all
	claims  []*client.Client    // of the failover servers
	result  *ManagementResult
}

// claimInProcess makes the site and measures claims in this process, while the
// management server is away.
func (b *managementBench) claimInProcess(ctx context.Context) (err error) {
	server, _ := b.site.Process(site.Management)
	if err := server.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-server.Gone()
	store, err := sqlstore.Open(ctx, b.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	keys, err := identity.OpenAuthority(filepath.Join(b.site.Folder(site.Management), "authority"))
	if err != nil {
		return err
	}
	nobody := b.network + "99"
	b.storm, err = newStorm(ctx, store, understudy.Addresses{Media: nobody + ":7563", State: nobody + ":11000", Merge: nobody + ":5210"}, b.ManagementOptions)
	if err != nil {
		return err
	}
	m, err := management.New(ctx, store, management.Options{Sealer: keys, AuditKey: keys.AuditKey()})
	if err != nil {
		return err
	}
	stop, err := profile(b.Profile)
	if err != nil {
		return err
	}
	defer stop()
	if err := b.storm.steady(ctx, m, b.result); err != nil {
		return err
	}
	now, err := m.Site(ctx)
	b.cursor = understudy.Cursor{Stream: m.Stream(), Seq: now.Seq}
	return err
}

// furnish starts the management server over the site, and makes who asks it.
func (b *managementBench) furnish(ctx context.Context) error {
	b.Say("starting the management server of that site")
	server, _ := b.site.Process(site.Management)
	if err := server.Start(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if _, err := b.site.Client.Users(ctx); err == nil {
			break
		}
		if !server.Running() {
			return understudy.Errorf(understudy.CodeUnavailable, "the management server ended; it said: %s", server.LastWords())
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	for n := range watchers + 1 {
		cameras := []understudy.CameraID{understudy.AllCameras}
		if n < watchers {
			cameras = nil
			for home := range b.Failing {
				cameras = append(cameras, cameraID(home, n%b.Cameras))
			}
		}
		token, err := b.addUser(ctx, watcher(n), cameras)
		if err != nil {
			return err
		}
		b.tokens = append(b.tokens, token)
	}
	for n := range standbys {
		c, err := b.asServer(standbyID(n), understudy.RoleFailover)
		if err != nil {
			return err
		}
		b.claims = append(b.claims, c)
	}
	return nil
}

func watcher(n int) string { return fmt.Sprintf("watcher%d", n) }

// meet starts the channel and connects its clients. Who sees all knew the site before.
func (b *managementBench) meet(ctx context.Context) error {
	if err := b.startChannel(ctx, b.network+"100"); err != nil {
		return err
	}
	_, err := b.connect(ctx, b.Clients, func(n int) caller {
		who := caller{token: b.tokens[b.rights(n)]}
		if b.rights(n) == watchers {
			who.cursor = b.cursor
		}
		return who
	})
	return err
}

// rights of a client: one of the watchers', or watchers itself for the whole site.
func (b *managementBench) rights(n int) int {
	if n%seers == 0 {
		return watchers
	}
	return n % watchers
}

// failAtOnce lets the first servers fail in the same moment, counts what the log has of it,
// and what the clients are told until one of the servers is home again.
func (b *managementBench) failAtOnce(ctx context.Context) error {
	b.Say(fmt.Sprintf("%d recording servers fail at once", b.Failing))
	trust, err := identity.UserTLS(b.site.CA)
	if err != nil {
		return err
	}
	listeners := make([]listener, b.Clients)
	var hearing, all sync.WaitGroup
	for n := range listeners {
		listeners[n] = listener{client: b.clients[n], told: map[string]int{}}
		again := func(cursor understudy.Cursor) (*channelClient, error) {
			return dialChannel(ctx, b.address, trust, caller{token: b.tokens[b.rights(n)], cursor: cursor})
		}
		hearing.Go(func() { listeners[n].tally(time.Now().Add(tellWithin), b.Failing, again) })
	}
	if err := sleep(ctx, time.Second); err != nil { // until all of them wait
		return err
	}
	began := time.Now()
	errs := make([]error, b.Failing)
	for n := range b.Failing {
		all.Go(func() { errs[n] = b.storm.claim(ctx, b.claims[n%standbys], n, understudy.ClaimTakeover) })
	}
	all.Wait()
	b.result.AllGranted = round(time.Since(began).Seconds() * 1000)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	home, err := b.asServer(homeID(0), understudy.RoleRecording)
	if err == nil {
		err = b.storm.claim(ctx, home, 0, understudy.ClaimFailback)
	}
	if err != nil {
		return err
	}
	hearing.Wait()
	var times []time.Duration
	for n := range listeners {
		l := &listeners[n]
		b.clients[n] = l.client
		b.result.Resumed += l.resumed
		if l.ended && once(l.told, b.Failing) {
			b.result.Told++
			times = append(times, l.heard.Sub(began))
		}
	}
	b.result.ToldAll = spreadOf(times)
	return errors.Join(b.sample(), b.readLog(ctx))
}

func once(told map[string]int, servers int) bool {
	for _, times := range told {
		if times != 1 {
			return false
		}
	}
	return len(told) == servers
}

// readLog counts the takeovers that the log has since the site was made.
func (b *managementBench) readLog(ctx context.Context) error {
	events, err := b.site.Client.Events(ctx, understudy.EventQuery{After: b.cursor.Seq, Kind: understudy.EventTakeover, Limit: 1000})
	if err != nil {
		return err
	}
	told := map[understudy.ServerID]int{}
	for _, e := range events {
		if told[e.Server]++; told[e.Server] == 2 {
			b.result.EventsDoubled++
		}
	}
	b.result.EventsLost = b.Failing - len(told)
	return nil
}

// signIn lets users sign in at a steady rate, while the clients stay connected.
func (b *managementBench) signIn(ctx context.Context) error {
	b.Say(fmt.Sprintf("%d sign-ins a second, for %d s", loginsASecond, b.Seconds))
	server, _ := b.site.Process(site.Management)
	resident := func() float64 {
		bytes, err := site.Resident(server.PID())
		if err != nil {
			return 0 // it has ended, and who signs in is told so
		}
		return round(float64(bytes) / (1 << 20))
	}
	b.result.IdleRSS = resident()
	user, err := b.asUser()
	if err != nil {
		return err
	}
	defer user.Close()
	refused := make([]bool, b.Seconds*loginsASecond)
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		for sleep(watching, 50*time.Millisecond) == nil {
			b.result.LoginRSS = max(b.result.LoginRSS, resident())
		}
	})
	times, err := atRate(ctx, loginsASecond, len(refused), func(n int) error {
		_, err := user.SignIn(ctx, watcher(n%(watchers+1)), crowdPassword)
		if understudy.CodeOf(err) == understudy.CodeUnavailable {
			refused[n] = true
			return nil
		}
		return err
	})
	stop()
	watch.Wait()
	if err != nil {
		return err
	}
	var granted []time.Duration
	for n, took := range times {
		if !refused[n] {
			granted = append(granted, took)
		}
	}
	b.result.Logins, b.result.LoginsRefused = len(times), len(times)-len(granted)
	b.result.LoginMedian, b.result.LoginP99 = percentiles(granted)
	return nil
}
