package mqtt

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"understudy"
)

const (
	// maxPayload bounds what is read of a message. An event keeps 4096 bytes.
	maxPayload = 64 << 10
	maxData    = 4 << 10
	maxTopics  = 100
)

// Topic says which messages are events, and of which camera.
type Topic struct {
	// Filter is what is subscribed to (MQTT 3.1.1 §4.7): + is one level, # the rest.
	Filter string
	// Camera and Name are the event's; {1} in them is what the first + stood
	// for, {2} the second, {#} the rest. A Name that is empty is the payload's, or the topic.
	Camera string
	Name   string
	// Payload, when not empty, is what a message must be to count, as "ON".
	Payload string
}

// Validate reports the first thing wrong with t.
func (t Topic) Validate() error {
	levels := strings.Split(t.Filter, "/")
	wildcards := map[string]bool{}
	for i, level := range levels {
		switch {
		case level == "+":
			wildcards[fmt.Sprintf("{%d}", len(wildcards)+1)] = true
		case level == "#" && i == len(levels)-1:
			wildcards["{#}"] = true
		case strings.ContainsAny(level, "+#"):
			return understudy.Errorf(understudy.CodeInvalid, "the topic %q has a wildcard inside a level; + and # stand between slashes, # at the end", t.Filter)
		}
	}
	if t.Filter == "" || len(t.Filter) > 1000 || !utf8.ValidString(t.Filter) || strings.ContainsRune(t.Filter, 0) {
		return understudy.Errorf(understudy.CodeInvalid, "a topic has 1 to 1000 bytes of UTF-8, found %.80q", t.Filter)
	}
	for _, text := range []string{t.Camera, t.Name} {
		for rest := text; ; {
			_, after, ok := strings.Cut(rest, "{")
			if !ok {
				break
			}
			name, left, _ := strings.Cut(after, "}")
			if !wildcards["{"+name+"}"] {
				return understudy.Errorf(understudy.CodeInvalid, "%q of the topic %q names a wildcard {%.20s} that the topic does not have", text, t.Filter, name)
			}
			rest = left
		}
	}
	if t.Camera == "" {
		return understudy.Errorf(understudy.CodeInvalid, "the topic %q needs a camera: its id, or {1} for what the first + stands for", t.Filter)
	}
	return nil
}

// match returns what the wildcards of the filter stand for in a topic.
func (t Topic) match(topic string) (stand []string, ok bool) {
	filter, levels := strings.Split(t.Filter, "/"), strings.Split(topic, "/")
	if strings.HasPrefix(topic, "$") && (filter[0] == "+" || filter[0] == "#") {
		return nil, false
	}
	number := 0
	for i, level := range filter {
		switch {
		case level == "#":
			return append(stand, "{#}", strings.Join(levels[min(i, len(levels)):], "/")), true
		case i >= len(levels) || level != "+" && level != levels[i]:
			return nil, false
		case level == "+":
			number++
			stand = append(stand, "{"+strconv.Itoa(number)+"}", levels[i])
		}
	}
	return stand, len(filter) == len(levels)
}

// trigger makes an event of a message, that came at now. Not ok: it is none of this topic's.
func (t Topic) trigger(topic string, payload []byte, now time.Time) (event understudy.Trigger, ok bool, err error) {
	stand, ok := t.match(topic)
	if !ok || t.Payload != "" && t.Payload != string(payload) {
		return event, false, nil
	}
	if len(payload) > maxPayload {
		return event, true, understudy.Errorf(understudy.CodeInvalid, "a message of %d bytes on %.200q is no event; it may have %d", len(payload), topic, maxPayload)
	}
	replacer := strings.NewReplacer(stand...)
	event = understudy.Trigger{Camera: understudy.CameraID(replacer.Replace(t.Camera)), Name: replacer.Replace(t.Name)}
	var said struct {
		ID    string          `json:"id"`
		Name  string          `json:"name"`
		At    time.Time       `json:"at"`
		Until time.Time       `json:"until"`
		Data  json.RawMessage `json:"data"`
	}
	if json.Unmarshal(payload, &said) == nil {
		event.ID, event.At, event.Until, event.Data = said.ID, said.At, said.Until, said.Data
	}
	if event.Name == "" {
		event.Name = said.Name
	}
	if event.Name == "" {
		event.Name = shortened(topic)
	}
	if len(event.Data) == 0 {
		event.Data = dataOf(payload)
	}
	if event.ID == "" {
		event.ID = idOf(topic, payload, said.At, now)
	}
	event, err = event.Settled(now)
	return event, true, err
}

// shortened is a topic as the name of an event.
func shortened(topic string) string {
	const most = 100
	return strings.ToValidUTF8(topic[:min(most, len(topic))], "")
}

// dataOf keeps a payload with the event: JSON as it is, a short text as a string.
func dataOf(payload []byte) json.RawMessage {
	switch {
	case len(payload) == 0 || len(payload) > maxData:
		return nil
	case json.Valid(payload):
		return slices.Clone(payload)
	case !utf8.Valid(payload):
		return nil
	}
	text, err := json.Marshal(string(payload))
	if err != nil || len(text) > maxData {
		return nil
	}
	return text
}

// idOf names an event that its sender did not name. One with a time is the same
// wherever it is received; one without is not.
func idOf(topic string, payload []byte, at, now time.Time) string {
	if at.IsZero() {
		at = now
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", at.UnixNano(), topic, payload))
	return fmt.Sprintf("mqtt-%x", sum[:16])
}
