package client

import (
	"context"
	"net/http"

	"understudy"
)

// Roles implements understudy.RightsService.
func (c *Client) Roles(ctx context.Context) ([]understudy.SiteRole, error) {
	return ask[[]understudy.SiteRole](ctx, c, call{method: http.MethodGet, path: "/roles"})
}

// PutRole implements understudy.RightsService.
func (c *Client) PutRole(ctx context.Context, r understudy.SiteRole) (understudy.SiteRole, error) {
	return put[understudy.SiteRole](ctx, c, "/roles/", "role", r.Name, r)
}

// DeleteRole implements understudy.RightsService.
func (c *Client) DeleteRole(ctx context.Context, name understudy.UserRole) error {
	return remove(ctx, c, "/roles/", "role", name)
}

// CameraGroups implements understudy.RightsService.
func (c *Client) CameraGroups(ctx context.Context) ([]understudy.CameraGroup, error) {
	return ask[[]understudy.CameraGroup](ctx, c, call{method: http.MethodGet, path: "/camera-groups"})
}

// PutCameraGroup implements understudy.RightsService.
func (c *Client) PutCameraGroup(ctx context.Context, g understudy.CameraGroup) (understudy.CameraGroup, error) {
	return put[understudy.CameraGroup](ctx, c, "/camera-groups/", "camera group", g.ID, g)
}

// DeleteCameraGroup implements understudy.RightsService.
func (c *Client) DeleteCameraGroup(ctx context.Context, id understudy.CameraGroupID) error {
	return remove(ctx, c, "/camera-groups/", "camera group", id)
}
