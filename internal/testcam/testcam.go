// Package testcam is cameras made of a file: real RTSP servers whose every
// access unit carries a stamp that tells the camera, the frame and the time.
package testcam

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/auth"

	"understudy"
)

// Config is a set of cameras on one address.
type Config struct {
	Listen  string // host:port of the RTSP listener; port 0 takes a free one
	Cameras []Camera
	Log     *slog.Logger // nil is silent
}

// Camera is one camera.
type Camera struct {
	Name string // path of its URL, and what its stamps carry
	// File is an MP4 with H.264, H.265 or Motion JPEG, and with AAC or Opus if there
	// is to be sound; empty: the embedded clip, which is silent.
	File string
	// GOP plays the file faster or slower, so that its first GOP lasts this
	// long; 0: as it is.
	GOP                time.Duration
	Username, Password string // digest authentication where a user name is set
	// Of is the camera whose second profile this is: its stamps carry that name.
	// Of the same number of frames a second, both count the same frame at the same time.
	Of          string
	Shared      bool // its sessions count as those of Of, under the limit of that one
	MaxSessions int  // further ones are answered 453; 0: no limit
	// SessionExpiry keeps the slot of a session whose connection was lost; 0 frees it at once.
	SessionExpiry time.Duration
	// KeyOnPlay sends every session a key frame as soon as another begins to
	// play, as cameras do that encode one on request.
	KeyOnPlay bool
	Misbehave Misbehaviour
	NoStamps  bool // the file's bytes as they are; always so of Motion JPEG
	Tone      Tone // a sound of its own instead of the file's
}

// Tone is how a sine is coded.
type Tone string

// The codings of G.711.
const (
	MuLaw Tone = "mulaw"
	ALaw  Tone = "alaw"
)

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

// Cameras is a set of cameras that listens, and serves while it runs.
type Cameras struct {
	listener net.Listener
	server   *gortsplib.Server
	cameras  map[string]*camera
	ready    chan struct{} // closed when every camera has its stream

	mu       sync.Mutex
	sessions map[*gortsplib.ServerSession]session
	refused  map[string][]string // cameras that turn a client away, by its name
}

// New reads the files and opens the listeners: one for RTSP and, on the same
// host, two consecutive ports for RTP and RTCP over UDP. Run closes them.
func New(c Config) (*Cameras, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	cs := &Cameras{
		cameras: map[string]*camera{}, ready: make(chan struct{}),
		sessions: map[*gortsplib.ServerSession]session{}, refused: map[string][]string{},
	}
	clips := map[string]*clip{}
	for _, settings := range c.Cameras {
		if settings.Name == "" || len(settings.Name) > 100 || strings.ContainsAny(settings.Name, " /?#%") || cs.cameras[settings.Name] != nil {
			return nil, understudy.Errorf(understudy.CodeInvalid,
				"a test camera needs a name of its own of up to 100 bytes without spaces or slashes, and has %q", settings.Name)
		}
		switch settings.Misbehave {
		case Behave, Freeze, GarbageSDP, GarbagePackets, NotFound, Busy:
		default:
			return nil, understudy.Errorf(understudy.CodeInvalid, "a test camera misbehaves by freeze, garbage-sdp, garbage-packets, not-found or busy, not by %q", settings.Misbehave)
		}
		if clips[settings.File] == nil {
			loaded, err := loadClip(settings.File)
			if err != nil {
				return nil, err
			}
			clips[settings.File] = loaded
		}
		cs.cameras[settings.Name] = newCamera(settings, clips[settings.File])
	}
	if err := cs.share(); err != nil {
		return nil, err
	}
	if err := cs.listen(c); err != nil {
		return nil, err
	}
	return cs, nil
}

// share lets second profiles have the slots of their cameras.
func (c *Cameras) share() error {
	for name, profile := range c.cameras {
		whole := c.cameras[profile.settings.Of]
		switch {
		case profile.settings.Of != "" && whole == nil:
			return understudy.Errorf(understudy.CodeInvalid, "test camera %q is a profile of %q, which does not exist", name, profile.settings.Of)
		case profile.settings.Shared && whole != nil:
			profile.slots = whole.slots
		}
	}
	return nil
}

func (c *Cameras) listen(config Config) error {
	var listening net.ListenConfig
	listener, err := listening.Listen(context.Background(), "tcp", config.Listen)
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the test cameras cannot listen on %s: %w", config.Listen, err)
	}
	rtp, rtcp, err := listenUDP(listener.Addr().(*net.TCPAddr).IP)
	if err != nil {
		listener.Close()
		return err
	}
	packets := map[string]net.PacketConn{rtp.LocalAddr().String(): rtp, rtcp.LocalAddr().String(): rtcp}
	c.listener = listener
	c.server = &gortsplib.Server{
		RTSPAddress:    listener.Addr().String(),
		UDPRTPAddress:  rtp.LocalAddr().String(),
		UDPRTCPAddress: rtcp.LocalAddr().String(),
		WriteQueueSize: 1024, // packets of a session; the largest key frame fits
		AuthMethods:    []auth.VerifyMethod{auth.VerifyMethodDigestMD5, auth.VerifyMethodDigestSHA256},
		Listen:         func(string, string) (net.Listener, error) { return listener, nil },
		ListenPacket:   func(_, address string) (net.PacketConn, error) { return packets[address], nil },
		Handler:        &handler{cameras: c, log: config.Log},
	}
	return nil
}

// listenUDP opens an even port and the odd one that follows it (RFC 3550 §11).
func listenUDP(ip net.IP) (rtp, rtcp *net.UDPConn, err error) {
	for range 100 {
		rtp, err = net.ListenUDP("udp", &net.UDPAddr{IP: ip})
		if err != nil {
			break
		}
		port := rtp.LocalAddr().(*net.UDPAddr).Port
		if port%2 == 0 {
			rtcp, err = net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: port + 1})
			if err == nil {
				return rtp, rtcp, nil
			}
		}
		_ = rtp.Close()
	}
	return nil, nil, understudy.Errorf(understudy.CodeUnavailable, "the test cameras need two consecutive UDP ports on %s, and found none: %w", ip, err)
}

// Address returns host:port of the RTSP listener.
func (c *Cameras) Address() string { return c.listener.Addr().String() }

// URL returns where a camera is pulled, without credentials.
func (c *Cameras) URL(name string) string { return "rtsp://" + c.Address() + "/" + name }

// Run serves the cameras until ctx ends; its error is ctx's, or why serving ended before.
func (c *Cameras) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := c.server.Start(); err != nil {
		c.listener.Close()
		return understudy.Errorf(understudy.CodeUnavailable, "the test cameras cannot be served: %w", err)
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer c.server.Close()
	for _, cam := range c.cameras {
		if err := cam.open(c.server); err != nil {
			return understudy.Errorf(understudy.CodeInternal, "test camera %s cannot be served: %w", cam.settings.Name, err)
		}
	}
	close(c.ready)
	start := time.Now()
	for _, cam := range c.cameras {
		running.Go(func() { cam.run(ctx, start) })
		if cam.sound != nil {
			running.Go(func() { cam.runSound(ctx, start) })
		}
	}
	running.Go(func() { cancel(c.server.Wait()) })
	<-ctx.Done()
	return context.Cause(ctx)
}
