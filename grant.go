package understudy

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// UserRole is a named bundle of actions: one of the three that every site has, or one
// of the site's own.
type UserRole string

// The roles that every site has, and that nobody changes.
const (
	RoleViewer        UserRole = "viewer"        // live, with sound
	RoleOperator      UserRole = "operator"      // live, playback, export, with sound, events, locks
	RoleAdministrator UserRole = "administrator" // everything
)

// UserRoles returns the roles that every site has.
func UserRoles() []UserRole { return []UserRole{RoleViewer, RoleOperator, RoleAdministrator} }

// Actions returns what a role that every site has allows; nil for another one.
func (r UserRole) Actions() []Action {
	switch r {
	case RoleViewer:
		return []Action{ActionLive, ActionAudio, ActionStatus}
	case RoleOperator:
		return []Action{ActionLive, ActionPlayback, ActionExport, ActionAudio, ActionStatus, ActionEvents, ActionLock}
	case RoleAdministrator:
		return Actions()
	}
	return nil
}

// SiteRole is a role of a site's own. Its owners may see the status of their
// cameras, whatever else they may.
type SiteRole struct {
	Name    UserRole `json:"name" example:"guard"`
	Actions []Action `json:"actions" enum:"live,playback,export,audio,status,events,lock,configure,administer"`
	BuiltIn bool     `json:"built_in,omitempty" readOnly:"true" doc:"Every site has it, and it stays as it is"`
}

// CameraGroupID names a group of cameras.
type CameraGroupID string

// CameraGroup is cameras that rights are given on together. A camera may be in several.
type CameraGroup struct {
	ID      CameraGroupID `json:"id" example:"doors"`
	Name    string        `json:"name,omitempty" maxLength:"200"`
	Cameras []CameraID    `json:"cameras" maxItems:"10000"`
}

// Grant is a role for cameras: those that it names, and those that are in groups now.
type Grant struct {
	Role         UserRole        `json:"role" example:"operator" doc:"viewer, operator, administrator, or one of the site's own"`
	Cameras      []CameraID      `json:"cameras,omitempty" doc:"That the role holds for; * for every one"`
	CameraGroups []CameraGroupID `json:"camera_groups,omitempty" doc:"Whose cameras the role holds for, too"`
}

// On returns the cameras of the grant as people write them: ids, @GROUP and *, with
// commas between.
func (g Grant) On() string {
	var on []string
	for _, camera := range g.Cameras {
		on = append(on, string(camera))
	}
	for _, group := range g.CameraGroups {
		on = append(on, "@"+string(group))
	}
	return strings.Join(on, ",")
}

// String returns ROLE:CAMERAS.
func (g Grant) String() string { return string(g.Role) + ":" + g.On() }

// User is a person, without the password.
type User struct {
	Name string   `json:"name" example:"ada"`
	Role UserRole `json:"role" doc:"viewer, operator, administrator, or one of the site's own"`
	// Cameras that the role holds for; AllCameras for every one.
	Cameras      []CameraID      `json:"cameras"`
	CameraGroups []CameraGroupID `json:"camera_groups,omitempty" doc:"Whose cameras the role holds for, too"`
	Also         []Grant         `json:"also,omitempty" maxItems:"100" doc:"Further roles, each for its own cameras"`
	Created      time.Time       `json:"created"`
	// SecondFactor says that a code is needed to sign in; its owner turns it on.
	SecondFactor bool `json:"second_factor,omitempty" readOnly:"true"`
}

// Grants returns all that the user was granted.
func (u User) Grants() []Grant {
	return append([]Grant{{Role: u.Role, Cameras: u.Cameras, CameraGroups: u.CameraGroups}}, u.Also...)
}

// Ordinary returns u as it is stored, its lists in their order and each entry once:
// two that mean the same are the same.
func (u User) Ordinary() User {
	first := Grant{Cameras: u.Cameras, CameraGroups: u.CameraGroups}.ordinary()
	u.Cameras, u.CameraGroups, u.Also = append([]CameraID{}, first.Cameras...), first.CameraGroups, slices.Clone(u.Also)
	for i, g := range u.Also {
		u.Also[i] = g.ordinary()
	}
	return u
}

func (g Grant) ordinary() Grant {
	g.Cameras, g.CameraGroups = ordered(g.Cameras), ordered(g.CameraGroups)
	return g
}

// Ordinary returns g as it is stored, its cameras in their order and each once.
func (g CameraGroup) Ordinary() CameraGroup {
	g.Name, g.Cameras = cmp.Or(g.Name, string(g.ID)), append([]CameraID{}, ordered(g.Cameras)...)
	return g
}

// Ordinary returns r as it is stored, its actions in the order of Actions, each once,
// and without ActionStatus, which every role has.
func (r SiteRole) Ordinary() SiteRole {
	rank := func(a Action) int { return slices.Index(Actions(), a) }
	r.Actions = slices.DeleteFunc(slices.Clone(r.Actions), func(a Action) bool { return a == ActionStatus })
	slices.SortFunc(r.Actions, func(a, b Action) int { return cmp.Or(rank(a)-rank(b), strings.Compare(string(a), string(b))) })
	r.Actions = slices.Compact(r.Actions)
	return r
}

// ordered returns a list in its order, each entry once; nil for an empty one.
func ordered[T ~string](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// RightsService keeps the roles of a site's own and the groups of cameras that
// users are given rights on. What is changed holds at once, in sessions that go
// on, too, and in media tokens from the next one on.
type RightsService interface {
	// Roles returns those that every site has, and then the site's own, by name.
	Roles(ctx context.Context) ([]SiteRole, error)
	// PutRole creates or replaces. CodeConflict for one that every site has.
	PutRole(ctx context.Context, r SiteRole) (SiteRole, error)
	// DeleteRole is CodeConflict for a role that a user has.
	DeleteRole(ctx context.Context, name UserRole) error
	CameraGroups(ctx context.Context) ([]CameraGroup, error)
	// PutCameraGroup creates or replaces. Its cameras must exist.
	PutCameraGroup(ctx context.Context, g CameraGroup) (CameraGroup, error)
	// DeleteCameraGroup is CodeConflict for a group that a user has rights on.
	DeleteCameraGroup(ctx context.Context, id CameraGroupID) error
}

// Actions returns what a role allows at this site; nil for one that it does not have.
func (s Site) Actions(r UserRole) []Action {
	if actions := r.Actions(); actions != nil {
		return actions
	}
	own, ok := find(s.Roles, r, roleName)
	if !ok {
		return nil
	}
	return append([]Action{ActionStatus}, own.Actions...)
}

// CameraGroup returns the camera group of that id.
func (s Site) CameraGroup(id CameraGroupID) (CameraGroup, bool) {
	return find(s.CameraGroups, id, cameraGroupID)
}

// Role returns the role of the site's own of that name.
func (s Site) Role(name UserRole) (SiteRole, bool) { return find(s.Roles, name, roleName) }

// Identity returns a user with what grants allow at this site, all of it together.
// A role or a group that the site does not have grants nothing.
func (s Site) Identity(user string, grants []Grant) Identity {
	i := Identity{User: user}
	for _, g := range grants {
		actions, cameras := s.Actions(g.Role), slices.Clone(g.Cameras)
		if actions == nil {
			continue
		}
		for _, id := range g.CameraGroups {
			group, _ := s.CameraGroup(id)
			cameras = append(cameras, group.Cameras...)
		}
		i = i.With(actions, cameras)
	}
	i.Grants = grants
	return i
}

func cameraGroupID(g *CameraGroup) CameraGroupID { return g.ID }
func roleName(r *SiteRole) UserRole              { return r.Name }
