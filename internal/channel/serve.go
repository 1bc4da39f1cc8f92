package channel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
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
	c := &connection{hub: h, request: r, identity: identity, writer: w, control: http.NewResponseController(w)}
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
	request  *http.Request
	identity understudy.Identity
	writer   http.ResponseWriter
	control  *http.ResponseController
	buffer   bytes.Buffer

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
	if c.write([]byte("retry: 1000\n\n")) != nil {
		return
	}
	quiet := time.NewTicker(heartbeat)
	defer quiet.Stop()
	identified := time.Now()
	for {
		next := c.hub.next(c)
		if c.send(next) != nil || next.last {
			return
		}
		if time.Since(identified) >= identifyAgain {
			if !c.still() {
				return
			}
			identified = time.Now()
		}
		if next.more {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-next.changed:
		case <-quiet.C:
			if c.write([]byte(": heartbeat\n\n")) != nil {
				return
			}
		}
	}
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

// send writes a step as one piece.
func (c *connection) send(s step) error {
	c.buffer.Reset()
	if s.reset != "" {
		text, err := json.Marshal(map[string]string{"message": s.reset})
		if err != nil {
			return err
		}
		c.message("reset", "", text)
	}
	if s.site != nil {
		text, err := c.hub.snapshot(c.identity, s.place, *s.site)
		if err != nil {
			return err
		}
		c.message("site", s.place.String(), text)
	}
	for _, e := range s.events {
		text, err := c.seen(e)
		if err != nil {
			return err
		}
		if text != nil {
			c.message("event", understudy.Cursor{Stream: s.place.Stream, Seq: e.event.Seq}.String(), text)
		}
	}
	if s.status != nil {
		text, err := json.Marshal(c.identity.VisibleStatus(s.status))
		if err != nil {
			return err
		}
		c.message("status", "", text)
	}
	if !s.last {
		c.place, c.round, c.live = &s.place, s.round, true
	}
	if c.buffer.Len() == 0 {
		return nil
	}
	return c.write(c.buffer.Bytes())
}

// seen returns the event as the client may see it; nil for one that it may not.
func (c *connection) seen(e entry) ([]byte, error) {
	if seesAll(c.identity) {
		return e.json, nil
	}
	visible, ok := c.identity.Visible(e.event)
	if !ok {
		return nil, nil
	}
	return json.Marshal(visible)
}

// seesAll reports whether i sees every camera and every kind of event.
func seesAll(i understudy.Identity) bool {
	return i.Server != "" || i.May(understudy.ActionAdminister, understudy.AllCameras) == nil && i.May(understudy.ActionStatus, understudy.AllCameras) == nil
}

// message appends a server-sent event; JSON has no line breaks.
func (c *connection) message(event, id string, data []byte) {
	c.buffer.WriteString("event: " + event + "\n")
	if id != "" {
		c.buffer.WriteString("id: " + id + "\n")
	}
	c.buffer.WriteString("data: ")
	c.buffer.Write(data)
	c.buffer.WriteString("\n\n")
}

func (c *connection) write(text []byte) error {
	if err := c.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := c.writer.Write(text); err != nil {
		return err
	}
	return c.control.Flush()
}
