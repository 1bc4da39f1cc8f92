// Package supervise says how a role gets on: whether it is ready, in a
// sentence, for people and load balancers, and to systemd, which starts a role
// anew that does not get on.
package supervise

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// tellEvery is how often systemd is told, unless its watchdog wants more.
const tellEvery = 2 * time.Second

// Role is what is asked about a role.
type Role struct {
	// Ready says whether the role does its work, in one sentence.
	Ready func() (ready bool, sentence string)
	// Alive says whether it gets on. One that waits for ever for its answer, as for
	// a lock that nobody gives back, does not.
	Alive func() (alive bool, sentence string)
	Log   *slog.Logger
}

// lately is how old an answer may be that costs something to make.
const lately = time.Second

// Lately returns ready, asked once a second at most, however often it is wanted.
func Lately(ready func() (bool, string)) func() (bool, string) {
	var (
		mu       sync.Mutex
		asked    time.Time
		yes      bool
		sentence string
	)
	return func() (bool, string) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(asked) >= lately {
			yes, sentence = ready()
			asked = time.Now()
		}
		return yes, sentence
	}
}

// Run tells systemd how the role gets on until ctx ends: that it has started,
// what it does, and, only while it gets on, that the watchdog may wait. Where
// systemd has not started this process it only waits.
func (r Role) Run(ctx context.Context) error {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		r.Log.Warn("systemd's watchdog is not fed", "error", err)
	}
	every := tellEvery
	if limit > 0 {
		every = min(every, limit/4)
	}
	if told, _ := daemon.SdNotify(false, daemon.SdNotifyReady); !told {
		<-ctx.Done()
		return ctx.Err()
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	said := ""
	for {
		alive, why := r.Alive()
		_, sentence := r.Ready()
		if !alive {
			sentence = why
		}
		if sentence != said {
			said = sentence
			r.tell("STATUS=" + sentence)
			if !alive {
				r.Log.Error("this server does not get on; unless it does, systemd ends it and starts it anew", "reason", why)
			}
		}
		if alive {
			r.tell(daemon.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			r.tell(daemon.SdNotifyStopping)
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (r Role) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		r.Log.Debug("systemd was not told", "error", err)
	}
}
