package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"understudy"
)

const (
	// silence is how long the channel may say nothing: it sends a heartbeat every 5 s.
	silence = 15 * time.Second
	// maxMessage bounds one message of the channel; the largest is the snapshot of a site.
	maxMessage = maxAnswer
)

// Follow implements understudy.Feed on the first channel that can be reached.
func (c *Client) Follow(ctx context.Context, after understudy.Cursor, f func(understudy.Update) error) error {
	c.mu.Lock()
	channels := c.channels
	c.mu.Unlock()
	var last error
	for _, channel := range channels {
		met, err := c.followOne(ctx, channel, after, f)
		if met || ctx.Err() != nil {
			return err
		}
		last = err
	}
	return last
}

// followOne follows one channel. met: it was there, so that no other is asked.
func (c *Client) followOne(ctx context.Context, channel *url.URL, after understudy.Cursor, f func(understudy.Update) error) (met bool, err error) {
	connection, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := http.NewRequestWithContext(connection, http.MethodGet, channel.String()+basePath+"/channel", http.NoBody)
	if err != nil {
		return false, understudy.Errorf(understudy.CodeInternal, "a request could not be made: %w", err)
	}
	request.Header.Set("Accept", "text/event-stream")
	if after.Stream != "" {
		request.Header.Set("Last-Event-ID", after.String())
	}
	token, err := c.channelToken(ctx)
	if err != nil {
		return false, err
	}
	c.authorize(request, token)
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	response, err := c.HTTP("").Do(request)
	if err != nil {
		return false, ended(ctx, channel, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		err := refusal(response)
		return understudy.CodeOf(err) != understudy.CodeUnavailable, err
	}
	all := newNotices(readAlive{response.Body, func() {
		watchdog.Reset(silence)
		if len(c.config.Channels) == 0 { // else it is a channel that runs by itself
			c.hear()
		}
	}})
	for {
		m, err := all.next()
		if err != nil {
			return true, ended(ctx, channel, err)
		}
		update, ok, err := m.update()
		if err != nil {
			return true, err
		}
		if !ok {
			continue
		}
		if err := f(update); err != nil {
			return true, err
		}
		watchdog.Reset(silence) // f may have taken its time
	}
}

// channelToken returns what a channel wants to see. One that runs by itself
// knows no sessions: it verifies media tokens, without the management server.
func (c *Client) channelToken(ctx context.Context) (understudy.Secret, error) {
	if len(c.config.Channels) == 0 {
		return c.Token(), nil
	}
	return c.MediaToken(ctx)
}

func ended(ctx context.Context, channel *url.URL, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return understudy.Errorf(understudy.CodeUnavailable, "the service channel at %s was lost: %w", channel.Host, err)
}

// readAlive tells of each read that brought something.
type readAlive struct {
	io.Reader
	alive func()
}

func (r readAlive) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.alive()
	}
	return n, err
}

// notice is one server-sent event (HTML Standard §9.2).
type notice struct {
	event string
	id    string
	data  []byte
}

// update reads a message of the channel; ok is false for one that this version
// does not know.
func (m notice) update() (u understudy.Update, ok bool, err error) {
	switch m.event {
	case "site":
		u.Site = new(understudy.Site)
		err = json.Unmarshal(m.data, u.Site)
	case "event":
		u.Event = new(understudy.Event)
		err = json.Unmarshal(m.data, u.Event)
	case "status":
		u.Status = []understudy.ServerStatus{}
		if err = json.Unmarshal(m.data, &u.Status); u.Status == nil {
			u.Status = []understudy.ServerStatus{} // null is none
		}
	default:
		return u, false, nil
	}
	if err == nil && m.event != "status" {
		u.Cursor, err = understudy.ParseCursor(m.id)
	}
	if err != nil {
		return u, false, understudy.Errorf(understudy.CodeUnavailable, "a message of the service channel could not be read: %w", err)
	}
	return u, true, nil
}

// notices reads server-sent events.
type notices struct {
	scanner *bufio.Scanner
}

func newNotices(r io.Reader) *notices {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, 4096), maxMessage)
	return &notices{scanner}
}

// next returns the next message that has an event or data; io.EOF at the end.
// A message that the end cut short is not one.
func (r *notices) next() (notice, error) {
	var m notice
	size := 0
	for r.scanner.Scan() {
		line := r.scanner.Bytes()
		if len(line) == 0 {
			if m.event != "" || m.data != nil {
				return m, nil
			}
			m = notice{}
			continue
		}
		if size += len(line); size > maxMessage {
			return notice{}, bufio.ErrTooLong
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			m.event = string(value)
		case "id":
			m.id = string(value)
		case "data":
			if m.data != nil {
				m.data = append(m.data, '\n')
			}
			m.data = append(m.data, value...)
			if m.data == nil {
				m.data = []byte{}
			}
		}
	}
	if err := r.scanner.Err(); err != nil {
		return notice{}, err
	}
	return notice{}, io.EOF
}
