package bench

import (
	"bytes"
	"time"

	"understudy"
)

// listener is a client that counts which takeovers it is told of. One that is cut off, as who
// reads too slowly is, comes back and says where it was.
type listener struct {
	client  *channelClient
	told    map[string]int // by the server that failed
	heard   time.Time      // when the last of them came
	resumed int
	ended   bool // it was told of a failback, which is the end
}

// tally listens until then, or until a failback.
func (l *listener) tally(until time.Time, servers int, again func(understudy.Cursor) (*channelClient, error)) {
	for !l.ended && time.Now().Before(until) {
		if l.listen(until, servers); l.ended {
			return
		}
		cursor, err := understudy.ParseCursor(string(l.client.place))
		if err != nil {
			return
		}
		back, err := again(cursor)
		if err != nil {
			time.Sleep(time.Second)
			continue
		}
		l.client.close()
		l.client, l.resumed = back, l.resumed+1
	}
}

// listen listens on one connection.
func (l *listener) listen(until time.Time, servers int) {
	if l.client.conn.SetReadDeadline(until) != nil {
		return
	}
	for {
		event, err := l.client.notice("event")
		switch {
		case err != nil:
			return
		case bytes.Contains(event, []byte(`"kind":"failback"`)):
			l.ended = true
			return
		case bytes.Contains(event, []byte(`"kind":"takeover"`)):
			_, rest, _ := bytes.Cut(event, []byte(`"server":"`))
			server, _, _ := bytes.Cut(rest, []byte(`"`))
			if l.told[string(server)]++; len(l.told) == servers && l.heard.IsZero() {
				l.heard = time.Now()
			}
		}
	}
}
