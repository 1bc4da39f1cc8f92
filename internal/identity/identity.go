// Package identity says who is who: the installation's CA and what it signs,
// how a server joins, mutual TLS between servers, media tokens, passwords, and
// what is sealed at rest.
//
// Servers know each other by id, not by address: each certificate carries the
// DNS name <id>.server.understudy.internal and the URI
// understudy://<installation>/<role>/<id>, and whoever connects demands the id
// that it means. The real host names stand beside them for browsers.
// design/identity.md tells why.
package identity

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"strings"

	"understudy"
)

// The names by which servers know each other. They exist in certificates and
// in the server name of a TLS handshake only, never in DNS.
const (
	internalDomain = "understudy.internal"
	serverDomain   = "server." + internalDomain
	managementID   = "management"
	managementName = managementID + "." + serverDomain
)

// subject is whom a certificate was made for.
type subject struct {
	installation string
	role         understudy.Role
	id           understudy.ServerID
}

func (s subject) uri() *url.URL {
	return &url.URL{Scheme: "understudy", Host: s.installation, Path: "/" + string(s.role) + "/" + string(s.id)}
}

// names returns the DNS names by which other servers demand this one.
func (s subject) names() []string {
	names := []string{serverName(s.id)}
	if s.role == understudy.RoleManagement && s.id != managementID {
		names = append(names, managementName)
	}
	return names
}

// serverName returns the DNS name that stands for a server; an empty id stands
// for any management server.
func serverName(id understudy.ServerID) string {
	if id == "" {
		return managementName
	}
	return string(id) + "." + serverDomain
}

func (s subject) validate() error {
	if err := understudy.ValidateID("server", s.id); err != nil {
		return err
	}
	switch s.role {
	case understudy.RoleManagement, understudy.RoleRecording, understudy.RoleFailover, understudy.RoleChannel:
	default:
		return understudy.Errorf(understudy.CodeInvalid, "a server is management, recording, failover or channel, not %q", s.role)
	}
	if s.id == managementID && s.role != understudy.RoleManagement {
		return understudy.Errorf(understudy.CodeInvalid,
			"the id %q is the management server's; a %s server needs another one", s.id, s.role)
	}
	return nil
}

// subjectOf reads the subject of a certificate that the installation's CA has
// signed. The one URI says it; whatever else stands in the certificate does not.
func subjectOf(cert *x509.Certificate) (subject, error) {
	refused := understudy.Errorf(understudy.CodeForbidden, "the certificate of %q is not that of a server of an installation", cert.Subject.CommonName)
	if cert.IsCA || len(cert.URIs) != 1 {
		return subject{}, refused
	}
	u := cert.URIs[0]
	path := strings.Split(u.Path, "/")
	if len(path) != 3 || path[0] != "" {
		return subject{}, refused
	}
	s := subject{installation: u.Host, role: understudy.Role(path[1]), id: understudy.ServerID(path[2])}
	if s.validate() != nil || *u != *s.uri() {
		return subject{}, refused
	}
	return s, nil
}

// DialledIdentity returns the server at the other end of a connection that was dialled with a
// Node's ClientTLS; false while the handshake, which verifies it, is not over.
func DialledIdentity(state tls.ConnectionState) (understudy.Identity, bool) {
	if !state.HandshakeComplete || len(state.PeerCertificates) == 0 {
		return understudy.Identity{}, false
	}
	s, err := subjectOf(state.PeerCertificates[0])
	return understudy.Identity{Server: s.id, Role: s.role}, err == nil
}

// PeerIdentity returns the server that has connected, by a certificate that one of
// a Node's configurations for servers has verified; false if there is no connection state,
// or the peer showed no certificate.
func PeerIdentity(state *tls.ConnectionState) (understudy.Identity, bool) {
	// PeerCertificates alone is what the peer claims; a chain is what was verified.
	if state == nil || len(state.VerifiedChains) == 0 {
		return understudy.Identity{}, false
	}
	s, err := subjectOf(state.VerifiedChains[0][0])
	if err != nil {
		return understudy.Identity{}, false
	}
	return understudy.Identity{Server: s.id, Role: s.role}, true
}
