package recording

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/coder/websocket"

	"understudy"
)

// open opens something of lobby, and returns a channel that is closed when it has ended.
type opening func(t *testing.T, as asker, address string) (ended <-chan struct{})

// openings are the ways in which a picture may be looked at for longer than its token is believed.
var openings = map[string]opening{
	"a live WebSocket": func(t *testing.T, as asker, address string) <-chan struct{} {
		conn, _, err := websocket.Dial(t.Context(), "https://"+address+"/v1/cameras/lobby/live?token="+url.QueryEscape(as.token), //nolint:bodyclose // the library's
			&websocket.DialOptions{HTTPClient: as.http()})
		if err != nil {
			t.Fatal(err)
		}
		conn.SetReadLimit(16 << 20)
		return drained(t, func() error { _, _, err := conn.Read(t.Context()); return err })
	},
	"a live MP4": func(t *testing.T, as asker, address string) <-chan struct{} {
		body := as.body(t, "https://"+address+"/v1/cameras/lobby/live.mp4")
		part := make([]byte, 1000)
		return drained(t, func() error { _, err := io.ReadFull(body, part); return err })
	},
	"live RTSP": func(t *testing.T, as asker, address string) <-chan struct{} {
		c, err := as.rtsp(t, address)
		if err == nil {
			_, _, _, err = c.hold([]string{"SETUP /lobby/trackID=0", "PLAY /lobby"})
		}
		if err != nil {
			t.Fatal(err)
		}
		return drained(t, func() error { _, err := c.Read(); return err })
	},
}

// drained reads until there is nothing more to read, and something once before it returns.
func drained(t *testing.T, read func() error) <-chan struct{} {
	t.Helper()
	if err := read(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for read() == nil {
			continue
		}
	}()
	return ended
}

func (a asker) http() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: a.tls, DisableKeepAlives: true}}
}

func (a asker) body(t *testing.T, address string) io.Reader {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	response, err := a.http().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatalf("answered %s", response.Status)
	}
	return response.Body
}

// TestWhatIsOpenEndsWithTheRight: when a site recalls a user's tokens, all that he looks at
// ends and nothing can be opened with them, nor with tickets; what others look at goes on.
func TestWhatIsOpenEndsWithTheRight(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	r, lobby := site.recorder(t)
	askers := site.askers(t, r.node)
	address := r.addresses.Media
	playlist := access{request: "GET /v1/cameras/lobby/hls/index.m3u8?{range}&token=" + url.QueryEscape(askers[olga].token)}.fill("", lobby)
	text, err := io.ReadAll(askers[olga].body(t, "https://"+address+playlist.request[len("GET "):]))
	if err != nil {
		t.Fatal(err)
	}
	ticket := ticketIn(t, text)
	theirs := map[string]map[string]<-chan struct{}{}
	for _, who := range []string{olga, vera} {
		theirs[who] = map[string]<-chan struct{}{}
		for what, open := range openings {
			theirs[who][what] = open(t, askers[who], address)
		}
	}
	now := groups()
	now.Recalls = []understudy.Recall{{User: "olga", Before: time.Now().Truncate(time.Second).Add(time.Second)}}
	r.SetSite(now)
	for what, ended := range theirs[olga] {
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Errorf("%s of olga goes on", what)
		}
	}
	for what, ended := range theirs[vera] {
		select {
		case <-ended:
			t.Errorf("%s of vera has ended", what)
		default:
		}
	}
	for what, path := range map[string]string{"her token": "/v1/cameras/lobby/hls/index.m3u8?{range}", "her ticket": "/v1/cameras/lobby/hls/index.m3u8?{range}&ticket=" + ticket} {
		object := access{request: "GET " + path}.fill("", lobby)
		as := askers[olga]
		if what == "her ticket" {
			as.token = ""
		}
		if status, said := as.ask(t, address, object); status != http.StatusUnauthorized || !bytes.Contains([]byte(said), []byte("rights of olga were changed")) {
			t.Errorf("%s is answered %d %s", what, status, said)
		}
	}
	if c, err := askers[olga].rtsp(t, address); err != nil {
		t.Error(err)
	} else if _, refused, leaked, err := c.hold([]string{"DESCRIBE /lobby"}); !refused || leaked != "" || err != nil {
		t.Errorf("by RTSP her token shows %q, %v", leaked, err)
	}
}

// ticketIn finds the ticket in a playlist.
func ticketIn(t *testing.T, playlist []byte) string {
	t.Helper()
	_, after, found := bytes.Cut(playlist, []byte("ticket="))
	if !found {
		t.Fatalf("there is no ticket in %s", playlist)
	}
	end := bytes.IndexAny(after, "&\"\r\n")
	if end < 0 {
		t.Fatal(fmt.Errorf("the ticket does not end in %s", after))
	}
	return string(after[:end])
}
