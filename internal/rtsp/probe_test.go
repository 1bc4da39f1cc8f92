package rtsp_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	us "understudy"
	"understudy/internal/rtsp"
	"understudy/internal/testcam"
)

// A probe finds what a session would meet, and takes none.
func TestProbe(t *testing.T) {
	cameras := serve(t,
		testcam.Camera{Name: "open"},
		testcam.Camera{Name: "locked", Username: "viewer", Password: "right"},
		testcam.Camera{Name: "full", MaxSessions: 1},
		testcam.Camera{Name: "nonsense", Misbehave: testcam.GarbageSDP},
		testcam.Camera{Name: "nowhere", Misbehave: testcam.NotFound})
	tape := newTape()
	start(t, func(ctx context.Context) { _ = rtsp.Pull(ctx, rtsp.Config{URL: cameras.URL("full")}, tape) })
	tape.wait(t, 1) // its only session is taken
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "rtsp://" + dead.Addr().String() + "/x"
	dead.Close()
	vp8 := strange(t, "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=control:t0\r\n")
	for _, c := range []struct {
		name, url, user string
		password        us.Secret
		code            us.Code
		says            string
	}{
		{"open", cameras.URL("open"), "", "", "", ""},
		{"the right password", cameras.URL("locked"), "viewer", "right", "", ""},
		{"no session left", cameras.URL("full"), "", "", "", ""},
		{"a wrong password", cameras.URL("locked"), "viewer", "wrong", us.CodeUnauthenticated, "refuses user"},
		{"no password", cameras.URL("locked"), "", "", us.CodeUnauthenticated, "none is set"},
		{"no such path", cameras.URL("nowhere"), "", "", us.CodeNotFound, "404"},
		{"nonsense", cameras.URL("nonsense"), "", "", us.CodeInvalid, "description"},
		{"nobody", nobody, "", "", us.CodeUnavailable, "connection refused"},
		{"an unknown codec", vp8, "", "", us.CodeInvalid, "offers no video in H.264, H.265 or MJPEG, but VP8"},
	} {
		codec, err := rtsp.Probe(t.Context(), rtsp.Config{URL: c.url, Username: c.user, Password: c.password})
		switch {
		case c.code == "" && (err != nil || codec != us.CodecH264):
			t.Errorf("%s: %q, %v", c.name, codec, err)
		case c.code != "" && (err == nil || us.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v, want %s and %q", c.name, err, c.code, c.says)
		}
	}
}

// A wrong password is shown once, so that no camera locks an account out.
func TestProbeLogsInOnce(t *testing.T) {
	var logins atomic.Int32
	url := answering(t, func(request string) string {
		if strings.Contains(request, "\r\nAuthorization:") {
			logins.Add(1)
		}
		return "RTSP/1.0 401 Unauthorized\r\nCSeq: %s\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\r\n"
	})
	_, err := rtsp.Probe(t.Context(), rtsp.Config{URL: url, Username: "viewer", Password: "wrong"})
	if us.CodeOf(err) != us.CodeUnauthenticated || logins.Load() != 1 {
		t.Errorf("after %d logins: %v", logins.Load(), err)
	}
}

// strange is a camera that describes itself in so many words.
func strange(t *testing.T, sdp string) string {
	return answering(t, func(string) string {
		return fmt.Sprintf("RTSP/1.0 200 OK\r\nCSeq: %%s\r\nPublic: DESCRIBE\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(sdp), sdp)
	})
}

// answering is a camera that answers each request, its CSeq put in, and returns its URL.
func answering(t *testing.T, answer func(request string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	start(t, func(ctx context.Context) {
		defer context.AfterFunc(ctx, func() { l.Close() })()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go speak(conn, answer)
		}
	})
	return "rtsp://" + l.Addr().String() + "/x"
}

func speak(conn net.Conn, answer func(request string) string) {
	defer conn.Close()
	r, request, seq := bufio.NewReader(conn), "", ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		request += line
		if after, ok := strings.CutPrefix(line, "CSeq:"); ok {
			seq = strings.TrimSpace(after)
		}
		if line == "\r\n" {
			if _, err := conn.Write([]byte(strings.Replace(answer(request), "%s", seq, 1))); err != nil {
				return
			}
			request = ""
		}
	}
}
