package site_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
	"understudy/internal/site"
)

// The CA of a site is exchanged by the command line while it records. Half-way the recording
// server is dead and misses a step: the failover server, of the new CA already, stands in for it and
// gives back to it, which is of the old one still. Whoever missed all of it is believed no more.
func TestTheCAOfASiteIsExchanged(t *testing.T) {
	s := up(t, false)
	run := commandLine(t, s)
	missed := filepath.Join(t.TempDir(), "identity")
	copyIdentity(t, filepath.Join(s.Folder("rec1"), "identity"), missed)
	first := caOf(t, s)

	if out, err := run("ca", "retire"); err == nil || !strings.Contains(out, `the next step is "new"`) {
		t.Errorf("a CA was retired that is the only one: %v\n%s", err, out)
	}
	if out, err := run("ca", "new"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	eventually(t, "all servers to believe both", ready(s))
	lookWith(t, s) // the new ca.pem
	if err := s.Do(site.FaultKill, "rec1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "fo1 to stand in", heldBy(s, "fo1"))
	if out, err := run("ca", "use"); err == nil || !strings.Contains(out, "rec1 does not answer") {
		t.Errorf("the new CA was used before everybody was asked: %v\n%s", err, out)
	}
	if out, err := run("ca", "use", "--force"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	eventually(t, "fo1 to have moved", func(context.Context) bool {
		state, ok := statusOf(s, "fo1")
		return ok && state.SignedBy != first.Signs && state.SignedBy != ""
	})
	if err := s.Do(site.CureStart, "rec1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "rec1 to hold its cameras again", heldBy(s, "rec1"))
	eventually(t, "what fo1 recorded to be at home", func(ctx context.Context) bool {
		return recorded(ctx, s, "fo1", "north") == 0 && recorded(ctx, s, "fo1", "south") == 0
	})
	eventually(t, "all servers to have moved", ready(s))
	if out, err := run("ca", "retire"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := run("ca", "status"); err != nil || !strings.Contains(out, "is the only one") {
		t.Errorf("afterwards: %v\n%s", err, out)
	}
	lookWith(t, s)
	if last := caOf(t, s); last.Signs == first.Signs || last.Old != "" || last.Next != "" {
		t.Errorf("the CA was %+v and is %+v", first, last)
	}
	old, err := identity.LoadNode(missed)
	if err != nil {
		t.Fatal(err)
	}
	fo1 := s.Layout.Failover[0].Addresses.State
	eventually(t, "fo1 to refuse who has missed all", func(ctx context.Context) bool { return !polls(ctx, fo1, old.ClientTLS("fo1")) })
	if err := s.Do(site.FaultKill, "rec1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "fo1 to stand in under the new CA", heldBy(s, "fo1"))
}

func caOf(t *testing.T, s *site.Site) understudy.CA {
	t.Helper()
	ca, err := s.Client.CA(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// ready reports whether all servers are ready for the next step.
func ready(s *site.Site) func(context.Context) bool {
	return func(ctx context.Context) bool {
		ca, err := s.Client.CA(ctx)
		return err == nil && !slices.ContainsFunc(ca.Servers, func(s understudy.CAServer) bool { return !s.Ready })
	}
}

func heldBy(s *site.Site, server understudy.ServerID) func(context.Context) bool {
	return func(ctx context.Context) bool {
		now, err := s.Client.Site(ctx)
		return err == nil && !slices.ContainsFunc(now.Leases, func(l *understudy.Lease) bool { return l.Holder != server })
	}
}

// lookWith has the site looked at by who was given the ca.pem of now.
func lookWith(t *testing.T, s *site.Site) {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(s.Folder(site.Management), "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := identity.UserTLS(ca)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := client.New(client.Config{Addresses: []string{s.URL}, TLS: func(understudy.ServerID) *tls.Config { return config }, Token: s.Client.Token()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = fresh.Run(ctx) // ends with the test only
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	s.Client = fresh
}

// commandLine signs in by the program itself, and returns what runs its commands.
func commandLine(t *testing.T, s *site.Site) func(args ...string) (string, error) {
	t.Helper()
	process, _ := s.Process("rec1")
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", process.PID()))
	if err != nil {
		t.Fatal(err)
	}
	session := "UNDERSTUDY_SESSION=" + filepath.Join(t.TempDir(), "session.json")
	run := func(input string, args ...string) (string, error) {
		c := exec.CommandContext(t.Context(), program, args...)
		c.Env, c.Stdin = append(os.Environ(), session), strings.NewReader(input)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	ca := filepath.Join(s.Folder(site.Management), "ca.pem")
	if out, err := run(string(s.Password)+"\n", "sign-in", s.URL, "--user", s.User, "--ca", ca); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return func(args ...string) (string, error) { return run("", args...) }
}
