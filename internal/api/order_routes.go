package api

import (
	"context"

	"understudy"
)

// orderRoutes are an operator's orders about who plays a recording server's part.
func (s *server) orderRoutes() {
	configure := mayEverywhere(understudy.ActionConfigure)
	operation(s, route{method: "PUT", path: "/recording-servers/{id}/hand-over", access: configure, tag: "servers",
		summary: "Hand a recording server's part over to a failover server; refused when none can take it, unless forced"}, s.handOver)
	operation(s, route{method: "DELETE", path: "/recording-servers/{id}/hand-over", access: configure, tag: "servers",
		summary: "Let a recording server take its part back now, whoever has it and why"},
		func(ctx context.Context, in *serverPath) (*answer[understudy.RecordingServer], error) {
			return one(s.Services.FailBack(ctx, in.ID))
		})
	operation(s, route{method: "PUT", path: "/recording-servers/{id}/maintenance", access: configure, tag: "servers",
		summary: "Begin a maintenance, in which nobody takes the part over; without a time, end it"},
		func(ctx context.Context, in *struct {
			ID   understudy.ServerID `path:"id"`
			Body understudy.Maintenance
		}) (*answer[understudy.RecordingServer], error) {
			return one(s.Services.Maintain(ctx, in.ID, in.Body))
		})
}

func (s *server) handOver(ctx context.Context, in *struct {
	ID    understudy.ServerID `path:"id"`
	Force bool                `query:"force" doc:"Order it although the failover server cannot take the part now"`
	Body  understudy.HandOver
}) (*answer[understudy.RecordingServer], error) {
	site, err := s.Services.Site(ctx)
	if err != nil {
		return nil, err
	}
	if !in.Force || in.Body.To == "" {
		if in.Body.To, err = site.StandIn(in.ID, in.Body.To, s.Status()); err != nil {
			return nil, err
		}
	}
	return one(s.Services.HandOver(ctx, in.ID, in.Body))
}
