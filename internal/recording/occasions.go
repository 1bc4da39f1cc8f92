package recording

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
)

const (
	// maxOccasions bounds the events of one camera that may still make footage;
	// of more the oldest are forgotten, and their marks stay.
	maxOccasions = 1000
	// lateness is how much later than it happened an event may be told without
	// missing anything of the time before it.
	lateness = 5 * time.Second
	// forget is how long an event is remembered when all of its footage must be
	// there: a server that takes over meanwhile still makes its note.
	forget = time.Minute
)

// occasions are the events of one camera that may still make footage here, told
// before the camera is recorded here included.
type occasions struct {
	mu   sync.Mutex
	list atomic.Pointer[[]understudy.Trigger] // replaced, never changed
	wake func()                               // of the recorder that waits for one
}

// all returns the events; nobody changes the slice.
func (o *occasions) all() []understudy.Trigger {
	if list := o.list.Load(); list != nil {
		return *list
	}
	return nil
}

// add takes an event, or a later end of one, wakes the recorder, and returns the
// event as it is now.
func (o *occasions) add(t understudy.Trigger) understudy.Trigger {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := slices.Clone(o.all())
	i := slices.IndexFunc(list, func(old understudy.Trigger) bool { return old.ID == t.ID })
	switch {
	case i < 0:
		if len(list) == maxOccasions {
			list = list[1:]
		}
		list = append(list, t)
	default:
		before := list[i]
		if t = before.Retold(t); t.Until.Equal(before.Until) {
			return t
		}
		list[i] = t
	}
	o.list.Store(&list)
	if o.wake != nil {
		o.wake()
	}
	return t
}

// expire forgets what can make no more footage under rule.
func (o *occasions) expire(now time.Time, rule understudy.RecordingRule) {
	o.mu.Lock()
	defer o.mu.Unlock()
	over := func(t understudy.Trigger) bool {
		return now.Sub(t.Until) > rule.Before+rule.After+forget
	}
	if slices.ContainsFunc(o.all(), over) {
		list := slices.DeleteFunc(slices.Clone(o.all()), over)
		o.list.Store(&list)
	}
}

// onNews calls wake when an event was added, until the next onNews.
func (o *occasions) onNews(wake func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake = wake
}

// poke wakes the recorder.
func (o *occasions) poke() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.wake != nil {
		o.wake()
	}
}

// begin returns from when on footage is wanted that lies from first to newest.
func (o *occasions) begin(rule understudy.RecordingRule, first, newest time.Time) (from time.Time, ok bool) {
	for _, t := range o.all() {
		begins := t.At.Add(-rule.Before)
		if rule.Counts(t.Name) && !begins.After(newest) && t.Until.Add(rule.After).After(first) && (!ok || begins.Before(from)) {
			from, ok = begins, true
		}
	}
	return from, ok
}

// told reports whether footage of at is wanted for an event that somebody told
// of: a window of the schedule is known to every server by itself.
func (o *occasions) told(rule understudy.RecordingRule, at time.Time) bool {
	return slices.ContainsFunc(o.all(), func(t understudy.Trigger) bool {
		return rule.Counts(t.Name) && !strings.HasPrefix(t.ID, scheduledPrefix) &&
			!t.At.Add(-rule.Before).After(at) && t.Until.Add(rule.After).After(at)
	})
}
