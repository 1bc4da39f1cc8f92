package recording

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/conn"
)

// rtspAccess is a conversation, and who gets as far as its end. Others hear 401 or 403
// on the way there. Each line is a method, an address where {recorded} is a range,
// and a Range header.
type rtspAccess struct {
	lines   []string
	allowed []string
}

// RTSP has no certificates: servers come by HTTP.
var (
	watchers = []string{vera, olga, gus, rosa, ada}
	players  = []string{olga, gus, rosa, ada}
)

// spoken has a row for each method that the media port says it speaks, and for each
// right that one is under.
var spoken = map[string][]rtspAccess{
	"DESCRIBE": {{[]string{"DESCRIBE /lobby"}, watchers}, {[]string{"DESCRIBE /lobby{recorded}"}, players}},
	"SETUP":    {{[]string{"SETUP /lobby/trackID=0"}, watchers}, {[]string{"SETUP /lobby{recorded}/trackID=0"}, players}},
	"PLAY": {{[]string{"SETUP /lobby/trackID=0", "PLAY /lobby"}, watchers},
		{[]string{"SETUP /lobby/trackID=0", "PLAY /lobby {clock}"}, players},
		{[]string{"SETUP /lobby{recorded}/trackID=0", "PLAY /lobby"}, players}},
	"PAUSE":         {{[]string{"SETUP /lobby/trackID=0", "PLAY /lobby", "PAUSE /lobby"}, watchers}},
	"TEARDOWN":      {{[]string{"SETUP /lobby/trackID=0", "TEARDOWN /lobby"}, watchers}},
	"GET_PARAMETER": {{[]string{"SETUP /lobby/trackID=0", "GET_PARAMETER /lobby"}, watchers}},
}

// idle are the methods that keep or end a session of one's own, whatever is in it.
var idle = map[string]bool{"GET_PARAMETER": true, "TEARDOWN": true}

// rtspConn is a connection on which requests are answered one after the other.
type rtspConn struct {
	*conn.Conn
	address, token, session string
	sent                    int
}

func (a asker) rtsp(t *testing.T, address string) (*rtspConn, error) {
	t.Helper()
	dialer := tls.Dialer{Config: a.tls}
	c, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	return &rtspConn{Conn: conn.NewConn(bufio.NewReader(c), c), address: address, token: a.token}, nil
}

// ask sends one request and returns its answer; media that comes meanwhile is passed over.
func (c *rtspConn) ask(method, path, clock string) (*base.Response, error) {
	u, err := base.ParseURL("rtsps://" + c.address + path)
	if err != nil {
		return nil, err
	}
	c.sent++
	request := base.Request{Method: base.Method(method), URL: u, Header: base.Header{"CSeq": {fmt.Sprint(c.sent)}}}
	if c.token != "" {
		request.Header["Authorization"] = base.HeaderValue{"Basic " + base64.StdEncoding.EncodeToString([]byte("token:"+c.token))}
	}
	if c.session != "" {
		request.Header["Session"] = base.HeaderValue{c.session}
	}
	if method == "SETUP" {
		request.Header["Transport"] = base.HeaderValue{"RTP/AVP/TCP;unicast;interleaved=0-1"}
	}
	if clock != "" {
		request.Header["Range"] = base.HeaderValue{clock}
	}
	if err := c.WriteRequest(&request); err != nil {
		return nil, err
	}
	for {
		came, err := c.Read()
		if err != nil {
			return nil, err
		}
		response, ok := came.(*base.Response)
		if !ok {
			continue
		}
		if session := response.Header["Session"]; len(session) == 1 {
			c.session, _, _ = strings.Cut(session[0], ";")
		}
		return response, nil
	}
}

// hold holds a conversation. refused tells that 401 or 403 was said in it, and leaked
// what was answered nevertheless. The server may hang up on who was refused.
func (c *rtspConn) hold(lines []string) (last base.StatusCode, refused bool, leaked string, err error) {
	for _, line := range lines {
		method, path, _ := strings.Cut(line, " ")
		path, clock, _ := strings.Cut(path, " ")
		response, err := c.ask(method, path, clock)
		if err != nil && refused {
			break
		}
		if err != nil {
			return 0, refused, leaked, err
		}
		last = response.StatusCode
		if refused && last == base.StatusOK && !idle[method] {
			leaked = line
		}
		refused = refused || last == base.StatusUnauthorized || last == base.StatusForbidden
	}
	return last, refused, leaked, nil
}

// TestAccessByRTSP tries every method that the media port speaks with every identity.
func TestAccessByRTSP(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	r, lobby := site.recorder(t)
	askers := site.askers(t, r.node)
	from, to := lobby.Start, lobby.Start.Add(time.Second)
	recorded := "?from=" + url.QueryEscape(from.Format(time.RFC3339Nano)) + "&to=" + url.QueryEscape(to.Format(time.RFC3339Nano))
	const clock = "20060102T150405.000Z"
	fill := strings.NewReplacer("{recorded}", recorded, "{clock}", "clock="+from.UTC().Format(clock)+"-"+to.UTC().Format(clock))
	for _, method := range methods(t, askers[stranger], r.addresses.Media) {
		if len(spoken[method]) == 0 {
			t.Errorf("nobody says in the table who may %s", method)
		}
		for _, row := range spoken[method] {
			lines := make([]string, len(row.lines))
			for i, line := range row.lines {
				lines[i] = fill.Replace(line)
			}
			for _, who := range everyone {
				row.judge(t, who, askers[who], r.addresses.Media, lines)
			}
			for _, camera := range []string{"/yard", "/nowhere"} {
				elsewhere := make([]string, len(lines))
				for i, line := range lines {
					elsewhere[i] = strings.Replace(line, "/lobby", camera, 1)
				}
				rtspAccess{}.judge(t, vera, askers[vera], r.addresses.Media, elsewhere)
				rtspAccess{}.judge(t, olga, askers[olga], r.addresses.Media, elsewhere)
			}
		}
	}
}

// methods returns what the port says that it speaks.
func methods(t *testing.T, as asker, address string) []string {
	t.Helper()
	c, err := as.rtsp(t, address)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.ask("OPTIONS", "/lobby", "")
	if err != nil || len(response.Header["Public"]) != 1 {
		t.Fatalf("OPTIONS: %v, %v", response, err)
	}
	return strings.Split(response.Header["Public"][0], ", ")
}

func (a rtspAccess) judge(t *testing.T, who string, as asker, address string, lines []string) {
	t.Helper()
	c, err := as.rtsp(t, address)
	var last base.StatusCode
	var refused bool
	var leaked string
	if err == nil {
		last, refused, leaked, err = c.hold(lines)
	}
	switch allowed := slices.Contains(a.allowed, who); {
	case noConnection(who):
		if err == nil {
			t.Errorf("%q by %s: the connection must be refused, got %d", lines, who, last)
		}
	case err != nil:
		t.Errorf("%q by %s: %v", lines, who, err)
	case allowed && last != base.StatusOK:
		t.Errorf("%q by %s must be allowed, got %d", lines, who, last)
	case !allowed && !refused:
		t.Errorf("%q by %s must be refused, got %d", lines, who, last)
	case !allowed && leaked != "":
		t.Errorf("%q by %s was refused, and then came %q", lines, who, leaked)
	}
}
