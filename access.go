package understudy

import (
	"context"
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
	ActionStatus     Action = "status"     // see servers, leases and events
	ActionAdminister Action = "administer" // change anything
)

// UserRole is a named bundle of actions.
type UserRole string

// The roles of users.
const (
	RoleViewer        UserRole = "viewer"        // live
	RoleOperator      UserRole = "operator"      // live, playback, export
	RoleAdministrator UserRole = "administrator" // everything
)

// Actions returns what the role allows; nil for a role that does not exist.
func (r UserRole) Actions() []Action {
	switch r {
	case RoleViewer:
		return []Action{ActionLive, ActionStatus}
	case RoleOperator:
		return []Action{ActionLive, ActionPlayback, ActionExport, ActionStatus}
	case RoleAdministrator:
		return []Action{ActionLive, ActionPlayback, ActionExport, ActionStatus, ActionAdminister}
	}
	return nil
}

// AllCameras in a list of cameras means every one.
const AllCameras CameraID = "*"

// Identity is who is asking: nobody, a user, or a server with a certificate of
// this installation. The zero Identity is nobody and may do nothing.
type Identity struct {
	User    string // name of a user, or empty
	Server  ServerID
	Role    Role // of the server
	Actions []Action
	Cameras []CameraID // that the actions hold for; AllCameras for every one
	Address string     // network address that the request came from, where known
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
// that concern no camera. Servers may see everything that users see and
// administer nothing; what they may do beyond that (claim, report, merge) is
// tied to their own id and decided by MayActAs.
func (i Identity) May(action Action, camera CameraID) error {
	switch {
	case i.Server == "" && i.User == "":
		return Errorf(CodeUnauthenticated, "sign in first: %s needs an identity", action)
	case i.Server != "":
		if action != ActionAdminister {
			return nil
		}
	case slices.Contains(i.Actions, action):
		if camera == "" || slices.Contains(i.Cameras, AllCameras) || slices.Contains(i.Cameras, camera) {
			return nil
		}
		return Errorf(CodeForbidden, "%s may not %s camera %s", i, action, camera)
	}
	return Errorf(CodeForbidden, "%s may not %s", i, action)
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

// User is a person, without the password.
type User struct {
	Name string   `json:"name" example:"ada"`
	Role UserRole `json:"role" enum:"viewer,operator,administrator"`
	// Cameras that the role holds for; AllCameras for every one.
	Cameras []CameraID `json:"cameras"`
	Created time.Time  `json:"created"`
}

// Session is a signed-in user.
type Session struct {
	Token   Secret    `json:"token" doc:"Bearer of the session"`
	User    User      `json:"user"`
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
