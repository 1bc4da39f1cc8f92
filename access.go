package understudy

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Action is something that an identity may or may not do.
type Action string

// The actions.
const (
	ActionLive       Action = "live"       // see a camera's live picture
	ActionPlayback   Action = "playback"   // see its recordings
	ActionExport     Action = "export"     // take its recordings away
	ActionAudio      Action = "audio"      // hear it, where one may see it
	ActionStatus     Action = "status"     // see servers, leases and events
	ActionEvents     Action = "events"     // say that something happened at a camera
	ActionLock       Action = "lock"       // keep its recordings from being deleted
	ActionConfigure  Action = "configure"  // change cameras and servers, and not who may do what
	ActionAdminister Action = "administer" // change anything
)

// Actions returns all of them, in the order in which they are shown.
func Actions() []Action {
	return []Action{ActionLive, ActionPlayback, ActionExport, ActionAudio, ActionStatus, ActionEvents, ActionLock, ActionConfigure, ActionAdminister}
}

// Changing reports whether an action changes the site. Media tokens, and tickets that
// may have been read on their way, give no such.
func (a Action) Changing() bool { return a == ActionConfigure || a == ActionAdminister }

// AllCameras in a list of cameras means every one.
const AllCameras CameraID = "*"

// Identity is who is asking: nobody, a user, or a server with a certificate of
// this installation. The zero Identity is nobody and may do nothing.
type Identity struct {
	User    string     `json:"user,omitempty" doc:"Name of a user"`
	Server  ServerID   `json:"server,omitempty"`
	Role    Role       `json:"role,omitempty" doc:"Of the server"`
	Actions []Action   `json:"actions,omitempty"`
	Cameras []CameraID `json:"cameras,omitempty" doc:"That the actions hold for; * for every one"`
	// Also are further cameras of an action, for who has several roles. They add to
	// Actions and Cameras, so that a program which does not know them allows less.
	Also map[Action][]CameraID `json:"also,omitempty" doc:"Further cameras, by action"`
	// Grants are what all that follows from, where it follows from grants and no more than changing the site is taken.
	Grants  []Grant `json:"grants,omitempty"`
	Address string  `json:"-"` // network address that the request came from, where known
	// Given is when the media token was given by which a user is known; zero for all others.
	Given time.Time `json:"-"`
}

// String returns "user:NAME", "server:ID" or "nobody", as the log has it.
func (i Identity) String() string {
	switch {
	case i.Server != "":
		return "server:" + string(i.Server)
	case i.User != "":
		return "user:" + i.User
	}
	return "nobody"
}

// May is the one place where access is decided. camera is empty for actions
// that concern no camera. Servers may see and hear everything that users do, and lock, configure and
// administer nothing; a service channel may see the status only; what they may do beyond that (claim, report, merge) is
// tied to their own id and decided by MayActAs.
func (i Identity) May(action Action, camera CameraID) error {
	switch {
	case i.Server == "" && i.User == "":
		return Errorf(CodeUnauthenticated, "sign in first: %s needs an identity", action)
	case i.Server != "":
		if action == ActionStatus || i.Role != RoleChannel && action != ActionLock && !action.Changing() {
			return nil
		}
	case i.has(action, camera):
		return nil
	case camera == AllCameras:
		return Errorf(CodeForbidden, "%s may not %s the whole site", i, action)
	case i.has(action, ""):
		return Errorf(CodeForbidden, "%s may not %s camera %s", i, action, camera)
	}
	return Errorf(CodeForbidden, "%s may not %s", i, action)
}

// has looks at a user's actions; an empty camera is any. Who administers also
// configures.
func (i Identity) has(action Action, camera CameraID) bool {
	if action == ActionConfigure && i.has(ActionAdminister, "") {
		return true
	}
	of := func(cameras []CameraID) bool {
		return camera == "" || slices.Contains(cameras, AllCameras) || slices.Contains(cameras, camera)
	}
	return slices.Contains(i.Actions, action) && of(i.Cameras) || len(i.Also[action]) > 0 && of(i.Also[action])
}

