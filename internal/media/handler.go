package media

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"understudy"
)

// handler is the HTTP side of a media port.
type handler struct {
	Config
	exports   exports
	packagers packagers
	ticketKey []byte
}

// route is one way in, with what its caller must be allowed to do.
type route struct {
	pattern string // as http.ServeMux reads it
	action  func(*http.Request) understudy.Action
	serve   func(*handler, http.ResponseWriter, *http.Request, understudy.CameraID) error
}

// health is the one way in for everyone.
const health = "GET /health"

// routes is all there is besides. The camera is in every path, so that one place
// decides for each object.
var routes = []route{
	{"GET /v1/cameras/{camera}/live", live, (*handler).serveSocket},
	{"GET /v1/cameras/{camera}/live.mp4", live, (*handler).serveLive},
	{"GET /v1/cameras/{camera}/segments", playback, (*handler).serveSegments},
	{"GET /v1/cameras/{camera}/notes", playback, (*handler).serveNotes},
	{"GET /v1/cameras/{camera}/media.mp4", playbackOrExport, (*handler).serveMedia},
	{"GET /v1/cameras/{camera}/export.mp4", export, (*handler).serveExport},
	{"GET /v1/cameras/{camera}/still", liveOrPlayback, (*handler).serveStill},
	{"GET /v1/cameras/{camera}/statement", live, (*handler).serveStatement},
	{"GET /v1/cameras/{camera}/hls/master.m3u8", liveOrRange, (*handler).serveMaster},
	{"GET /v1/cameras/{camera}/hls/live.m3u8", live, (*handler).serveLivePlaylist},
	{"GET /v1/cameras/{camera}/hls/live/init.mp4", live, (*handler).serveLiveInit},
	{"GET /v1/cameras/{camera}/hls/live/part.m4s", live, (*handler).serveLivePart},
	{"GET /v1/cameras/{camera}/hls/index.m3u8", playback, (*handler).servePlaylist},
	{"GET /v1/cameras/{camera}/hls/init.mp4", playback, (*handler).serveInit},
	{"GET /v1/cameras/{camera}/hls/part.m4s", playback, (*handler).servePart},
	{"GET /v1/segments/{camera}/{name}", playback, (*handler).serveSegment},
	{"POST /v1/cameras/{camera}/events", events, (*handler).serveEvent},
}

// Patterns returns every way in, as http.ServeMux writes them.
func Patterns() []string {
	all := []string{health}
	for _, route := range routes {
		all = append(all, route.pattern)
	}
	return all
}

func live(*http.Request) understudy.Action     { return understudy.ActionLive }
func playback(*http.Request) understudy.Action { return understudy.ActionPlayback }
func export(*http.Request) understudy.Action   { return understudy.ActionExport }
func events(*http.Request) understudy.Action   { return understudy.ActionEvents }

// liveOrPlayback: what names no time is live.
func liveOrPlayback(r *http.Request) understudy.Action {
	if r.URL.Query().Has("at") {
		return understudy.ActionPlayback
	}
	return understudy.ActionLive
}

// liveOrRange: what names no range is live.
func liveOrRange(r *http.Request) understudy.Action {
	if r.URL.Query().Has("from") {
		return understudy.ActionPlayback
	}
	return understudy.ActionLive
}

// playbackOrExport: a file to keep is an export.
func playbackOrExport(r *http.Request) understudy.Action {
	if r.URL.Query().Get("download") != "" {
		return understudy.ActionExport
	}
	return understudy.ActionPlayback
}

func newHandler(c Config) http.Handler {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Patience <= 0 {
		c.Patience = 20 * time.Second
	}
	h := &handler{Config: c, ticketKey: newTicketKey()}
	mux := http.NewServeMux()
	mux.HandleFunc(health, func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"server": c.Server, "ok": true})
	})
	for _, route := range routes {
		mux.Handle(route.pattern, h.guard(route))
	}
	return open(mux)
}

// open lets pages of any origin in: there are no cookies here, a token is what
// opens a door.
func open(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range, Content-Disposition, ETag, Accept-Ranges, "+captureTime)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer") // the token may stand in the address
		header.Set("Cache-Control", "no-store")
		if r.Method == http.MethodOptions {
			header.Set("Access-Control-Allow-Methods", "GET, POST")
			header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Range, If-Range, If-Match")
			header.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// guard lets a request in when its bearer may do the route's action to the
// route's camera, before anything tells whether that camera exists.
func (h *handler) guard(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		camera := understudy.CameraID(r.PathValue("camera"))
		who, err := h.authorize(r, route.action(r), camera)
		if understudy.CodeOf(err) == understudy.CodeForbidden {
			h.refused(r, who, route.action(r), camera)
		}
		if err == nil {
			err = understudy.ValidateID("camera", camera)
		}
		good, end := h.Library.WhileGood(understudy.WithAsker(r.Context(), who), who)
		defer end()
		r = r.WithContext(good)
		if err == nil && good.Err() != nil { // a ticket of a token that was recalled
			err = context.Cause(good)
		}
		response := &started{ResponseWriter: w, control: http.NewResponseController(w), patience: h.Patience}
		if err == nil {
			err = route.serve(h, response, r, camera)
		}
		if response.stuck {
			h.cutOff(r, camera)
		}
		switch {
		case err == nil:
		case response.begun:
			h.Log.LogAttrs(r.Context(), slog.LevelDebug, "a response was cut short",
				slog.String("camera", string(camera)), slog.String("path", r.URL.Path), slog.Any("error", err))
			panic(http.ErrAbortHandler) // else what was sent would look whole
		default:
			writeError(w, err)
		}
	})
}

