package understudy

import (
	"context"
	"log/slog"
	"net/url"
	"time"
)

// FailoverSupport says what a failover server does for a camera while its home is away.
type FailoverSupport string

// The three kinds of support.
const (
	SupportFull FailoverSupport = "full" // record, and serve live
	SupportLive FailoverSupport = "live" // serve live only
	SupportNone FailoverSupport = "none" // nothing: the camera waits for its home
)

// Transport is how RTP packets travel from the camera.
type Transport string

// The transports a camera can be set to.
const (
	TransportTCP Transport = "tcp" // interleaved in the RTSP connection (RFC 2326 §10.12)
	TransportUDP Transport = "udp"
)

// Camera is one source of video, as anyone entitled may see it. It never
// carries a password; those travel in Credentials only.
type Camera struct {
	ID        CameraID        `json:"id" doc:"Name of the camera in addresses and paths, for good" example:"lobby"`
	Name      string          `json:"name" doc:"Name for people" example:"Lobby, north door"`
	Home      ServerID        `json:"home" doc:"Recording server that the camera belongs to"`
	URL       string          `json:"url" doc:"rtsp://host[:port]/path, without credentials" example:"rtsp://10.0.0.8/stream1"`
	Sub       string          `json:"sub,omitempty" doc:"rtsp address of a second stream with fewer bits, for a server that is short of capacity" example:"rtsp://10.0.0.8/stream2"`
	Transport Transport       `json:"transport,omitempty" enum:"tcp,udp" default:"tcp" doc:"How RTP travels"`
	Username  string          `json:"username,omitempty" doc:"User name on the camera"`
	Failover  FailoverSupport `json:"failover,omitempty" enum:"full,live,none" default:"full" doc:"What a failover server does for it"`
	Priority  int             `json:"priority,omitempty" doc:"Higher is served first when capacity is short"`
	KeepFor   time.Duration   `json:"keep_for,omitempty" doc:"Age, in nanoseconds, after which recordings are deleted; 0 keeps them while there is room"`
	// Mirror is the failover server that keeps its stream open, instead of its home's.
	Mirror ServerID `json:"mirror,omitempty" doc:"Failover server that mirrors this camera; empty is as its home says"`
	// Sessions is how many sessions the camera allows at a time; 0 is unknown.
	Sessions int `json:"sessions,omitempty" minimum:"0" doc:"Sessions that the camera allows at a time; 0 is unknown, and enough"`
	// Rule says when it is recorded, and how long footage of events is kept.
	Rule RecordingRule `json:"rule,omitzero"`
}

// WithDefaults returns c with empty settings replaced by their defaults.
func (c Camera) WithDefaults() Camera {
	if c.Name == "" {
		c.Name = string(c.ID)
	}
	if c.Transport == "" {
		c.Transport = TransportTCP
	}
	if c.Failover == "" {
		c.Failover = SupportFull
	}
	return c
}

// Validate reports the first thing wrong with c.
func (c Camera) Validate() error {
	if err := ValidateID("camera", c.ID); err != nil {
		return err
	}
	if len(c.Name) > 200 {
		return Errorf(CodeInvalid, "the name of camera %s may have 200 bytes, and has %d", c.ID, len(c.Name))
	}
	if err := validateStream(c.ID, c.URL); err != nil {
		return err
	}
	if c.Sub != "" {
		if err := validateStream(c.ID, c.Sub); err != nil {
			return err
		}
	}
	if c.Transport != TransportTCP && c.Transport != TransportUDP {
		return Errorf(CodeInvalid, "camera %s: transport is tcp or udp, not %q", c.ID, c.Transport)
	}
	if c.Failover != SupportFull && c.Failover != SupportLive && c.Failover != SupportNone {
		return Errorf(CodeInvalid, "camera %s: failover is full, live or none, not %q", c.ID, c.Failover)
	}
	if c.Sessions < 0 {
		return Errorf(CodeInvalid, "camera %s allows a number of sessions, 0 if it is not known, and not %d", c.ID, c.Sessions)
	}
	if c.Mirror != "" && !c.Mirrored() {
		return Errorf(CodeInvalid, "camera %s cannot be mirrored by %s: a mirror holds a session beside its home's, and the camera allows %d, "+
			"with failover %q; make it a hot standby instead (`understudy server standby %s --hot %s`), or say that more sessions are allowed", c.ID, c.Mirror, c.Sessions, c.Failover, c.Home, c.Mirror)
	}
	if c.KeepFor < 0 {
		return Errorf(CodeInvalid, "camera %s: keep_for is an age and cannot be negative", c.ID)
	}
	if err := c.Rule.Validate(); err != nil {
		return Errorf(CodeInvalid, "camera %s: %w", c.ID, err)
	}
	return nil
}

func validateStream(camera CameraID, address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || (u.Scheme != "rtsp" && u.Scheme != "rtsps") || u.Hostname() == "":
		return Errorf(CodeInvalid, "camera %s needs a URL such as rtsp://host:554/path, and has %q", camera, address)
	case u.User != nil:
		return Errorf(CodeInvalid, "the URL of camera %s carries credentials; give them as username and password, where they are encrypted", camera)
	}
	return nil
}

// Mirrored reports whether a mirror can hold a session of its own with the camera.
func (c Camera) Mirrored() bool { return c.Sessions != 1 && c.Failover == SupportFull }

// Secret is a text that must not be printed: it prints and logs as a mask.
// It does marshal to JSON, because servers that need it receive it over mutual TLS.
type Secret string

const secretMask = "(secret)"

// String returns a mask.
func (Secret) String() string { return secretMask }

// GoString returns a mask.
func (Secret) GoString() string { return secretMask }

// LogValue returns a mask.
func (Secret) LogValue() slog.Value { return slog.StringValue(secretMask) }

// Credentials are what a server shows a camera.
type Credentials struct {
	Username string `json:"username,omitempty"`
	Password Secret `json:"password,omitempty"`
}

// CameraService keeps the cameras of a site.
type CameraService interface {
	// Cameras returns all cameras, by id.
	Cameras(ctx context.Context) ([]Camera, error)
	// Camera returns CodeNotFound if there is none of that id.
	Camera(ctx context.Context, id CameraID) (Camera, error)
	// PutCamera creates or replaces a camera. A nil password keeps the stored one.
	// CodeInvalid if the camera is malformed or its home does not exist.
	PutCamera(ctx context.Context, c Camera, password *Secret) (Camera, error)
	// PutCameras creates or replaces up to 500 cameras, all or none, with the
	// passwords of those that are given one; the others keep theirs.
	PutCameras(ctx context.Context, cameras []Camera, passwords map[CameraID]Secret) error
	// DeleteCamera forgets a camera; its footage stays until retention takes it.
	// RotateSecrets seals the passwords of all cameras, and the second factors of users, under a new key.
	RotateSecrets(ctx context.Context) error
	DeleteCamera(ctx context.Context, id CameraID) error
}
