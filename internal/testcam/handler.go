package testcam

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
)

// handler answers RTSP requests as the camera of their path would.
type handler struct {
	cameras *Cameras
	log     *slog.Logger
}

func status(code base.StatusCode) *base.Response { return &base.Response{StatusCode: code} }

// find returns the camera of a path, or the response that says why not.
func (h *handler) find(conn *gortsplib.ServerConn, request *base.Request, path string) (*camera, *base.Response, error) {
	<-h.cameras.ready
	cam := h.cameras.cameras[strings.Trim(path, "/")]
	if cam == nil || cam.settings.Misbehave == NotFound {
		return nil, status(base.StatusNotFound), nil
	}
	if cam.settings.Username != "" && !conn.VerifyCredentials(request, cam.settings.Username, cam.settings.Password) {
		return nil, status(base.StatusUnauthorized), liberrors.ErrServerAuth{}
	}
	if h.cameras.refuses(cam, agentOf(request)) {
		return nil, status(base.StatusForbidden), nil
	}
	return cam, nil, nil
}

// OnDescribe implements gortsplib.ServerHandlerOnDescribe.
func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	cam, refusal, err := h.find(ctx.Conn, ctx.Request, ctx.Path)
	if refusal != nil {
		return refusal, nil, err
	}
	if cam.settings.Misbehave == GarbageSDP {
		return &base.Response{StatusCode: base.StatusOK, Body: []byte("v=1\r\nm=\x00\xff nonsense\r\n")}, nil, nil
	}
	return status(base.StatusOK), cam.stream, nil
}

// OnSetup implements gortsplib.ServerHandlerOnSetup; a session takes a slot with its first track.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	cam, refusal, err := h.find(ctx.Conn, ctx.Request, ctx.Path)
	if refusal != nil {
		return refusal, nil, err
	}
	h.cameras.mu.Lock()
	defer h.cameras.mu.Unlock()
	if _, known := h.cameras.sessions[ctx.Session]; !known {
		if cam.slots.full(time.Now()) || cam.settings.Misbehave == Busy {
			return status(base.StatusNotEnoughBandwidth), nil, nil
		}
		h.cameras.take(ctx.Session, cam, ctx.Request)
	}
	return status(base.StatusOK), cam.stream, nil
}

// OnPlay implements gortsplib.ServerHandlerOnPlay.
func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	h.cameras.mu.Lock()
	defer h.cameras.mu.Unlock()
	cam := h.cameras.sessions[ctx.Session].camera
	cam.played.Store(time.Now().UnixNano())
	cam.active.Store(int64(cam.sessions))
	cam.wantsKey.Store(cam.settings.KeyOnPlay)
	h.log.Info("session plays", "camera", cam.settings.Name, "client", ctx.Conn.NetConn().RemoteAddr(), "sessions", cam.sessions)
	return status(base.StatusOK), nil
}

// OnSessionClose implements gortsplib.ServerHandlerOnSessionClose.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	h.cameras.mu.Lock()
	defer h.cameras.mu.Unlock()
	cam := h.cameras.sessions[ctx.Session].camera
	if cam == nil {
		return
	}
	delete(h.cameras.sessions, ctx.Session)
	cam.sessions--
	cam.slots.taken--
	cam.active.Store(int64(cam.sessions))
	if tornDown := (liberrors.ErrServerSessionTornDown{}); !errors.As(ctx.Error, &tornDown) && cam.settings.SessionExpiry > 0 {
		cam.slots.expiring = append(cam.slots.expiring, time.Now().Add(cam.settings.SessionExpiry))
	}
	h.log.Info("session ended", "camera", cam.settings.Name, "sessions", cam.sessions, "why", ctx.Error)
}

// OnStreamWriteError implements gortsplib.ServerHandlerOnStreamWriteError: a
// session with holes would look like a camera that loses frames.
func (h *handler) OnStreamWriteError(ctx *gortsplib.ServerHandlerOnStreamWriteErrorCtx) {
	ctx.Session.Close()
}

// OnDecodeError implements gortsplib.ServerHandlerOnDecodeError.
func (h *handler) OnDecodeError(ctx *gortsplib.ServerHandlerOnDecodeErrorCtx) {
	h.log.Debug("a client sent what cannot be read", "error", ctx.Error)
}
