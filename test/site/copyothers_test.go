package site_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
	"understudy/internal/site"
)

// A copied failover server is found as a recording server's copy is, and so is a second process of a
// service channel, which nobody can ask, while the first is connected. A channel that is started again is none.
// Who has a server's key and another program, which says of no process that it is its own, gets nothing, and is told of.
func TestOtherCopiesAreFound(t *testing.T) {
	s := up(t, false)
	copied, process := startCopy(t, s, "failover", "fo1")
	copyRefused(t, s, process, "fo1", "another machine answers as fo1")
	node, err := identity.LoadNode(filepath.Join(copied, "identity"))
	if err != nil {
		t.Fatal(err)
	}
	nameless, err := client.New(client.Config{Addresses: []string{s.URL}, TLS: node.ClientTLS})
	if err != nil {
		t.Fatal(err)
	}
	defer nameless.Close()
	if _, err := nameless.Duties(t.Context(), "fo1"); understudy.CodeOf(err) != understudy.CodeForbidden || !strings.Contains(err.Error(), understudy.BootHeader) {
		t.Errorf("a program that names no process is told duties: %v", err)
	}
	told(t, s, "fo1", "without saying which process")

	token, err := s.Client.CreateJoinToken(t.Context(), understudy.RoleChannel, "ch1", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file, address := channelFile(t, folder)
	first := start(t, s, "ch1", folder, "channel", "--config", file, "--join", string(token))
	follows := func() {
		t.Helper()
		eventually(t, "ch1 to follow the site", func(ctx context.Context) bool { return answersReady(ctx, s, address) })
	}
	follows()
	before := len(alarms(t.Context(), t, s))
	if err := first.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	<-first.Gone()
	second := start(t, s, "ch1 again", folder, "channel", "--config", file)
	follows()
	if now := alarms(t.Context(), t, s); len(now) != before {
		t.Errorf("a restart was taken for a copy: %+v", now[0])
	}
	other := t.TempDir()
	copyIdentity(t, filepath.Join(folder, "identity"), filepath.Join(other, "identity"))
	text, err := os.ReadFile(filepath.Join(folder, "management.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(other, "management.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	file, _ = channelFile(t, other)
	copyRefused(t, s, start(t, s, "copy of ch1", other, "channel", "--config", file), "ch1", "another process is connected as the service channel ch1")
	if words := second.LastWords(); strings.Contains(words, "another process") {
		t.Errorf("the service channel itself is refused for its copy: %s", words)
	}
}

// copyRefused waits until a copy is told so, and the log tells of it.
func copyRefused(t *testing.T, s *site.Site, p *site.Process, id understudy.ServerID, sentence string) {
	t.Helper()
	eventually(t, "the copy of "+string(id)+" to be told why it gets nothing", func(context.Context) bool { return strings.Contains(p.LastWords(), sentence) })
	told(t, s, id, "is a copy of the other")
}

func told(t *testing.T, s *site.Site, id understudy.ServerID, sentence string) {
	t.Helper()
	eventually(t, "the log to tell of "+string(id), func(ctx context.Context) bool {
		for _, e := range alarms(ctx, t, s) {
			if e.Server == id && strings.Contains(e.Sentence, sentence) {
				return true
			}
		}
		return false
	})
}

// channelFile writes the configuration of a service channel at ports of its own.
func channelFile(t *testing.T, folder string) (file, https string) {
	t.Helper()
	https = freeAddress(t)
	text, err := json.Marshal(map[string]any{"data": folder, "hosts": []string{"127.0.0.1"}, "http": freeAddress(t), "https": https})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(folder, "config.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, https
}

// answersReady reports whether a service channel follows the site.
func answersReady(ctx context.Context, s *site.Site, address string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/api/v1/ready", http.NoBody)
	if err != nil {
		return false
	}
	response, err := s.Client.HTTP("").Do(r)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
