package api

import (
	"context"

	"understudy"
)

// rulesRoutes serve what makes footage of events, and what keeps footage.
func (s *server) rulesRoutes() {
	operation(s, route{method: "POST", path: "/events", access: may(understudy.ActionEvents), tag: "events", summary: "Tell that something happened at a camera"},
		func(ctx context.Context, in *struct{ Body understudy.Trigger }) (*answer[understudy.Trigger], error) {
			if err := understudy.Asker(ctx).May(understudy.ActionEvents, in.Body.Camera); err != nil {
				return nil, err
			}
			return one(s.Services.Trigger(ctx, in.Body))
		})
	operation(s, route{method: "GET", path: "/locks", access: may(understudy.ActionStatus), tag: "locks", summary: "List the locks in force of cameras that you may see"},
		func(ctx context.Context, _ *struct{}) (*answer[[]understudy.Lock], error) {
			locks, err := s.Services.Locks(ctx)
			return list(understudy.Asker(ctx).VisibleSite(understudy.Site{Locks: locks}).Locks, err)
		})
	operation(s, route{method: "POST", path: "/locks", access: may(understudy.ActionLock), tag: "locks", summary: "Keep footage from being deleted, or change a lock of your own"},
		func(ctx context.Context, in *struct{ Body understudy.Lock }) (*answer[understudy.Lock], error) {
			if err := understudy.Asker(ctx).May(understudy.ActionLock, in.Body.Camera); err != nil {
				return nil, err
			}
			return one(s.Services.PutLock(ctx, in.Body))
		})
	operation(s, route{method: "DELETE", path: "/locks/{name}", access: may(understudy.ActionLock), tag: "locks", summary: "Remove a lock of your own; administrators, any"},
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
		}) (*nothing, error) {
			return done(s.Services.RemoveLock(ctx, in.Name))
		})
}
