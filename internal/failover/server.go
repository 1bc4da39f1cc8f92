package failover

import (
	"context"
	"log/slog"
	"time"

	"understudy"
	"understudy/internal/identity"
)

// Recorder is the recording server inside a failover server: *recording.Server.
type Recorder interface {
	// Run serves and records until ctx ends.
	Run(ctx context.Context) error
	// Apply makes what runs equal to a.
	Apply(a understudy.Assignment)
	SetSite(s understudy.Site)
	State() understudy.State
	// Covered names the cameras with durable samples since they were applied.
	Covered() []understudy.CameraID
}

// Management is the management server as a failover server needs it: *client.Client.
type Management interface {
	understudy.LeaseService
	understudy.AssignmentService
	understudy.Feed
	Report(ctx context.Context, server understudy.ServerID, r understudy.Report) error
}

// Conn is one connection to a server's state port: *poll.Conn.
type Conn interface {
	Poll(ctx context.Context, p understudy.Poll) (understudy.State, error)
	// Broken is closed when the connection has ended, whoever ended it.
	Broken() <-chan struct{}
	Close() error
}

// Footage is what lies on the failover server's disk: *storage.Store.
type Footage interface {
	understudy.RecordingService
	State() understudy.StorageState
}

// Config is what a failover server is made of.
type Config struct {
	ID         understudy.ServerID
	Recorder   Recorder
	Management Management
	Store      Footage
	// Node proves who this server is, and seals what it keeps on disk.
	Node *identity.Node
	// Dial connects to a server's state port; nil dials with Node's certificate.
	Dial func(ctx context.Context, server understudy.ServerID, address string) (Conn, error)
	// SendHome sends the closed segments of a home to it and deletes what was
	// received; nil uses merge.Send over a connection with Node's certificate.
	SendHome func(ctx context.Context, home understudy.ServerID, address string) error
	// RankDelay is how long a server waits for each one before it in rank; 0 is 2 s.
	RankDelay time.Duration
	Log       *slog.Logger
}

// Server is a failover server.
type Server struct{ config Config }

// New makes a failover server; Run runs it.
func New(c Config) *Server { return &Server{config: c} }

// Run records and serves what the leases and the state of the watched servers
// demand, until ctx ends, and returns when all it started has returned.
func (s *Server) Run(ctx context.Context) error { panic("being built") }
