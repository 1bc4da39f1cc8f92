// Package notify tells people and systems of events: by webhook, by e-mail, by
// MQTT, by syslog. It follows the event log like any client of the site, and remembers how
// far each target has been told, so that a restart neither loses nor repeats.
// One message tells of all that happened since the last one; syslog is sent each event.
package notify

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
	"understudy/internal/config"
)

const (
	followAgain = time.Second     // before a log that was lost is followed again
	keepEvery   = 5 * time.Second // so much of what was told a crash may forget, and tell twice
	file        = "notified.json"
)

// Feeds are the event log, for targets that want to know what is new, and for those that
// want each event of it.
type Feeds struct{ News, Whole understudy.Feed }

func (f Feeds) of(t *target) understudy.Feed {
	if t.patient {
		return f.Whole
	}
	return f.News
}

// Notifier tells all targets.
type Notifier struct {
	feeds   Feeds
	path    string // of what was told
	log     *slog.Logger
	targets []*target
	kept    string // what lies in the file
}

// New returns a notifier of what feeds tell, which remembers in a file of folder
// how far it has come; or says what is wrong with the configuration.
func New(c config.Notify, feeds Feeds, folder string, log *slog.Logger) (*Notifier, error) {
	n := &Notifier{feeds: feeds, path: filepath.Join(folder, file), log: log}
	names := map[string]bool{}
	for _, one := range c.Targets {
		if err := understudy.ValidateID("target of notify", one.Name); err != nil {
			return nil, err
		}
		if names[one.Name] {
			return nil, understudy.Errorf(understudy.CodeInvalid, "two targets of notify are named %s; how far each was told is kept by its name", one.Name)
		}
		names[one.Name] = true
		t, err := newTarget(c.Site, one, log)
		if err != nil {
			return nil, err
		}
		n.targets = append(n.targets, t)
	}
	n.recall()
	return n, nil
}

// Run tells until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, t := range n.targets {
		g.Go(func() error { return n.follow(ctx, t) })
		g.Go(func() error { return t.run(ctx) })
	}
	g.Go(func() error {
		ticker := time.NewTicker(keepEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-ticker.C:
				n.keep()
			}
		}
	})
	err := g.Wait()
	n.keep()
	return err
}

func (n *Notifier) follow(ctx context.Context, t *target) error {
	for {
		err := n.feeds.of(t).Follow(ctx, t.place(), func(u understudy.Update) error {
			switch {
			case u.Site != nil:
				t.begin(u.Cursor)
			case u.Event != nil:
				return t.take(ctx, u)
			}
			return nil
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n.log.Warn("the event log is lost to a notification for a moment; it is followed again", "target", t.name, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followAgain):
		}
	}
}

// recall reads how far each target was told. Without that it is told of what happens from now on.
func (n *Notifier) recall() {
	text, err := os.ReadFile(n.path)
	var told map[string]string
	if err == nil {
		err = json.Unmarshal(text, &told)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			n.log.Error("how far each target of notify was told cannot be read; each is told of what happens from now on", "error", err)
		}
		return
	}
	n.kept = string(text)
	for _, t := range n.targets {
		if at, err := understudy.ParseCursor(told[t.name]); err == nil {
			t.told, t.seen = at, at
		}
	}
}

// keep writes down how far each target was told, if that has changed.
func (n *Notifier) keep() {
	told := map[string]string{}
	for _, t := range n.targets {
		if at := t.delivered(); at.Stream != "" {
			told[t.name] = at.String()
		}
	}
	text, err := json.Marshal(told)
	if err != nil || string(text) == n.kept {
		return
	}
	if err := replaceFile(n.path, text); err != nil {
		n.log.Error("how far notifications have come could not be kept; after a restart some may come twice", "error", err)
		return
	}
	n.kept = string(text)
}

// replaceFile replaces a file whole or not at all, also when the power fails: an empty one
// would make all targets begin anew.
func replaceFile(path string, text []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Count is what became of the messages to one target since the start.
type Count struct {
	Target  string
	Sent    uint64 // messages
	Failed  uint64 // attempts
	Dropped uint64 // events that no message told of one by one
	Waiting int    // events
}

// Counts returns the counts of all targets.
func (n *Notifier) Counts() []Count {
	counts := make([]Count, len(n.targets))
	for i, t := range n.targets {
		counts[i] = t.counted()
	}
	return counts
}

// Result is what became of a message that tries a target.
type Result struct {
	Target string
	Err    error // nil: it took it
}

// Try sends one message to each target, at once, and says what became of it.
func Try(ctx context.Context, c config.Notify, now time.Time) ([]Result, error) {
	n, err := New(c, Feeds{}, "", slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(n.targets))
	var trying sync.WaitGroup
	for i, t := range n.targets {
		trying.Go(func() {
			m := message{Site: c.Site, Test: true, Severity: "info", Events: []item{{At: now, Kind: understudy.EventServer, Severity: "info",
				Sentence: "This is a test of Understudy's notifications; nothing has happened."}}}
			ctx, cancel := context.WithTimeout(ctx, sendPatience)
			defer cancel()
			results[i] = Result{t.name, t.sender.send(ctx, m)}
		})
	}
	trying.Wait()
	return results, nil
}
