package media

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"understudy"
	"understudy/internal/stream"
)

// An event is taken by the server that records its camera, from whoever may
// tell of events of that very camera; another server says who does.
func TestAnEventIsTakenWhereItsCameraIsRecorded(t *testing.T) {
	l, server := newServer(t)
	l.hubs["lobby"] = stream.NewHub()
	l.elsewhere["yard"] = "10.0.0.9:7563"
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, c := range []struct {
		token, camera, body string
		want                int
	}{
		{"", "lobby", `{"name":"door"}`, 401},
		{"none", "lobby", `{"name":"door"}`, 401},
		{"viewer", "lobby", `{"name":"door"}`, 403},
		{"watcher", "lobby", `{"name":"door"}`, 403},
		{"yard", "lobby", `{"name":"door"}`, 403},
		{"all", "lobby", `{"id":"door-1","name":"door","data":{"door":7}}`, 200},
		{"all", "lobby", `{"id":"door-1","camera":"yard","name":"door"}`, 422},
		{"all", "lobby", `{"name":""}`, 422},
		{"all", "lobby", `{"name":"door","at":"2020-01-01T00:00:00Z"}`, 422},
		{"all", "lobby", `door`, 422},
		{"all", "lobby", `{"name":"` + strings.Repeat("x", maxEvent) + `"}`, 422},
		{"all", "yard", `{"name":"door"}`, 307},
		{"all", "hall", `{"name":"door"}`, 404},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/cameras/"+c.camera+"/events", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+c.token)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != c.want {
			t.Errorf("%q by %q at %s: %d %s, want %d", c.body[:min(60, len(c.body))], c.token, c.camera, response.StatusCode, body, c.want)
		}
		var told understudy.Trigger
		switch {
		case c.want == 307 && response.Header.Get("Location") != "http://10.0.0.9:7563/v1/cameras/yard/events":
			t.Errorf("it is sent to %s", response.Header.Get("Location"))
		case c.want == 200 && (json.Unmarshal(body, &told) != nil || told.ID != "door-1" || told.At.IsZero() || told.Camera != "lobby"):
			t.Errorf("the answer is %s", body)
		}
	}
}
