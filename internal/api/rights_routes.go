package api

import (
	"context"

	"understudy"
)

// rightsRoutes are about roles and groups of cameras: whoever could change them could
// give himself any right.
func (s *server) rightsRoutes() {
	administer := may(understudy.ActionAdminister)
	operation(s, route{method: "GET", path: "/roles", access: administer, tag: "users", summary: "List the roles that every site has, and the site's own"},
		func(ctx context.Context, _ *struct{}) (*answer[[]understudy.SiteRole], error) {
			return list(s.Services.Roles(ctx))
		})
	operation(s, route{method: "PUT", path: "/roles/{name}", access: administer, tag: "users", summary: "Create or change a role of the site's own"},
		func(ctx context.Context, in *struct {
			Name understudy.UserRole `path:"name"`
			Body understudy.SiteRole
		}) (*answer[understudy.SiteRole], error) {
			if err := sameName("role", in.Name, &in.Body.Name); err != nil {
				return nil, err
			}
			return one(s.Services.PutRole(ctx, in.Body))
		})
	operation(s, route{method: "DELETE", path: "/roles/{name}", access: administer, tag: "users", summary: "Remove a role that no user has"},
		func(ctx context.Context, in *struct {
			Name understudy.UserRole `path:"name"`
		}) (*nothing, error) {
			return done(s.Services.DeleteRole(ctx, in.Name))
		})
	operation(s, route{method: "GET", path: "/camera-groups", access: administer, tag: "users", summary: "List the groups of cameras that rights are given on"},
		func(ctx context.Context, _ *struct{}) (*answer[[]understudy.CameraGroup], error) {
			return list(s.Services.CameraGroups(ctx))
		})
	operation(s, route{method: "PUT", path: "/camera-groups/{id}", access: administer, tag: "users", summary: "Create or change a camera group"},
		func(ctx context.Context, in *struct {
			ID   understudy.CameraGroupID `path:"id"`
			Body understudy.CameraGroup
		}) (*answer[understudy.CameraGroup], error) {
			if err := sameName("camera group", in.ID, &in.Body.ID); err != nil {
				return nil, err
			}
			return one(s.Services.PutCameraGroup(ctx, in.Body))
		})
	operation(s, route{method: "DELETE", path: "/camera-groups/{id}", access: administer, tag: "users", summary: "Remove a camera group that no user has a right on"},
		func(ctx context.Context, in *struct {
			ID understudy.CameraGroupID `path:"id"`
		}) (*nothing, error) {
			return done(s.Services.DeleteCameraGroup(ctx, in.ID))
		})
}
