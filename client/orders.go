package client

import (
	"context"
	"net/http"

	"understudy"
)

// HandOver implements understudy.OrderService. CodeConflict when no failover
// server can take the part now; ForceHandOver does not ask whether one can.
func (c *Client) HandOver(ctx context.Context, home understudy.ServerID, o understudy.HandOver) (understudy.RecordingServer, error) {
	return c.order(ctx, http.MethodPut, home, "/hand-over", o)
}

// ForceHandOver is HandOver to a server that cannot take the part now, and will when it can.
func (c *Client) ForceHandOver(ctx context.Context, home understudy.ServerID, o understudy.HandOver) (understudy.RecordingServer, error) {
	return c.order(ctx, http.MethodPut, home, "/hand-over?force=true", o)
}

// FailBack implements understudy.OrderService.
func (c *Client) FailBack(ctx context.Context, home understudy.ServerID) (understudy.RecordingServer, error) {
	return c.order(ctx, http.MethodDelete, home, "/hand-over", nil)
}

// Maintain implements understudy.OrderService.
func (c *Client) Maintain(ctx context.Context, home understudy.ServerID, m understudy.Maintenance) (understudy.RecordingServer, error) {
	return c.order(ctx, http.MethodPut, home, "/maintenance", m)
}

func (c *Client) order(ctx context.Context, method string, home understudy.ServerID, path string, body any) (understudy.RecordingServer, error) {
	name, err := segment("server", home)
	if err != nil {
		return understudy.RecordingServer{}, err
	}
	return ask[understudy.RecordingServer](ctx, c, call{method: method, path: "/recording-servers/" + name + path, in: body})
}
