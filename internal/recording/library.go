package recording

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/listen"
	"understudy/internal/media"
	"understudy/internal/rtsp"
	"understudy/internal/storage"
	"understudy/internal/stream"
)

// library is what the media port shows: the store's footage, and the live
// cameras that this server holds.
type library struct {
	*storage.Store
	server *Server
}

// Authorize asks nobody: the token is signed. While no management server is
// heard, tokens that were good before last longer.
func (l library) Authorize(token string, a understudy.Action, c understudy.CameraID) (understudy.Identity, error) {
	if token == "" {
		return understudy.Identity{}, understudy.Identity{}.May(a, c)
	}
	who, err := l.server.config.Node.VerifyTokenSince(token, l.server.site.Load(), l.server.config.Heard())
	if err != nil {
		return who, err
	}
	return who, who.May(a, c)
}

// Live returns the stream of a camera, unless the site says that another server holds it.
func (l library) Live(id understudy.CameraID) (*stream.Hub, bool) {
	c, ok := l.server.find(id)
	if !ok {
		return nil, false
	}
	if _, elsewhere := l.Redirect(id); elsewhere {
		return nil, false
	}
	return c.hub, true
}

// Redirect returns where the holder of a camera is reached, when that is known
// to be another server. What runs here under a higher epoch than the site tells
// of has just been taken over, and the news is still on its way; while no
// management server tells who holds what, whoever has the picture shows it.
func (l library) Redirect(id understudy.CameraID) (string, bool) {
	site := l.server.site.Load()
	if site == nil {
		return "", false
	}
	lease, ok := site.Lease(id)
	if !ok || lease.Holder == l.server.config.ID {
		return "", false
	}
	if c, runs := l.server.find(id); runs && (c.want.Load().epoch > lease.Epoch || l.server.alone() && c.receiving()) {
		return "", false
	}
	addresses, ok := site.Addresses(lease.Holder)
	return addresses.Media, ok && addresses.Media != ""
}

// silentAfter is longer than the channel's heartbeat and a lost one.
const silentAfter = 12 * time.Second

// alone reports whether what is known of the leases may be long out of date.
func (s *Server) alone() bool { return time.Since(s.config.Heard()) > silentAfter }

// Trigger takes an event of a camera that runs here.
func (l library) Trigger(t understudy.Trigger) (taken bool, err error) {
	switch {
	case !l.server.runs(t.Camera):
		return false, nil
	case !l.server.events.allow(time.Now()):
		return false, understudy.Errorf(understudy.CodeUnavailable, "too many events are told to %s; tell again in a second, and less", l.server.config.ID)
	}
	return true, l.server.Trigger(t)
}

// Home returns the recording server that a camera belongs to; empty when unknown.
func (l library) Home(id understudy.CameraID) understudy.ServerID { return l.server.home(id) }

// Epoch returns the epoch under which a camera is served here; 0 when it is not.
func (l library) Epoch(id understudy.CameraID) uint64 {
	if c, ok := l.server.find(id); ok && !c.want.Load().mirror {
		return c.want.Load().epoch
	}
	return 0
}

// statement is this server's word on a camera: the epoch under which it serves
// it, and whether it would show a picture now.
func (l library) statement(id understudy.CameraID, nonce string) (understudy.SignedStatement, error) {
	now := time.Now()
	said := understudy.Statement{Server: l.server.config.ID, Camera: id, Epoch: l.Epoch(id), At: now.UTC(), Nonce: nonce}
	if c, ok := l.server.find(id); ok && c.receiving() {
		_, said.Receiving = l.Live(id)
	}
	return l.server.config.Node.SignStatement(said)
}

// Bounds of HTTP connections. Bodies are not read and answers may take as long
// as the footage does, so that only the beginning has a deadline.
const (
	headerPatience = 10 * time.Second
	idlePatience   = time.Minute
	maxHeader      = 64 << 10
)

// serveMedia serves RTSP, HTTP and WebSocket on the one media port.
func (s *Server) serveMedia(ctx context.Context) error {
	shown := library{s.config.Store, s}
	mux := listen.New(s.config.Media, s.config.Node.ServerTLS(), listen.Options{AllowPlain: s.config.PlainMedia, Log: s.log})
	cutOff := func() { s.cutOff.Add(1) }
	rtspListener, httpListener := mux.RTSP(), mux.HTTP()
	web := &http.Server{
		Handler:           media.New(media.Config{Server: s.config.ID, Library: shown, Peer: identity.PeerIdentity, State: shown.statement, Soon: shown.soon, CutOff: cutOff, Uses: s.config.Uses, Log: s.log}),
		ReadHeaderTimeout: headerPatience,
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return mux.Run(ctx) })
	g.Go(func() error {
		return rtsp.NewServer(rtsp.ServerConfig{Library: shown, CutOff: cutOff, Uses: s.config.Uses, Log: s.log}).Serve(ctx, rtspListener)
	})
	g.Go(func() error { return listen.Serve(ctx, httpListener, web, 0) })
	return g.Wait()
}