// With returns i with actions on cameras besides: what either allows and nothing
// else, although one may be for other cameras than the other.
func (i Identity) With(actions []Action, cameras []CameraID) Identity {
	all := map[Action][]CameraID{}
	add := func(action Action, cameras []CameraID) {
		joined := slices.Concat(all[action], cameras)
		slices.Sort(joined)
		if all[action] = slices.Compact(joined); slices.Contains(joined, AllCameras) {
			all[action] = []CameraID{AllCameras}
		}
	}
	for _, action := range i.Actions {
		add(action, i.Cameras)
	}
	for action, more := range i.Also {
		add(action, more)
	}
	for _, action := range actions {
		add(action, cameras)
	}
	i.Actions, i.Cameras, i.Also = nil, all[ActionStatus], nil // which every role has
	for _, action := range Actions() {
		switch of, granted := all[action]; {
		case granted && slices.Equal(of, i.Cameras):
			i.Actions = append(i.Actions, action)
		case len(of) > 0:
			if i.Also == nil {
				i.Also = map[Action][]CameraID{}
			}
			i.Also[action] = of
		}
	}
	return i
}

// Hearing returns i with the right to hear what i may see: what was given out before
// there was such a right gave it.
func (i Identity) Hearing() Identity {
	for _, action := range []Action{ActionLive, ActionPlayback} {
		if slices.Contains(i.Actions, action) {
			i = i.With([]Action{ActionAudio}, i.Cameras)
		}
		i = i.With([]Action{ActionAudio}, i.Also[action])
	}
	return i
}

// Without returns i without the actions that are taken.
func (i Identity) Without(taken func(Action) bool) Identity {
	i.Actions = slices.DeleteFunc(slices.Clone(i.Actions), taken)
	i.Also = maps.Clone(i.Also)
	maps.DeleteFunc(i.Also, func(a Action, _ []CameraID) bool { return taken(a) })
	if slices.ContainsFunc(Actions(), func(a Action) bool { return !a.Changing() && taken(a) }) {
		i.Grants = nil
	}
	if len(i.Also) == 0 {
		i.Also = nil
	}
	return i
}

// Visible returns e as i may see it: without the changes of cameras that are
// not i's to see, nor what is there for the audit. ok is false when nothing is left, and for matters of access,
// which only administrators see.
func (i Identity) Visible(e Event) (visible Event, ok bool) {
	hidden := func(c CameraID) bool { return c != "" && i.May(ActionStatus, c) != nil }
	access := i.seesAccess()
	if i.May(ActionStatus, "") != nil || hidden(e.Camera) || (e.Kind == EventAccess || e.Kind == EventIdentity) && !access {
		return Event{}, false
	}
	kept := slices.DeleteFunc(slices.Clone(e.Changes), func(c Change) bool {
		return c.Camera != nil && hidden(c.Camera.ID) || c.Lease != nil && hidden(c.Lease.Camera) || hidden(c.GoneCamera) ||
			c.Trigger != nil && hidden(c.Trigger.Camera) || c.Lock != nil && hidden(c.Lock.Camera) || c.Moved != nil && hidden(c.Moved.Camera) ||
			!access && (c.CameraGroup != nil || c.GoneCameraGroup != "" || c.Role != nil || c.GoneRole != "" || c.User != nil || c.GoneUser != "" || c.Recall != nil) ||
			c.Milestone != nil && hidden(c.Milestone.Camera) || c.Account != nil && (hidden(c.Account.Camera) || i.May(ActionPlayback, c.Account.Camera) != nil)
	})
	if len(kept) == 0 && len(e.Changes) > 0 {
		return Event{}, false
	}
	e.Changes = kept
	if i.Server != "" || i.May(ActionAdminister, "") != nil {
		e.From, e.Was, e.Hash = "", nil, ""
	}
	return e, true
}

