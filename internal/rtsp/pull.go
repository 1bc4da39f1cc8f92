// Package rtsp takes streams from cameras and serves live and recorded video, over RTSP.
package rtsp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"

	"understudy"
)

// Sink is where the samples of a source go; a stream.Hub is one. Neither method
// may wait. Tracks comes first, and again whenever the source begins anew.
type Sink interface {
	Tracks(tracks []understudy.Track)
	Sample(s *understudy.Sample)
}

// Config is one camera as it is pulled.
type Config struct {
	URL       string               // rtsp[s]://host[:port]/path, without credentials
	Transport understudy.Transport // empty: TCP
	Username  string
	Password  understudy.Secret
	Agent     string // by which the camera knows us (User-Agent); empty: the program's name
	Dials     *Dials // shared with other cameras; nil bounds nothing. Pull does not heed it
	Pump      *Pump  // reads the connection together with others'; nil: it is read by itself
	// Payloads is memory that samples are lent from: the sink must be one that
	// knows of leases, as a stream.Hub does. nil lends nothing.
	Payloads *Payloads
	Log      *slog.Logger // nil is silent

	playing func() // called when the camera has agreed to send; may be nil
}

// How long a camera may take, and how much it may send us elsewhere.
const (
	dialTimeout    = 2 * time.Second
	answerTimeout  = 5 * time.Second
	silenceTimeout = 5 * time.Second  // without a frame, where the GOP is short
	keyTimeout     = 20 * time.Second // without a key frame at the start
	longestSilence = time.Minute      // whatever the GOP
	maxRedirects   = 3
)

// Pull runs one session with a camera and ends with what ended it, an
// *understudy.Error of one sentence, or ctx's error.
func Pull(ctx context.Context, c Config, sink Sink) error {
	p, err := newPull(c, sink)
	if err != nil {
		return err
	}
	err = p.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return explain(err, c)
}

// Probe asks a camera what it would send, with its credentials at most once,
// and takes none of its sessions: OPTIONS and DESCRIBE, no SETUP (RFC 2326 §10).
func Probe(ctx context.Context, c Config) (understudy.Codec, error) {
	p, err := newPull(c, nil)
	if err != nil {
		return "", err
	}
	if err = p.open(); err == nil {
		defer p.client.Close()
		defer context.AfterFunc(ctx, p.client.Close)()
		_, _, err = p.describe()
	}
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", explain(errors.Join(p.refuse, err), c)
	}
	return p.video.track.Codec, nil
}

func newPull(c Config, sink Sink) (*pull, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	u, err := base.ParseURL(c.URL)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "a camera's URL is rtsp://host[:port]/path, and is %q", c.URL)
	}
	if c.Username != "" {
		u.User = url.UserPassword(c.Username, string(c.Password))
	}
	return &pull{config: c, sink: sink, url: u, anchor: time.Now()}, nil
}

// pull is one session with a camera.
type pull struct {
	config Config
	sink   Sink
	url    *base.URL
	client *gortsplib.Client
	conn   *interleaved // the connection, where packets are read past the library; else nil
	dials  int
	refuse error // why the session was given up on our side

	inlet
	anchor time.Time // wall time from which the session's clock counts on monotonically
}

func (p *pull) run(ctx context.Context) error {
	if err := p.open(); err != nil {
		return err
	}
	defer p.client.Close()
	defer context.AfterFunc(ctx, p.client.Close)()
	if err := p.play(); err != nil {
		return errors.Join(p.refuse, err)
	}
	if p.config.playing != nil {
		p.config.playing()
	}
	return p.watch(ctx)
}

// open makes a client that connects when it is used.
func (p *pull) open() error {
	protocol := gortsplib.ProtocolTCP
	if p.config.Transport == understudy.TransportUDP {
		protocol = gortsplib.ProtocolUDP
	}
	p.client = &gortsplib.Client{
		Scheme:          p.url.Scheme,
		Host:            p.url.Host,
		Protocol:        &protocol, // given, so that nothing is probed and nothing switches
		ReadTimeout:     answerTimeout,
		WriteTimeout:    answerTimeout,
		UserAgent:       cmp.Or(p.config.Agent, "understudy"),
		TLSConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		DialContext:     p.dial,
		ListenPacket:    listenUDP,
		OnResponse:      p.refuseBasic,
		OnDecodeError:   func(err error) { p.config.Log.Debug("a packet cannot be read", "url", p.config.URL, "error", err) },
		OnPacketsLost:   func(lost uint64) { p.config.Log.Debug("packets lost", "url", p.config.URL, "lost", lost) },
		OnServerRequest: func(*base.Request) {},
	}
	return p.client.Start()
}

// udpBuffer is what the kernel may keep of a camera's packets while nobody reads them:
// a second or more of video, where Linux alone keeps some 90 packets.
const udpBuffer = 4 << 20 // bytes

// listenUDP opens a socket with a buffer of udpBuffer, or as much of it as the machine
// allows (net.core.rmem_max). gortsplib's own setting refuses a camera there instead.
func listenUDP(network, address string) (net.PacketConn, error) {
	conn, err := new(net.ListenConfig).ListenPacket(context.Background(), network, address) // does not wait
	if err != nil {
		return nil, err
	}
	if socket, ok := conn.(*net.UDPConn); ok {
		_ = socket.SetReadBuffer(udpBuffer) // with a smaller one more is lost when the machine is busy, and nothing else
	}
	return conn, nil
}

