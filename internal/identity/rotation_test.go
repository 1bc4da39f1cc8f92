package identity

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
)

// refreshed does what a member does when it is told that whom to trust has changed.
func refreshed(t *testing.T, a *Authority, n *Node) {
	t.Helper()
	if err := n.UpdateTrust(a.Trust()); err != nil {
		t.Fatal(err)
	}
	if time.Now().Before(n.RenewAt()) {
		return
	}
	request, err := n.RenewalRequest()
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := a.Sign(request, n.ID(), n.Role(), n.Hosts(), 0)
	if err == nil {
		err = n.Renew(certificate)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The CA is exchanged while everybody goes on: in every step servers that have followed and
// servers that have not know each other, by configurations that were handed out before, too;
// and what was signed before holds.
func TestTheCAIsExchanged(t *testing.T) {
	a := newAuthority(t)
	manager, err := a.Node("management", understudy.RoleManagement, []string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := a.CA()
	rec1, fo1, away := join(t, a, "rec1", understudy.RoleRecording), join(t, a, "fo1", understudy.RoleFailover), join(t, a, "away", understudy.RoleRecording)
	// Configurations that are handed out now are used in every step.
	pairs := map[string][2]*tls.Config{
		"fo1 and rec1":            {rec1.PeerTLS(), fo1.ClientTLS("rec1")},
		"rec1 and the management": {manager.ServerTLS(), rec1.ClientTLS("")},
		"away and the management": {manager.ServerTLS(), away.ClientTLS("")},
		"the management and rec1": {rec1.PeerTLS(), manager.ClientTLS("rec1")},
	}
	before := sealed(t, a, fo1, "made before")
	token, err := a.SignToken(understudy.Identity{User: "ada", Actions: []understudy.Action{understudy.ActionLive}, Cameras: []understudy.CameraID{"lobby"}}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	pinnedOld, err := StatementVerifier(a.CACertificate())
	if err != nil {
		t.Fatal(err)
	}
	holds := func(step string, without ...string) {
		t.Helper()
		for who, pair := range pairs {
			m := meet(t, pair[0], pair[1])
			if ok := m.clientErr == nil && m.serverErr == nil && m.known; ok == slices.Contains(without, who) {
				t.Errorf("%s: %s: %v, %v", step, who, m.clientErr, m.serverErr)
			}
		}
		if plain, err := fo1.OpenBundle(before); err != nil || string(plain) != "made before" {
			t.Errorf("%s: the bundle of before: %v", step, err)
		}
		if _, err := rec1.VerifyToken(string(token.Token), nil); err != nil {
			t.Errorf("%s: the media token of before: %v", step, err)
		}
		_, said := stated(t, fo1)
		if _, err := rec1.VerifyStatement(said); err != nil {
			t.Errorf("%s: what fo1 states, at rec1: %v", step, err)
		}
		user, err := StatementVerifier(a.CACertificate())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := user(said); err != nil {
			t.Errorf("%s: what fo1 states, at a user who has the ca.pem of now: %v", step, err)
		}
		again, err := OpenAuthority(a.folder) // as after a restart
		if err != nil || !again.Trust().Equal(a.Trust()) {
			t.Fatalf("%s: after a restart: %v", step, err)
		}
		if manager, err := again.Node("management", understudy.RoleManagement, []string{"localhost"}); err != nil || !manager.Trust().Equal(a.Trust()) {
			t.Errorf("%s: the management server after a restart: %v", step, err)
		}
	}
	step := func(name string, f func() error) {
		t.Helper()
		if err := f(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := a.Tell(manager, a.Trust()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	holds("before")
	step("announced", a.AnnounceCA)
	holds("announced")
	refreshed(t, a, rec1)
	refreshed(t, a, fo1)
	if signed, believed := rec1.CAs(); signed != first || len(believed) != 2 || believed[0] != first {
		t.Errorf("announced: rec1 is signed by %s and believes %v", signed, believed)
	}
	holds("announced, and two know")
	if err := a.AnnounceCA(); understudy.CodeOf(err) != understudy.CodeConflict {
		t.Errorf("announced twice: %v", err)
	}
	step("used", a.UseCA)
	holds("used")
	refreshed(t, a, rec1)
	second, next, old := a.CA()
	if signed, _ := rec1.CAs(); signed != second || second == first || next != "" || old != first {
		t.Errorf("used: rec1 is signed by %s; the CA was %s, is %s, next %s, old %s", signed, first, second, next, old)
	}
	holds("used, and one has moved")
	refreshed(t, a, fo1)
	holds("used, and two have moved")
	_, said := stated(t, fo1)
	if _, err := pinnedOld(said); understudy.CodeOf(err) != understudy.CodeForbidden {
		t.Errorf("a user who was not given the new ca.pem believes fo1: %v", err)
	}
	late := joinedBy(t, a, "late")
	if signed, _ := late.CAs(); signed != second {
		t.Errorf("who joins now is signed by %s", signed)
	}
	step("retired", a.RetireCA)
	refreshed(t, a, rec1)
	refreshed(t, a, fo1)
	holds("retired", "away and the management")
	if err := a.RetireCA(); understudy.CodeOf(err) != understudy.CodeConflict {
		t.Errorf("retired twice: %v", err)
	}
	if signed, _ := manager.CAs(); signed != second {
		t.Errorf("retired: the management server is signed by %s", signed)
	}
	// Who was away for all of it keeps what it has, and joins again.
	if err := away.UpdateTrust(a.Trust()); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("who was away believes nobody who believes it: %v", err)
	}
	if m := meet(t, manager.ServerTLS(), joinedBy(t, a, "away").ClientTLS("")); m.clientErr != nil || !m.known {
		t.Errorf("who was away has joined again: %v, %v", m.clientErr, m.serverErr)
	}
}

// joinedBy is a server that joins with a token of now: it believes only the CA that the token pins.
func joinedBy(t *testing.T, a *Authority, id understudy.ServerID) *Node {
	t.Helper()
	manager, err := a.Node("management", understudy.RoleManagement, []string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	if m := meet(t, manager.ServerTLS(), pinned(t, a)); m.clientErr != nil {
		t.Fatalf("a token of now is not that of the CA: %v", m.clientErr)
	}
	return join(t, a, id, understudy.RoleRecording)
}

// A connection of a server that is still of the old CA ends when that is retired.
func TestARetiredCAEndsConnections(t *testing.T) {
	a := newAuthority(t)
	rec1, fo1 := join(t, a, "rec1", understudy.RoleRecording), join(t, a, "fo1", understudy.RoleFailover)
	leaf := fo1.current.Load().certificate.Leaf
	for _, f := range []func() error{a.AnnounceCA, a.UseCA} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
		refreshed(t, a, rec1)
	}
	if !rec1.current.Load().trust.signed(leaf) {
		t.Error("a server of the old CA is refused before that is retired")
	}
	if err := a.RetireCA(); err != nil {
		t.Fatal(err)
	}
	conn := &ending{}
	rec1.peers.add(conn, fo1.subject, leaf)
	refreshed(t, a, rec1)
	if !conn.closed {
		t.Error("the connection of a server of the old CA goes on")
	}
}

// There is one CA, and nothing to use or to retire, until a new one is made.
func TestNoOtherCA(t *testing.T) {
	a := newAuthority(t)
	if _, next, old := a.CA(); next+old != "" {
		t.Errorf("a new installation has more than one CA: next %q, old %q", next, old)
	}
	for name, f := range map[string]func() error{"use": a.UseCA, "retire": a.RetireCA} {
		if err := f(); understudy.CodeOf(err) != understudy.CodeConflict || !strings.Contains(err.Error(), "understudy ca new") {
			t.Errorf("%s without a new one: %v", name, err)
		}
	}
}

// ending is a connection that is only there to be closed.
type ending struct {
	net.Conn
	closed bool
}

func (e *ending) Close() error      { e.closed = true; return nil }
func (e *ending) AfterClose(func()) {}
