package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"understudy/internal/identity"
	"understudy/internal/management"
	"understudy/internal/sqlstore"
)

// said runs a command as a person does and returns the sentence that it ended with.
func said(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := commands()
	c.SetArgs(args)
	c.SetIn(strings.NewReader(stdin))
	c.SetOut(&bytes.Buffer{})
	c.SetErr(&bytes.Buffer{})
	err := c.ExecuteContext(ctx)
	if err == nil {
		t.Fatalf("%v was accepted", args)
	}
	if ctx.Err() != nil {
		t.Fatalf("%v was not refused: %v", args, err)
	}
	return err.Error()
}

// raw is what a library says to a programmer.
var raw = regexp.MustCompile(`dial tcp|x509:|[^.]yaml: |bind:|goroutine|panic|0x[0-9a-f]{6}|Post "|Get "|\n`)

// Whatever a command is given, it answers with one sentence that names what was found.
func TestBadInputIsAnsweredByOneSentence(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("UNDERSTUDY_SESSION", filepath.Join(dir, "session.json"))
	t.Setenv("KRB5CCNAME", filepath.Join(dir, "tickets"))
	authority, err := identity.OpenAuthority(filepath.Join(dir, "authority"))
	if err != nil {
		t.Fatal(err)
	}
	ca := file("ca.pem", string(authority.CACertificate()))
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := os.MkdirAll(filepath.Join(dir, "w", "ca.pem"), 0o700); err != nil { // not a file
		t.Fatal(err)
	}
	other := httptest.NewTLSServer(http.NotFoundHandler())
	defer other.Close()
	unknown := file("unknown.yaml", "dta: /x\n")
	for name, c := range map[string]struct {
		args  []string
		names string // what the sentence must name
	}{
		"a key that does not exist":   {[]string{"recording", "--config", unknown}, `"dta"`},
		"a management key":            {[]string{"management", "--config", unknown}, `"dta"`},
		"a channel key":               {[]string{"channel", "--config", unknown}, `"dta"`},
		"a broken file":               {[]string{"failover", "--config", file("broken.yaml", "data: [\n")}, "broken.yaml"},
		"a file that is no text":      {[]string{"failover", "--config", file("binary.yaml", "\x00\x01")}, "binary.yaml"},
		"a wrong kind of value":       {[]string{"recording", "--config", file("kind.yaml", "hosts: {a: b}\n")}, "kind.yaml"},
		"no file":                     {[]string{"recording", "--config", filepath.Join(dir, "none.yaml")}, "none.yaml"},
		"an address that is none":     {[]string{"management", "--config", file("address.yaml", "http: nonsense\n")}, `"nonsense"`},
		"a port in use":               {[]string{"management", "--config", file("port.yaml", "data: "+dir+"/m\nhttp: "+taken.Addr().String()+"\n")}, taken.Addr().String()},
		"a CA file that is none":      {[]string{"management", "--config", file("welcome.yaml", "data: "+dir+"/w\nhttp: 127.0.0.1:0\nhttps: 127.0.0.1:0\n")}, "ca.pem"},
		"no installation":             {[]string{"recording", "--config", file("r.yaml", "data: "+dir+"/r\n")}, "--join"},
		"a join token that is none":   {[]string{"recording", "--config", file("r.yaml", "data: "+dir+"/r\n"), "--join", "us1.garbage"}, "join token"},
		"nobody signed in":            {[]string{"status"}, "sign-in"},
		"an address that is no URL":   {[]string{"sign-in", "nonsense", "--user", "u", "--ca", ca}, "nonsense"},
		"nobody there":                {[]string{"sign-in", "https://127.0.0.1:1", "--user", "u", "--ca", ca}, "127.0.0.1:1"},
		"somebody else there":         {[]string{"sign-in", other.URL, "--user", "u", "--ca", ca}, "not of this installation"},
		"a CA that is none":           {[]string{"sign-in", "https://127.0.0.1:1", "--user", "u", "--ca", unknown}, unknown},
		"nobody signs in":             {[]string{"sign-in", "https://127.0.0.1:1", "--ca", ca}, "--user NAME"},
		"two sign in":                 {[]string{"sign-in", "https://127.0.0.1:1", "--ca", ca, "--user", "u", "--ticket"}, "--ticket"},
		"no ticket":                   {[]string{"sign-in", "https://127.0.0.1:1", "--ca", ca, "--ticket"}, "kinit"},
		"a moment that is none":       {[]string{"export", "north", "--from", "10x"}, `"10x"`},
		"a fault that is none":        {[]string{"drill", "--fault", "x", "--cameras", "1"}, `"x"`},
		"no cameras":                  {[]string{"testcam", "--cameras", "-3"}, "-3"},
		"a misbehaviour that is none": {[]string{"testcam", "--misbehave", "strange"}, `"strange"`},
		"a clip that is none":         {[]string{"testcam", "--file", unknown}, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			sentence := said(t, "password\n", c.args...)
			if found := raw.FindString(sentence); found != "" || !strings.Contains(sentence, c.names) {
				t.Errorf("%q holds %q and must name %s", sentence, found, c.names)
			}
		})
	}
}

// Two processes on one data folder would undo each other's work.
func TestDataFolderOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	lock, err := dataFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte("data: "+dir+"\nhttp: 127.0.0.1:0\nhttps: 127.0.0.1:0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"management", "channel"} {
		if s := said(t, "", role, "--config", config); !strings.Contains(s, "used by another process") {
			t.Errorf("%s: %q", role, s)
		}
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := dataFolder(dir)
	if err != nil {
		t.Fatalf("after the other process has ended: %v", err)
	}
	again.Close()
}

// A database without the keys of its site is not silently given new ones.
func TestDatabaseWithoutItsKeys(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte("data: "+dir+"\nhttp: 127.0.0.1:0\nhttps: 127.0.0.1:0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(dir, "site.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := management.New(t.Context(), store, management.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if s := said(t, "", "management", "--config", config); !strings.Contains(s, "keys of that site are missing") {
		t.Errorf("%q", s)
	}
}
