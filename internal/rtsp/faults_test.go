package rtsp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/rtsp"
	"understudy/internal/testcam"
)

// evil is a camera that answers every request with what answer returns; CSEQ
// stands for the request's number. It keeps the connection after an empty answer.
func evil(t *testing.T, answer func(method string) string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	start(t, func(ctx context.Context) {
		defer context.AfterFunc(ctx, func() { ln.Close() })()
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			go answerRequests(conn, answer)
		}
	})
	return "rtsp://" + ln.Addr().String() + "/x"
}

func answerRequests(conn net.Conn, answer func(method string) string) {
	lines := bufio.NewScanner(conn)
	method, number := "", ""
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case method == "":
			method, _, _ = strings.Cut(line, " ")
		case strings.HasPrefix(line, "CSeq: "):
			number = strings.TrimPrefix(line, "CSeq: ")
		case line == "":
			_, _ = io.WriteString(conn, strings.ReplaceAll(answer(method), "CSEQ", number))
			method = ""
		}
	}
}

const rtspOK = "RTSP/1.0 200 OK\r\nCSeq: CSEQ\r\nPublic: DESCRIBE, SETUP, PLAY\r\n\r\n"

// describe answers DESCRIBE with a body, and everything else with OK.
func describe(head, body string) func(string) string {
	return func(method string) string {
		if method != "DESCRIBE" {
			return rtspOK
		}
		return fmt.Sprintf("RTSP/1.0 %s\r\nCSeq: CSEQ\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
	}
}

func TestEachFaultOfACameraIsOneSentence(t *testing.T) {
	t.Parallel()
	cameras := serve(t,
		testcam.Camera{Name: "locked", Username: "ada", Password: "lovelace"},
		testcam.Camera{Name: "missing", Misbehave: testcam.NotFound},
		testcam.Camera{Name: "busy", Misbehave: testcam.Busy},
		testcam.Camera{Name: "nonsense", Misbehave: testcam.GarbageSDP},
		testcam.Camera{Name: "frozen", Misbehave: testcam.Freeze},
		testcam.Camera{Name: "noise", Misbehave: testcam.GarbagePackets},
	)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, c := range map[string]struct {
		url, user, password string
		code                us.Code
		says                string
	}{
		"no password":    {cameras.URL("locked"), "", "", us.CodeUnauthenticated, "none is set"},
		"wrong password": {cameras.URL("locked"), "ada", "byron-byron", us.CodeUnauthenticated, `refuses user "ada"`},
		"404":            {cameras.URL("missing"), "", "", us.CodeNotFound, "404"},
		"453":            {cameras.URL("busy"), "", "", us.CodeUnavailable, "no session left (453)"},
		"nonsense SDP":   {cameras.URL("nonsense"), "", "", us.CodeInvalid, "description"},
		"frozen":         {cameras.URL("frozen"), "", "", us.CodeUnavailable, "frozen"},
		"noise":          {cameras.URL("noise"), "", "", us.CodeUnavailable, "no video"},
		"nobody there":   {"rtsp://" + closed.Addr().String() + "/x", "", "", us.CodeUnavailable, "connection refused"},
		"no such name":   {"rtsp://no-such-camera.invalid/x", "", "", us.CodeUnavailable, "cannot be resolved"},
		"silent":         {evil(t, func(string) string { return "" }), "", "", us.CodeUnavailable, "does not answer"},
		"not RTSP":       {evil(t, func(string) string { return "HTTP/1.1 400 Bad Request\r\n\r\n" }), "", "", us.CodeUnavailable, "speaks RTSP on that port"},
		"bytes":          {evil(t, func(string) string { return strings.Repeat("\x00\xff$\x01", 9000) }), "", "", us.CodeUnavailable, "does not speak RTSP"},
		"endless body":   {evil(t, func(string) string { return "RTSP/1.0 200 OK\r\nCSeq: CSEQ\r\nContent-Length: 4294967296\r\n\r\nx" }), "", "", us.CodeUnavailable, "does not speak RTSP"},
		"no video":       {evil(t, describe("200 OK\r\nContent-Type: application/sdp", "v=0\r\ns=x\r\nm=audio 0 RTP/AVP 0\r\n")), "", "", us.CodeInvalid, "no video in H.264"},
		"a page":         {evil(t, describe("200 OK\r\nContent-Type: text/html", "<html>")), "", "", us.CodeInvalid, "description"},
		"another host":   {evil(t, describe("302 Moved\r\nLocation: rtsp://127.0.0.2:554/x", "")), "ada", "lovelace", us.CodeForbidden, "another host"},
		"Basic only":     {evil(t, describe("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"", "")), "ada", "lovelace", us.CodeUnauthenticated, "unprotected"},
		"untrusted TLS":  {"rtsps://" + serveLibrary(t, &library{}, selfSigned(t)) + "/x", "", "", us.CodeUnavailable, "not trusted"},
		"status 500":     {evil(t, describe("500 Oops", "")), "", "", us.CodeUnavailable, "status 500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := rtsp.Pull(t.Context(), rtsp.Config{Pump: pumping(t), URL: c.url, Username: c.user, Password: us.Secret(c.password)}, newTape())
			if us.CodeOf(err) != c.code || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("code %s, %v; want %s and %q", us.CodeOf(err), err, c.code, c.says)
			}
			if err != nil && (strings.Contains(err.Error(), "lovelace") || strings.ContainsAny(err.Error(), "\n\r")) {
				t.Errorf("the sentence shows a password, or is more than one line: %q", err)
			}
		})
	}
}

// What random packets happen to look like may be taken for pictures; it may
// not crash the process or keep the session from ending.
func TestNoiseIsSurvived(t *testing.T) {
	t.Parallel()
	cameras := serve(t, testcam.Camera{Name: "noise", Misbehave: testcam.GarbagePackets, GOP: 20 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	err := rtsp.Pull(ctx, rtsp.Config{Pump: pumping(t), URL: cameras.URL("noise")}, newTape())
	if ctx.Err() == nil && us.CodeOf(err) == us.CodeInternal {
		t.Errorf("the session ended with %v", err)
	}
}

func TestARedirectLoopEnds(t *testing.T) {
	t.Parallel()
	var url string
	url = evil(t, func(method string) string {
		return describe("302 Moved\r\nLocation: "+url, "")(method)
	})
	err := rtsp.Pull(t.Context(), rtsp.Config{Pump: pumping(t), URL: url}, newTape())
	if us.CodeOf(err) != us.CodeInvalid {
		t.Errorf("%v, want CodeInvalid", err)
	}
}

func TestASourceComesBack(t *testing.T) {
	t.Parallel()
	cameras, err := testcam.New(testcam.Config{Listen: "127.0.0.1:0", Cameras: []testcam.Camera{{Name: "lobby", GOP: 500 * time.Millisecond}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, unplug := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cameras.Run(ctx) }()
	got := newTape()
	source := rtsp.NewSource(rtsp.Config{Pump: pumping(t), URL: cameras.URL("lobby")}, got)
	start(t, func(ctx context.Context) { _ = source.Run(ctx) })
	got.wait(t, 10)
	if source.Fault() != "" || source.Frames() < 10 || source.Last().IsZero() {
		t.Errorf("while frames come: fault %q, %d frames, last %s", source.Fault(), source.Frames(), source.Last())
	}
	unplug()
	<-ended
	before := int(source.Frames())
	again, err := testcam.New(testcam.Config{Listen: cameras.Address(), Cameras: []testcam.Camera{{Name: "lobby", GOP: 500 * time.Millisecond}}})
	if err != nil {
		t.Fatal(err)
	}
	start(t, func(ctx context.Context) { _ = again.Run(ctx) })
	got.wait(t, before+10)
	if source.Fault() != "" {
		t.Errorf("frames come again, and the fault is still %q", source.Fault())
	}
	if len(got.tracks) < 2 {
		t.Error("no new session began")
	}
}

func TestASlotIsTakenAsSoonAsItIsFree(t *testing.T) {
	t.Parallel()
	cameras := serve(t, testcam.Camera{Name: "lobby", GOP: 500 * time.Millisecond, MaxSessions: 1})
	ctx, leave := context.WithCancel(t.Context())
	first := newTape()
	left := make(chan struct{})
	go func() {
		defer close(left)
		_ = rtsp.Pull(ctx, rtsp.Config{Pump: pumping(t), URL: cameras.URL("lobby")}, first)
	}()
	first.wait(t, 3)
	if err := rtsp.Pull(t.Context(), rtsp.Config{Pump: pumping(t), URL: cameras.URL("lobby")}, newTape()); !strings.Contains(fmt.Sprint(err), "453") {
		t.Errorf("a second session: %v", err)
	}
	second := newTape()
	source := rtsp.NewSource(rtsp.Config{Pump: pumping(t), URL: cameras.URL("lobby")}, second)
	start(t, func(ctx context.Context) { _ = source.Run(ctx) })
	leave()
	<-left
	second.wait(t, 3)
}
