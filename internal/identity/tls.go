package identity

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"time"

	"understudy"
)

// ServerTLS serves users and servers on one port: a server that dials with
// ClientTLS is asked for its certificate, which PeerIdentity then tells, and a
// browser is not. The server name of the handshake tells them apart: a browser
// that is asked for a certificate shows a dialog, and refuses a WebSocket.
func (n *Node) ServerTLS() *tls.Config {
	config := n.serverTLS(tls.NoClientCert, nil)
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if strings.HasSuffix(hello.ServerName, "."+serverDomain) {
			return n.serverTLS(tls.VerifyClientCertIfGiven, hello.Conn), nil
		}
		return n.serverTLS(tls.NoClientCert, nil), nil
	}
	return config
}

// ManagementTLS is ServerTLS for a management server, which alone gives certificates: whoever comes with one
// that ended within the grace is let in, to be given another. Member tells who that is, and the
// certificate whether it has ended.
func (n *Node) ManagementTLS() *tls.Config {
	config := n.ServerTLS()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !strings.HasSuffix(hello.ServerName, "."+serverDomain) {
			return n.serverTLS(tls.NoClientCert, nil), nil
		}
		lenient := n.serverTLS(tls.RequestClientCert, hello.Conn) // which verifies no chain by itself
		verify := lenient.VerifyConnection
		lenient.VerifyConnection = func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) > 0 {
				if err := n.verifyLate(state.PeerCertificates[0]); err != nil {
					return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
				}
			}
			return verify(state)
		}
		return lenient, nil
	}
	return config
}

// verifyLate checks that the installation's CA has signed a certificate, and that it ended no
// longer ago than the grace, if it has.
func (n *Node) verifyLate(leaf *x509.Certificate) error {
	at := n.now()
	if late := at.Sub(leaf.NotAfter); late > 0 && late <= grace {
		at = leaf.NotAfter
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: n.current.Load().trust.roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

// Member returns the server that has connected to a port of ManagementTLS; false if it showed no
// certificate, or one that is not believed any more.
func (n *Node) Member(state *tls.ConnectionState) (understudy.Identity, bool) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return understudy.Identity{}, false
	}
	leaf := state.PeerCertificates[0]
	if n.verifyLate(leaf) != nil { // again, since no chain was left of the handshake to go by
		return understudy.Identity{}, false
	}
	peer, err := n.verifyPeer(leaf)
	return understudy.Identity{Server: peer.id, Role: peer.role}, err == nil
}

// PeerTLS serves servers of the installation and nobody else.
func (n *Node) PeerTLS() *tls.Config {
	config := n.serverTLS(tls.RequireAndVerifyClientCert, nil)
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return n.serverTLS(tls.RequireAndVerifyClientCert, hello.Conn), nil
	}
	return config
}

// serverTLS is for one connection, which is ended when the certificate that is shown on
// it is revoked; nil for one on which none is.
func (n *Node) serverTLS(auth tls.ClientAuthType, conn net.Conn) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: auth,
		ClientCAs:  n.current.Load().trust.roots,
		Time:       n.now,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &n.current.Load().certificate, nil
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil // ClientAuth has decided that this is allowed
			}
			leaf := state.PeerCertificates[0]
			peer, err := n.verifyPeer(leaf)
			switch {
			case err != nil && peer.id != "":
				n.peers.refused(peer.id, conn)
			case err == nil:
				n.peers.add(conn, peer, leaf)
				err = n.current.Load().trust.believes(peer, leaf) // it may have been revoked meanwhile
			}
			return err
		},
		// A resumed session would outlive what its certificate was verified against.
		SessionTicketsDisabled: true,
	}
}

// ClientTLS connects to that server of the installation and to no other, at
// whatever address, and shows the node's own certificate. An empty id is any
// management server.
func (n *Node) ClientTLS(server understudy.ServerID) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: serverName(server),
		// Verified below, against the CAs that are believed when it is dialled.
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &n.current.Load().certificate, nil
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			leaf := state.PeerCertificates[0]
			// The CA signs servers only, so that there is nothing between it and them.
			options := x509.VerifyOptions{Roots: n.current.Load().trust.roots, DNSName: state.ServerName, CurrentTime: n.now()}
			if _, err := leaf.Verify(options); err != nil {
				return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
			}
			peer, err := n.verifyPeer(leaf)
			switch {
			case err != nil:
				return err
			case server == "" && peer.role != understudy.RoleManagement, server != "" && peer.id != server:
				return understudy.Errorf(understudy.CodeForbidden, "expected the server %s, and the %s server %s answered", state.ServerName, peer.role, peer.id)
			}
			return nil
		},
		SessionTicketsDisabled: true,
	}
}

// verifyPeer checks what the chain cannot: that the peer is a server, and of
// this installation, and that its certificate is not revoked. Of one that is revoked
// it tells who it is besides.
func (n *Node) verifyPeer(leaf *x509.Certificate) (subject, error) {
	peer, err := subjectOf(leaf)
	if err != nil {
		return subject{}, err
	}
	if peer.installation != n.subject.installation {
		return subject{}, understudy.Errorf(understudy.CodeForbidden, "expected a server of installation %s, found one of %s", n.subject.installation, peer.installation)
	}
	return peer, n.current.Load().trust.believes(peer, leaf)
}

// grace is how long a certificate is believed beyond its end while no management
// server is heard, which alone could give its owner another, and how long one does so once it is back.
const grace = 7 * 24 * time.Hour

// now is the time by which certificates of peers are judged. It stands still while
// no management server is heard, for a week at most, and is never before this
// node's own certificate was made, so that servers that start without a clock (1970) still
// know each other.
func (n *Node) now() time.Time {
	now := time.Now()
	if heard := n.heard.Load(); heard != nil {
		if away := now.Sub((*heard)()); away > 0 {
			now = now.Add(-min(away, grace))
		}
	}
	if floor := issued(n.current.Load().certificate.Leaf); now.Before(floor) {
		return floor
	}
	return now
}

// Hears tells the node when a management server was last heard; zero: not yet.
func (n *Node) Hears(last func() time.Time) { n.heard.Store(&last) }
