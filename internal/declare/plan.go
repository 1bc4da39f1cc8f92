package declare

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"understudy"
)

// Service is what a plan is carried out with.
type Service interface {
	PutFailoverServer(ctx context.Context, s understudy.FailoverServer) (understudy.FailoverServer, error)
	PutGroup(ctx context.Context, g understudy.FailoverGroup) (understudy.FailoverGroup, error)
	PutRecordingServer(ctx context.Context, s understudy.RecordingServer) (understudy.RecordingServer, error)
	PutCameras(ctx context.Context, cameras []understudy.Camera, passwords map[understudy.CameraID]understudy.Secret) error
	DeleteCamera(ctx context.Context, id understudy.CameraID) error
	DeleteGroup(ctx context.Context, id understudy.GroupID) error
	PutRole(ctx context.Context, r understudy.SiteRole) (understudy.SiteRole, error)
	DeleteRole(ctx context.Context, name understudy.UserRole) error
	PutCameraGroup(ctx context.Context, g understudy.CameraGroup) (understudy.CameraGroup, error)
	DeleteCameraGroup(ctx context.Context, id understudy.CameraGroupID) error
	PutUser(ctx context.Context, u understudy.User, password *understudy.Secret) (understudy.User, error)
}

// Options say what of a document is done.
type Options struct {
	// Prune removes cameras and groups that the document does not have, and, where it has
	// such lists at all, camera groups and roles. Users it never removes.
	Prune bool
	// Passwords gives also those cameras theirs that are there already: what is stored cannot be compared.
	Passwords bool
}

// Step is one thing that is done.
type Step struct {
	Verb    string   `json:"verb" enum:"add,change,remove"`
	Noun    string   `json:"noun"`
	ID      string   `json:"id"`
	Details []string `json:"details,omitempty" doc:"What changes"`

	camera   *Camera // put together with others
	password bool
	do       func(context.Context, Service) error
}

// String returns the step as a line.
func (s Step) String() string {
	line := fmt.Sprintf("%-6s %s %s", s.Verb, s.Noun, s.ID)
	if len(s.Details) > 0 {
		line += "  (" + strings.Join(s.Details, "; ") + ")"
	}
	return line
}

// Plan is what must be done, in an order in which it can.
type Plan []Step

// Make returns what makes a site what the document says. A server that has not
// joined, and whose addresses the document does not have, is CodeInvalid, as is a user
// who is not there.
func Make(now Now, d Document, o Options) (Plan, error) {
	var plan Plan
	site := now.Site
	for _, s := range d.FailoverServers {
		step, err := failoverStep(site, s)
		if err != nil {
			return nil, err
		}
		plan = append(plan, step...)
	}
	for _, g := range d.Groups {
		g.Name = cmp.Or(g.Name, string(g.ID))
		before, exists := site.Group(g.ID)
		plan = append(plan, step("group", string(g.ID), exists, before, g, func(ctx context.Context, s Service) error {
			_, err := s.PutGroup(ctx, g)
			return err
		})...)
	}
	for _, s := range d.RecordingServers {
		step, err := recordingStep(site, s)
		if err != nil {
			return nil, err
		}
		plan = append(plan, step...)
	}
	seen := map[understudy.CameraID]bool{}
	for _, c := range d.Cameras {
		c.Camera = c.WithDefaults()
		if err := c.Validate(); err != nil {
			return nil, err
		}
		if seen[c.ID] {
			return nil, understudy.Errorf(understudy.CodeInvalid, "camera %s is there twice", c.ID)
		}
		seen[c.ID] = true
		plan = append(plan, cameraStep(site, c, o)...)
	}
	rights, err := rightsSteps(now, d)
	if err != nil {
		return nil, err
	}
	plan = append(plan, rights...)
	if o.Prune {
		plan = append(append(plan, prune(site, d, seen)...), pruneRights(site, d)...)
	}
	return plan, nil
}

// step is a step for a thing that is not there or differs; none for one that is the same.
func step[T any](noun, id string, exists bool, before, after T, do func(context.Context, Service) error) Plan {
	if !exists {
		return Plan{{Verb: "add", Noun: noun, ID: id, do: do}}
	}
	details := differences(reflect.ValueOf(before), reflect.ValueOf(after), "")
	if len(details) == 0 {
		return nil
	}
	return Plan{{Verb: "change", Noun: noun, ID: id, Details: details, do: do}}
}

