package channel

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"time"

	"understudy"
)

const (
	// heartbeat lets a client tell a quiet site from a lost connection.
	heartbeat = 5 * time.Second
	// identifyAgain is how long a session that has ended may still hear of the site.
	identifyAgain = 15 * time.Second
	// writeTimeout is how long a client may take to read one message.
	writeTimeout = 10 * time.Second
	// batch bounds what is taken from the ring at once.
	batch = 64
)

// ServeHTTP is GET /api/v1/channel: server-sent events named site, event,
// status and reset. A site or event has the cursor as its id; Last-Event-ID or
// ?cursor= resumes after it. A reset says why what follows does not continue
// what came before: a snapshot follows, or the end of the connection.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	identity, err := h.config.Identify(r)
	if err == nil {
		err = identity.May(understudy.ActionStatus, "")
	}
	rights := ""
	if err == nil {
		rights, err = rightsOf(identity)
	}
	if err == nil {
		err = h.admit()
	}
	if err != nil {
		refuse(w, err)
		return
	}
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.clients--
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy that collects what it passes on would hold changes back
	w.WriteHeader(http.StatusOK)
	c := &connection{hub: h, view: h.views.with(rights), request: r, identity: identity, writer: w, control: http.NewResponseController(w)}
	c.resume()
	c.run(r.Context())
}

func (h *Hub) admit() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.known || h.ended:
		return understudy.Errorf(understudy.CodeUnavailable, "the service channel has not heard from the management server yet; try again")
	case h.clients >= h.config.MaxClients:
		return understudy.Errorf(understudy.CodeUnavailable, "the service channel has %d clients and takes no more; try again later", h.clients)
	}
	h.clients++
	return nil
}

func refuse(w http.ResponseWriter, err error) {
	failure, ok := errors.AsType[*understudy.Error](err)
	if !ok {
		failure = understudy.Errorf(understudy.CodeInternal, "the service channel failed")
	}
	w.Header().Set("Content-Type", "application/json")
	if failure.Code == understudy.CodeUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(failure.Code.HTTPStatus())
	_ = json.NewEncoder(w).Encode(map[string]string{"code": string(failure.Code), "message": failure.Message}) // the client may be gone
}

// connection is one client.
type connection struct {
	hub      *Hub
	view     *view
	request  *http.Request
	identity understudy.Identity
	writer   http.ResponseWriter
	control  *http.ResponseController
	failed   error // to write; nothing is written after it

	place  *understudy.Cursor // the last event that the client has; nil is none
	reason string             // why place is nil although the client had a cursor
	live   bool               // place was reached on this connection
	round  uint64             // of the status that was sent last
}

// resume takes the cursor that the client brings.
func (c *connection) resume() {
	text := c.request.Header.Get("Last-Event-ID")
	if text == "" {
		text = c.request.URL.Query().Get("cursor")
	}
	if text == "" {
		return
	}
	place, err := understudy.ParseCursor(text)
	if err != nil {
		c.reason = err.Error()
		return
	}
	c.place = &place
}

func (c *connection) run(ctx context.Context) {
	if c.say("retry: 1000\n\n") != nil {
		return
	}
	quiet := time.NewTicker(heartbeat)
	defer quiet.Stop()
	identified := time.Now()
	for {
		next := c.hub.next(c)
		if time.Since(identified) >= identifyAgain || slices.ContainsFunc(next.events, entry.ofRights) {
			if !c.still() {
				return
			}
			identified = time.Now()
		}
		if c.send(next) != nil || next.last {
			return
		}
		if next.more {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-next.changed:
		case <-quiet.C:
			if c.say(": heartbeat\n\n") != nil {
				return
			}
		}
	}
}

// ofRights reports whether an event may change what clients may see.
func (e entry) ofRights() bool {
	return slices.ContainsFunc(e.event.Changes, func(c understudy.Change) bool {
		return c.CameraGroup != nil || c.GoneCameraGroup != "" || c.Role != nil || c.GoneRole != "" || c.Recall != nil
	})
}

// still reports whether the client is who it was; if not, it is told.
func (c *connection) still() bool {
	identity, err := c.hub.config.Identify(c.request)
	if err == nil && reflect.DeepEqual(identity, c.identity) ||
		err != nil && understudy.CodeOf(err) == understudy.CodeUnavailable {
		return true // who cannot be looked up now is who he was
	}
	_ = c.send(step{reset: "the session has ended or its rights have changed: connect again"}) // cut off either way
	return false
}

// send writes a step, and gives the client its time for all of it.
func (c *connection) send(s step) error {
	c.begin()
	if s.reset != "" {
		text, err := json.Marshal(map[string]string{"message": s.reset})
		if err != nil {
			return err
		}
		c.message("reset", "", text)
	}
	if s.site != nil {
		text, err := c.view.site.get(s.place, func() ([]byte, error) { return json.Marshal(c.identity.VisibleSite(*s.site)) })
		if err != nil {
			return err
		}
		c.message("site", s.place.String(), text)
	}
	for _, e := range s.events {
		place := understudy.Cursor{Stream: s.place.Stream, Seq: e.event.Seq}
		text, err := c.seen(place, e)
		if err != nil {
			return err
		}
		if len(text) > 0 {
			c.message("event", place.String(), text)
		}
	}
	if s.status != nil {
		text, err := c.view.status.get(s.round, func() ([]byte, error) { return json.Marshal(c.identity.VisibleStatus(s.status)) })
		if err != nil {
			return err
		}
		c.message("status", "", text)
	}
	if !s.last {
		c.place, c.round, c.live = &s.place, s.round, true
	}
	return c.flush()
}

// seen returns the event as the client may see it; nothing for one that it may not.
func (c *connection) seen(place understudy.Cursor, e entry) ([]byte, error) {
	if seesAll(c.identity) {
		return e.json, nil
	}
	return c.view.events.get(place, func() ([]byte, error) {
		visible, ok := c.identity.Visible(e.event)
		if !ok {
			return []byte{}, nil
		}
		return json.Marshal(visible)
	})
}

// seesAll reports whether i sees every camera and every kind of event.
func seesAll(i understudy.Identity) bool {
	return i.Server != "" || i.May(understudy.ActionAdminister, understudy.AllCameras) == nil && i.May(understudy.ActionStatus, understudy.AllCameras) == nil
}

// message writes one to the connection itself: what ten thousand clients are sent at once is
// in memory once.
func (c *connection) message(event, id string, data []byte) {
	c.part("event: ", event)
	if id != "" {
		c.part("\nid: ", id)
	}
	c.part("\ndata: ")
	if c.failed == nil {
		_, c.failed = c.writer.Write(data)
	}
	c.part("\n\n")
}

func (c *connection) part(texts ...string) {
	for _, text := range texts {
		if c.failed == nil {
			_, c.failed = io.WriteString(c.writer, text)
		}
	}
}

// begin gives the client its time for what is sent next.
func (c *connection) begin() {
	if err := c.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		c.failed = err
	}
}

// flush sends what was written, if anything was.
func (c *connection) flush() error {
	if c.failed == nil {
		c.failed = c.control.Flush()
	}
	return c.failed
}

// say sends a line that is no message.
func (c *connection) say(line string) error {
	c.begin()
	c.part(line)
	return c.flush()
}
