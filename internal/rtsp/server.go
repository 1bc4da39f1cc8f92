package rtsp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"understudy"
	"understudy/internal/stream"
	"understudy/internal/usage"
)

// Library is what a media server needs to know of the server around it.
type Library interface {
	// Authorize verifies a media token and returns its bearer, or why he may not do
	// that: CodeUnauthenticated or CodeForbidden. The bearer is known with the
	// latter, too; its address is the one to which the token was given out.
	Authorize(token string, action understudy.Action, camera understudy.CameraID) (understudy.Identity, error)
	// WhileGood returns a context that ends when the media token of who Authorize let in
	// is recalled, with why as its cause.
	WhileGood(ctx context.Context, who understudy.Identity) (context.Context, context.CancelFunc)
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
	// Patience is how long a viewer may take nothing before it is cut off; 0 is 5 s.
	Patience time.Duration
	// CutOff is told of each viewer that was; nil tells nobody.
	CutOff func()
	// Uses has who played what, for the audit; nil notes nothing.
	Uses *usage.Book
	Log  *slog.Logger // nil is silent
}

// Server serves live and recorded video over RTSP, interleaved in its TCP
// connection (RFC 2326 §10.12), at rtsp[s]://host/CAMERA?token=TOKEN.
//
// Live is what comes without more. Recordings come with the header
// "Range: clock=A-B" on PLAY (RFC 2326 §3.7), or with from= and to= (RFC 3339)
// in the URL. Scale plays them faster, slower and backwards (§12.34); Rate-Control,
// Frames and the header extension are those of ONVIF's replay. The token may also be the password of Basic authentication,
// inside TLS only.
type Server struct {
	config  ServerConfig
	viewers atomic.Int64
}

// Bounds of what viewers may cost.
const (
	maxViewers  = 1000
	packetQueue = 512      // packets between a viewer's goroutine and its socket; a power of two
	sampleQueue = 16 << 20 // bytes between a hub and a viewer
)

// NewServer returns a server that listens nowhere yet.
func NewServer(c ServerConfig) *Server {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Patience <= 0 {
		c.Patience = 5 * time.Second
	}
	return &Server{config: c}
}

// cutOff counts a viewer that took nothing for too long.
func (s *Server) cutOff(v *viewer) {
	v.log.Info("a viewer that took nothing was cut off", "camera", v.camera)
	if s.config.CutOff != nil {
		s.config.CutOff()
	}
}

// Serve answers on the connections of ln, from which TLS was already removed,
// until ctx ends or ln fails. It closes ln.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	h := &handler{server: s, ctx: ctx}
	h.rtsp = &gortsplib.Server{
		RTSPAddress:    ln.Addr().String(),
		WriteQueueSize: packetQueue,
		WriteTimeout:   s.config.Patience,
		Listen:         func(string, string) (net.Listener, error) { return ln, nil },
		Handler:        h,
	}
	if err := h.rtsp.Start(); err != nil {
		ln.Close()
		return understudy.Errorf(understudy.CodeInternal, "RTSP cannot be served on %s: %w", ln.Addr(), err)
	}
	ended := make(chan error, 1)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	waiting.Go(func() { ended <- h.rtsp.Wait() })
	defer h.rtsp.Close()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-ended:
		return understudy.Errorf(understudy.CodeUnavailable, "RTSP is no longer served on %s: %w", ln.Addr(), err)
	}
}

// handler answers the requests of one listener. Each connection has a viewer,
// kept as its user data.
type handler struct {
	server *Server
	ctx    context.Context // of Serve: viewers end with it
	rtsp   *gortsplib.Server
}

// OnConnOpen implements gortsplib.ServerHandlerOnConnOpen.
func (h *handler) OnConnOpen(ctx *gortsplib.ServerHandlerOnConnOpenCtx) {
	ctx.Conn.SetUserData(&viewer{handler: h, conn: ctx.Conn, log: h.server.config.Log.With("client", ctx.Conn.NetConn().RemoteAddr().String())})
	h.server.viewers.Add(1)
}

