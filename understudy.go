// Package understudy is the vocabulary of a video management system whose
// recording survives the loss of a recording server.
//
// It holds the nouns (Camera, RecordingServer, FailoverServer, FailoverGroup,
// Lease, Assignment, Segment, Timeline, Event, Error), the rules that need
// nothing but the nouns (who may do what, how two holders' footage joins into
// one timeline), and the interfaces by which the roles meet. It imports the
// standard library only, and does no I/O.
package understudy

import (
	"fmt"
	"regexp"
)

// The default ports. Each of them is a setting, and each accepts TLS.
const (
	PortHTTP  = 80    // management server and service channel: plain redirect, server-to-server TLS
	PortHTTPS = 443   // management server and service channel, basic users
	PortMedia = 7563  // live and recorded video: RTSP, HTTP, WebSocket
	PortState = 11000 // state polls between servers
	PortMerge = 5210  // footage that comes home
)

// CameraID names a camera in addresses, paths and events, for good.
type CameraID string

// ServerID names a recording, failover or management server, for good.
type ServerID string

// GroupID names a failover group.
type GroupID string

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// ValidateID reports whether id may name a camera, server or group: 1 to 63
// lower-case letters, digits and dashes, not starting with a dash. The same
// alphabet is safe in a path, a URL and a DNS label, so an id is never escaped.
func ValidateID[T ~string](noun string, id T) error {
	if idPattern.MatchString(string(id)) {
		return nil
	}
	return &Error{Code: CodeInvalid, Message: fmt.Sprintf(
		"the id of a %s is 1 to 63 lower-case letters, digits and dashes, beginning with a letter or digit; found %q", noun, string(id))}
}

// ManagementService is all that a management server does for users and servers
// of its site, and what a client of it does over the API.
type ManagementService interface {
	CameraService
	ServerService
	LeaseService
	AssignmentService
	BundleService
	EventService
	UserService
	RightsService
	TriggerService
	LockService
	PreflightService
	OrderService
	AuditService
	CAService
}
