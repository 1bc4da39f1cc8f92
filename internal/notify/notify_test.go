package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"understudy"
	"understudy/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eventLog is a log that is followed from any place that it still has.
type eventLog struct {
	mu     sync.Mutex
	events []understudy.Event
	forgot uint64
	more   chan struct{}
}

func newLog() *eventLog { return &eventLog{more: make(chan struct{})} }

func (l *eventLog) add(kind understudy.EventKind, sentence string) {
	l.append(understudy.Event{Kind: kind, Sentence: sentence, Actor: "server:fo1"})
}

func (l *eventLog) append(e understudy.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Seq, e.At = uint64(len(l.events))+1, time.Now()
	l.events = append(l.events, e)
	close(l.more)
	l.more = make(chan struct{})
}

// feeds are the log as the package channel gives it: to whom the log has forgotten their place
// as it is now, or whole.
func (l *eventLog) feeds() Feeds { return Feeds{News: follower{l, false}, Whole: follower{l, true}} }

type follower struct {
	*eventLog
	whole bool
}

func (l follower) Follow(ctx context.Context, after understudy.Cursor, f func(understudy.Update) error) error {
	l.mu.Lock()
	head, forgot := uint64(len(l.events)), l.forgot
	l.mu.Unlock()
	at := func(seq uint64) understudy.Cursor { return understudy.Cursor{Stream: "log-1", Seq: seq} }
	seq := after.Seq
	switch {
	case after.Stream == "log-1" && l.whole:
		seq = max(seq, forgot)
	case after.Stream != "log-1" || seq < forgot:
		seq = head
		if err := f(understudy.Update{Cursor: at(seq), Site: &understudy.Site{Seq: seq}}); err != nil {
			return err
		}
	}
	for {
		l.mu.Lock()
		events, more := l.events[seq:], l.more
		l.mu.Unlock()
		for _, e := range events {
			if err := f(understudy.Update{Cursor: at(e.Seq), Event: &e}); err != nil {
				return err
			}
			seq = e.Seq
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		}
	}
}

// inbox is a sender that remembers what it was told and when, and may refuse.
type inbox struct {
	mu    sync.Mutex
	away  bool
	begun time.Time
	got   []string // "seconds: subject"
	last  message
}

func (i *inbox) send(_ context.Context, m message) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.away {
		return errors.New("nobody is there")
	}
	i.got = append(i.got, fmt.Sprintf("%.0f: %s", time.Since(i.begun).Seconds(), m.subject()))
	i.last = m
	return nil
}

func (i *inbox) setAway(away bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.away = away
}

// start runs a notifier that tells the inbox; stop ends it, as a restart does.
func start(t *testing.T, c config.Target, log *eventLog, folder string, in *inbox) (n *Notifier, stop func()) {
	t.Helper()
	if c.Name = "operators"; c.Syslog == "" {
		c.Webhook = "https://hooks.example.com/x"
	}
	n, err := New(config.Notify{Site: "Linz", Targets: []config.Target{c}}, log.feeds(), folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	n.targets[0].sender = in
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- n.Run(ctx) }()
	synctest.Wait()
	return n, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	}
}

func (i *inbox) require(t *testing.T, want ...string) {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if got := strings.Join(i.got, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("told\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	i.got = nil
}

// TestAStormIsOneMessage: what happens in one moment comes together at once, and
// what follows within a minute comes in one more message.
func TestAStormIsOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, in := newLog(), &inbox{begun: time.Now()}
		log.add(understudy.EventTakeover, "before it was followed")
		_, stop := start(t, config.Target{}, log, t.TempDir(), in)
		log.add(understudy.EventCamera, "camera 1 is lost")
		log.add(understudy.EventConfig, "camera 9 was changed") // no warning
		log.add(understudy.EventTakeover, "fo1 took over 4 cameras")
		time.Sleep(10 * time.Second)
		for n := range 700 {
			log.add(understudy.EventCamera, fmt.Sprintf("camera %d is lost", n))
		}
		time.Sleep(3 * time.Minute)
		in.require(t, "2: Understudy Linz: fo1 took over 4 cameras (and 1 more)", "62: Understudy Linz: camera 0 is lost (and 699 more)")
		if len(in.last.Events) != maxWaiting || in.last.Dropped != 200 || !strings.Contains(in.last.text(), "and 450 more, up to event 504") || !strings.Contains(in.last.text(), "200 more events happened") {
			t.Errorf("%d events, %d dropped, told %s", len(in.last.Events), in.last.Dropped, in.last.text())
		}
		time.Sleep(time.Hour)
		log.add(understudy.EventFailback, "rec1 took back 4 cameras")
		time.Sleep(settle)
		synctest.Wait()
		in.require(t, "3792: Understudy Linz: rec1 took back 4 cameras")
		stop()
	})
}

