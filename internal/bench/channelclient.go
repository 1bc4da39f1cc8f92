package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/zeebo/xxh3"

	"understudy"
)

// channelClient follows a service channel with as little as can be: ten thousand of them
// are one process, and what they cost must not be what is measured.
type channelClient struct {
	conn  *tls.Conn
	read  *bufio.Reader
	body  *bufio.Scanner
	place []byte // id of the last notice that has one
	event []byte // the takeover as it was told; nil: it was not
	heard time.Time
}

// maxNotice bounds a line of the channel.
const maxNotice = 4 << 20

// dialChannel connects, and returns when the client knows the site.
func dialChannel(ctx context.Context, address string, trust *tls.Config, who caller) (*channelClient, error) {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: trust}
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &channelClient{conn: raw.(*tls.Conn)} //nolint:forcetypeassert // a tls.Dialer returns no other
	if err := c.begin(address, who); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *channelClient) begin(address string, who caller) error {
	if err := c.conn.SetDeadline(time.Now().Add(heardWithin)); err != nil {
		return err
	}
	resume := ""
	if who.cursor.Stream != "" {
		resume = "Last-Event-ID: " + who.cursor.String() + "\r\n"
	}
	if _, err := fmt.Fprintf(c.conn, "GET /api/v1/channel HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\n%s\r\n", address, string(who.token), resume); err != nil {
		return err
	}
	c.read = bufio.NewReaderSize(c.conn, 4096)
	response, err := http.ReadResponse(c.read, nil) //nolint:bodyclose // it is read as long as the connection lives
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return understudy.Errorf(understudy.CodeUnavailable, "the service channel answers with %s", response.Status)
	}
	c.body = bufio.NewScanner(response.Body)
	c.body.Buffer(nil, maxNotice)
	if resume != "" { // it has the site, and the next that it hears are events
		c.place = []byte(who.cursor.String())
		return nil
	}
	_, err = c.notice("site")
	return err
}

// notice waits for the next of that kind, and returns its data.
func (c *channelClient) notice(kind string) ([]byte, error) {
	wanted := false
	for c.body.Scan() {
		line := c.body.Bytes()
		switch {
		case bytes.HasPrefix(line, []byte("event: ")):
			wanted = string(line[len("event: "):]) == kind
		case bytes.HasPrefix(line, []byte("id: ")):
			c.place = append(c.place[:0], line[len("id: "):]...)
		case wanted && bytes.HasPrefix(line, []byte("data: ")):
			return line[len("data: "):], nil
		}
	}
	if err := c.body.Err(); err != nil {
		return nil, err
	}
	return nil, understudy.Errorf(understudy.CodeUnavailable, "the service channel hung up")
}

// await waits for the takeover until then.
func (c *channelClient) await(until time.Time) {
	if c.conn.SetReadDeadline(until) != nil {
		return
	}
	for {
		event, err := c.notice("event")
		if err != nil {
			return
		}
		if bytes.Contains(event, []byte(`"kind":"takeover"`)) {
			c.heard, c.event = time.Now(), bytes.Clone(event)
			return
		}
	}
}

func (c *channelClient) sum() uint64 { return xxh3.Hash(c.event) }

func (c *channelClient) close() {
	_ = c.conn.Close() // of a connection that is not wanted any more
}
