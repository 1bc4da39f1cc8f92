package client

import (
	"context"
	"io"
	"net/url"
	"slices"
	"time"

	"understudy"
)

// Still is one picture of a camera.
type Still struct {
	Type     string    // "image/jpeg", or "video/mp4": the coded picture alone
	Captured time.Time // when
	Body     []byte
}

// maxStill bounds the answer: a key frame of the largest cameras has some megabytes.
const maxStill = 64 << 20

// Still returns the last key frame of a camera at or before a time, the live one
// for the zero time, from the first server that has one. CodeNotFound if nothing
// was recorded until then.
func (c *Client) Still(ctx context.Context, camera understudy.CameraID, at time.Time) (Still, error) {
	site, err := c.current(ctx)
	if err != nil {
		return Still{}, err
	}
	if _, err := homeOf(site, camera); err != nil {
		return Still{}, err
	}
	token, err := c.MediaToken(ctx)
	if err != nil {
		return Still{}, err
	}
	path := "/v1/cameras/" + url.PathEscape(string(camera)) + "/still"
	if !at.IsZero() {
		path += "?" + url.Values{"at": {at.UTC().Format(time.RFC3339Nano)}}.Encode()
	}
	for _, server := range nearest(site, camera) {
		var still Still
		still, err = c.stillOf(ctx, server, site.MediaServers()[server].Media, path, token)
		if err == nil || ctx.Err() != nil || !fleeting(err) {
			return still, err
		}
	}
	return Still{}, err
}

// nearest returns the servers to ask about a camera: who holds it, its home, the others.
func nearest(site understudy.Site, camera understudy.CameraID) []understudy.ServerID {
	var first []understudy.ServerID
	if lease, ok := site.Lease(camera); ok {
		first = append(first, lease.Holder)
	}
	if home, err := homeOf(site, camera); err == nil && !slices.Contains(first, home) {
		first = append(first, home)
	}
	var others []understudy.ServerID
	for server := range site.FootageServers(camera) {
		if !slices.Contains(first, server) {
			others = append(others, server)
		}
	}
	slices.Sort(others)
	return slices.DeleteFunc(append(first, others...), func(s understudy.ServerID) bool { return site.MediaServers()[s].Media == "" })
}

func (c *Client) stillOf(ctx context.Context, server understudy.ServerID, address, path string, token understudy.Secret) (Still, error) {
	ctx, cancel := context.WithTimeout(ctx, readStall)
	defer cancel()
	response, err := c.media(ctx, server, address, path, token, 0)
	if err != nil {
		return Still{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxStill))
	if err != nil {
		return Still{}, understudy.Errorf(understudy.CodeUnavailable, "server %s broke off: %w", server, err)
	}
	captured, err := time.Parse(time.RFC3339Nano, response.Header.Get("Understudy-Captured"))
	if err != nil {
		return Still{}, understudy.Errorf(understudy.CodeUnavailable, "server %s does not say when the picture was captured: %w", server, err)
	}
	return Still{Type: response.Header.Get("Content-Type"), Captured: captured, Body: body}, nil
}
