package notify

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"understudy"
)

const (
	// facility is 13, "log audit" (RFC 5424 §6.2.1): nothing else of a machine comes by it, as it does
	// by auth or local0, so that a rule of one line keeps the audit log apart.
	facility = 13
	// structured is the SD-ID. Only who has an enterprise number may make up one, and we have none:
	// 32473 is the one for examples (RFC 5612), which nobody else's products use either.
	structured = "understudy@32473"
	// lost is the MSGID of a message that tells of events that were not sent.
	lost = "dropped"

	maxHost  = 255 // of RFC 5424 §6
	maxMsgID = 32
	maxParam = 240 // bytes of a value, so that all of them leave room for a sentence in the smallest message
)

// severityCodes are those of RFC 5424 §6.2.1.
var severityCodes = map[string]int{"info": 6, "warning": 4, "critical": 2}

// syslogMessages are the events of m as messages of RFC 5424, at most limit bytes each, and one more
// where some were dropped.
func syslogMessages(host string, m message, now time.Time, limit int) [][]byte {
	var all [][]byte
	for _, e := range m.Events {
		data := params{}
		data.add("site", m.Site)
		if e.Seq > 0 {
			data.add("seq", strconv.FormatUint(e.Seq, 10))
		}
		data.add("kind", string(e.Kind))
		data.add("server", string(e.Server))
		data.add("camera", string(e.Camera))
		data.add("actor", e.Actor)
		data.add("address", e.from)
		data.add("hash", e.hash)
		if m.Test {
			data.add("test", "true")
		}
		all = append(all, syslogMessage(e.Severity, e.At, host, e.Kind, data, e.Sentence, limit))
	}
	if m.Dropped > 0 {
		data := params{}
		data.add("site", m.Site)
		data.add("dropped", strconv.FormatUint(m.Dropped, 10))
		sentence := fmt.Sprintf("%d events were not sent to this syslog server: the log had forgotten them before it took them.", m.Dropped)
		all = append(all, syslogMessage("warning", now, host, lost, data, sentence, limit))
	}
	return all
}

func syslogMessage(severity string, at time.Time, host string, id understudy.EventKind, data params, sentence string, limit int) []byte {
	text := fmt.Appendf(nil, "<%d>1 %s %s understudy - %s [%s%s]", facility*8+severityCodes[severity],
		at.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), headerField(host, maxHost), headerField(string(id), maxMsgID), structured, strings.Join(data, ""))
	sentence = oneLine(sentence)
	if sentence == "" {
		return text
	}
	text = append(text, ' ')
	if strings.ContainsFunc(sentence, func(r rune) bool { return r >= utf8.RuneSelf }) {
		text = append(text, "\ufeff"...) // RFC 5424 §6.4: it says that this is UTF-8. ASCII needs none, and many receivers show it
	}
	return append(text, cut(sentence, limit-len(text))...)
}

// headerField is a text as a field of the header: printable ASCII without spaces, or - for none.
func headerField(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '-'
		}
		return r
	}, text)
	if text == "" {
		return "-"
	}
	return text[:min(len(text), most)]
}

// params are the parameters of structured data, each with the space before it.
type params []string

// add leaves out what an event does not have.
func (p *params) add(name, value string) {
	if value == "" {
		return
	}
	var b strings.Builder
	for _, r := range oneLine(value) {
		if b.Len() >= maxParam {
			b.WriteString("…")
			break
		}
		if strings.ContainsRune(`"\]`, r) { // RFC 5424 §6.3.3
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	*p = append(*p, fmt.Sprintf(` %s="%s"`, name, b.String()))
}
