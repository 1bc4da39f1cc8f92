package site_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/site"
)

// The certificate of a recording server ends while the management server is away. It records on, and once that
// is back it gets another by itself, is believed by the others with it, and does what it is told.
func TestACertificateThatEndedWhileManagementWasAway(t *testing.T) {
	s := up(t, false)
	start := func(name string) {
		t.Helper()
		if err := s.Do(site.CureStart, name); err != nil {
			t.Fatal(err)
		}
	}
	kill(t, s, site.Management)
	kill(t, s, "fo1") // which would take over while rec1 is started again
	kill(t, s, "rec1")
	shorten(t, s, "rec1", 5*time.Second)
	start("rec1")
	eventually(t, "the certificate to end", func(context.Context) bool { return nodeOf(t, s, "rec1").Ended() })
	process, _ := s.Process("rec1")
	if !process.Running() {
		t.Fatalf("rec1 has ended with its certificate: %s", process.LastWords())
	}
	start(site.Management)
	eventually(t, "rec1 to have another certificate", func(context.Context) bool { return !nodeOf(t, s, "rec1").Ended() })
	start("fo1")
	if err := s.Client.DeleteCamera(t.Context(), "south"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "rec1 to do what it was told since, and the management server to hear it", func(context.Context) bool {
		state, heard := statusOf(s, "rec1")
		return heard && len(state.Cameras) == 1 && recordsAll(s, "rec1")
	})
	eventually(t, "fo1 to hear rec1", func(context.Context) bool {
		state, heard := statusOf(s, "fo1")
		return heard && slices.ContainsFunc(state.Seen, func(seen understudy.Sighting) bool { return seen.Server == "rec1" })
	})
}

// shorten gives a server that does not run a certificate that ends soon.
func shorten(t *testing.T, s *site.Site, id understudy.ServerID, life time.Duration) {
	t.Helper()
	node := nodeOf(t, s, id)
	authority, err := identity.OpenAuthority(filepath.Join(s.Folder(site.Management), "authority"))
	if err != nil {
		t.Fatal(err)
	}
	request, err := node.RenewalRequest()
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := authority.Sign(request, id, node.Role(), node.Hosts(), life)
	if err == nil {
		err = node.Renew(certificate)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// nodeOf is what proves to be a server, as it lies on its disk now.
func nodeOf(t *testing.T, s *site.Site, id understudy.ServerID) *identity.Node {
	t.Helper()
	node, err := identity.LoadNode(filepath.Join(s.Folder(string(id)), "identity"))
	if err != nil {
		t.Fatal(err)
	}
	return node
}
