package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"understudy"
)

// told is a webhook that keeps what it is told.
func told(t *testing.T) (address string, messages chan string) {
	t.Helper()
	messages = make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			Site   string
			Test   bool
			Events []struct{ Kind, Sentence string }
		}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Errorf("%v", err)
		}
		for _, e := range m.Events {
			messages <- fmt.Sprintf("%s test=%v %s: %s", m.Site, m.Test, e.Kind, e.Sentence)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, messages
}

func require(t *testing.T, messages chan string, want string) {
	t.Helper()
	select {
	case got := <-messages:
		if !strings.Contains(got, want) {
			t.Errorf("told %s, want %s", got, want)
		}
	case <-time.After(time.Minute):
		t.Errorf("nobody was told %s", want)
	}
}

// TestWhatHappensIsTold by the management server as it is configured.
func TestWhatHappensIsTold(t *testing.T) {
	address, messages := told(t)
	m := signedInAt(t, fmt.Sprintf("hosts: [vms.example.com]\nnotify: {targets: [{name: pager, webhook: '%s/x', kinds: [config]}]}\n", address))
	m.followsItsLog(t)
	m.joined(t, []understudy.ServerID{"rec1"}, nil)
	require(t, messages, "vms.example.com test=false config: Recording server rec1 was added.")
}

// followsItsLog waits until it is told of what happens: of what happened before nobody is. Where
// the log is followed from is kept.
func (m *managementServer) followsItsLog(t *testing.T) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-ticker.C {
		if _, err := os.Stat(filepath.Join(m.config.Data, "notified.json")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the log is not followed")
		}
	}
}

// collects is a syslog server that keeps what it is sent.
func collects(t *testing.T) (address string, messages chan string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	messages = make(chan string, 100)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				text, err := io.ReadAll(conn)
				if err != nil {
					t.Errorf("%v", err)
				}
				if len(text) > 0 {
					messages <- string(text)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); conns.Wait() })
	return l.Addr().String(), messages
}

// TestTheAuditLogIsSent by the management server to a syslog server: what only administrators see, too.
func TestTheAuditLogIsSent(t *testing.T) {
	address, messages := collects(t)
	m := signedInAt(t, fmt.Sprintf("hosts: [vms.example.com]\nnotify: {targets: [{name: siem, syslog: 'tcp://%s'}]}\n", address))
	m.followsItsLog(t)
	m.joined(t, []understudy.ServerID{"rec1"}, nil)
	got := ""
	for !strings.Contains(got, "rec1 was added.") {
		got += <-messages
	}
	for _, want := range []string{"<110>1 ", `access [understudy@32473 site="vms.example.com" seq="2"`, "ada signed in.", ` - config [understudy@32473 site="vms.example.com" seq="`, ` actor="user:`, ` hash="`} {
		if !strings.Contains(got, want) {
			t.Errorf("sent was %s, without %s", got, want)
		}
	}
	file := filepath.Join(t.TempDir(), "management.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "notify: {targets: [{name: siem, syslog: 'tcp://%s'}]}\n", address), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := does(t, "", "notify", "test", "--config", file); !strings.Contains(out, "siem    was told") {
		t.Errorf("%s", out)
	}
	if got := <-messages; !strings.Contains(got, ` test="true"] This is a test`) {
		t.Errorf("sent was %s", got)
	}
}

func TestNotifyTest(t *testing.T) {
	address, messages := told(t)
	file := filepath.Join(t.TempDir(), "management.yaml")
	text := fmt.Sprintf("hosts: [vms.example.com]\nnotify: {targets: [{name: pager, webhook: '%s/x'}, {name: broken, webhook: 'http://127.0.0.1:1/'}]}\n", address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := does(t, "", "notify", "test", "--config", file, "--target", "pager"); !strings.Contains(out, "pager   was told") {
		t.Errorf("%s", out)
	}
	require(t, messages, "vms.example.com test=true server: This is a test")
	if err := said(t, "", "notify", "test", "--config", file); !strings.Contains(err, "broken was not told") {
		t.Errorf("%s", err)
	}
	if err := said(t, "", "notify", "test", "--config", file, "--target", "nobody"); !strings.Contains(err, "has no such target") {
		t.Errorf("%s", err)
	}
}
