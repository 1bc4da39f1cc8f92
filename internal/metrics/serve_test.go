package metrics

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"understudy"
	"understudy/internal/identity"
)

// addresses is a log that says where metrics are served.
type addresses struct {
	slog.Handler
	at chan string
}

func (a addresses) Enabled(context.Context, slog.Level) bool { return true }

func (a addresses) WithAttrs([]slog.Attr) slog.Handler { return a }

func (a addresses) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(attribute slog.Attr) bool {
		if attribute.Key == "address" {
			a.at <- attribute.Value.String()
		}
		return true
	})
	return nil
}

// served serves until the test ends, and returns the address.
func served(t *testing.T, c Config) (address string, node *identity.Node) {
	t.Helper()
	authority, err := identity.OpenAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if node, err = authority.Node("fo1", understudy.RoleFailover, []string{"127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	log := addresses{slog.DiscardHandler, make(chan string, 1)}
	c.TLS, c.Log, c.Parts, c.Role = node.ServerTLS(), slog.New(log), serverParts(), understudy.RoleFailover
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, c) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
	return <-log.at, node
}

func get(t *testing.T, client *http.Client, url, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestOnLoopbackAnyoneOfThisMachineReads(t *testing.T) {
	ready := true
	address, _ := served(t, Config{Address: "127.0.0.1:0", Ready: func() (bool, string) { return ready, "records 4 of 4 cameras" }})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	if status, text := get(t, client, "http://"+address+"/metrics", ""); status != 200 || !strings.Contains(text, "understudy_cameras_expected") {
		t.Errorf("%d %s", status, text)
	}
	if status, text := get(t, client, "http://"+address+"/ready", ""); status != 200 || text != "records 4 of 4 cameras\n" {
		t.Errorf("ready: %d %q", status, text)
	}
	ready = false
	if status, _ := get(t, client, "http://"+address+"/ready", ""); status != 503 {
		t.Errorf("not ready: %d", status)
	}
}

// TestOthersShowTheToken, over TLS, and are not heard without it.
func TestOthersShowTheToken(t *testing.T) {
	const token = "a token of enough characters"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address, node := served(t, Config{Address: ":0", TokenFile: file, Ready: func() (bool, string) { return true, "ready" }})
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	trusting, err := identity.UserTLS([]byte(node.Trust().CA))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: trusting}
	defer transport.CloseIdleConnections()
	client, secure := &http.Client{Transport: transport}, "https://127.0.0.1:"+port
	for shown, want := range map[string]int{token: 200, "": 401, "a token of enough character": 401, token + "s": 401} {
		for _, path := range []string{"/metrics", "/ready"} {
			if status, text := get(t, client, secure+path, shown); status != want || status != 200 && strings.Contains(text, "understudy_") {
				t.Errorf("%s with the token %q: %d", path, shown, status)
			}
		}
	}
	if status, _ := get(t, client, "http://127.0.0.1:"+port+"/metrics", token); status == 200 {
		t.Error("a token that anybody could read on the way was accepted")
	}
}

func TestATokenThatCanBeGuessedIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readToken(file); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("%v", err)
	}
	if _, err := readToken(file + ".no"); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("%v", err)
	}
}
