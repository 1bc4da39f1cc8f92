package notify

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"understudy"
	"understudy/internal/config"
)

const (
	// maxWaiting is how many events wait to be told one by one. The first of a storm
	// say how it began; what does not fit is counted.
	maxWaiting = 500
	// settle lets the events of one moment come together in one message.
	settle       = 2 * time.Second
	sendPatience = 30 * time.Second // for one attempt
	minPause     = 2 * time.Second  // between two attempts
	maxPause     = 5 * time.Minute
	defaultEvery = time.Minute // at most one message to a target in this time
)

// sender brings a message to where it goes. It tries once.
type sender interface {
	send(ctx context.Context, m message) error
}

// target is one that is told, and what waits for it.
type target struct {
	name   string
	site   string
	wants  filter
	every  time.Duration
	sender sender
	log    *slog.Logger
	more   chan struct{} // holds one token when something may wait

	mu      sync.Mutex
	waiting []understudy.Event
	dropped uint64            // events since the last message that it does not list
	seen    understudy.Cursor // how far the log was read
	told    understudy.Cursor // how far the target knows it
	count   Count
}

func newTarget(site string, c config.Target, log *slog.Logger) (*target, error) {
	wants, err := newFilter(c.Name, c.Severity, c.Kinds)
	if err != nil {
		return nil, err
	}
	t := &target{name: c.Name, site: site, wants: wants, every: c.Every, log: log.With("target", c.Name), more: make(chan struct{}, 1)}
	if t.every <= 0 {
		t.every = defaultEvery
	}
	t.sender, err = newSender(c)
	return t, err
}

func newSender(c config.Target) (sender, error) {
	switch {
	case c.Webhook != "" && c.Mail == "" && c.MQTT == "":
		return newWebhook(c)
	case c.Mail != "" && c.Webhook == "" && c.MQTT == "":
		return newMail(c)
	case c.MQTT != "" && c.Webhook == "" && c.Mail == "":
		return newBroker(c)
	}
	return nil, understudy.Errorf(understudy.CodeInvalid, "target %q of notify has exactly one of webhook, mail and mqtt", c.Name)
}

func (t *target) place() understudy.Cursor {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen
}

// begin goes on at a place that does not follow the last one: what lies between
// them was missed.
func (t *target) begin(at understudy.Cursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen.Stream == at.Stream && at.Seq > t.seen.Seq {
		t.dropped += at.Seq - t.seen.Seq
		t.count.Dropped += at.Seq - t.seen.Seq
		t.signal()
	}
	t.seen = at
	if len(t.waiting) == 0 {
		t.told = at
	}
}

// take lets an event be told, if the target wants it. It never waits.
func (t *target) take(e understudy.Event, at understudy.Cursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = at
	switch {
	case !t.wants.takes(e):
		if len(t.waiting) == 0 {
			t.told = at
		}
		return
	case len(t.waiting) >= maxWaiting:
		t.dropped++
		t.count.Dropped++
		return
	}
	t.waiting = append(t.waiting, e)
	t.signal()
}

func (t *target) signal() {
	select {
	case t.more <- struct{}{}:
	default:
	}
}

func (t *target) delivered() understudy.Cursor {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.told
}

func (t *target) counted() Count {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.count
	c.Target, c.Waiting = t.name, len(t.waiting)
	return c
}

// run sends what waits until ctx ends.
func (t *target) run(ctx context.Context) error {
	for wait := minPause; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.more:
		}
		pause := settle
		for {
			if !sleep(ctx, pause) {
				return ctx.Err()
			}
			err := t.tell(ctx)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil {
				wait = minPause
				break
			}
			t.log.Warn("a notification did not arrive; it is tried again", "in", wait, "error", err)
			pause, wait = wait, min(2*wait, maxPause)
		}
		if !sleep(ctx, t.every-settle) {
			return ctx.Err()
		}
	}
}

// tell sends one message of all that waits now.
func (t *target) tell(ctx context.Context) error {
	t.mu.Lock()
	events, dropped, at := slices.Clone(t.waiting), t.dropped, t.seen
	t.mu.Unlock()
	if len(events) == 0 && dropped == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sendPatience)
	defer cancel()
	err := t.sender.send(ctx, newMessage(t.site, events, dropped))
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.count.Failed++
		return err
	}
	t.count.Sent++
	t.waiting, t.dropped = t.waiting[len(events):], t.dropped-dropped
	if t.told = at; len(t.waiting) > 0 { // more came while it was sent
		t.told.Seq = t.waiting[0].Seq - 1
		t.signal()
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(max(d, 0)):
		return true
	}
}
