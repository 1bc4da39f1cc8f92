package faults_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
	"understudy/internal/site"
)

// A service channel in a process of its own tells everything that the
// management server's does, each event once and in order, though the management
// server, then the channel, is killed and comes back.
func TestChannelOfItsOwn(t *testing.T) {
	b := up(t, hot("north"), nil)
	dir := filepath.Join(b.dir, "channel")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config.yaml")
	host := b.network + "100"
	text := fmt.Sprintf("{data: %s, hosts: [%s], http: '%s:8080', https: '%s:8443'}", dir, host, host, host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	token, err := b.Client.CreateJoinToken(t.Context(), understudy.RoleChannel, "channel1", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	start := func() (kill func()) {
		cmd := exec.Command(path, "channel", "--config", config, "--join", string(token))
		log, err := os.OpenFile(filepath.Join(b.dir, "logs", "channel.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	kill := start()
	t.Cleanup(func() { kill() })

	trust, err := identity.UserTLS(b.CA)
	if err != nil {
		t.Fatal(err)
	}
	follower, err := client.New(client.Config{
		Addresses: []string{b.URL}, Channels: []string{"https://" + host + ":8443"}, Token: b.Client.Token(),
		TLS: func(understudy.ServerID) *tls.Config { return trust },
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var events []understudy.Event
	follower.Subscribe(func(_ understudy.Site, u understudy.Update) {
		mu.Lock()
		defer mu.Unlock()
		if u.Event != nil {
			events = append(events, *u.Event)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = follower.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	heard := func(kind understudy.EventKind) func(context.Context) bool {
		return func(context.Context) bool {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range events {
				if e.Kind == kind {
					return true
				}
			}
			return false
		}
	}
	b.within(10*time.Second, "the follower to know the site", func(context.Context) bool {
		now, ok := follower.Current()
		return ok && len(now.Cameras) == 1
	})
	b.do(site.FaultKill, site.Management)
	time.Sleep(time.Second)
	b.do(site.CureStart, site.Management)
	b.do(site.FaultKill, "rec1")
	b.within(15*time.Second, "the follower to hear of the takeover", heard(understudy.EventTakeover))
	kill()
	time.Sleep(time.Second)
	b.do(site.CureStart, "rec1")
	time.Sleep(time.Second)
	kill = start()
	b.within(25*time.Second, "the follower to hear of the failback", heard(understudy.EventFailback))
	b.emptied(20*time.Second, "fo1")
	time.Sleep(time.Second)
	mu.Lock()
	defer mu.Unlock()
	for i, e := range events[1:] {
		if e.Seq != events[i].Seq+1 {
			t.Errorf("event %d follows event %d", e.Seq, events[i].Seq)
		}
	}
	all, err := b.Client.Events(t.Context(), understudy.EventQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	last := events[len(events)-1].Seq
	if n := all[len(all)-1].Seq; n > last+1 && all[0].Seq > last+1 {
		t.Errorf("the follower has heard up to event %d, the log ends at %d", last, max(n, all[0].Seq))
	}
	if t.Failed() {
		t.Log(b.story())
	}
}
