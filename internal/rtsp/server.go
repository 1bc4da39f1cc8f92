package rtsp

import (
	"context"
	"log/slog"
	"net"

	"understudy"
	"understudy/internal/stream"
)

// Library is what a media server needs to know of the server around it.
type Library interface {
	// Authorize verifies a media token and returns why its bearer may not do
	// that: CodeUnauthenticated or CodeForbidden.
	Authorize(token string, action understudy.Action, camera understudy.CameraID) error
	// Live returns the stream of a camera that is held here.
	Live(camera understudy.CameraID) (*stream.Hub, bool)
	// Redirect returns the media address (host:port) of the holder of a camera
	// that is not held here; false if nobody holds it.
	Redirect(camera understudy.CameraID) (address string, ok bool)
	// Home returns the recording server that the camera belongs to.
	Home(camera understudy.CameraID) understudy.ServerID
	understudy.RecordingService
}

// ServerConfig is what a Server is made of.
type ServerConfig struct {
	Library Library
	Log     *slog.Logger
}

// Server serves live and recorded video over RTSP.
type Server struct {
	config ServerConfig
}

// NewServer returns a server that listens nowhere yet.
func NewServer(c ServerConfig) *Server { return &Server{config: c} }

// Serve answers on the connections of ln, from which TLS was already removed,
// until ctx ends or ln fails.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	<-ctx.Done()
	return ctx.Err()
}
