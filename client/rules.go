package client

import (
	"context"
	"net/http"
	"net/url"

	"understudy"
)

// Trigger implements understudy.TriggerService: it tells the management server.
func (c *Client) Trigger(ctx context.Context, t understudy.Trigger) (understudy.Trigger, error) {
	return ask[understudy.Trigger](ctx, c, call{method: http.MethodPost, path: "/events", in: t})
}

// Locks implements understudy.LockService.
func (c *Client) Locks(ctx context.Context) ([]understudy.Lock, error) {
	return ask[[]understudy.Lock](ctx, c, call{method: http.MethodGet, path: "/locks"})
}

// PutLock implements understudy.LockService.
func (c *Client) PutLock(ctx context.Context, l understudy.Lock) (understudy.Lock, error) {
	return ask[understudy.Lock](ctx, c, call{method: http.MethodPost, path: "/locks", in: l})
}

// RemoveLock implements understudy.LockService.
func (c *Client) RemoveLock(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/locks/"+url.PathEscape(id), nil, nil)
}
