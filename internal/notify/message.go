package notify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"understudy"
)

const (
	maxListed  = 50  // events that a text lists
	maxSubject = 200 // bytes
)

// message is what a target is told, as JSON to systems and as text to people.
type message struct {
	Site     string `json:"site,omitempty"`
	Test     bool   `json:"test,omitempty"`
	Severity string `json:"severity"` // the highest of the events
	Events   []item `json:"events"`
	// Dropped events happened, too, and are in the event log only.
	Dropped uint64 `json:"dropped,omitempty"`
}

// item is an event without what it changed: that may be large. Who asked from where, and the
// hash, are for an audit: a syslog server gets them, and JSON does not have them.
type item struct {
	Seq      uint64               `json:"seq"`
	At       time.Time            `json:"at"`
	Kind     understudy.EventKind `json:"kind"`
	Severity string               `json:"severity"`
	Server   understudy.ServerID  `json:"server,omitempty"`
	Camera   understudy.CameraID  `json:"camera,omitempty"`
	Actor    string               `json:"actor,omitempty"`
	Sentence string               `json:"sentence"`
	from     string
	hash     string
}

func newMessage(site string, events []understudy.Event, dropped uint64) message {
	m := message{Site: site, Severity: severities[0], Events: []item{}, Dropped: dropped}
	for _, e := range events {
		s := severityOf(e.Kind)
		if slices.Index(severities, s) > slices.Index(severities, m.Severity) {
			m.Severity = s
		}
		m.Events = append(m.Events, item{e.Seq, e.At, e.Kind, s, e.Server, e.Camera, e.Actor, e.Sentence, e.From, e.Hash})
	}
	return m
}

func (m message) json() ([]byte, error) { return json.Marshal(m) }

// subject is the most urgent event, and how many others there are.
func (m message) subject() string {
	name := strings.TrimSpace("Understudy " + m.Site)
	if len(m.Events) == 0 {
		return fmt.Sprintf("%s: %d events", name, m.Dropped)
	}
	first := m.Events[slices.IndexFunc(m.Events, func(i item) bool { return i.Severity == m.Severity })]
	more := ""
	if others := uint64(len(m.Events)-1) + m.Dropped; others > 0 {
		more = fmt.Sprintf(" (and %d more)", others)
	}
	return cut(oneLine(fmt.Sprintf("%s: %s", name, first.Sentence)), maxSubject-len(more)) + more
}

// text is for people: a line an event.
func (m message) text() string {
	var b strings.Builder
	for i, e := range m.Events {
		if i == maxListed {
			fmt.Fprintf(&b, "and %d more, up to event %d of the log (`understudy events`)\n", len(m.Events)-i, m.Events[len(m.Events)-1].Seq)
			break
		}
		fmt.Fprintf(&b, "%s  %-8s  %-8s  %s\n", e.At.Local().Format("2006-01-02 15:04:05"), e.Severity, e.Kind, oneLine(e.Sentence))
	}
	if m.Dropped > 0 {
		fmt.Fprintf(&b, "\n%d more events happened than can be told here; the log has them: `understudy events`, `understudy incidents`\n", m.Dropped)
	}
	return b.String()
}

// cut shortens a text to so many bytes, and shows that it did.
func cut(text string, room int) string {
	if len(text) <= room {
		return text
	}
	return strings.ToValidUTF8(text[:room-len("…")], "") + "…"
}

// oneLine keeps a sentence from being more than one: it ends up in headers.
func oneLine(s string) string {
	s = strings.ToValidUTF8(s, "?")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