// OnConnClose implements gortsplib.ServerHandlerOnConnClose.
func (h *handler) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	viewerOf(ctx.Conn).close()
	h.server.viewers.Add(-1)
}

func viewerOf(conn *gortsplib.ServerConn) *viewer { return conn.UserData().(*viewer) }

// OnDescribe implements gortsplib.ServerHandlerOnDescribe.
func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	v := viewerOf(ctx.Conn)
	if session := ctx.Conn.Session(); session != nil && session.State() != gortsplib.ServerSessionStateInitial {
		return &base.Response{StatusCode: base.StatusMethodNotValidInThisState}, nil, nil
	}
	if err := v.describe(ctx.Request, ctx.Path, ctx.Query); err != nil {
		return v.refusal(ctx.Request, err), nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, v.stream, nil
}

// OnSetup implements gortsplib.ServerHandlerOnSetup. A client that sets up
// without having described is described to itself.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	v := viewerOf(ctx.Conn)
	if v.stream == nil || ctx.Path != v.path {
		if ctx.Session.State() != gortsplib.ServerSessionStateInitial {
			return &base.Response{StatusCode: base.StatusAggregateOperationNotAllowed}, nil, nil
		}
		if err := v.describe(ctx.Request, ctx.Path, ctx.Query); err != nil {
			return v.refusal(ctx.Request, err), nil, nil
		}
	}
	ctx.Session.SetUserData(v)
	return &base.Response{StatusCode: base.StatusOK}, v.stream, nil
}

// OnSessionClose implements gortsplib.ServerHandlerOnSessionClose.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	v, ok := ctx.Session.UserData().(*viewer)
	if !ok {
		return
	}
	v.stop()
	if write, ok := errors.AsType[*net.OpError](ctx.Error); ok && write.Op == "write" && write.Timeout() {
		h.server.cutOff(v)
	}
}

// OnPlay implements gortsplib.ServerHandlerOnPlay.
func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	v := viewerOf(ctx.Conn)
	response, err := v.play(ctx.Session, ctx.Request)
	if err != nil {
		return v.refusal(ctx.Request, err), nil
	}
	return response, nil
}

// OnPause implements gortsplib.ServerHandlerOnPause.
func (h *handler) OnPause(ctx *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	viewerOf(ctx.Conn).stop()
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnStreamWriteError implements gortsplib.ServerHandlerOnStreamWriteError.
func (h *handler) OnStreamWriteError(*gortsplib.ServerHandlerOnStreamWriteErrorCtx) {}

// OnDecodeError implements gortsplib.ServerHandlerOnDecodeError.
func (h *handler) OnDecodeError(ctx *gortsplib.ServerHandlerOnDecodeErrorCtx) {
	h.server.config.Log.Debug("a viewer sent what cannot be read", "error", ctx.Error)
}

// redirect is the error of a camera that another server holds.
type redirect struct{ location string }

// Error implements error.
func (r redirect) Error() string { return "it is at " + r.location }

// refusal makes the response of an error.
func (v *viewer) refusal(request *base.Request, err error) *base.Response {
	if r, ok := errors.AsType[redirect](err); ok {
		return &base.Response{StatusCode: base.StatusFound, Header: base.Header{"Location": base.HeaderValue{r.location}}}
	}
	v.log.Info("refused", "url", withoutToken(request.URL), "why", err)
	response := &base.Response{StatusCode: base.StatusInternalServerError, Header: base.Header{}}
	switch understudy.CodeOf(err) {
	case understudy.CodeInvalid:
		response.StatusCode = base.StatusBadRequest
	case understudy.CodeUnauthenticated:
		response.StatusCode = base.StatusUnauthorized
		if v.secure() {
			response.Header["WWW-Authenticate"] = base.HeaderValue{`Basic realm="understudy"`}
		}
	case understudy.CodeForbidden:
		response.StatusCode = base.StatusForbidden
	case understudy.CodeNotFound:
		response.StatusCode = base.StatusNotFound
	case understudy.CodeUnavailable:
		response.StatusCode = base.StatusServiceUnavailable
	}
	return response
}
