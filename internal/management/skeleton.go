package management

import (
	"context"
	"time"

	"understudy"
)

type attempts struct{}
type reportLimit struct{}
type recentRefusals struct{}

func newAttempts() *attempts             { return nil }
func newReportLimit() *reportLimit       { return nil }
func newRecentRefusals() *recentRefusals { return nil }

// Memory is a store in memory.
type Memory struct{}

// NewMemory returns an empty store in memory.
func NewMemory() *Memory { panic("being built") }

// Update runs f in one transaction.
func (s *Memory) Update(ctx context.Context, f func(Tx) error) error { panic("being built") }

// View runs f on one consistent state.
func (s *Memory) View(ctx context.Context, f func(Reader) error) error { panic("being built") }

// Cameras returns all cameras, by id.
func (m *Management) Cameras(ctx context.Context) ([]understudy.Camera, error) { panic("being built") }

// Camera returns CodeNotFound if there is none of that id.
func (m *Management) Camera(ctx context.Context, id understudy.CameraID) (understudy.Camera, error) {
	panic("being built")
}

// PutCamera creates or replaces a camera.
func (m *Management) PutCamera(ctx context.Context, c understudy.Camera, password *understudy.Secret) (understudy.Camera, error) {
	panic("being built")
}

// DeleteCamera forgets a camera.
func (m *Management) DeleteCamera(ctx context.Context, id understudy.CameraID) error {
	panic("being built")
}

// Site returns everything but history.
func (m *Management) Site(ctx context.Context) (understudy.Site, error) { panic("being built") }

// PutRecordingServer creates or replaces.
func (m *Management) PutRecordingServer(ctx context.Context, s understudy.RecordingServer) (understudy.RecordingServer, error) {
	panic("being built")
}

// PutFailoverServer creates or replaces.
func (m *Management) PutFailoverServer(ctx context.Context, s understudy.FailoverServer) (understudy.FailoverServer, error) {
	panic("being built")
}

// PutGroup creates or replaces.
func (m *Management) PutGroup(ctx context.Context, g understudy.FailoverGroup) (understudy.FailoverGroup, error) {
	panic("being built")
}

// DeleteServer forgets a server.
func (m *Management) DeleteServer(ctx context.Context, id understudy.ServerID) error {
	panic("being built")
}

// DeleteGroup forgets a group.
func (m *Management) DeleteGroup(ctx context.Context, id understudy.GroupID) error {
	panic("being built")
}

// Claim decides about leases.
func (m *Management) Claim(ctx context.Context, c understudy.Claim) (understudy.ClaimAnswer, error) {
	panic("being built")
}

// Ratchet makes sure that no epoch up to this one, which a server has seen granted, is granted again.
func (m *Management) Ratchet(ctx context.Context, epoch uint64) error { panic("being built") }

// Assignment returns what a recording server has at home.
func (m *Management) Assignment(ctx context.Context, server understudy.ServerID) (understudy.Assignment, error) {
	panic("being built")
}

// Duties returns whom a failover server may have to play.
func (m *Management) Duties(ctx context.Context, server understudy.ServerID) ([]understudy.Duty, error) {
	panic("being built")
}

// Events returns rows of the log.
func (m *Management) Events(ctx context.Context, q understudy.EventQuery) ([]understudy.Event, error) {
	panic("being built")
}

// Report appends what a server saw.
func (m *Management) Report(ctx context.Context, server understudy.ServerID, r understudy.Report) error {
	panic("being built")
}

// Users returns all users, by name.
func (m *Management) Users(ctx context.Context) ([]understudy.User, error) { panic("being built") }

// PutUser creates or replaces.
func (m *Management) PutUser(ctx context.Context, u understudy.User, password *understudy.Secret) (understudy.User, error) {
	panic("being built")
}

// DeleteUser ends the user's sessions too.
func (m *Management) DeleteUser(ctx context.Context, name string) error { panic("being built") }

// SignIn begins a session.
func (m *Management) SignIn(ctx context.Context, name string, password understudy.Secret) (understudy.Session, error) {
	panic("being built")
}

// Identify returns the identity behind a session's token.
func (m *Management) Identify(ctx context.Context, token understudy.Secret) (understudy.Identity, error) {
	panic("being built")
}

// SignOut ends a session.
func (m *Management) SignOut(ctx context.Context, token understudy.Secret) error {
	panic("being built")
}

// SetupCode returns a fresh code for Setup, or nothing once there is a user.
func (m *Management) SetupCode(ctx context.Context) (understudy.Secret, error) { panic("being built") }

// Setup makes the first administrator, for whom has the code.
func (m *Management) Setup(ctx context.Context, code understudy.Secret, user string, password understudy.Secret) (understudy.User, error) {
	panic("being built")
}

// CreateJoinToken returns the secret by which one server may join, once, within ttl.
func (m *Management) CreateJoinToken(ctx context.Context, role understudy.Role, id understudy.ServerID, ttl time.Duration) (understudy.Secret, error) {
	panic("being built")
}

// UseJoinToken uses up a join token's secret and returns whom it lets in.
func (m *Management) UseJoinToken(ctx context.Context, secret understudy.Secret) (understudy.Role, understudy.ServerID, error) {
	panic("being built")
}