// authorize knows a server by its certificate and everybody else by a token,
// or, for what a playlist leads to, by the ticket in its address. Who is refused
// for want of rights is known, too.
func (h *handler) authorize(r *http.Request, action understudy.Action, camera understudy.CameraID) (understudy.Identity, error) {
	token, ok := bearer(r)
	if shownTicket(r, camera) {
		return h.admit(r, action, camera)
	}
	if !ok && r.TLS != nil && h.Peer != nil {
		if peer, ok := h.Peer(r.TLS); ok {
			return peer, peer.May(action, camera)
		}
	}
	return h.Library.Authorize(token, action, camera)
}

// hears reports whether what is answered may have sound. Who may not hear a camera
// gets what he may see of it all the same, without.
func (h *handler) hears(r *http.Request, camera understudy.CameraID) bool {
	if shownTicket(r, camera) {
		t, err := h.redeem(r.URL.Query().Get("ticket"))
		return err == nil && !t.Mute
	}
	_, err := h.authorize(r, understudy.ActionAudio, camera)
	return err == nil
}

// shownTicket reports whether a ticket is all that a request shows.
func shownTicket(r *http.Request, camera understudy.CameraID) bool {
	_, token := bearer(r)
	return !token && r.URL.Query().Has("ticket") && strings.HasPrefix(r.URL.Path, "/v1/cameras/"+string(camera)+"/hls/")
}

// bearer returns the token of a request: in its header, or, where a browser
// cannot set one, in its address.
func bearer(r *http.Request) (string, bool) {
	const scheme = "Bearer "
	if a := r.Header.Get("Authorization"); len(a) > len(scheme) && a[:len(scheme)] == scheme {
		return a[len(scheme):], true
	}
	token := r.URL.Query().Get("token")
	return token, token != ""
}

// redirect sends the caller to the holder, whose answer to the same path and
// query is what was asked for. CodeNotFound when nobody is known to hold it.
func (h *handler) redirect(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	address, ok := h.Library.Redirect(camera)
	if !ok {
		return understudy.Errorf(understudy.CodeNotFound, "camera %s is not served here, and no other server is known to serve it", camera)
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return understudy.Errorf(understudy.CodeInternal, "the holder of camera %s has the address %q, which is not host:port: %w", camera, address, err)
	}
	to := *r.URL
	to.Host, to.Scheme = address, "http"
	if r.TLS != nil {
		to.Scheme = "https"
	}
	http.Redirect(w, r, to.String(), http.StatusTemporaryRedirect)
	return nil
}

// cutOff counts a reader that took nothing for too long.
func (h *handler) cutOff(r *http.Request, camera understudy.CameraID) {
	h.Log.LogAttrs(r.Context(), slog.LevelInfo, "a reader that took nothing was cut off", slog.String("camera", string(camera)),
		slog.String("path", r.URL.Path), slog.String("client", r.RemoteAddr), slog.Duration("patience", h.Patience))
	if h.CutOff != nil {
		h.CutOff()
	}
}

// started is a response that knows whether it began, and gives each write its
// own deadline, so that a reader who takes nothing is cut off.
type started struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	begun    bool
	stuck    bool // a write came to its deadline
}

func (s *started) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *started) WriteHeader(status int) {
	s.begun = true
	s.ResponseWriter.WriteHeader(status)
}

func (s *started) Write(p []byte) (int, error) {
	s.begun = true
	_ = s.control.SetWriteDeadline(time.Now().Add(s.patience)) // not every response has one
	n, err := s.ResponseWriter.Write(p)
	s.stuck = s.stuck || errors.Is(err, os.ErrDeadlineExceeded)
	return n, err
}

// Flush sends what was written.
func (s *started) Flush() { _ = s.control.Flush() }

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the reader is gone
}

// writeError answers with the status of the error's code. A cause is never sent.
func writeError(w http.ResponseWriter, err error) {
	code, message := understudy.CodeOf(err), err.Error()
	if code == understudy.CodeInternal {
		message = "the server failed; its log says why"
	}
	if code == understudy.CodeUnauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, code.HTTPStatus(), map[string]any{"code": code, "message": message})
}

// timeRange reads from and to of a request, RFC 3339 with any fraction.
func timeRange(r *http.Request, most time.Duration) (from, to time.Time, err error) {
	if from, err = queryTime(r, "from"); err != nil {
		return from, to, err
	}
	if to, err = queryTime(r, "to"); err != nil {
		return from, to, err
	}
	if length := to.Sub(from); length <= 0 || length > most {
		return from, to, understudy.Errorf(understudy.CodeInvalid,
			"to must be later than from by at most %s; from %s to %s is %s", most, from.Format(time.RFC3339Nano), to.Format(time.RFC3339Nano), length)
	}
	return from, to, nil
}

func queryTime(r *http.Request, name string) (time.Time, error) {
	text := r.URL.Query().Get(name)
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, understudy.Errorf(understudy.CodeInvalid, "%s is a time such as 2026-01-31T12:00:00Z, found %.60q", name, text)
	}
	return t.UTC(), nil
}

// gone reports whether the caller left, which is nobody's failure.
func gone(ctx context.Context) bool { return ctx.Err() != nil }
