package client

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"understudy"
)

// following is the site as Run knows it.
type following struct {
	mu          sync.Mutex
	site        understudy.Site
	cursor      understudy.Cursor
	known       bool
	status      []understudy.ServerStatus
	subscribers map[int]func(understudy.Site, understudy.Update)
	next        int
}

// Bounds of the pause between two connections to the channel. The first is
// short, since the usual reason is a management server that restarts.
const (
	minPause = 100 * time.Millisecond
	maxPause = 2 * time.Second
)

// Run follows the service channel, across lost connections and restarts, until
// ctx ends; it keeps Current current and calls the subscribers. While nobody
// answers it begins with what Memory kept.
func (c *Client) Run(ctx context.Context) error {
	pause := minPause
	waited := time.AfterFunc(recallAfter, c.recall)
	defer waited.Stop()
	for ctx.Err() == nil {
		c.follow.mu.Lock()
		cursor := c.follow.cursor
		c.follow.mu.Unlock()
		err := c.Follow(ctx, cursor, func(u understudy.Update) error {
			pause = minPause
			c.apply(u)
			return nil
		})
		if ctx.Err() != nil {
			break
		}
		if understudy.CodeOf(err) == understudy.CodeUnavailable {
			c.recall()
		}
		c.log.LogAttrs(ctx, slog.LevelWarn, "the service channel will be followed again", slog.Any("error", err))
		// Half of the pause is chance, so that the clients of a server that
		// restarts do not return as one.
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause/2)): //nolint:gosec // not a secret
		}
		pause = min(2*pause, maxPause)
	}
	return nil
}

func (c *Client) apply(u understudy.Update) {
	c.follow.mu.Lock()
	defer c.follow.mu.Unlock()
	switch {
	case u.Site != nil:
		c.follow.site, c.follow.known = *u.Site, true
	case u.Event != nil:
		c.follow.site = c.follow.site.Apply(*u.Event)
	default:
		c.follow.status = u.Status
	}
	if u.Cursor.Stream != "" {
		c.follow.cursor = u.Cursor
	}
	c.follow.tell(u)
}

// tell calls the subscribers; mu is held.
func (f *following) tell(u understudy.Update) {
	for _, subscriber := range f.subscribers {
		subscriber(f.site, u)
	}
}

// Current returns the site as Run last heard of it, or as Memory kept it; false before that.
func (c *Client) Current() (understudy.Site, bool) {
	c.follow.mu.Lock()
	defer c.follow.mu.Unlock()
	return c.follow.site, c.follow.known
}

// LastStatus returns the servers as Run last heard of them.
func (c *Client) LastStatus() []understudy.ServerStatus {
	c.follow.mu.Lock()
	defer c.follow.mu.Unlock()
	return c.follow.status
}

// Subscribe calls f with the site as it is now, where that is known, and then
// after each update with the site as it became, in order, until stop is called.
// f must not wait, nor call Subscribe or stop.
func (c *Client) Subscribe(f func(understudy.Site, understudy.Update)) (stop func()) {
	c.follow.mu.Lock()
	defer c.follow.mu.Unlock()
	id := c.follow.next
	c.follow.next++
	c.follow.subscribers[id] = f
	if c.follow.known {
		site := c.follow.site
		f(site, understudy.Update{Cursor: c.follow.cursor, Site: &site})
	}
	return func() {
		c.follow.mu.Lock()
		defer c.follow.mu.Unlock()
		delete(c.follow.subscribers, id)
	}
}
