package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"understudy"
)

// Trigger implements understudy.TriggerService: it tells the management server
// or, while that is away, the server that records the camera, as far as the
// site is known.
func (c *Client) Trigger(ctx context.Context, t understudy.Trigger) (understudy.Trigger, error) {
	if t.ID == "" {
		t.ID = rand.Text() // so that whoever is told twice knows
	}
	told, err := ask[understudy.Trigger](ctx, c, call{method: http.MethodPost, path: "/events", in: t})
	if understudy.CodeOf(err) != understudy.CodeUnavailable || err == nil || ctx.Err() != nil {
		return told, err
	}
	site, ok := c.Current()
	if !ok {
		return told, err
	}
	if taken, ok := c.triggerThere(ctx, site, t); ok {
		return taken, nil
	}
	return told, err
}

// triggerThere tells servers of an event until one takes it, the camera's holder first.
func (c *Client) triggerThere(ctx context.Context, site understudy.Site, t understudy.Trigger) (understudy.Trigger, bool) {
	lease, _ := site.Lease(t.Camera)
	servers := []understudy.ServerID{lease.Holder}
	for _, server := range slices.Sorted(maps.Keys(site.FootageServers(t.Camera))) {
		if server != lease.Holder {
			servers = append(servers, server)
		}
	}
	token, err := c.MediaToken(ctx)
	if err != nil {
		return t, false
	}
	for _, server := range servers {
		if taken, err := c.triggerAt(ctx, server, site.MediaServers()[server].Media, token, t); err == nil {
			return taken, true
		}
	}
	return t, false
}

func (c *Client) triggerAt(ctx context.Context, server understudy.ServerID, address string, token understudy.Secret, t understudy.Trigger) (taken understudy.Trigger, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	body, err := json.Marshal(t)
	if err != nil {
		return t, understudy.Errorf(understudy.CodeInternal, "an event could not be written as JSON: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/v1/cameras/"+url.PathEscape(string(t.Camera))+"/events", bytes.NewReader(body))
	if err != nil {
		return t, understudy.Errorf(understudy.CodeInternal, "a request to server %s could not be made: %w", server, err)
	}
	request.Header.Set("Content-Type", "application/json")
	c.authorize(request, token)
	response, err := c.HTTP(server).Do(request)
	if err != nil {
		return t, unreached("server "+string(server), address, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return t, refusal(response)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxErrorAnswer)).Decode(&taken); err != nil {
		return t, understudy.Errorf(understudy.CodeUnavailable, "the answer of server %s could not be read: %w", server, err)
	}
	return taken, nil
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
