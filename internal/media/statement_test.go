package media

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"understudy"
)

// stating is the handler of a server that repeats what it was asked.
func stating(l Library) http.Handler {
	return New(Config{Server: "rec-1", Library: l, State: func(c understudy.CameraID, nonce string) (understudy.SignedStatement, error) {
		return understudy.SignedStatement{Statement: []byte(string(c) + " " + nonce)}, nil
	}})
}

func askStatement(h http.Handler, nonce string) (status int, body string) {
	r := httptest.NewRequest(http.MethodGet, "/v1/cameras/lobby/statement?token=all&nonce="+url.QueryEscape(nonce), nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// A statement answers one question about one camera, and is nobody's but the server's own.
func TestStatement(t *testing.T) {
	l, server := newServer(t)
	l.elsewhere["lobby"] = "10.0.0.9:7563" // there is no redirect
	status, body := askStatement(stating(l), "0123456789abcdef")
	var s understudy.SignedStatement
	if err := json.Unmarshal([]byte(body), &s); status != 200 || err != nil || string(s.Statement) != "lobby 0123456789abcdef" {
		t.Errorf("%d %s: %v", status, body, err)
	}
	if response, _ := get(t, server.URL+"/v1/cameras/lobby/statement?token=all&nonce=0123456789abcdef"); response.StatusCode != 404 {
		t.Errorf("a server that makes none: %d", response.StatusCode)
	}
}

// FuzzNonce: what is signed for a caller is bounded, and has no letters of a text.
func FuzzNonce(f *testing.F) {
	for _, seed := range []string{"", "0123456789abcdef", "too-short", strings.Repeat("x", 65), `0123456789","epoch":9`, "0123456789abcdef\n"} {
		f.Add(seed)
	}
	h := stating(&library{})
	f.Fuzz(func(t *testing.T, nonce string) {
		status, _ := askStatement(h, nonce)
		fine := len(nonce) >= 16 && len(nonce) <= 64 && strings.Trim(nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
		if (status == 200) != fine || !fine && status != 422 {
			t.Errorf("%q: %d", nonce, status)
		}
	})
}
