package rtsp_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/rtsp"
	"understudy/internal/testcam"
)

// Whoever answers is reached, whatever the answer is; silence is none. It costs no
// session, and the password is not shown.
func TestReach(t *testing.T) {
	cameras := serve(t, testcam.Camera{Name: "locked", Username: "viewer", Password: "right", MaxSessions: 1})
	var shown atomic.Bool
	strict := answering(t, func(request string) string {
		if strings.Contains(request, "Authorization") {
			shown.Store(true)
		}
		return "RTSP/1.0 401 Unauthorized\r\nCSeq: %s\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\r\n"
	})
	dead, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "rtsp://" + dead.Addr().String() + "/x"
	dead.Close()
	for name, url := range map[string]string{"a camera": cameras.URL("locked"), "one that wants a password": strict, "a host where nobody listens": nobody} {
		if err := rtsp.Reach(t.Context(), rtsp.Config{URL: url, Username: "viewer", Password: "right"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if shown.Load() {
		t.Error("the password was shown")
	}

	hangs, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hangs.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := rtsp.Reach(ctx, rtsp.Config{URL: "rtsp://" + hangs.Addr().String() + "/x"}); us.CodeOf(err) != us.CodeUnavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one that accepts and says nothing: %v", err)
	}
	if err := rtsp.Reach(t.Context(), rtsp.Config{URL: "rtsp://camera.invalid/x"}); us.CodeOf(err) != us.CodeUnavailable {
		t.Errorf("one whose name is unknown: %v", err)
	}
	if err := rtsp.Reach(t.Context(), rtsp.Config{URL: "nonsense"}); us.CodeOf(err) != us.CodeInvalid {
		t.Errorf("an address that is none: %v", err)
	}
}
