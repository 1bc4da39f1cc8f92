package site_test

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
	"understudy/internal/poll"
	"understudy/internal/site"
)

// A recording server is dead, and another machine takes its place under its name: what was
// recorded meanwhile comes home to the new one. The old machine comes back with the certificate
// that it had, is believed by nobody, and is told of.
func TestAnotherMachineTakesThePlace(t *testing.T) {
	s := up(t, false)
	if err := s.Do(site.FaultKill, "rec1"); err != nil {
		t.Fatal(err)
	}
	held := func(by understudy.ServerID) func(context.Context) bool {
		return func(ctx context.Context) bool {
			now, err := s.Client.Site(ctx)
			return err == nil && !slices.ContainsFunc(now.Leases, func(l *understudy.Lease) bool { return l.Holder != by })
		}
	}
	eventually(t, "fo1 to stand in", held("fo1"))
	old := filepath.Join(t.TempDir(), "old-machine")
	replace(t, s, "rec1", understudy.RoleRecording, old)
	eventually(t, "the new machine to hold the cameras", held("rec1"))
	eventually(t, "what fo1 recorded to be at home", func(ctx context.Context) bool {
		for _, camera := range []understudy.CameraID{"north", "south"} {
			there, err := s.Client.Segments(ctx, "rec1", camera, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), false)
			left := recorded(ctx, s, "fo1", camera)
			if err != nil || left > 0 || !slices.ContainsFunc(there, func(s understudy.Segment) bool { return s.ID.Holder == "fo1" }) {
				return false
			}
		}
		return true
	})
	thief, err := identity.LoadNode(filepath.Join(old, "identity"))
	if err != nil {
		t.Fatal(err)
	}
	fo1 := s.Layout.Failover[0].Addresses.State
	eventually(t, "fo1 to refuse the old machine", func(ctx context.Context) bool {
		return !polls(ctx, fo1, thief.ClientTLS("fo1"))
	})
	asker, err := client.New(client.Config{Addresses: []string{s.URL}, TLS: thief.ClientTLS})
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	if _, err := asker.Assignment(t.Context(), "rec1"); err == nil {
		t.Error("the management server tells the old machine what to record")
	}
	eventually(t, "the log to tell of it", func(ctx context.Context) bool {
		events, err := s.Client.Events(ctx, understudy.EventQuery{Kind: understudy.EventIdentity, Limit: 100})
		return err == nil && slices.ContainsFunc(events, func(e understudy.Event) bool {
			return e.Server == "rec1" && strings.Contains(e.Sentence, "revoked, and was refused")
		})
	})
	fresh, err := identity.LoadNode(filepath.Join(s.Folder("rec1"), "identity"))
	if err != nil {
		t.Fatal(err)
	}
	if !polls(t.Context(), fo1, fresh.ClientTLS("fo1")) {
		t.Error("fo1 refuses the new machine")
	}
}

// replace puts the folder of a dead server away and starts it from an empty one, as
// `understudy server replace` has it.
func replace(t *testing.T, s *site.Site, id understudy.ServerID, role understudy.Role, old string) {
	t.Helper()
	if _, err := s.Client.RevokeServer(t.Context(), id, "another machine takes its place"); err != nil {
		t.Fatal(err)
	}
	token, err := s.Client.CreateJoinToken(t.Context(), role, id, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	process, _ := s.Process(string(id))
	<-process.Gone()
	folder := s.Folder(string(id))
	if err := os.Rename(folder, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(old, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"config.yaml": config, "join-token": []byte(token)} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Do(site.CureStart, string(id)); err != nil {
		t.Fatal(err)
	}
}

// polls reports whether a server answers a question of whoever config says it is.
func polls(ctx context.Context, address string, config *tls.Config) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := poll.Dial(ctx, address, config)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_, err = conn.Poll(ctx, understudy.Poll{})
	return err == nil
}
