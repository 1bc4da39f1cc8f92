package understudy

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// Trigger says that something happened at a camera, whoever noticed it: an
// alarm panel, an analysis, a person, a schedule. The server that records the
// camera makes a note of it, and footage if the camera's rule says so.
type Trigger struct {
	ID     string   `json:"id,omitempty" doc:"Names the event for good: told twice, it happened once. Left out, one is made" maxLength:"64"`
	Camera CameraID `json:"camera" example:"lobby"`
	Name   string   `json:"name" doc:"What happened" maxLength:"100" example:"door forced"`
	// At is when it happened; the zero time is when it is told.
	At time.Time `json:"at,omitzero" doc:"When it began; left out, now"`
	// Until is when it was over; the zero time is at once. Told again with a
	// later one, the event goes on until then.
	Until time.Time       `json:"until,omitzero" doc:"When it is over; left out, at once. The same id with a later one makes the event longer"`
	Data  json.RawMessage `json:"data,omitempty" doc:"Any JSON of at most 4096 bytes, kept with the event"`
}

// Bounds of when an event is from the server that is told. A clock that is
// further off would be taken for footage that is not there.
const (
	maxTriggerAge    = 24 * time.Hour
	maxTriggerAhead  = time.Minute
	maxTriggerLength = 24 * time.Hour
)

// Settled returns t as it is kept, told at now: with its times, in UTC and
// microseconds, and checked. An id must have been made by then.
func (t Trigger) Settled(now time.Time) (Trigger, error) {
	if t.At.IsZero() {
		t.At = now
	}
	if t.Until.IsZero() {
		t.Until = t.At
	}
	t.At, t.Until = t.At.UTC().Truncate(time.Microsecond), t.Until.UTC().Truncate(time.Microsecond)
	if len(t.Data) == 0 || string(t.Data) == "null" {
		t.Data = nil
	}
	if err := t.validate(); err != nil {
		return t, err
	}
	if t.At.Before(now.Add(-maxTriggerAge)) || t.At.After(now.Add(maxTriggerAhead)) {
		return t, Errorf(CodeInvalid, "event %s: it is told at %s to be from %s; it may be a day old and a minute ahead: check the clock of whoever tells it",
			t.ID, now.UTC().Format(time.RFC3339), t.At.Format(time.RFC3339))
	}
	return t, nil
}

// Retold returns t as it is after it was told again, as again, which is settled:
// it ends later, or is as it was. Who tells it again without a time knows
// nothing of its beginning, and an event without a length is no longer for it.
func (t Trigger) Retold(again Trigger) Trigger {
	lasts := again.Until.After(again.At) || again.At.Equal(t.At)
	if lasts && again.Until.After(t.Until) && again.Until.Sub(t.At) <= maxTriggerLength {
		t.Until, t.Name, t.Data = again.Until, again.Name, again.Data
	}
	return t
}

func (t Trigger) validate() error {
	if strings.ContainsFunc(t.ID, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Errorf(CodeInvalid, "the id of an event is 1 to %d visible ASCII characters, found %.80q", maxNoteID, t.ID)
	}
	if !printable(t.Name) {
		return Errorf(CodeInvalid, "event %s: its name has control characters: %.120q", t.ID, t.Name)
	}
	if err := t.Note("nobody").Validate(); err != nil {
		return err
	}
	if t.Until.Sub(t.At) > maxTriggerLength {
		return Errorf(CodeInvalid, "event %s: it lasts %s, and one event lasts a day at most", t.ID, t.Until.Sub(t.At))
	}
	return nil
}

// Note returns the note that a server makes of t.
func (t Trigger) Note(server ServerID) Note {
	return Note{ID: t.ID, Camera: t.Camera, Server: server, Kind: NoteEvent, From: t.At, To: t.Until, Name: t.Name, Data: t.Data}
}

// TriggerService takes events.
type TriggerService interface {
	// Trigger tells of an event, and returns it as it is kept. The same id again
	// changes nothing, or makes the event longer; with another camera or
	// beginning it is CodeConflict. CodeUnavailable when too many come.
	Trigger(ctx context.Context, t Trigger) (Trigger, error)
}
