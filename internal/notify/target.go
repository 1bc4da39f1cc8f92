package notify

import (
	"cmp"
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
	// say how it began; what does not fit is counted, or stays in the log until it fits.
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
	name  string
	site  string
	wants filter
	every time.Duration
	// patient is of a target that wants the log and not the news: what does not fit is not counted
	// but left in the log, which is read on when there is room.
	patient bool
	sender  sender
	log     *slog.Logger
	more    chan struct{} // holds one token when something may wait
	room    chan struct{} // holds one token when something was told

	mu      sync.Mutex
	waiting []understudy.Update // of events
	dropped uint64              // events since the last message that it does not list
	seen    understudy.Cursor   // how far the log was read
	told    understudy.Cursor   // how far the target knows it
	count   Count
}

func newTarget(site string, c config.Target, log *slog.Logger) (*target, error) {
	t := &target{
		name: c.Name, site: site, every: c.Every, patient: c.Syslog != "", log: log.With("target", c.Name),
		more: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
	severity, every := "", defaultEvery
	if t.patient {
		severity, every = severities[0], settle // each event is a message there, whatever comes together
	}
	if t.every <= 0 {
		t.every = every
	}
	var err error
	if t.wants, err = newFilter(c.Name, cmp.Or(c.Severity, severity), c.Kinds); err != nil {
		return nil, err
	}
	t.sender, err = newSender(c)
	return t, err
}

func newSender(c config.Target) (sender, error) {
	type kind struct {
		address string
		create  func(config.Target) (sender, error)
	}
	given := slices.DeleteFunc([]kind{{c.Webhook, newWebhook}, {c.Mail, newMail}, {c.MQTT, newBroker}, {c.Syslog, newCollector}},
		func(k kind) bool { return k.address == "" })
	if len(given) != 1 {
		return nil, understudy.Errorf(understudy.CodeInvalid, "target %q of notify has exactly one of webhook, mail, mqtt and syslog", c.Name)
	}
	return given[0].create(c)
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
		t.drop(at.Seq - t.seen.Seq)
		signal(t.more)
	}
	t.pass(at)
}

// pass is how far the log was read. As far a target knows it for which nothing waits, be it
// that something was dropped.
func (t *target) pass(at understudy.Cursor) {
	t.seen = at
	if len(t.waiting) == 0 && t.dropped == 0 {
		t.told = at
	}
}

func (t *target) drop(events uint64) {
	t.dropped += events
	t.count.Dropped += events
}

// take lets an event be told, if the target wants it. Only a patient one waits, until there is room.
func (t *target) take(ctx context.Context, u understudy.Update) error {
	for !t.took(u) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.room:
		}
	}
	return nil
}

// took is false when there is no room and the target is patient.
func (t *target) took(u understudy.Update) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	wanted, full := t.wants.takes(*u.Event), len(t.waiting) >= maxWaiting
	if wanted && full && t.patient {
		return false
	}
	if t.seen.Stream == u.Cursor.Stream && u.Cursor.Seq > t.seen.Seq+1 { // the log has forgotten what was between
		t.drop(u.Cursor.Seq - t.seen.Seq - 1)
		signal(t.more)
	}
	switch {
	case !wanted:
	case full:
		t.drop(1)
	default:
		t.waiting = append(t.waiting, u)
		signal(t.more)
	}
	t.pass(u.Cursor)
	return true
}

func signal(token chan struct{}) {
	select {
	case token <- struct{}{}:
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
	waiting, dropped, at := slices.Clone(t.waiting), t.dropped, t.seen
	t.mu.Unlock()
	var events []understudy.Event
	for _, u := range waiting {
		events = append(events, *u.Event)
	}
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
	signal(t.room)
	if t.told = at; len(t.waiting) > 0 { // more came while it was sent
		t.told = t.waiting[0].Cursor
		t.told.Seq--
		signal(t.more)
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
