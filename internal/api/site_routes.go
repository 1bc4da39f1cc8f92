package api

import (
	"context"
	"slices"
	"time"

	"understudy"
)

type cameraBody struct {
	understudy.Camera
	Password *understudy.Secret `json:"password,omitempty" maxLength:"1000" doc:"Left out, the one that is stored stays; it is never returned"`
}

// The inputs of routes about one object.
type (
	cameraPath struct {
		ID understudy.CameraID `path:"id"`
	}
	serverPath struct {
		ID understudy.ServerID `path:"id"`
	}
	groupPath struct {
		ID understudy.GroupID `path:"id"`
	}
)

func (s *server) siteRoutes() {
	configure, status := mayCamera(understudy.ActionConfigure), may(understudy.ActionStatus)
	operation(s, route{method: "GET", path: "/site", access: status, tag: "site", summary: "All of the site that you may see"},
		func(ctx context.Context, _ *struct{}) (*answer[understudy.Site], error) {
			site, err := s.Services.Site(ctx)
			return one(notNull(understudy.Asker(ctx).VisibleSite(site)), err)
		})
	operation(s, route{method: "GET", path: "/cameras", access: status, tag: "cameras", summary: "List the cameras that you may see"},
		func(ctx context.Context, _ *struct{}) (*answer[[]understudy.Camera], error) {
			cameras, err := s.Services.Cameras(ctx)
			visible := understudy.Asker(ctx).VisibleSite(understudy.Site{Cameras: cameras}).Cameras
			return list(visible, err)
		})
	operation(s, route{method: "GET", path: "/cameras/{id}", access: mayCamera(understudy.ActionStatus), tag: "cameras", summary: "One camera"},
		func(ctx context.Context, in *cameraPath) (*answer[understudy.Camera], error) {
			return one(s.Services.Camera(ctx, in.ID))
		})
	operation(s, route{method: "PUT", path: "/cameras/{id}", access: configure, tag: "cameras", summary: "Create or change a camera"},
		func(ctx context.Context, in *struct {
			ID   understudy.CameraID `path:"id"`
			Body cameraBody
		}) (*answer[understudy.Camera], error) {
			if err := sameName("camera", in.ID, &in.Body.ID); err != nil {
				return nil, err
			}
			return one(s.Services.PutCamera(ctx, in.Body.Camera, in.Body.Password))
		})
	operation(s, route{method: "PUT", path: "/cameras", access: may(understudy.ActionConfigure), tag: "cameras", summary: "Create or change up to 500 cameras, all or none", maxBody: camerasBody},
		func(ctx context.Context, in *struct {
			Body struct {
				Cameras   []understudy.Camera                       `json:"cameras" maxItems:"500"`
				Passwords map[understudy.CameraID]understudy.Secret `json:"passwords,omitempty" doc:"By id; a camera that is left out keeps the one that is stored. They are never returned"`
			}
		}) (*nothing, error) {
			for _, c := range in.Body.Cameras {
				if err := understudy.Asker(ctx).May(understudy.ActionConfigure, c.ID); err != nil {
					return nil, err
				}
			}
			return done(s.Services.PutCameras(ctx, in.Body.Cameras, in.Body.Passwords))
		})
	operation(s, route{method: "DELETE", path: "/cameras/{id}", access: configure, tag: "cameras", summary: "Forget a camera; its footage stays"},
		func(ctx context.Context, in *cameraPath) (*nothing, error) {
			return done(s.Services.DeleteCamera(ctx, in.ID))
		})
	if s.Timelines != nil {
		operation(s, route{method: "GET", path: "/cameras/{id}/timeline", access: mayCamera(understudy.ActionPlayback), tag: "cameras",
			summary: "What is recorded, over all servers, and where it lies"}, s.timeline)
	}
}

// maxTimeline bounds a range: a month in minutes is 40,000 segments a camera.
const maxTimeline = 31 * 24 * time.Hour

func (s *server) timeline(ctx context.Context, in *struct {
	ID   understudy.CameraID `path:"id"`
	From time.Time           `query:"from" required:"true"`
	To   time.Time           `query:"to" required:"true"`
}) (*answer[understudy.Timeline], error) {
	if !in.To.After(in.From) || in.To.Sub(in.From) > maxTimeline {
		return nil, understudy.Errorf(understudy.CodeInvalid, "a timeline is asked for from a time to a later one, at most 31 days; found %s to %s",
			in.From.Format(time.RFC3339), in.To.Format(time.RFC3339))
	}
	t, err := s.Timelines.Timeline(ctx, in.ID, in.From, in.To)
	t.Spans, t.Gaps = orEmpty(t.Spans), orEmpty(t.Gaps)
	return one(t, err)
}

