package api

import (
	"context"

	"understudy"
)

// preflightBody bounds a request: some hundred bytes for each of 20,000 findings.
const preflightBody = 8 << 20

func (s *server) preflightRoutes() {
	operation(s, route{method: "GET", path: "/preflights", access: may(understudy.ActionStatus), tag: "servers",
		summary: "What each failover server has proven of its ability to stand in"},
		func(ctx context.Context, _ *struct{}) (*answer[[]understudy.Preflight], error) {
			all, err := s.Services.Preflights(ctx)
			asker := understudy.Asker(ctx)
			for i, p := range all {
				all[i] = p.Only(func(c understudy.CameraID) bool { return asker.May(understudy.ActionStatus, c) == nil })
			}
			return list(all, err)
		})
	operation(s, route{method: "PUT", path: "/servers/{id}/preflight", access: actsAs(understudy.RoleFailover), tag: "servers",
		summary: "Tell what a pre-flight has found", maxBody: preflightBody},
		func(ctx context.Context, in *struct {
			ID   understudy.ServerID `path:"id"`
			Body understudy.Preflight
		}) (*nothing, error) {
			if err := sameName("server", in.ID, &in.Body.Server); err != nil {
				return nil, err
			}
			return done(s.Services.PutPreflight(ctx, in.Body))
		})
}
