package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
	"testing"
	"time"

	"understudy"
	"understudy/internal/listen"
)

// stolen is a node whose certificate was made an hour ago, and trust in which that is
// revoked. A node that joins now under the same id is believed.
func stolen(t *testing.T, a *Authority) (*Node, Trust) {
	t.Helper()
	old := crafted(t, a, func(c *x509.Certificate) { c.NotBefore = c.NotBefore.Add(-time.Hour) })
	trust := a.Trust()
	trust.Revoked = []understudy.Revocation{{Server: old.ID(), Before: time.Now().Add(-time.Minute)}}
	return old, trust
}

// A certificate that was revoked is believed by nobody, in either direction and not for
// what it signs; one that was made since is. It stays so when a list comes without it, and over a restart.
func TestRevokedCertificatesAreNotBelieved(t *testing.T) {
	a := newAuthority(t)
	standby := join(t, a, "fo-1", understudy.RoleFailover)
	old, trust := stolen(t, a)
	replaced := join(t, a, old.ID(), understudy.RoleRecording)
	statement, err := old.SignStatement(understudy.Statement{Server: old.ID()})
	if err != nil {
		t.Fatal(err)
	}
	believed := func(other *Node) bool {
		to := meet(t, standby.PeerTLS(), other.ClientTLS("fo-1"))
		from := meet(t, other.PeerTLS(), standby.ClientTLS(other.ID()))
		if (to.serverErr == nil) != (from.clientErr == nil) {
			t.Errorf("of %s: as a client %v, as a server %v", other.ID(), to.serverErr, from.clientErr)
		}
		return to.serverErr == nil && to.known
	}
	expect := func(when string, want bool) {
		t.Helper()
		if believed(old) != want {
			t.Errorf("%s: the old certificate is believed: %v", when, !want)
		}
		if _, err := standby.VerifyStatement(statement); (err == nil) != want {
			t.Errorf("%s: what it signed: %v", when, err)
		}
		if !believed(replaced) {
			t.Errorf("%s: the new certificate is not believed", when)
		}
	}
	expect("before it is revoked", true)
	for _, update := range []Trust{trust, a.Trust()} { // a database that was restored does not know of it
		if err := standby.UpdateTrust(update); err != nil {
			t.Fatal(err)
		}
		expect("when it is revoked", false)
	}
	if standby, err = LoadNode(standby.folder); err != nil {
		t.Fatal(err)
	}
	expect("after a restart", false)
}

// What a server had open when it was revoked ends, what others have open stays, and who
// comes again with the old certificate is told of.
func TestRevocationEndsConnections(t *testing.T) {
	a := newAuthority(t)
	recorder := join(t, a, "rec-1", understudy.RoleRecording)
	old, trust := stolen(t, a)
	standby := join(t, a, "fo-1", understudy.RoleFailover)
	var mu sync.Mutex
	var alarms []understudy.ServerID
	recorder.OnRevoked(func(id understudy.ServerID, from net.Addr) {
		mu.Lock()
		defer mu.Unlock()
		if from != nil {
			alarms = append(alarms, id)
		}
	})
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := listen.New(ln, recorder.PeerTLS(), listen.Options{})
	connections := mux.Raw()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mux.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	accepted := func(node *Node) (inside, client net.Conn) {
		t.Helper()
		client, err := dialTLS(t, ln.Addr().String(), node)
		if err != nil {
			t.Fatal(err)
		}
		inside, err = connections.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return inside, client
	}
	theirs, thief := accepted(old)
	ours, friend := accepted(standby)
	defer ours.Close()
	defer friend.Close()
	if err := recorder.UpdateTrust(trust); err != nil {
		t.Fatal(err)
	}
	if _, err := thief.Read(make([]byte, 1)); err == nil {
		t.Error("a connection that was open when its certificate was revoked goes on")
	}
	theirs.Close()
	thief.Close()
	go func() { _, _ = ours.Write([]byte{1}) }()
	if _, err := friend.Read(make([]byte, 1)); err != nil {
		t.Errorf("another server's connection: %v", err)
	}
	again, err := dialTLS(t, ln.Addr().String(), old)
	if err == nil {
		_, err = again.Read(make([]byte, 1))
		again.Close()
	}
	mu.Lock()
	defer mu.Unlock()
	if err == nil || len(alarms) != 1 || alarms[0] != old.ID() {
		t.Errorf("it came again: %v, and was told of: %v", err, alarms)
	}
	recorder.peers.mu.Lock()
	defer recorder.peers.mu.Unlock()
	if len(recorder.peers.open) != 1 {
		t.Errorf("%d connections are kept in mind, and one is open", len(recorder.peers.open))
	}
}

func dialTLS(t *testing.T, address string, node *Node) (net.Conn, error) {
	t.Helper()
	raw, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, node.ClientTLS("rec-1"))
	if err := conn.HandshakeContext(t.Context()); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}