func notNull(site understudy.Site) understudy.Site {
	site.Cameras, site.Leases, site.Groups = orEmpty(site.Cameras), orEmpty(site.Leases), orEmpty(site.Groups)
	site.RecordingServers, site.FailoverServers = orEmpty(site.RecordingServers), orEmpty(site.FailoverServers)
	return site
}

// orEmpty makes of a nil list, which would be null, an empty one.
func orEmpty[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func (s *server) serverRoutes() {
	configure := mayEverywhere(understudy.ActionConfigure)
	operation(s, route{method: "PUT", path: "/recording-servers/{id}", access: configure, tag: "servers", summary: "Create or change a recording server"},
		func(ctx context.Context, in *struct {
			ID   understudy.ServerID `path:"id"`
			Body understudy.RecordingServer
		}) (*answer[understudy.RecordingServer], error) {
			if err := sameName("server", in.ID, &in.Body.ID); err != nil {
				return nil, err
			}
			return one(s.Services.PutRecordingServer(ctx, in.Body))
		})
	operation(s, route{method: "PUT", path: "/failover-servers/{id}", access: configure, tag: "servers", summary: "Create or change a failover server"},
		func(ctx context.Context, in *struct {
			ID   understudy.ServerID `path:"id"`
			Body understudy.FailoverServer
		}) (*answer[understudy.FailoverServer], error) {
			if err := sameName("server", in.ID, &in.Body.ID); err != nil {
				return nil, err
			}
			return one(s.Services.PutFailoverServer(ctx, in.Body))
		})
	operation(s, route{method: "DELETE", path: "/servers/{id}", access: may(understudy.ActionAdminister), tag: "servers", summary: "Remove a server"},
		func(ctx context.Context, in *serverPath) (*nothing, error) {
			return done(s.Services.DeleteServer(ctx, in.ID))
		})
	operation(s, route{method: "PUT", path: "/groups/{id}", access: configure, tag: "servers", summary: "Create or change a failover group"},
		func(ctx context.Context, in *struct {
			ID   understudy.GroupID `path:"id"`
			Body understudy.FailoverGroup
		}) (*answer[understudy.FailoverGroup], error) {
			if err := sameName("group", in.ID, &in.Body.ID); err != nil {
				return nil, err
			}
			return one(s.Services.PutGroup(ctx, in.Body))
		})
	operation(s, route{method: "DELETE", path: "/groups/{id}", access: configure, tag: "servers", summary: "Remove a failover group"},
		func(ctx context.Context, in *groupPath) (*nothing, error) {
			return done(s.Services.DeleteGroup(ctx, in.ID))
		})
	operation(s, route{method: "GET", path: "/servers/{id}/assignment", access: actsAs(understudy.RoleRecording, understudy.RoleFailover), tag: "servers", summary: "What a recording server has at home, or a failover server holds now"},
		func(ctx context.Context, in *serverPath) (*answer[understudy.Assignment], error) {
			a, err := s.Services.Assignment(ctx, in.ID)
			a.Cameras = orEmpty(a.Cameras)
			return one(a, err)
		})
	operation(s, route{method: "GET", path: "/servers/{id}/duties", access: actsAs(understudy.RoleFailover), tag: "servers", summary: "Whom a failover server may have to play"},
		func(ctx context.Context, in *serverPath) (*answer[[]understudy.Duty], error) {
			return list(s.Services.Duties(ctx, in.ID))
		})
	operation(s, route{method: "POST", path: "/servers/{id}/bundles", access: actsAs(understudy.RoleFailover), tag: "servers", summary: "What a failover server may open when nobody can be asked, sealed to the key that it gives"},
		func(ctx context.Context, in *struct {
			ID   understudy.ServerID `path:"id"`
			Body struct {
				Key []byte `json:"key" maxLength:"8192" doc:"X25519 public key, base64"`
			}
		}) (*answer[[]understudy.Bundle], error) {
			return list(s.Services.Bundles(ctx, in.ID, in.Body.Key))
		})
	operation(s, route{method: "GET", path: "/status", access: may(understudy.ActionStatus), tag: "servers", summary: "What was last seen of each server"},
		func(ctx context.Context, _ *struct{}) (*answer[[]understudy.ServerStatus], error) {
			return list(understudy.Asker(ctx).VisibleStatus(s.Status()), nil)
		})
}

func (s *server) logRoutes() {
	claimants := []understudy.Role{understudy.RoleRecording, understudy.RoleFailover}
	operation(s, route{method: "POST", path: "/leases/claim", access: anyServer(claimants...), tag: "leases",
		summary: "Claim the leases of cameras of one recording server", maxBody: claimBody},
		func(ctx context.Context, in *struct{ Body understudy.Claim }) (*answer[understudy.ClaimAnswer], error) {
			if err := understudy.Asker(ctx).MayActAs(in.Body.Claimant, claimants...); err != nil {
				return nil, err
			}
			a, err := s.Services.Claim(ctx, in.Body)
			a.Granted, a.Refused, a.Assignment.Cameras = orEmpty(a.Granted), orEmpty(a.Refused), orEmpty(a.Assignment.Cameras)
			return one(a, err)
		})
	operation(s, route{method: "GET", path: "/events", access: may(understudy.ActionStatus), tag: "events", summary: "Read the log, as far as you may see it"}, s.events)
	operation(s, route{method: "POST", path: "/servers/{id}/events", access: actsAs(claimants...), tag: "events", summary: "Report what a server saw"},
		func(ctx context.Context, in *struct {
			ID   understudy.ServerID `path:"id"`
			Body understudy.Report
		}) (*nothing, error) {
			return done(s.Services.Report(ctx, in.ID, in.Body))
		})
}

func (s *server) auditRoutes() {
	operation(s, route{method: "POST", path: "/secrets/rotate", access: may(understudy.ActionAdminister), tag: "cameras",
		summary: "Seal the passwords of cameras and the second factors of users under a new key"},
		func(ctx context.Context, _ *struct{}) (*nothing, error) {
			return done(s.Services.RotateSecrets(ctx))
		})
	operation(s, route{method: "GET", path: "/ca/exchange", access: may(understudy.ActionAdminister), tag: "joining", summary: "Which CA signs, and how far its exchange is"},
		func(ctx context.Context, _ *struct{}) (*answer[understudy.CA], error) {
			return one(s.Services.CA(ctx))
		})
	operation(s, route{method: "POST", path: "/ca/exchange", access: may(understudy.ActionAdminister), tag: "joining", summary: "Take a step in the exchange of the CA"},
		func(ctx context.Context, in *struct {
			Body struct {
				Step  understudy.CAStep `json:"step" enum:"new,use,retire"`
				Force bool              `json:"force,omitempty" doc:"Servers that are not ready have to join again"`
			}
		}) (*answer[understudy.CA], error) {
			return one(s.Services.ChangeCA(ctx, in.Body.Step, in.Body.Force))
		})
	operation(s, route{method: "GET", path: "/audit", access: may(understudy.ActionAdminister), tag: "events",
		summary: "Look through the whole log for what was changed or removed"},
		func(ctx context.Context, _ *struct{}) (*answer[understudy.Audit], error) {
			return one(s.Services.VerifyAudit(ctx))
		})
}

func (s *server) events(ctx context.Context, in *struct {
	After  uint64               `query:"after" doc:"Only higher numbers; then the oldest of them come"`
	Before uint64               `query:"before" doc:"Only lower numbers"`
	Kind   understudy.EventKind `query:"kind"`
	Camera understudy.CameraID  `query:"camera"`
	Server understudy.ServerID  `query:"server"`
	Actor  string               `query:"actor" doc:"user:NAME or server:ID"`
	Text   string               `query:"text" doc:"Only with this in the sentence, whatever its case"`
	Since  time.Time            `query:"since"`
	Until  time.Time            `query:"until"`
	Limit  int                  `query:"limit" minimum:"0" maximum:"1000" doc:"0 is 100. Fewer may come: those that you may see"`
}) (*answer[[]understudy.Event], error) {
	events, err := s.Services.Events(ctx, understudy.EventQuery{After: in.After, Before: in.Before, Kind: in.Kind, Camera: in.Camera,
		Server: in.Server, Actor: in.Actor, Text: in.Text, Since: in.Since, Until: in.Until, Limit: in.Limit})
	asker := understudy.Asker(ctx)
	visible := make([]understudy.Event, 0, len(events))
	for _, e := range events {
		if v, ok := asker.Visible(e); ok {
			visible = append(visible, v)
		}
	}
	return list(slices.Clip(visible), err)
}
