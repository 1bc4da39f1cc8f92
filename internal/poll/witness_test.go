package poll

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"understudy"
)

// A process is awake once everybody was asked since it started and since it last stood still.
func TestAPulse(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const ms = time.Millisecond
	type beat struct {
		at    time.Duration
		wall  time.Duration // besides: how far the wall clock is ahead
		asked time.Duration // all were looked at; -1: only a beat
		awake bool
	}
	for name, beats := range map[string][]beat{
		"started":                              {{0, 0, -1, false}, {100 * ms, 0, -1, false}, {150 * ms, 0, 0, true}},
		"somebody is silent":                   {{0, 0, -1, false}, {700 * ms, 0, -1, false}, {1400 * ms, 0, -1, false}, {2000 * ms, 0, -1, true}},
		"stood still":                          {{0, 0, 0, true}, {700 * ms, 0, -1, true}, {15000 * ms, 0, -1, false}, {15100 * ms, 0, -1, false}},
		"what was asked before proves nothing": {{0, 0, 0, true}, {15000 * ms, 0, 14000 * ms, false}, {15200 * ms, 0, 15050 * ms, true}},
		"it hears it first from a claim":       {{0, 0, 0, true}, {900 * ms, 0, -1, false}},
		"suspended":                            {{0, 0, 0, true}, {100 * ms, time.Hour, -1, false}, {200 * ms, time.Hour, 150 * ms, true}},
		"the clock is set back":                {{0, 0, 0, true}, {100 * ms, -time.Hour, -1, true}, {200 * ms, -time.Hour, -1, true}},
	} {
		var p Pulse
		for _, b := range beats {
			wall := noon.Add(b.at + b.wall)
			if b.asked >= 0 {
				p.Looked(b.asked, b.at, wall)
			}
			if awake := p.Awake(b.at, wall); awake != b.awake {
				t.Errorf("%s: awake at %s: %v", name, b.at, awake)
			}
		}
	}
}

// watching is a Watcher of servers at addresses, whose first look is over.
func watching(t *testing.T, tlsFor func(understudy.ServerID) *tls.Config, addresses map[understudy.ServerID]string) *Watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended, looked := make(chan error, 1), make(chan struct{}, 1)
	w := NewWatcher(func() (map[understudy.ServerID]string, bool) { return addresses, true }, tlsFor)
	w.interval = 5 * time.Millisecond
	go func() {
		ended <- w.Run(ctx, func(all []understudy.ServerStatus) {
			if len(all) > 0 {
				select {
				case looked <- struct{}{}:
				default:
				}
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-looked
	return w
}

// Who answers is heard, who refuses or is silent is not waited for long, and who
// has owed an answer for as long as that is not asked again.
func TestAskedAfresh(t *testing.T) {
	a := newAuthority(t)
	manager := newNode(t, a, "management", understudy.RoleManagement)
	addresses := map[understudy.ServerID]string{}
	for _, id := range []understudy.ServerID{"rec-1", "rec-2"} {
		n := newNode(t, a, id, understudy.RoleRecording)
		addresses[id], _ = serve(t, listenOn(t, "127.0.0.1:0"), n, func(understudy.Identity, understudy.Poll) understudy.State {
			return understudy.State{Server: id}
		})
	}
	silent, closed := listenOn(t, "127.0.0.1:0"), listenOn(t, "127.0.0.1:0")
	closed.Close()
	addresses["rec-3"], addresses["rec-4"] = silent.Addr().String(), closed.Addr().String()
	t.Cleanup(func() { _ = silent.Close() })
	w := watching(t, manager.ClientTLS, addresses)

	heard := func(ids ...understudy.ServerID) map[understudy.ServerID]bool {
		all := map[understudy.ServerID]bool{}
		for _, s := range w.Ask(t.Context(), ids) {
			all[s.Server] = true
		}
		return all
	}
	if all := heard("rec-1", "rec-2", "rec-3", "rec-4", "nowhere"); len(all) != 2 || !all["rec-1"] || !all["rec-2"] {
		t.Errorf("heard %v", all)
	}
	owing := w.watched["rec-2"]
	owing.mu.Lock()
	owing.looked, owing.owed = time.Now(), time.Now().Add(-Patience)
	owing.mu.Unlock()
	owing.stop() // or it would answer now
	if all := heard("rec-1", "rec-2"); len(all) != 1 || !all["rec-1"] {
		t.Errorf("heard %v, and rec-2 has owed an answer for %s", all, Patience)
	}
}

// A watcher whose servers are not known yet has not looked at everybody.
func TestNobodyKnownIsNotEverybodySeen(t *testing.T) {
	a := newAuthority(t)
	recorder, manager := newNode(t, a, "rec-1", understudy.RoleRecording), newNode(t, a, "management", understudy.RoleManagement)
	address, _ := serve(t, listenOn(t, "127.0.0.1:0"), recorder, func(understudy.Identity, understudy.Poll) understudy.State {
		return understudy.State{Server: "rec-1"}
	})
	told, asked, published := make(chan bool), make(chan struct{}), make(chan struct{})
	w := NewWatcher(func() (map[understudy.ServerID]string, bool) {
		asked <- struct{}{}
		return map[understudy.ServerID]string{"rec-1": address}, <-told
	}, manager.ClientTLS)
	w.interval, w.settle, w.begun = time.Millisecond, time.Millisecond, time.Now().Add(-time.Minute)
	w.pulse.Beat(w.elapsed(), time.Now().Round(0)) // it stood still until now
	w.pulse.since = w.elapsed()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- w.Run(ctx, func(all []understudy.ServerStatus) {
			if len(all) == 1 {
				published <- struct{}{}
			}
		})
	}()
	<-asked
	w.mu.Lock()
	fresh := w.pulse.fresh
	w.mu.Unlock()
	if fresh {
		t.Error("it has looked at nobody")
	}
	told <- false
	<-asked // a round without servers is over
	w.mu.Lock()
	fresh = w.pulse.fresh
	w.mu.Unlock()
	if fresh {
		t.Error("it knows nobody, and holds that it has seen everybody")
	}
	told <- true
	for seen := false; !seen; {
		select {
		case <-asked:
			told <- true
		case <-published:
			seen = true
		}
	}
	cancel()
	for over := false; !over; {
		select {
		case <-asked:
			told <- true
		case <-published:
		case err := <-ended:
			if over = true; err != nil {
				t.Error(err)
			}
		}
	}
	if !w.pulse.fresh {
		t.Error("it has looked at everybody, and does not know it")
	}
}

var _ interface {
	Awake() error
	Ask(ctx context.Context, servers []understudy.ServerID) []understudy.State
} = (*Watcher)(nil)
