// Package usage makes of the many requests for footage the few lines of the
// audit: who played or exported what, from where and until when, and who was
// refused. Nobody can flood the log with them.
package usage

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"understudy"
	"understudy/internal/vault"
)

const (
	// Requests of one user from one address to do the same with one camera are one use
	// until none has come for so long, or it has gone on for so long.
	quiet   = 5 * time.Minute
	longest = time.Hour
	// Refusals are told soon, whether they go on or not.
	refusedFor = 5 * time.Minute

	look    = 5 * time.Second // so much of what is not told yet a crash may forget
	maxOpen = 1000            // uses that go on at once; the one that was idle longest is told early
	file    = "uses"
)

// Book has the uses that go on. A nil Book takes none.
type Book struct {
	report func(understudy.Report)
	server understudy.ServerID
	log    *slog.Logger

	mu      sync.Mutex
	open    map[key]*use
	budgets map[string]*budget // by who

	kept *vault.List[understudy.Report] // of whoever keeps
}

// key says which requests are one use.
type key struct {
	who, address, token string
	action              understudy.Action
	refused             bool
	camera              understudy.CameraID // empty for refusals
}

// use is one that goes on.
type use struct {
	understudy.Use
	camera  understudy.CameraID
	running int // requests that are being answered
}

// New returns the book of a server; report is an outbox's. What was not told
// when the server last ended is told now.
func New(server understudy.ServerID, report func(understudy.Report), v vault.Vault, log *slog.Logger) *Book {
	b := &Book{report: report, server: server, log: log, open: map[key]*use{}, budgets: map[string]*budget{}}
	kept, before, err := vault.OpenList[understudy.Report](v, file)
	b.kept = kept
	if err != nil && understudy.CodeOf(err) != understudy.CodeNotFound {
		log.Error("who used footage before this server ended cannot be read; the event log does not have it", "error", err)
	}
	for _, r := range before {
		report(r)
	}
	return b
}

// Run tells of uses as they end, until ctx ends.
func (b *Book) Run(ctx context.Context) error {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			b.tell(false)
			b.keep()
		}
	}
}

// Close tells of all uses. It is for the end of the server, before its outbox
// keeps what waits.
func (b *Book) Close() {
	b.tell(true)
	b.keep()
}

// tell reports the uses that are over, or all.
func (b *Book) tell(all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for k, u := range b.open {
		if all || u.over(now) {
			b.end(k, u, now)
		}
	}
	for who, g := range b.budgets {
		g.tell(b, now, all)
		if g.idle(now) {
			delete(b.budgets, who)
		}
	}
}

func (u *use) over(now time.Time) bool {
	if u.Refused {
		return now.Sub(u.Began) >= refusedFor
	}
	return now.Sub(u.Began) >= longest || u.running == 0 && now.Sub(u.Ended) >= quiet
}

// end reports a use, or adds it to the sum of those that are too many; b.mu is held.
func (b *Book) end(k key, u *use, now time.Time) {
	delete(b.open, k)
	if u.running > 0 {
		u.Ended = now
	}
	g, ok := b.budgets[k.who]
	if !ok {
		g = &budget{sums: map[sumKey]*sum{}}
		b.budgets[k.who] = g
	}
	if g.allow(now) {
		b.report(b.reportOf(u))
		return
	}
	g.add(u, now)
}

func (b *Book) reportOf(u *use) understudy.Report {
	told := u.Use
	return understudy.Report{Kind: understudy.EventAccess, Camera: u.camera, Sentence: told.Sentence(u.camera, b.server), Use: &told}
}

// at returns the use that goes on under a key, or a new one; b.mu is held.
func (b *Book) at(k key, asker understudy.Identity, now time.Time) *use {
	if u, ok := b.open[k]; ok {
		return u
	}
	if len(b.open) >= maxOpen {
		b.makeRoom(now)
	}
	u := &use{Use: understudy.Use{User: asker.User, Server: asker.Server, Action: k.action, Refused: k.refused,
		Began: now, Ended: now, Address: k.address, TokenAddress: k.token}, camera: k.camera}
	b.open[k] = u
	return u
}

func (b *Book) makeRoom(now time.Time) {
	var oldest key
	var idle *use
	for k, u := range b.open {
		if idle == nil || u.running == 0 && idle.running > 0 || (u.running == 0) == (idle.running == 0) && u.Ended.Before(idle.Ended) {
			oldest, idle = k, u
		}
	}
	b.end(oldest, idle, now)
}

// keep writes down what is not told yet, if that has changed.
func (b *Book) keep() {
	if err := b.kept.Keep(b.untold()); err != nil {
		b.log.Error("who uses footage could not be kept; it does not reach the event log if this server ends", "error", err)
	}
}
