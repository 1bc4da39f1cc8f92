// Package media serves live and recorded video over HTTP and WebSocket on the
// media port. Every object (camera, segment, part of a playlist) is authorized
// by itself; whoever asks for the live picture of a camera that is held
// elsewhere is sent there.
package media

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"understudy"
	"understudy/internal/stream"
	"understudy/internal/usage"
)

// Library is what a server has to show. As a RecordingService it is the footage
// of all servers that answer, wherever it lies.
type Library interface {
	understudy.RecordingService
	// Here returns what lies on this server alone: clients and other servers put
	// it together with what they hear elsewhere.
	Here() Shelf
	// Authorize decides whether the bearer of a media token may do a to c:
	// who it is, CodeUnauthenticated or CodeForbidden. An empty token is nobody's. The
	// bearer is known of who is refused with CodeForbidden, too; its address is the
	// one to which the token was given out.
	Authorize(token string, a understudy.Action, c understudy.CameraID) (understudy.Identity, error)
	// WhileGood returns a context that ends when the media token of who Authorize let in
	// is recalled, with why as its cause.
	WhileGood(ctx context.Context, who understudy.Identity) (context.Context, context.CancelFunc)
	// Live returns the hub of a camera that is received here.
	Live(c understudy.CameraID) (*stream.Hub, bool)
	// Redirect returns the media address (host:port) of the server that holds c; not ok
	// when that is nobody, this server, or unknown.
	Redirect(c understudy.CameraID) (mediaAddress string, ok bool)
	// Trigger takes an event of a camera; not taken when the camera is not recorded here.
	Trigger(t understudy.Trigger) (taken bool, err error)
	// Home returns the recording server that c belongs to; empty when unknown.
	Home(c understudy.CameraID) understudy.ServerID
	// Epoch returns the epoch under which c is served here; 0 when it is not.
	Epoch(c understudy.CameraID) uint64
}

// Shelf is what lies on one server.
type Shelf interface {
	understudy.RecordingService
	understudy.NoteService
}

// Config is what a handler needs.
type Config struct {
	Server  understudy.ServerID
	Library Library
	// Peer returns the server behind a verified client certificate; nil when servers are not let in by certificate.
	Peer func(*tls.ConnectionState) (understudy.Identity, bool)
	// State returns the server's own word on its part in a camera, signed, to the
	// question that the nonce names; nil: it gives none.
	State func(c understudy.CameraID, nonce string) (understudy.SignedStatement, error)
	// Soon reports whether a camera that is not served here may have to be any moment:
	// who asks for its live picture is kept waiting for a little. news is closed when that,
	// or what is served here, changes. nil: no camera is.
	Soon func(c understudy.CameraID) (news <-chan struct{}, ok bool)
	// Patience is how long a reader may take nothing before it is cut off; 0 is 20 s.
	Patience time.Duration
	// CutOff is told of each reader that was; nil tells nobody.
	CutOff func()
	// Uses has who played and exported what, for the audit; nil notes nothing.
	Uses *usage.Book
	Log  *slog.Logger
}

// New returns the handler of the media port's HTTP side.
func New(c Config) http.Handler {
	return newHandler(c)
}
