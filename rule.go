package understudy

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// RecordingMode says when a camera is recorded.
type RecordingMode string

// The modes.
const (
	RecordContinuous RecordingMode = "continuous" // always; events are marks on the timeline
	RecordEvents     RecordingMode = "events"     // only around events
	RecordBoth       RecordingMode = "both"       // always, and footage of events is kept longer
)

// RecordingRule says when a camera is recorded and how long footage is kept.
// The zero rule records continuously.
type RecordingRule struct {
	Mode RecordingMode `json:"mode,omitempty" enum:"continuous,events,both" doc:"Left out, continuous"`
	// Before and After are what footage of an event has in front of it and behind it.
	Before time.Duration `json:"before,omitempty" doc:"Nanoseconds recorded before an event; at most 5 minutes"`
	After  time.Duration `json:"after,omitempty" doc:"Nanoseconds recorded after an event; at most an hour"`
	// Schedule is weekly windows, each of which is an event by itself, as
	// ParseSchedule reads them. A text, so that a camera is a value that compares.
	Schedule string `json:"schedule,omitempty" maxLength:"1000" doc:"Weekly windows that are events by themselves: NAME=DAYS FROM-TO ZONE; ..." example:"night=mon-fri 22:00-06:00 Europe/Vienna"`
	// Events are the names of the events that count, separated by commas.
	Events string `json:"events,omitempty" maxLength:"1000" doc:"Names of the events that count, separated by commas; empty is all. Others are marks only"`
	// KeepEvents is the age, in nanoseconds, after which footage of events is
	// deleted; 0 is as Camera.KeepFor.
	KeepEvents time.Duration `json:"keep_events,omitempty" doc:"Age, in nanoseconds, after which footage of events is deleted; 0 is as keep_for"`
	// KeepBytes is how much of the camera is kept at most; 0 is no bound.
	KeepBytes int64 `json:"keep_bytes,omitempty" doc:"Bytes of the camera that are kept at most, the oldest going first; 0 is no bound"`
	// ArchiveAfter is the age, in nanoseconds, at which footage moves to the archive; 0 never.
	ArchiveAfter time.Duration `json:"archive_after,omitempty" doc:"Age, in nanoseconds, at which footage moves to the archive; 0 is never"`
}

// Validate reports the first thing wrong with r.
func (r RecordingRule) Validate() error {
	switch {
	case r.Mode != "" && r.Mode != RecordContinuous && r.Mode != RecordEvents && r.Mode != RecordBoth:
		return Errorf(CodeInvalid, "a rule's mode is continuous, events or both, not %.20q", r.Mode)
	case r.Before < 0 || r.Before > 5*time.Minute || r.After < 0 || r.After > time.Hour:
		return Errorf(CodeInvalid, "a rule records at most 5m before and 1h after an event, found %s and %s", r.Before, r.After)
	case r.KeepEvents < 0 || r.KeepBytes < 0 || r.ArchiveAfter < 0:
		return Errorf(CodeInvalid, "a rule's keep_events, keep_bytes and archive_after cannot be negative")
	case len(r.Events) > maxRuleText || !printable(r.Events):
		return Errorf(CodeInvalid, "a rule's events are names separated by commas, at most %d bytes of them", maxRuleText)
	}
	_, err := ParseSchedule(r.Schedule)
	return err
}

// maxRuleText bounds the texts of a rule.
const maxRuleText = 1000

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// Counts reports whether an event of that name makes footage that is recorded or kept.
func (r RecordingRule) Counts(name string) bool {
	if r.Mode == "" || r.Mode == RecordContinuous {
		return false
	}
	return r.Events == "" || slices.ContainsFunc(strings.Split(r.Events, ","), func(one string) bool { return strings.TrimSpace(one) == name })
}
