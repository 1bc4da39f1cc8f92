package testcam

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"understudy"
)

// Refusal is a client that some cameras turn away, by the name that it gives
// itself (User-Agent, RFC 2326 §12.41).
type Refusal struct {
	Agent   string   `json:"agent"`
	Cameras []string `json:"cameras"` // none: nobody turns it away any longer
}

const (
	controlIdle = time.Minute
	maxRefusal  = 1 << 20 // bytes
)

// session is who has been set up at which camera.
type session struct {
	camera *camera
	agent  string
}

func agentOf(request *base.Request) string { return strings.Join(request.Header["User-Agent"], " ") }

// Refuse ends the sessions of a client at the named cameras, and lets it open
// no others there; at all other cameras it is welcome again.
func (c *Cameras) Refuse(r Refusal) error {
	if r.Agent == "" {
		return understudy.Errorf(understudy.CodeInvalid, "a client that is refused needs a name, and has none")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range r.Cameras {
		if c.cameras[name] == nil {
			return understudy.Errorf(understudy.CodeNotFound, "there is no test camera %q", name)
		}
	}
	c.refused[r.Agent] = r.Cameras
	for taken, s := range c.sessions {
		if s.agent == r.Agent && slices.Contains(r.Cameras, s.camera.settings.Name) {
			taken.Close()
		}
	}
	return nil
}

// refuses reports whether a camera turns a client away.
func (c *Cameras) refuses(cam *camera, agent string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.refused[agent], cam.settings.Name)
}

// Control takes refusals (PUT /refusal) on l until ctx ends.
func (c *Cameras) Control(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /refusal", func(w http.ResponseWriter, r *http.Request) {
		var refusal Refusal
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRefusal)).Decode(&refusal)
		if err == nil {
			err = c.Refuse(refusal)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: controlIdle}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return context.Cause(ctx)
}

// take notes who has been set up; the caller holds mu.
func (c *Cameras) take(taken *gortsplib.ServerSession, cam *camera, request *base.Request) {
	c.sessions[taken] = session{camera: cam, agent: agentOf(request)}
	cam.sessions++
	cam.slots.taken++
}
