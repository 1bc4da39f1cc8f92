package media

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"understudy"
)

// maxEvent bounds what is read of an event: its data has 4096 bytes at most,
// before what JSON makes of them.
const (
	maxEvent      = 32 << 10
	eventPatience = 10 * time.Second // for all of it
)

// serveEvent takes an event of a camera that is recorded here, and sends
// whoever tells of another one to the server that records it.
func (h *handler) serveEvent(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(eventPatience)) // not every connection has one
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return understudy.Errorf(understudy.CodeInvalid, "an event is told in at most %d bytes", tooLong.Limit)
	}
	if err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "the event was cut short: %w", err)
	}
	var t understudy.Trigger
	if err := json.Unmarshal(body, &t); err != nil {
		return understudy.Errorf(understudy.CodeInvalid, `an event is told as {"name": "door forced"}, with id, at, until and data where known: %w`, err)
	}
	if t.Camera != "" && t.Camera != camera {
		return understudy.Errorf(understudy.CodeInvalid, "the path names camera %s and the event camera %.80q; they must be the same", camera, t.Camera)
	}
	t.Camera = camera
	if t.ID == "" {
		t.ID = rand.Text()
	}
	if t, err = t.Settled(time.Now()); err != nil {
		return err
	}
	taken, err := h.Library.Trigger(t)
	if err != nil {
		return err
	}
	if !taken {
		return h.redirect(w, r, camera)
	}
	writeJSON(w, http.StatusOK, t)
	return nil
}