func failoverStep(site understudy.Site, s understudy.FailoverServer) (Plan, error) {
	before, exists := site.FailoverServer(s.ID)
	s.Name = cmp.Or(s.Name, string(s.ID))
	if s.Addresses == (understudy.Addresses{}) {
		s.Addresses = before.Addresses
	}
	if !exists && s.Addresses == (understudy.Addresses{}) {
		return nil, notJoined(s.ID, understudy.RoleFailover)
	}
	return step("failover server", string(s.ID), exists, before, s, func(ctx context.Context, to Service) error {
		_, err := to.PutFailoverServer(ctx, s)
		return err
	}), nil
}

func recordingStep(site understudy.Site, s understudy.RecordingServer) (Plan, error) {
	before, exists := site.RecordingServer(s.ID)
	s.Name = cmp.Or(s.Name, string(s.ID))
	s.HandOver, s.Maintenance, s.TakeBack = before.HandOver, before.Maintenance, before.TakeBack
	if s.Addresses == (understudy.Addresses{}) {
		s.Addresses = before.Addresses
	}
	if !exists && s.Addresses == (understudy.Addresses{}) {
		return nil, notJoined(s.ID, understudy.RoleRecording)
	}
	return step("recording server", string(s.ID), exists, before, s, func(ctx context.Context, to Service) error {
		_, err := to.PutRecordingServer(ctx, s)
		return err
	}), nil
}

func notJoined(id understudy.ServerID, role understudy.Role) error {
	return understudy.Errorf(understudy.CodeInvalid, "server %s has not joined yet; run `understudy server add %s --role %s` and start it with the token, then apply again", id, id, role)
}

func cameraStep(site understudy.Site, c Camera, o Options) Plan {
	before, exists := site.Camera(c.ID)
	plan := step("camera", string(c.ID), exists, before, c.Camera, nil)
	give := c.Password != "" && (!exists || o.Passwords)
	if give && len(plan) == 0 {
		plan = Plan{{Verb: "change", Noun: "camera", ID: string(c.ID)}}
	}
	if len(plan) == 0 {
		return nil
	}
	plan[0].camera, plan[0].password = &c, give
	if give && exists {
		plan[0].Details = append(plan[0].Details, "password: set anew")
	}
	return plan
}

// prune removes what the document does not have. A group goes last: servers may
// have named it until then.
func prune(site understudy.Site, d Document, cameras map[understudy.CameraID]bool) Plan {
	var plan Plan
	for _, c := range site.Cameras {
		if !cameras[c.ID] {
			plan = append(plan, Step{Verb: "remove", Noun: "camera", ID: string(c.ID), Details: []string{"its footage stays until retention takes it"},
				do: func(ctx context.Context, s Service) error { return s.DeleteCamera(ctx, c.ID) }})
		}
	}
	for _, g := range site.Groups {
		if !slices.ContainsFunc(d.Groups, func(o understudy.FailoverGroup) bool { return o.ID == g.ID }) {
			plan = append(plan, Step{Verb: "remove", Noun: "group", ID: string(g.ID),
				do: func(ctx context.Context, s Service) error { return s.DeleteGroup(ctx, g.ID) }})
		}
	}
	return plan
}

// together is how many cameras are put at once.
const together = 500

// Apply carries the plan out and calls progress with how many steps are done. It
// stops at the first that fails; what was done stays, and the next plan begins there.
func (p Plan) Apply(ctx context.Context, to Service, progress func(done int)) error {
	for done := 0; done < len(p); progress(done) {
		if p[done].camera == nil {
			if err := p[done].do(ctx, to); err != nil {
				return understudy.Errorf(understudy.CodeOf(err), "%s %s: %w", p[done].Noun, p[done].ID, err)
			}
			done++
			continue
		}
		var cameras []understudy.Camera
		passwords := map[understudy.CameraID]understudy.Secret{}
		for ; done < len(p) && p[done].camera != nil && len(cameras) < together; done++ {
			cameras = append(cameras, p[done].camera.Camera)
			if p[done].password {
				passwords[p[done].camera.ID] = p[done].camera.Password
			}
		}
		if err := to.PutCameras(ctx, cameras, passwords); err != nil {
			return err
		}
	}
	return nil
}