// dial connects to the camera's own host and no other: whoever answers there
// may not send us, and the camera's password, elsewhere.
func (p *pull) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.dials++
	host, _, err := net.SplitHostPort(address)
	if err != nil || host != p.url.Hostname() {
		p.refuse = understudy.Errorf(understudy.CodeForbidden,
			"camera %s redirects to %s, another host, where its password is not sent: set the camera's URL to where it is now", p.config.URL, address)
		return nil, p.refuse
	}
	if p.dials > maxRedirects {
		p.refuse = understudy.Errorf(understudy.CodeInvalid, "camera %s redirects more than %d times: correct its URL", p.config.URL, maxRedirects)
		return nil, p.refuse
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	c, err := dialer.DialContext(ctx, network, address)
	if err != nil || p.url.Scheme != "rtsp" || p.config.transport() != understudy.TransportTCP {
		return c, err
	}
	c, p.conn = interleave(c, p.config.Pump)
	return c, nil
}

// refuseBasic strikes out offers of Basic authentication where everyone could
// read the password on its way.
func (p *pull) refuseBasic(response *base.Response) {
	if p.url.Scheme == "rtsps" || response.StatusCode != base.StatusUnauthorized {
		return
	}
	var kept base.HeaderValue
	for _, offer := range response.Header["WWW-Authenticate"] {
		var parsed headers.Authenticate
		if parsed.Unmarshal(base.HeaderValue{offer}) == nil && parsed.Method == headers.AuthMethodBasic {
			continue
		}
		kept = append(kept, offer)
	}
	if len(kept) == 0 && len(response.Header["WWW-Authenticate"]) > 0 && p.config.Username != "" {
		p.refuse = understudy.Errorf(understudy.CodeUnauthenticated,
			"camera %s accepts its password only unprotected (Basic authentication without TLS), so it is not sent: switch on digest authentication there, or use rtsps", p.config.URL)
	}
	response.Header["WWW-Authenticate"] = kept
}

// describe asks what the camera has, and chooses what is recorded of it.
func (p *pull) describe() (*description.Session, []*description.Media, error) {
	session, _, err := p.client.Describe(p.url)
	if err != nil {
		return nil, nil, err
	}
	var medias []*description.Media
	for _, media := range session.Medias {
		if p.take(media) {
			media.Profile = headers.TransportProfileAVP // TLS encrypts already; SRTP inside it would do so twice
			medias = append(medias, media)
		}
	}
	if p.video == nil {
		return nil, nil, understudy.Errorf(understudy.CodeInvalid,
			"camera %s offers no video in H.264, H.265 or MJPEG, but %s: choose another stream of it", p.config.URL, formatsOf(session))
	}
	p.video.memory = p.config.Payloads
	return session, medias, nil
}

// play describes, sets up and starts the tracks that are recorded.
func (p *pull) play() error {
	session, medias, err := p.describe()
	if err != nil {
		return err
	}
	var direct takers
	for _, media := range medias {
		response, err := p.client.Setup(session.BaseURL, media, 0, 0)
		if err != nil {
			return err
		}
		p.divert(&direct, media, response)
	}
	p.connect()
	if p.conn != nil && len(direct) > 0 {
		p.conn.divert(direct)
	}
	p.began = time.Now()
	_, err = p.client.Play(nil)
	return err
}

// watch waits until the camera ends the session, or stops sending.
func (p *pull) watch(ctx context.Context) error {
	ended := make(chan error, 1)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	waiting.Go(func() { ended <- p.client.Wait() })
	tick := time.NewTicker(silenceTimeout / 10)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case now := <-tick.C:
			if err := p.silence(now); err != nil {
				p.client.Close()
				return err
			}
		case <-ctx.Done():
			p.client.Close()
			return ctx.Err()
		}
	}
}

// silence says what the camera has not sent for too long.
func (p *pull) silence(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, limit := p.began, silenceTimeout
	if !p.arrived.IsZero() {
		last, limit = p.arrived, min(longestSilence, max(silenceTimeout, 3*p.gop))
	}
	switch {
	case now.Sub(last) > limit:
		return understudy.Errorf(understudy.CodeUnavailable,
			"camera %s keeps the connection but has sent no picture for %s: see whether it has frozen", p.config.URL, now.Sub(last).Round(time.Second))
	case p.sense.condemned > 0:
		return understudy.Errorf(understudy.CodeUnavailable,
			"camera %s sends packets that are no video (%d of the last %d make no sense): see whether it or the network damages them",
			p.config.URL, p.sense.condemned, p.sense.of)
	case p.keyed.IsZero() && now.Sub(p.began) > keyTimeout:
		return understudy.Errorf(understudy.CodeUnavailable,
			"camera %s has sent %d pictures in %s but none that decoding can begin with: set a key frame interval of a few seconds there",
			p.config.URL, p.pictures, now.Sub(p.began).Round(time.Second))
	}
	return nil
}
