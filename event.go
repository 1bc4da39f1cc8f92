package understudy

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// EventKind sorts events for filters and colours; the sentence says what happened.
type EventKind string

// The kinds of event.
const (
	EventTakeover EventKind = "takeover"
	EventFailback EventKind = "failback"
	EventRefused  EventKind = "refused"  // a claim, or a part of one, was refused
	EventMerge    EventKind = "merge"    // footage came home
	EventConfig   EventKind = "config"   // cameras, servers, groups, users
	EventServer   EventKind = "server"   // a server joined, came, went
	EventCamera   EventKind = "camera"   // a camera was lost or came back
	EventStorage  EventKind = "storage"  // disk full, failing, repaired, footage deleted
	EventAccess   EventKind = "access"   // sign-ins, refusals
	EventTrigger  EventKind = "trigger"  // something happened at a camera
	EventLock     EventKind = "lock"     // footage was locked, or a lock was removed
	EventIncident EventKind = "incident" // an incident is over, and what it cost is known
	EventIdentity EventKind = "identity" // somebody uses what proves to be a server: a copy of its folder, or a revoked certificate
)

// EventKinds returns all of them.
func EventKinds() []EventKind {
	return []EventKind{
		EventTakeover, EventFailback, EventRefused, EventMerge, EventConfig, EventServer,
		EventCamera, EventStorage, EventAccess, EventTrigger, EventLock, EventIncident, EventIdentity,
	}
}

// Event is one row of the log: what happened, in a sentence, and what it
// changed. It is written in the same transaction as the change.
type Event struct {
	Seq      uint64    `json:"seq"`
	At       time.Time `json:"at"`
	Kind     EventKind `json:"kind"`
	Actor    string    `json:"actor" doc:"user:NAME or server:ID"`
	Server   ServerID  `json:"server,omitempty"`
	Camera   CameraID  `json:"camera,omitempty"`
	Sentence string    `json:"sentence"`
	// Decided is when a claim was decided, by the claimant's clock; At is when it was granted.
	Decided time.Time `json:"decided,omitzero"`
	Changes []Change  `json:"changes,omitempty"`
	// From, Was and Hash are for the audit, and shown to administrators.
	From string   `json:"from,omitempty" doc:"Address of who asked for it"`
	Was  []Change `json:"was,omitempty" doc:"What it changed or removed, as that was before. Who held a lease before tells the event before"`
	Hash string   `json:"hash,omitempty" doc:"Of this event and the one before it, under a key of the management server"`
}

// Triggers returns the events at cameras that e tells of.
func (e Event) Triggers() []Trigger {
	var told []Trigger
	for _, c := range e.Changes {
		if c.Trigger != nil {
			told = append(told, *c.Trigger)
		}
	}
	return told
}

// Change is one thing as it is after an event; exactly one field is set.
type Change struct {
	Camera          *Camera          `json:"camera,omitempty"`
	RecordingServer *RecordingServer `json:"recording_server,omitempty"`
	FailoverServer  *FailoverServer  `json:"failover_server,omitempty"`
	Group           *FailoverGroup   `json:"group,omitempty"`
	Lease           *Lease           `json:"lease,omitempty"`
	Trigger         *Trigger         `json:"trigger,omitempty"` // told to those who record; the site stays as it is
	Lock            *Lock            `json:"lock,omitempty"`
	Moved           *MovedCamera     `json:"moved,omitempty"`
	Revoked         *Revocation      `json:"revoked,omitempty"`
	Milestone       *Milestone       `json:"milestone,omitempty"` // of a failover; the site stays as it is
	Account         *CameraAccount   `json:"account,omitempty"`   // of an incident that is over
	CA              string           `json:"ca,omitempty"`        // that signs now: whom to trust is to be asked anew
	GoneCamera      CameraID         `json:"gone_camera,omitempty"`
	GoneServer      ServerID         `json:"gone_server,omitempty"`
	GoneGroup       GroupID          `json:"gone_group,omitempty"`
	GoneLock        string           `json:"gone_lock,omitempty"`
	CameraGroup     *CameraGroup     `json:"camera_group,omitempty"`
	GoneCameraGroup CameraGroupID    `json:"gone_camera_group,omitempty"`
	Role            *SiteRole        `json:"role,omitempty"` // of the site's own
	GoneRole        UserRole         `json:"gone_role,omitempty"`
	User            *User            `json:"user,omitempty"` // for the audit; a site has no users
	GoneUser        string           `json:"gone_user,omitempty"`
	Recall          *Recall          `json:"recall,omitempty"`
}

// Report is an event as a server tells it; the log adds number, time and actor.
type Report struct {
	Kind     EventKind `json:"kind" enum:"server,camera,storage,merge,refused,access"`
	Camera   CameraID  `json:"camera,omitempty"`
	Sentence string    `json:"sentence" maxLength:"2000"`
	// Use is told with the kind access, and with no other. The log makes the sentence of it.
	Use *Use `json:"use,omitempty" doc:"What a user did with footage, or was refused; of kind access, whose sentence is made of it"`
	// Milestones of failovers that it tells of.
	Milestones []Milestone `json:"milestones,omitempty" maxItems:"500" doc:"Moments of failovers that it tells of"`
}

// EventQuery selects rows of the log.
type EventQuery struct {
	After  uint64    // only events with a higher number
	Before uint64    // only events with a lower number; 0 is no bound
	Kind   EventKind // only this kind; empty is all
	Camera CameraID  // only this camera; empty is all
	Server ServerID  // only this server; empty is all
	Actor  string    // only of this one, as user:NAME or server:ID; empty is all
	Text   string    // only with this in the sentence, whatever its case; empty is all
	Since  time.Time // only from then on; zero is no bound
	Until  time.Time // only before; zero is no bound
	Limit  int       // at most so many, 1 to 1000; with After the oldest, else the newest
}

// EventService is the log.
type EventService interface {
	// Events returns rows in ascending order. The oldest may have been forgotten.
	Events(ctx context.Context, q EventQuery) ([]Event, error)
	// Report appends what a server saw.
	Report(ctx context.Context, server ServerID, r Report) error
}

// Cursor is a place in the stream of updates. Stream names the log itself: a
// log restored from a backup is another stream, so that a cursor from before
// cannot silently skip what it never saw.
type Cursor struct {
	Stream string
	Seq    uint64
}

// String returns "STREAM:SEQ", the id of a server-sent event.
func (c Cursor) String() string { return c.Stream + ":" + strconv.FormatUint(c.Seq, 10) }

// ParseCursor is the inverse of Cursor.String.
func ParseCursor(s string) (Cursor, error) {
	stream, number, ok := strings.Cut(s, ":")
	seq, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || stream == "" || len(stream) > 64 {
		return Cursor{}, &Error{Code: CodeInvalid, Message: fmt.Sprintf("a cursor is STREAM:NUMBER, found %.80q", s)}
	}
	return Cursor{Stream: stream, Seq: seq}, nil
}

// Update is one message of the service channel; exactly one of Site, Event and
// Status is set. Site and Event move the cursor, Status does not.
type Update struct {
	Cursor Cursor
	Site   *Site
	Event  *Event
	Status []ServerStatus
}

// Feed is the service channel as a client sees it.
type Feed interface {
	// Follow calls f with the site as it is, unless after is a cursor that can be
	// resumed without a gap, and then with each change, in order, until ctx ends
	// or f returns an error, which it returns. CodeUnavailable when the
	// connection is lost or the reader was too slow: follow again from the last
	// cursor. Follow does not retry.
	Follow(ctx context.Context, after Cursor, f func(Update) error) error
}
