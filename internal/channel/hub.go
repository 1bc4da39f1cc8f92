// Package channel is the service channel: each client gets the site as it is,
// and then every change, as server-sent events. It resumes by cursor without a
// gap, or says plainly that it cannot and begins again with a snapshot.
package channel

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"understudy"
)

const (
	// kept is how many events a cursor may be behind at least: at a change a second more than an hour.
	kept = 4096
	// historyPage is what EventService gives at once.
	historyPage = 1000
	// retryPause is waited before a lost feed is followed again, half of it by chance.
	retryPause = 500 * time.Millisecond
)

// Config of a Hub.
type Config struct {
	// Feed is followed: Tail of a log, or a client of another channel (chained).
	Feed understudy.Feed
	// History, when not nil, fills in the events before the start, so that
	// cursors outlive a restart of the hub.
	History understudy.EventService
	// Identify says who asks, with CodeUnauthenticated for nobody. It is asked
	// again while a client is connected, so that a session's end ends the connection.
	Identify func(*http.Request) (understudy.Identity, error)
	Log      *slog.Logger // nil is silent
	// MaxClients bounds connections; 0 is 10,000.
	MaxClients int
}

// Hub fans one feed out to any number of clients. A client's place in the ring
// of the last events is all that is kept of it: a slow one costs no memory, and
// one that the ring has overtaken is cut off.
type Hub struct {
	config Config
	log    *slog.Logger

	views views

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change
	ended   bool
	known   bool
	stream  string
	site    understudy.Site
	floor   uint64  // every event above it, up to site.Seq, is in ring
	ring    []entry // ascending
	status  []understudy.ServerStatus
	round   uint64 // of status
	clients int
}

type entry struct {
	event understudy.Event
	json  []byte
}

// entryOf is an event without what is there for the audit, which nobody needs at once.
func entryOf(e understudy.Event) (entry, error) {
	e.From, e.Was, e.Hash = "", nil, ""
	text, err := json.Marshal(e)
	if err != nil {
		return entry{}, understudy.Errorf(understudy.CodeInternal, "event %d could not be written as JSON: %w", e.Seq, err)
	}
	return entry{e, text}, nil
}

// NewHub returns a hub that serves once Run has heard from its feed.
func NewHub(c Config) *Hub {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MaxClients == 0 {
		c.MaxClients = 10_000
	}
	return &Hub{config: c, log: c.Log, changed: make(chan struct{})}
}

// Run follows the feed, again and again, until ctx ends. Connected clients end with it.
func (h *Hub) Run(ctx context.Context) error {
	defer h.update(func() { h.ended = true })
	for ctx.Err() == nil {
		h.mu.Lock()
		cursor := understudy.Cursor{Stream: h.stream, Seq: h.site.Seq}
		h.mu.Unlock()
		err := h.config.Feed.Follow(ctx, cursor, func(u understudy.Update) error { return h.apply(ctx, u) })
		if ctx.Err() != nil {
			break
		}
		h.log.LogAttrs(ctx, slog.LevelWarn, "the service channel lost what it follows, and follows it again", slog.Any("error", err))
		select {
		case <-ctx.Done():
		case <-time.After(retryPause/2 + rand.N(retryPause/2)): //nolint:gosec // not a secret
		}
	}
	return nil
}

// Clients is how many are connected.
func (h *Hub) Clients() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clients
}

// Site returns the site, which is not to be changed; false while it is not
// known, so that no clients are served.
func (h *Hub) Site() (understudy.Site, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.site, h.known && !h.ended
}

// Status publishes what was last seen of each server. It moves no cursor: a
// client that missed one gets the next.
func (h *Hub) Status(all []understudy.ServerStatus) {
	h.update(func() {
		h.status = all
		h.round++
	})
}

// update changes the hub and wakes all clients.
func (h *Hub) update(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *Hub) apply(ctx context.Context, u understudy.Update) error {
	switch {
	case u.Site != nil:
		return h.begin(ctx, u.Cursor.Stream, *u.Site)
	case u.Event != nil:
		return h.add(*u.Event)
	default:
		h.Status(u.Status)
		return nil
	}
}

// begin takes a snapshot as the state from which events go on.
func (h *Hub) begin(ctx context.Context, stream string, site understudy.Site) error {
	ring, floor, err := h.history(ctx, site.Seq)
	if err != nil {
		return err
	}
	h.update(func() {
		h.known, h.stream, h.site = true, stream, site
		h.ring, h.floor = ring, floor
	})
	return nil
}

// history reads the events up to head that the ring has room for.
func (h *Hub) history(ctx context.Context, head uint64) (ring []entry, floor uint64, err error) {
	floor = head
	for h.config.History != nil && floor > 0 && len(ring) < kept {
		limit := min(historyPage, kept-len(ring))
		events, err := h.config.History.Events(ctx, understudy.EventQuery{Before: floor + 1, Limit: limit})
		if err != nil {
			return nil, 0, err
		}
		page := make([]entry, 0, len(events)+len(ring))
		for _, e := range events {
			entry, err := entryOf(e)
			if err != nil {
				return nil, 0, err
			}
			page = append(page, entry)
		}
		ring = append(page, ring...)
		if len(events) > 0 {
			floor = events[0].Seq - 1
		}
		if len(events) < limit {
			break // what came before is forgotten, or nothing did
		}
	}
	return ring, floor, nil
}

func (h *Hub) add(e understudy.Event) error {
	added, err := entryOf(e)
	if err != nil {
		return err
	}
	h.update(func() {
		if e.Seq <= h.site.Seq {
			return
		}
		h.site = h.site.Apply(e)
		h.ring = append(h.ring, added)
		if surplus := len(h.ring) - kept; surplus >= kept {
			h.floor = h.ring[surplus-1].event.Seq
			// Copied, so that what was dropped does not stay in memory below the slice.
			h.ring = slices.Clone(h.ring[surplus:])
		}
	})
	return nil
}