// sees returns May of ActionStatus for who looks at all cameras of a site: May would
// look through all of i's for each.
func (i Identity) sees() func(CameraID) bool {
	if i.Server != "" || i.User == "" {
		return func(c CameraID) bool { return i.May(ActionStatus, c) == nil }
	}
	own := map[CameraID]bool{"": i.May(ActionStatus, "") == nil}
	if slices.Contains(i.Actions, ActionStatus) {
		for _, c := range i.Cameras {
			own[c] = true
		}
	}
	for _, c := range i.Also[ActionStatus] {
		own[c] = true
	}
	return func(c CameraID) bool { return own[c] || own[AllCameras] }
}

// seesAccess reports whether i may know who may do what.
func (i Identity) seesAccess() bool { return i.Server != "" || i.May(ActionAdminister, "") == nil }

// VisibleSite returns s as i may see it: who may do what is for administrators.
func (i Identity) VisibleSite(s Site) Site {
	if !i.seesAccess() {
		s.CameraGroups, s.Roles, s.Recalls = nil, nil, nil
	}
	return s.Only(i.sees())
}

// VisibleStatus returns statuses as i may see them.
func (i Identity) VisibleStatus(all []ServerStatus) []ServerStatus {
	all, sees := slices.Clone(all), i.sees()
	for n, status := range all {
		if status.State == nil {
			continue
		}
		state := *status.State
		state.Cameras = slices.DeleteFunc(slices.Clone(state.Cameras), func(c CameraState) bool { return !sees(c.Camera) })
		state.Short = slices.DeleteFunc(slices.Clone(state.Short), func(c CameraID) bool { return !sees(c) })
		state.Transfers = slices.Clone(state.Transfers)
		for k, t := range state.Transfers {
			if t.Camera != "" && !sees(t.Camera) {
				state.Transfers[k].Camera = ""
			}
		}
		all[n].State = &state
	}
	return all
}

// MayActAs reports whether i is that very server, in one of those roles.
func (i Identity) MayActAs(id ServerID, roles ...Role) error {
	switch {
	case i.Server == "" && i.User == "":
		return Errorf(CodeUnauthenticated, "a server's certificate of this installation is needed")
	case i.Server == "" || i.Server != id || !slices.Contains(roles, i.Role):
		return Errorf(CodeForbidden, "%s may not act as server %s", i, id)
	}
	return nil
}

// Session is a signed-in user.
type Session struct {
	ID      string    `json:"id" doc:"Names the session, and opens nothing"`
	Token   Secret    `json:"token,omitempty" doc:"Bearer of the session; told once"`
	User    User      `json:"user"`
	Address string    `json:"address,omitempty" doc:"Where the user signed in from"`
	Began   time.Time `json:"began"`
	Expires time.Time `json:"expires"`
}

// MediaToken is what a client shows recording and failover servers, which
// verify it without asking anyone.
type MediaToken struct {
	Token   Secret    `json:"token"`
	Expires time.Time `json:"expires"`
}

// UserService keeps users and their sessions.
type UserService interface {
	Users(ctx context.Context) ([]User, error)
	// PutUser creates or replaces; a nil password keeps the stored one.
	// CodeInvalid for a password shorter than 10 characters.
	PutUser(ctx context.Context, u User, password *Secret) (User, error)
	// DeleteUser ends the user's sessions too. CodeConflict for the last administrator.
	DeleteUser(ctx context.Context, name string) error
	// SignIn is CodeUnauthenticated for a wrong name or password, which are not
	// told apart, and CodeUnavailable while the account or address backs off.
	SignIn(ctx context.Context, name string, password Secret) (Session, error)
	// Identify returns the identity behind a session's token.
	Identify(ctx context.Context, token Secret) (Identity, error)
	SignOut(ctx context.Context, token Secret) error
}
