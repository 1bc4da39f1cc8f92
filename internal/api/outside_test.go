package api

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
)

// reply is an answer that was read to its end.
type reply struct {
	Status     string
	StatusCode int
	Header     http.Header
	cookies    []*http.Cookie
}

func get(t *testing.T, c *http.Client, method, url string, header http.Header) (reply, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	check(t, err)
	if header != nil {
		request.Header = header
	}
	response, err := c.Do(request)
	check(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(t, err)
	return reply{response.Status, response.StatusCode, response.Header, response.Cookies()}, string(body)
}

// TestWithoutTLS: only whether it answers is readable, and what must be secret is refused.
func TestWithoutTLS(t *testing.T) {
	s := newSite(t)
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	bearer := http.Header{"Authorization": {"Basic YWRhOnNlY3JldA=="}}
	for _, pattern := range s.server.gate.patterns {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			method, path = http.MethodGet, pattern
		}
		path = strings.NewReplacer("{id}", "lobby", "{name}", "ada", "{server}", "rec-1", "{path...}", "v1/x").Replace(path)
		response, body := get(t, c, method, "http://"+s.address+path, nil)
		switch {
		case path == base+"/health", path == base+"/ready":
			if response.StatusCode != http.StatusOK {
				t.Errorf("%s answers without TLS, answered %s", path, response.Status)
			}
			continue
		case method == http.MethodGet:
			if response.StatusCode != http.StatusPermanentRedirect || response.Header.Get("Location") != "https://127.0.0.1"+path {
				t.Errorf("GET %s is sent to https, was %s to %q", path, response.Status, response.Header.Get("Location"))
			}
		case response.StatusCode != http.StatusForbidden:
			t.Errorf("%s %s is refused, was %s", method, path, response.Status)
		default:
			requireFailure(t, pattern, body)
		}
		for _, secret := range []http.Header{bearer, {"Cookie": {sessionCookie + "=x"}}} {
			response, body = get(t, c, method, "http://"+s.address+path, secret)
			if response.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s with credentials is refused, was %s", method, path, response.Status)
			}
			requireFailure(t, pattern, body)
		}
	}
	if response, _ := get(t, c, http.MethodGet, "http://"+s.address+"/relay/rec-1/v1/x?token=T", nil); response.StatusCode != http.StatusForbidden {
		t.Errorf("a token in an address is refused, was %s", response.Status)
	}
}

// TestAnotherSitesPage cannot act with the cookie of a browser.
func TestAnotherSitesPage(t *testing.T) {
	s := newSite(t)
	admin := s.administrator()
	header := http.Header{"Cookie": {sessionCookie + "=" + string(admin.Token())}, "Sec-Fetch-Site": {"cross-site"}}
	response, body := get(t, admin.HTTP(""), http.MethodDelete, "https://"+s.address+base+"/users/ada", header)
	if response.StatusCode != http.StatusForbidden || !strings.Contains(body, "origin") {
		t.Fatalf("a page of another origin is refused, got %s %s", response.Status, body)
	}
	if response.Header.Get("Content-Security-Policy") == "" {
		t.Fatal("every answer has a content security policy")
	}
}

// TestCookie: a browser's session is where scripts and plain HTTP do not see it.
func TestCookie(t *testing.T) {
	s := newSite(t)
	admin := s.administrator()
	body := strings.NewReader(`{"name":"ada","password":"` + string(password) + `","cookie":true}`)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.address+base+"/sign-in", body)
	check(t, err)
	response, err := admin.HTTP("").Do(request)
	check(t, err)
	defer response.Body.Close()
	var session understudy.Session
	check(t, json.NewDecoder(response.Body).Decode(&session))
	cookies := response.Cookies()
	if len(cookies) != 1 || !cookies[0].Secure || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || cookies[0].Value == "" || session.Token != "" {
		t.Fatalf("sign-in sets one guarded cookie and keeps the token to it, set %v and answered %q", cookies, string(session.Token))
	}
	header := http.Header{"Cookie": {cookies[0].Name + "=" + cookies[0].Value}}
	if response, body := get(t, admin.HTTP(""), http.MethodPost, "https://"+s.address+base+"/sign-out", header); response.StatusCode != http.StatusNoContent || len(response.cookies) != 1 || response.cookies[0].Value != "" {
		t.Fatalf("signing out takes the cookie away, got %s %s", response.Status, body)
	}
	if response, _ := get(t, admin.HTTP(""), http.MethodGet, "https://"+s.address+base+"/me", header); response.StatusCode != http.StatusUnauthorized {
		t.Fatalf("the session has ended, but got %s", response.Status)
	}
}

// TestBadRequests are told like every other error, and never with what was sent.
func TestBadRequests(t *testing.T) {
	s := newSite(t)
	admin := s.administrator()
	header := "Bearer " + string(admin.Token())
	for name, body := range map[string]string{
		"no JSON":         `{`,
		"another type":    `{"name":["sentinel-secret"]}`,
		"bad URL":         `{"home":"none","url":"rtsp://root:sentinel-secret@10.0.0.8/1","password":"sentinel-secret"}`,
		"too long":        `{"password":"sentinel-secret` + strings.Repeat("x", 2000) + `"}`,
		"more than fits":  `{"name":"` + strings.Repeat("x", smallBody) + `"}`,
		"another id":      `{"id":"yard","password":"sentinel-secret"}`,
		"a strange field": `{"transport":"carrier pigeon","password":"sentinel-secret"}`,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://"+s.address+base+"/cameras/lobby", strings.NewReader(body))
		check(t, err)
		request.Header.Set("Authorization", header)
		response, err := admin.HTTP("").Do(request)
		check(t, err)
		text, err := io.ReadAll(response.Body)
		check(t, err)
		_ = response.Body.Close()
		if response.StatusCode < 400 || response.StatusCode >= 500 || strings.Contains(string(text), "sentinel-secret") {
			t.Errorf("%s: must be refused without repeating it, got %s %.300s", name, response.Status, text)
		}
		if ct := response.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
			t.Errorf("%s: is told as JSON, not %s", name, ct)
		}
		requireFailure(t, name, string(text))
	}
}