// TestWhoIsAwayIsToldLater, also when the server was restarted meanwhile, and nothing twice.
func TestWhoIsAwayIsToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, in, folder := newLog(), &inbox{begun: time.Now(), away: true}, t.TempDir()
		n, stop := start(t, config.Target{}, log, folder, in)
		log.add(understudy.EventTakeover, "fo1 took over")
		time.Sleep(time.Minute)
		if c := n.Counts()[0]; c.Failed < 4 || c.Failed > 6 || c.Waiting != 1 || c.Sent != 0 {
			t.Errorf("after a minute: %+v", c)
		}
		stop()
		log.add(understudy.EventFailback, "rec1 took back")
		in.setAway(false)
		n, stop = start(t, config.Target{}, log, folder, in)
		time.Sleep(time.Minute)
		in.require(t, "62: Understudy Linz: fo1 took over (and 1 more)")
		if c := n.Counts()[0]; c.Sent != 1 || c.Waiting != 0 || c.Dropped != 0 {
			t.Errorf("then: %+v", c)
		}
		stop()
		_, stop = start(t, config.Target{}, log, folder, in)
		time.Sleep(time.Hour)
		in.require(t)
		stop()

		// So long away that the log has forgotten: it is said how much.
		for range 10 {
			log.add(understudy.EventTakeover, "forgotten")
		}
		log.forgot = 11
		_, stop = start(t, config.Target{}, log, folder, in)
		log.add(understudy.EventTakeover, "fo2 took over")
		time.Sleep(time.Minute)
		in.require(t, "3722: Understudy Linz: fo2 took over (and 10 more)")
		stop()
	})
}

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		severity string
		kinds    []string
		takes    string
	}{
		{"", nil, "takeover failback refused server camera storage incident identity"},
		{"critical", nil, "takeover identity"},
		{"info", nil, "takeover failback refused merge config server camera storage access trigger lock incident identity"},
		{"", []string{"config", "storage"}, "config storage"},
		{"warning", []string{"config", "storage"}, "storage"},
	} {
		f, err := newFilter("x", c.severity, c.kinds)
		if err != nil {
			t.Fatal(err)
		}
		var takes []string
		for _, kind := range understudy.EventKinds() {
			if f.takes(understudy.Event{Kind: kind}) {
				takes = append(takes, string(kind))
			}
		}
		if got := strings.Join(takes, " "); got != c.takes {
			t.Errorf("%q %v takes %s, want %s", c.severity, c.kinds, got, c.takes)
		}
	}
}

func TestMistakesAreSentences(t *testing.T) {
	mail := config.Target{Name: "m", Mail: "smtp.example.com", From: "u@example.com", To: []string{"o@example.com"}}
	with := func(c config.Target, change func(*config.Target)) config.Target { change(&c); return c }
	for want, target := range map[string]config.Target{
		"the id of a target of notify":                  {Webhook: "https://x/"},
		"exactly one of webhook, mail, mqtt and syslog": {Name: "x"},
		"exactly one of":                                {Name: "x", Webhook: "https://x/", MQTT: "mqtt://x"},
		"webhook is https://HOST/PATH":                  {Name: "x", Webhook: "http://hooks.example.com/"},
		"without credentials":                           {Name: "x", Webhook: "https://me:secret@hooks.example.com/"},
		"there is no kind of event \"takover\"":         {Name: "x", Webhook: "https://x/", Kinds: []string{"takover"}},
		"severity is info, warning, critical, found":    {Name: "x", Webhook: "https://x/", Severity: "urgent"},
		"needs `from` and `to`":                         with(mail, func(c *config.Target) { c.From = "" }),
		"needs `from` and `to`, e-mail addresses":       with(mail, func(c *config.Target) { c.To = []string{"nobody"} }),
		"mail is an SMTP server":                        with(mail, func(c *config.Target) { c.Mail = "smtp.example.com:smtp" }),
		"needs the `topic`":                             {Name: "x", MQTT: "mqtt://x"},
		"a topic to publish on has no +":                {Name: "x", MQTT: "mqtt://x", Topic: "a/+"},
		"mqtt.url is mqtt://host:1883":                  {Name: "x", MQTT: "http://x", Topic: "a"},
		"syslog is tls://HOST:6514":                     {Name: "x", Syslog: "siem.example.com:6514"},
		"udp://HOST:514, found \"udp://x\"":             {Name: "x", Syslog: "udp://x"},
		"found \"tls://x:6514/audit\"":                  {Name: "x", Syslog: "tls://x:6514/audit"},
		"tcp://x:514 would send in the clear":           {Name: "x", Syslog: "tcp://x:514", CAFile: "/ca.pem"},
		"are a certificate and its key in PEM":          {Name: "x", Syslog: "tls://x:6514", KeyFile: "/none"},
		"ca_file of notify cannot be read":              {Name: "x", Webhook: "https://x/", CAFile: "/none"},
	} {
		if _, err := New(config.Notify{Targets: []config.Target{target}}, Feeds{}, t.TempDir(), slog.New(slog.DiscardHandler)); understudy.CodeOf(err) != understudy.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", target, err, want)
		}
	}
	two := config.Notify{Targets: []config.Target{mail, mail}}
	if _, err := New(two, Feeds{}, t.TempDir(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "two targets") {
		t.Errorf("%v", err)
	}
}

// A sentence that another server made must not become a second header, or a second line.
func TestASentenceStaysOneLine(t *testing.T) {
	m := newMessage("Linz", []understudy.Event{{Seq: 7, Kind: understudy.EventStorage, Sentence: "disk\r\nBcc: all@example.com " + strings.Repeat("é", 300)}}, 2)
	if s := m.subject(); strings.ContainsAny(s, "\r\n") || len(s) > maxSubject || !strings.HasSuffix(s, "… (and 2 more)") {
		t.Errorf("subject %q of %d bytes", s, len(s))
	}
	if lines := strings.Count(m.text(), "\n"); lines != 3 {
		t.Errorf("%d lines: %q", lines, m.text())
	}
	body, err := m.json()
	var back message
	if err != nil || json.Unmarshal(body, &back) != nil || back.Severity != "warning" || len(back.Events) != 1 || back.Dropped != 2 {
		t.Errorf("%s %v", body, err)
	}
}
