// Package outbox brings what a server saw to the event log. While nobody takes
// it, it is kept, sealed, so that it outlives the server's own end too.
package outbox

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/vault"
)

const (
	most      = 1000             // reports that wait, and as many of what users did, which so cannot crowd them out; what does not fit is in the server's own log only
	patience  = 10 * time.Second // for one answer
	minPause  = 250 * time.Millisecond
	maxPause  = 2 * time.Second
	keepEvery = time.Second // so much of what waits a crash may forget, or tell twice
	file      = "reports"
)

// Outbox is what waits to be told.
type Outbox struct {
	server understudy.ServerID
	report func(ctx context.Context, server understudy.ServerID, r understudy.Report) error
	log    *slog.Logger
	more   chan struct{} // holds one token when something may wait

	mu      sync.Mutex
	waiting []understudy.Report // oldest first

	kept *vault.List[understudy.Report] // of whoever keeps
}

// New returns the outbox of a server, with what waited when the server last
// ended; report is an understudy.EventService's Report.
func New(server understudy.ServerID, report func(context.Context, understudy.ServerID, understudy.Report) error, v vault.Vault, log *slog.Logger) *Outbox {
	o := &Outbox{server: server, report: report, log: log, more: make(chan struct{}, 1)}
	var err error
	if o.kept, o.waiting, err = vault.OpenList[understudy.Report](v, file); err != nil && understudy.CodeOf(err) != understudy.CodeNotFound {
		log.Error("what was to be told to the event log when this server ended cannot be read; it is in this log only", "error", err)
	}
	return o
}

// Report lets r be told, and never waits.
func (o *Outbox) Report(r understudy.Report) {
	o.mu.Lock()
	full := o.like(r) >= most
	if !full {
		o.waiting = append(o.waiting, r)
	}
	o.mu.Unlock()
	if full {
		o.log.Warn("an event does not reach the event log, which has been away for too long", "event", r.Sentence)
		return
	}
	select {
	case o.more <- struct{}{}:
	default:
	}
}

// like counts what waits of r's sort; o.mu is held.
func (o *Outbox) like(r understudy.Report) (n int) {
	for _, w := range o.waiting {
		if (w.Use == nil) == (r.Use == nil) {
			n++
		}
	}
	return n
}

// Waiting is how many reports the log has not taken yet.
func (o *Outbox) Waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}

// Run tells what waits, in order, until ctx ends.
func (o *Outbox) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return o.send(ctx) })
	g.Go(func() error { return o.keep(ctx) })
	return g.Wait()
}

func (o *Outbox) send(ctx context.Context) error {
	for {
		r, ok := o.oldest()
		if !ok {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-o.more:
			}
			continue
		}
		if err := o.deliver(ctx, r); err != nil {
			return err
		}
		o.mu.Lock()
		o.waiting = o.waiting[1:]
		o.mu.Unlock()
	}
}

func (o *Outbox) oldest() (r understudy.Report, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		return r, false
	}
	return o.waiting[0], true
}

// deliver repeats while the log may take it later; what it never will is dropped.
func (o *Outbox) deliver(ctx context.Context, r understudy.Report) error {
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		limited, cancel := context.WithTimeout(ctx, patience)
		err := o.report(limited, o.server, r)
		late := limited.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			return nil
		case !late && understudy.CodeOf(err) != understudy.CodeUnavailable:
			o.log.Warn("the event log refused an event", "event", r.Sentence, "error", err)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// keep is beside send: a disk that hangs keeps nothing from being told.
func (o *Outbox) keep(ctx context.Context) error {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			o.Keep()
		}
	}
}

// Keep writes down what waits, if that has changed. It is for the end of the
// server, after Run and all who report: Run does it each second.
func (o *Outbox) Keep() {
	o.mu.Lock()
	waiting := o.waiting
	o.mu.Unlock()
	if err := o.kept.Keep(waiting); err != nil {
		o.log.Error("what the event log has not taken yet could not be kept; it is lost if this server ends", "events", len(waiting), "error", err)
	}
}
