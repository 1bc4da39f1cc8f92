package management

import (
	"context"
	"sync"
	"time"
	"unicode/utf8"

	"understudy"
)

const (
	maxEvents     = 1000 // of one answer
	defaultEvents = 100
	maxSearch     = 200 // bytes of a text to look for

	// A server may report a whole site's cameras lost at once, and then as fast
	// as a person could still read.
	reportBurst  = 1000
	reportsEvery = 100 * time.Millisecond
)

// Events returns rows in ascending order; a limit of 0 is 100.
func (m *Management) Events(ctx context.Context, q understudy.EventQuery) ([]understudy.Event, error) {
	if q.Limit == 0 {
		q.Limit = defaultEvents
	}
	if q.Limit < 0 || q.Limit > maxEvents {
		return nil, understudy.Errorf(understudy.CodeInvalid, "events are asked for in lots of 1 to %d, not %d", maxEvents, q.Limit)
	}
	if len(q.Kind) > maxName || !printable(string(q.Kind)) {
		return nil, understudy.Errorf(understudy.CodeInvalid, "there is no kind of event %.40q", string(q.Kind))
	}
	if q.Camera != "" {
		if err := understudy.ValidateID("camera", q.Camera); err != nil {
			return nil, err
		}
	}
	for _, text := range []string{string(q.Server), q.Actor, q.Text} {
		if len(text) > maxSearch || !printable(text) {
			return nil, understudy.Errorf(understudy.CodeInvalid, "events are searched for by up to %d bytes of UTF-8 without control characters, not %.40q", maxSearch, text)
		}
	}
	var events []understudy.Event
	err := m.store.View(ctx, func(r Reader) (err error) {
		events, err = r.Events(q)
		return err
	})
	return events, err
}

// Report appends what a server saw. CodeUnavailable when the server reports
// more than 10 a second for long.
func (m *Management) Report(ctx context.Context, server understudy.ServerID, r understudy.Report) error {
	if err := validateReport(server, r); err != nil {
		return err
	}
	if !m.reports.allow(string(server), m.now()) {
		return understudy.Errorf(understudy.CodeUnavailable, "%s reports faster than the log can be read; report again in a second, and less", server)
	}
	changes, err := milestones(server, r.Milestones, maxMilestones)
	if err != nil {
		return err
	}
	return m.update(ctx, func(tx *change) error {
		if r.Use != nil {
			return tx.recordUse(server, r.Camera, *r.Use)
		}
		return tx.record(understudy.Event{
			Kind: r.Kind, Server: server, Camera: r.Camera, Sentence: oneSentence(r.Sentence),
			Actor: understudy.Identity{Server: server}.String(), Changes: changes,
		})
	})
}

func validateReport(server understudy.ServerID, r understudy.Report) error {
	switch r.Kind {
	case understudy.EventServer, understudy.EventCamera, understudy.EventStorage, understudy.EventMerge, understudy.EventRefused:
		if r.Use != nil {
			return understudy.Errorf(understudy.CodeInvalid, "what somebody did with footage is of kind access, not %s", r.Kind)
		}
	case understudy.EventAccess: // of which a server tells nothing else
		if err := validateUse(r); err != nil {
			return err
		}
	default:
		return understudy.Errorf(understudy.CodeInvalid, "a report is of kind server, camera, storage, merge, refused or access, not %.40q", string(r.Kind))
	}
	if err := understudy.ValidateID("server", server); err != nil {
		return err
	}
	if r.Camera != "" {
		if err := understudy.ValidateID("camera", r.Camera); err != nil {
			return err
		}
	}
	if r.Sentence == "" || len(r.Sentence) > maxSentence || !utf8.ValidString(r.Sentence) {
		return understudy.Errorf(understudy.CodeInvalid, "a report is a sentence of 1 to %d bytes of UTF-8", maxSentence)
	}
	return nil
}

// rateLimit is a bucket for each server or user. They are few: each needs a
// certificate of the installation or an account.
type rateLimit struct {
	every time.Duration
	burst int

	mu   sync.Mutex
	full map[string]time.Time // when the bucket will be full again
}

func newRateLimit(every time.Duration, burst int) *rateLimit {
	return &rateLimit{every: every, burst: burst, full: map[string]time.Time{}}
}

func (l *rateLimit) allow(who string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.full[who]
	if full.Before(now) {
		full = now
	}
	full = full.Add(l.every)
	if full.Sub(now) > time.Duration(l.burst)*l.every {
		return false
	}
	l.full[who] = full
	return true
}

const (
	refusalQuiet = time.Minute // the same refusal is told once in this time
	maxRefusals  = 1000        // remembered
)

// recentRefusals remembers which refusals were told lately.
type recentRefusals struct {
	mu   sync.Mutex
	told map[string]time.Time
}

func newRecentRefusals() *recentRefusals {
	return &recentRefusals{told: map[string]time.Time{}}
}

// recent reports whether that was told lately.
func (r *recentRefusals) recent(sentence string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.told[sentence]
	return ok && now.Sub(at) < refusalQuiet
}

// remember notes what has been told.
func (r *recentRefusals) remember(sentences []string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sentence := range sentences {
		if len(r.told) >= maxRefusals {
			clear(r.told)
		}
		r.told[sentence] = now
	}
}
