package understudy

import "time"

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
	Mode RecordingMode `json:"mode,omitempty" enum:"continuous,events,both" default:"continuous"`
	// Before and After are what footage of an event has in front of it and behind it.
	Before time.Duration `json:"before,omitempty" doc:"Nanoseconds recorded before an event; at most 5 minutes"`
	After  time.Duration `json:"after,omitempty" doc:"Nanoseconds recorded after an event; at most an hour"`
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
	}
	return nil
}
