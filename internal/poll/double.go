package poll

import (
	"context"
	"slices"
	"sync"
	"time"

	"understudy"
)

const (
	// doubleKnown is how long an answer about one process counts for its next requests.
	doubleKnown = 5 * time.Second
	mostBoots   = 16 // of one server that are remembered
)

// boots are the processes that have answered as one server at its address. A name is made at
// the start of a process and lies on no disk: one that comes back after another has answered
// has lived all the while, beside the other.
type boots struct {
	mu     sync.Mutex
	latest string
	former []string // others, the newest last

	asking  sync.Mutex // held while the server is asked for the sake of a request
	about   string     // the process whose request that was
	at      time.Time
	another bool // answered then
}

// answered notes whose answer came, and reports whether one has come back.
func (b *boots) answered(boot string) (back bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if boot == b.latest || boot == "" {
		return false
	}
	back = slices.Contains(b.former, boot)
	if b.latest != "" && !slices.Contains(b.former, b.latest) {
		b.former = append(b.former, b.latest)
		b.former = b.former[max(0, len(b.former)-mostBoots):]
	}
	b.latest = boot
	return back
}

func (b *boots) isLatest(boot string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.latest == boot
}

// Double reports whether another process than that of the name boot (State.Boot) answers as a
// server, now and at the address that the site has of it: two live at once with one identity,
// and the folder of one is a copy. A server that does not answer there in time has no double:
// it may just have started, have moved, or be dead.
func (w *Watcher) Double(ctx context.Context, server understudy.ServerID, boot string) (address string, found bool) {
	w.mu.Lock()
	one := w.watched[server]
	w.mu.Unlock()
	if one == nil || boot == "" || one.boots.isLatest(boot) {
		return "", false
	}
	b := &one.boots
	b.asking.Lock()
	defer b.asking.Unlock()
	if b.about == boot && time.Since(b.at) < doubleKnown {
		return one.address, b.another
	}
	state := w.askAfresh(ctx, server)
	if ctx.Err() != nil { // nothing was found out
		return "", false
	}
	b.about, b.at = boot, time.Now()
	b.another = state != nil && state.Boot != "" && state.Boot != boot
	return one.address, b.another
}

// OnDouble has f called when the answers at one server's address come from two processes in
// turn: two machines have that address. It is set before Run, and f does not wait.
func (w *Watcher) OnDouble(f func(server understudy.ServerID, address string)) { w.double = f }