// TestRelay passes requests on with the media token only, and keeps redirects
// to other servers on its own way.
func TestRelay(t *testing.T) {
	s := newSite(t)
	admin := s.administrator()
	type seen struct {
		path, token, cookie, authorization string
		certificate                        bool
	}
	var requests []seen
	media := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, seen{r.URL.Path, r.URL.Query().Get("token"), r.Header.Get("Cookie"), r.Header.Get("Authorization"), len(r.TLS.PeerCertificates) > 0})
		if r.URL.Path == "/v1/cameras/lobby/live" {
			http.Redirect(w, r, "https://127.0.0.1:7999/v1/cameras/lobby/live?token=x", http.StatusTemporaryRedirect)
			return
		}
		if r.URL.Path == "/v1/elsewhere" {
			http.Redirect(w, r, "https://attacker.example/", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, "moving pictures")
	})
	certificate, _ := s.join(admin, understudy.RoleRecording, "rec-1", "127.0.0.1:1")
	address := s.listen(media, certificate)
	_, err := admin.PutRecordingServer(t.Context(), understudy.RecordingServer{ID: "rec-1", Addresses: understudy.Addresses{Media: address, State: "127.0.0.1:11000"}})
	check(t, err)
	s.join(admin, understudy.RoleFailover, "fo-1", "127.0.0.1:7999")

	header := http.Header{"Authorization": {"Bearer " + string(admin.Token())}, "Cookie": {"x=y"}}
	relay := func(path string) (reply, string) {
		return get(t, admin.HTTP(""), http.MethodGet, "https://"+s.address+"/relay/"+path, header)
	}
	if response, body := relay("rec-1/v1/cameras/lobby/media.mp4?token=T"); response.StatusCode != http.StatusOK || body != "moving pictures" {
		t.Fatalf("the relay passes on what the media port says, said %s %s", response.Status, body)
	}
	if got := requests[0]; got != (seen{path: "/v1/cameras/lobby/media.mp4", token: "T"}) {
		t.Fatalf("the media port sees the path and the media token, and neither the session nor a certificate; saw %+v", got)
	}
	if response, _ := relay("rec-1/v1/cameras/lobby/live?token=T"); response.Header.Get("Location") != "/relay/fo-1/v1/cameras/lobby/live?token=x" {
		t.Fatalf("a redirect to the holder stays on the relay, went to %q", response.Header.Get("Location"))
	}
	if response, _ := relay("rec-1/v1/elsewhere"); response.Header.Get("Location") != "" {
		t.Fatalf("a redirect out of the site is dropped, went to %q", response.Header.Get("Location"))
	}
	if response, body := relay("fo-1/v1/x"); response.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("a server that is away is 503, was %s", response.Status)
	} else {
		requireFailure(t, "relay", body)
	}
}

// TestAnUnguardedRouteCannotBe: registering without saying who may is a panic at the start.
func TestAnUnguardedRouteCannotBe(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("a route without an access was registered")
		}
	}()
	newGate(Identifier{}, nil).HandleFunc("GET /secrets", func(http.ResponseWriter, *http.Request) {})
}

// TestChannelByItself answers health and the channel, and nothing else.
func TestChannelByItself(t *testing.T) {
	s := newSite(t)
	handler := NewChannel(s.config.Identify, http.NotFoundHandler(), nil, 0, nil)
	for path, want := range map[string]int{base + "/health": 200, base + "/channel": 401, "/": 401, base + "/site": 401} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://x"+path, http.NoBody)
		request.TLS = &tls.ConnectionState{}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		if recorder.Code != want {
			t.Errorf("%s by nobody is %d, was %d", path, want, recorder.Code)
		}
	}
}

// TestReadiness: a load balancer goes elsewhere while requests cannot be answered.
func TestReadiness(t *testing.T) {
	ready := true
	handler := NewChannel(Identifier{}, http.NotFoundHandler(), func() (bool, string) { return ready, "tells 3 clients" }, 0, nil)
	for _, want := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://x"+base+"/ready", nil))
		if sentence := fmt.Sprintf("{\"ready\":%v,\"sentence\":\"tells 3 clients\"}\n", ready); answer.Code != want || answer.Body.String() != sentence {
			t.Errorf("%d %s, want %d %s", answer.Code, answer.Body, want, sentence)
		}
		ready = false
	}
}

// TestEachRequestIsTold with its route, not its path, and its status.
func TestEachRequestIsTold(t *testing.T) {
	var told []string
	g := newGate(Identifier{}, slog.New(slog.DiscardHandler))
	g.answered = func(route string, status int, took time.Duration) {
		told = append(told, fmt.Sprintf("%s %d %v", route, status, took >= 0))
	}
	g.handle("GET /cameras/{id}", anyone, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("what controls the answer is not found: %v", err)
		}
	})
	g.handle("GET /users", signedIn, func(http.ResponseWriter, *http.Request) {})
	for _, path := range []string{"/cameras/lobby", "/cameras/lobby", "/users"} {
		g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	}
	if want := []string{"GET /cameras/{id} 0 true", "GET /cameras/{id} 0 true", "GET /users 401 true"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
