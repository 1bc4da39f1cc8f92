package understudy

import (
	"context"
	"strings"
	"time"
)

// Lock keeps a stretch of a camera's footage from being deleted, by age or for
// room, on every server where it lies.
type Lock struct {
	ID     string    `json:"id,omitempty" doc:"Left out, one is made" maxLength:"64"`
	Camera CameraID  `json:"camera" example:"lobby"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Owner  string    `json:"owner,omitempty" doc:"User who locked it, and who may remove it beside administrators; set by the server"`
	Reason string    `json:"reason" maxLength:"500" example:"case 2026-114"`
	// Until is when the lock ends by itself; the zero time is never.
	Until time.Time `json:"until,omitzero" doc:"When the lock ends by itself; left out, never"`
}

const (
	maxLockID     = 64
	maxLockReason = 500
	maxLockLength = 366 * 24 * time.Hour
)

// Validate reports the first thing wrong with l.
func (l Lock) Validate() error {
	if err := ValidateID("camera", l.Camera); err != nil {
		return err
	}
	switch {
	case l.ID == "" || len(l.ID) > maxLockID || strings.ContainsFunc(l.ID, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' || r == '?' || r == '#' || r == '%' }):
		return Errorf(CodeInvalid, "the id of a lock is 1 to %d visible ASCII characters without / ? # and %%, found %.80q", maxLockID, l.ID)
	case l.From.IsZero() || !l.To.After(l.From) || l.To.Sub(l.From) > maxLockLength:
		return Errorf(CodeInvalid, "lock %s: it goes from a time to a later one, at most a year; found %s to %s", l.ID, l.From.Format(time.RFC3339), l.To.Format(time.RFC3339))
	case strings.TrimSpace(l.Reason) == "" || len(l.Reason) > maxLockReason || !printable(l.Reason):
		return Errorf(CodeInvalid, "lock %s: say why in 1 to %d bytes, so that somebody can judge it later", l.ID, maxLockReason)
	}
	return nil
}

// Holds reports whether the lock is in force at now.
func (l Lock) Holds(now time.Time) bool { return l.Until.IsZero() || now.Before(l.Until) }

// LockService keeps the locks of a site.
type LockService interface {
	// Locks returns those in force, by id.
	Locks(ctx context.Context) ([]Lock, error)
	// PutLock makes a lock, or changes one of the asker's own; its owner stays.
	PutLock(ctx context.Context, l Lock) (Lock, error)
	// RemoveLock is for the owner and administrators.
	RemoveLock(ctx context.Context, id string) error
}
