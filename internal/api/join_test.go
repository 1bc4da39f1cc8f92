package api

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"understudy"
	"understudy/internal/identity"
)

// TestJoinAgain: a join that broke after the token was used up goes on with the
// same key, and with no other.
func TestJoinAgain(t *testing.T) {
	s := newSite(t)
	admin := s.administrator()
	text, err := admin.CreateJoinToken(t.Context(), understudy.RoleRecording, "rec-1", 0)
	check(t, err)
	token, err := identity.ParseJoinToken(string(text))
	check(t, err)
	newcomer := s.client(func(understudy.ServerID) *tls.Config { return identity.PinnedTLS(token) })
	request := func(folder string) understudy.JoinRequest {
		csr, err := identity.NewJoinRequest(folder)
		check(t, err)
		return understudy.JoinRequest{Secret: token.Secret, Request: string(csr), Hosts: []string{"127.0.0.1"},
			Addresses: understudy.Addresses{Media: "127.0.0.1:7563", State: "127.0.0.1:11000", Merge: "127.0.0.1:5210"}}
	}
	folder := t.TempDir()
	broken := request(folder)
	broken.Hosts = []string{"rec-1.server.understudy.internal"}
	if _, err := newcomer.Join(t.Context(), broken); understudy.CodeOf(err) != understudy.CodeForbidden {
		t.Fatalf("a name by which servers know each other was given away: %v", err)
	}
	if _, err := newcomer.Join(t.Context(), request(t.TempDir())); understudy.CodeOf(err) != understudy.CodeUnauthenticated {
		t.Errorf("another key joined with a used token: %v", err)
	}
	for range 2 { // the answer to the first may be lost
		answer, err := newcomer.Join(t.Context(), request(folder))
		check(t, err)
		if answer.Server != "rec-1" || answer.Role != understudy.RoleRecording {
			t.Errorf("joined as %s %s", answer.Role, answer.Server)
		}
	}
}

// After a revocation a server joins anew under its id, even in the same second, with a
// certificate that is believed; the old one is of no use for another.
func TestJoinAfterARevocation(t *testing.T) {
	s := newSite(t)
	admin := s.administrator()
	join := func() *identity.Node {
		t.Helper()
		text, err := admin.CreateJoinToken(t.Context(), understudy.RoleRecording, "rec-9", 0)
		check(t, err)
		token, err := identity.ParseJoinToken(string(text))
		check(t, err)
		folder := t.TempDir()
		csr, err := identity.NewJoinRequest(folder)
		check(t, err)
		answer, err := s.client(func(understudy.ServerID) *tls.Config { return identity.PinnedTLS(token) }).Join(t.Context(), understudy.JoinRequest{
			Secret: token.Secret, Request: string(csr), Hosts: []string{"127.0.0.1"},
			Addresses: understudy.Addresses{Media: "127.0.0.1:7563", State: "127.0.0.1:11000", Merge: "127.0.0.1:5210"}})
		check(t, err)
		var trust identity.Trust
		check(t, json.Unmarshal(answer.Trust, &trust))
		node, err := identity.SaveNode(folder, []byte(answer.Certificate), trust)
		check(t, err)
		return node
	}
	old := join()
	revoked, err := admin.RevokeServer(t.Context(), "rec-9", "a test")
	check(t, err)
	request, err := old.RenewalRequest()
	check(t, err)
	thief := s.client(old.ClientTLS)
	if _, err := thief.Renew(t.Context(), "rec-9", understudy.JoinRequest{Request: string(request)}); understudy.CodeOf(err) != understudy.CodeForbidden {
		t.Errorf("a revoked server got another certificate: %v", err)
	}
	fresh := join()
	trust := s.authority.Trust()
	trust.Revoked = []understudy.Revocation{revoked}
	check(t, s.node.UpdateTrust(trust))
	if _, err := thief.Assignment(t.Context(), "rec-9"); err == nil {
		t.Error("the old certificate is believed")
	}
	if _, err := s.client(fresh.ClientTLS).Assignment(t.Context(), "rec-9"); err != nil {
		t.Errorf("the new certificate is not believed: %v", err)
	}
}

// Strangers' requests are looked at only if they are cheap to check.
func TestJoinTakesOneKindOfKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	check(t, err)
	der[len(der)-1] ^= 1 // the signature is wrong, too, and is not what is told
	_, err = requestedKey(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
	if understudy.CodeOf(err) != understudy.CodeInvalid || !strings.Contains(err.Error(), "RSA") {
		t.Errorf("an RSA key: %v", err)
	}
}
