package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/config"
)

// signedInAt runs a management server on SQLite as `understudy management` does,
// with more in its configuration and an administrator who is signed in, until the
// test ends.
func signedInAt(t *testing.T, more string) *managementServer {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("UNDERSTUDY_SESSION", filepath.Join(dir, "session.json"))
	file := filepath.Join(dir, "management.yaml")
	if err := os.WriteFile(file, []byte("data: "+dir+"/data\nhttp: 127.0.0.1:0\nhttps: 127.0.0.1:0\nlog: error\n"+more), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := config.LoadManagement(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := openManagement(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- m.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, m.store.Close(), m.lock.Close()); err != nil {
			t.Error(err)
		}
	})
	code, err := m.service.SetupCode(t.Context())
	if err == nil {
		_, err = m.service.Setup(t.Context(), code, "ada", "correct horse battery")
	}
	var signed understudy.Session
	if err == nil {
		signed, err = m.service.SignIn(t.Context(), "ada", "correct horse battery")
	}
	if err == nil {
		err = session{Addresses: []string{"https://" + m.listeners[1].Addr().String()}, CA: string(m.authority.CACertificate()), Token: signed.Token}.save()
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// does runs a command as a person does, and returns what it printed.
func does(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	c := commands()
	c.SetArgs(args)
	c.SetIn(strings.NewReader(stdin))
	c.SetOut(&out)
	c.SetErr(&bytes.Buffer{})
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out.String()
}

func (m *managementServer) joined(t *testing.T, recording, failover []understudy.ServerID) {
	t.Helper()
	at := understudy.Addresses{Media: "127.0.0.1:1", State: "127.0.0.1:1", Merge: "127.0.0.1:1"}
	for _, id := range failover {
		if _, err := m.service.PutFailoverServer(t.Context(), understudy.FailoverServer{ID: id, Addresses: at}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range recording {
		if _, err := m.service.PutRecordingServer(t.Context(), understudy.RecordingServer{ID: id, Addresses: at}); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *managementServer) seq(t *testing.T) uint64 {
	t.Helper()
	site, err := m.service.Site(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return site.Seq
}

// TestTheExampleSiteIsAppliedTwice over the real API on the real database: the
// second time changes nothing, and neither does what was exported.
func TestTheExampleSiteIsAppliedTwice(t *testing.T) {
	m := signedInAt(t, "")
	m.joined(t, []understudy.ServerID{"vault", "hall-a", "hall-b", "yard"}, []understudy.ServerID{"fo1", "fo2", "spare1", "spare2"})
	const example = "../../docs/site-200.yaml"
	before := m.seq(t)
	if out := does(t, "", "apply", "-f", example, "--dry-run"); strings.Count(out, "add    camera") != 200 || m.seq(t) != before {
		t.Errorf("a dry run changed something, or planned %s", out)
	}
	if err := said(t, "n\n", "apply", "-f", example); !strings.Contains(err, "the answer was not yes") || m.seq(t) != before {
		t.Errorf("who does not say yes changes nothing: %s", err)
	}
	if out := does(t, "y\n", "apply", "-f", example); !strings.HasSuffix(out, "done: 209 changes\n") {
		t.Errorf("applied: %s", out)
	}
	after := m.seq(t)
	if after <= before {
		t.Fatal("nothing was applied")
	}
	if out := does(t, "", "apply", "-f", example, "--yes"); out != "nothing to change\n" || m.seq(t) != after {
		t.Errorf("the second time: %s", out)
	}
	file := filepath.Join(t.TempDir(), "site.yaml")
	does(t, "", "export-config", "-o", file)
	if out := does(t, "", "apply", "-f", file, "--yes", "--prune", "--json"); out != "[]\n" || m.seq(t) != after {
		t.Errorf("what was exported: %s", out)
	}
}

// TestATableOfCamerasIsImported over the real API into SQLite, and says how long
// that took. UNDERSTUDY_IMPORT=10000 imports as many as are promised in a minute;
// under the race detector SQLite takes twenty times as long.
func TestATableOfCamerasIsImported(t *testing.T) {
	m, count := signedInAt(t, ""), 1000
	if text := os.Getenv("UNDERSTUDY_IMPORT"); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil || count < 1000 {
			t.Fatalf("UNDERSTUDY_IMPORT is a number of cameras from 1000 on, found %q", text)
		}
	}
	var recording []understudy.ServerID
	for n := range 100 {
		recording = append(recording, understudy.ServerID(fmt.Sprintf("rec%d", n)))
	}
	m.joined(t, recording, nil)
	var table strings.Builder
	table.WriteString("id,name,home,url,username,password,keep_for\n")
	for n := range count {
		fmt.Fprintf(&table, "cam-%05d,Camera %d,rec%d,rtsp://10.%d.%d.%d/main,viewer,secret-%d,30d\n", n, n, n%100, 20+n/65536, n/256%256, n%256, n)
	}
	file := filepath.Join(t.TempDir(), "cameras.csv")
	if err := os.WriteFile(file, []byte(table.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if out := does(t, "", "camera", "import", file, "--yes"); !strings.HasSuffix(out, fmt.Sprintf("done: %d changes\n", count)) {
		t.Errorf("imported: %.300s", out)
	}
	t.Logf("%d cameras were imported in %s", count, time.Since(begun).Round(100*time.Millisecond))
	site, err := m.service.Site(t.Context())
	if err != nil || len(site.Cameras) != count || len(site.Leases) != count {
		t.Fatalf("%d cameras with %d leases, %v", len(site.Cameras), len(site.Leases), err)
	}
	a, err := m.service.Assignment(t.Context(), "rec42")
	if err != nil || len(a.Cameras) != count/100 || a.Cameras[7].Credentials.Password != "secret-742" {
		t.Errorf("%d cameras at rec42, %v", len(a.Cameras), err)
	}
	if out := does(t, "", "camera", "import", file, "--yes"); out != "nothing to change\n" {
		t.Errorf("the second time: %.300s", out)
	}
}
