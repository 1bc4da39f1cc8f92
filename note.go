package understudy

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Note is what a server writes down about a stretch of a camera's time, beside
// the footage: that something happened, or why nothing was recorded. It lies
// with the footage, travels home with it, and is the same note wherever a copy of it lies.
type Note struct {
	ID     string    `json:"id" doc:"Names the note for good; a copy has the same" maxLength:"64"`
	Camera CameraID  `json:"camera"`
	Server ServerID  `json:"server" doc:"That wrote it"`
	Kind   NoteKind  `json:"kind" enum:"event,gap,stand_in"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to" doc:"Equal to from while it goes on"`
	// Name and Data are an event's: what happened, as whoever triggered it calls it.
	Name string          `json:"name,omitempty" maxLength:"100" example:"door forced"`
	Data json.RawMessage `json:"data,omitempty" doc:"Of the event, any JSON of at most 4096 bytes"`
	// Cause is a gap's.
	Cause    GapCause `json:"cause,omitempty"`
	Sentence string   `json:"sentence,omitempty" maxLength:"1000" doc:"Why, for a person"`
}

// NoteKind is what a note is about.
type NoteKind string

// The kinds of note.
const (
	NoteEvent NoteKind = "event" // something happened that footage is kept for
	NoteGap   NoteKind = "gap"   // nothing, or not all, was recorded
	// NoteStandIn: the second stream was recorded instead of the main one.
	NoteStandIn NoteKind = "stand_in"
)

// GapCause is why a stretch of a timeline has no footage.
type GapCause string

// The causes of gaps. One that no server noted is unknown.
const (
	GapCamera    GapCause = "camera"    // the camera was away, or sent nothing
	GapTakeover  GapCause = "takeover"  // between the last frame of one holder and the first of the next
	GapSession   GapCause = "session"   // the camera had no session left for who should record it
	GapServer    GapCause = "server"    // the server was stopped, dead or frozen, and nobody stood in
	GapDisk      GapCause = "disk"      // full, failing, or too slow
	GapDamage    GapCause = "damage"    // it was recorded, and cannot be read any more
	GapRule      GapCause = "rule"      // the recording rule asked for nothing
	GapRetention GapCause = "retention" // it was recorded, and deleted when its time had come
	GapUnknown   GapCause = "unknown"
)

const (
	maxNoteID   = 64
	maxNoteName = 100
	maxNoteData = 4 << 10
	maxNoteText = 1000
)

// Validate reports the first thing wrong with n.
func (n Note) Validate() error {
	if err := ValidateID("camera", n.Camera); err != nil {
		return err
	}
	if err := ValidateID("server", n.Server); err != nil {
		return err
	}
	switch {
	case n.ID == "" || len(n.ID) > maxNoteID:
		return Errorf(CodeInvalid, "a note has an id of 1 to %d bytes, and this one of %d", maxNoteID, len(n.ID))
	case n.Kind != NoteEvent && n.Kind != NoteGap && n.Kind != NoteStandIn:
		return Errorf(CodeInvalid, "note %s: a note is about an event, a gap or a stand-in, not %.20q", n.ID, n.Kind)
	case n.From.IsZero() || n.To.Before(n.From):
		return Errorf(CodeInvalid, "note %s: it goes from %s to %s; give a time that is not after its end", n.ID, n.From.Format(time.RFC3339Nano), n.To.Format(time.RFC3339Nano))
	case n.Kind == NoteEvent && n.Name == "" || len(n.Name) > maxNoteName:
		return Errorf(CodeInvalid, "note %s: an event has a name of 1 to %d bytes, and this one of %d", n.ID, maxNoteName, len(n.Name))
	case len(n.Data) > maxNoteData || len(n.Data) > 0 && !json.Valid(n.Data):
		return Errorf(CodeInvalid, "note %s: data is JSON of at most %d bytes", n.ID, maxNoteData)
	case len(n.Sentence) > maxNoteText:
		return Errorf(CodeInvalid, "note %s: the sentence may have %d bytes, and has %d", n.ID, maxNoteText, len(n.Sentence))
	}
	return nil
}

// NewGapNote returns a note of a gap. Its id follows from who noted it, why, and
// where the gap begins: noting it again, with another end, replaces it.
func NewGapNote(server ServerID, camera CameraID, cause GapCause, from, to time.Time, sentence string) Note {
	n := newNote(string(cause), server, camera, from, to, sentence)
	n.Kind, n.Cause = NoteGap, cause
	return n
}

// NewStandInNote returns a note of a stretch in which the second stream was
// recorded instead of the main one. Noting it again, with another end, replaces it.
func NewStandInNote(server ServerID, camera CameraID, from, to time.Time, sentence string) Note {
	n := newNote(string(NoteStandIn), server, camera, from, to, sentence)
	n.Kind = NoteStandIn
	return n
}

// newNote returns a note whose id follows from who noted what, and where it begins.
func newNote(what string, server ServerID, camera CameraID, from, to time.Time, sentence string) Note {
	sum := sha256.Sum256([]byte(server))
	id := fmt.Sprintf("%s-%x-%s", what, sum[:6], strconv.FormatInt(from.UnixNano(), 36))
	if len(sentence) > maxNoteText {
		sentence = strings.ToValidUTF8(sentence[:maxNoteText], "")
	}
	return Note{ID: id, Camera: camera, Server: server, From: from, To: to, Sentence: sentence}
}

// NoteService is one server's notes, or those of all.
type NoteService interface {
	// Notes returns the notes of a camera that touch [from, to), by time.
	Notes(ctx context.Context, camera CameraID, from, to time.Time) ([]Note, error)
}
