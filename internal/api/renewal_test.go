package api

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
)

// A server whose certificate ended while no management server could give it another comes to the
// real API over real TLS, is refused everything with a sentence that says to renew, save the next certificate, and
// with that is what it was, on the connections of the same client. Whoever is beyond the grace, revoked, of another CA, or
// another server, gets none.
func TestRenewalAfterTheEnd(t *testing.T) {
	const day = 24 * time.Hour
	s := siteOf(t, agedAuthority(t))
	admin := s.administrator()
	s.join(admin, understudy.RoleRecording, "rec-1", "127.0.0.1:7563")
	s.join(admin, understudy.RoleRecording, "rec-2", "127.0.0.1:7565")
	node := s.ended("rec-1", 3*day)
	rec := s.client(node.ClientTLS)
	for _, pattern := range s.server.gate.patterns {
		a := s.server.gate.declared[pattern]
		if a.allow == nil || a.late {
			continue
		}
		if strings.HasPrefix(pattern, "/") { // of any method
			pattern = "GET " + pattern
		}
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.NewReplacer("{id}", "rec-1", "{name}", "ada").Replace(path)
		status, text := asker{rec.HTTP(""), http.Header{understudy.BootHeader: {"one"}}}.ask(t, method, "https://"+s.address+path, "")
		if status != http.StatusForbidden || !strings.Contains(text, "has to be renewed first (POST /api/v1/servers/rec-1/certificate)") {
			t.Errorf("%s with a certificate that has ended: %d %s", pattern, status, text)
		}
	}
	if _, err := renewed(t, rec, node, "rec-2"); err == nil {
		t.Error("another certificate was given for another server")
	}
	for name, shown := range map[string]*identity.Node{
		"more than a week after its end": s.ended("rec-1", 7*day+time.Minute),
		"of another CA":                  siteOf(t, agedAuthority(t)).ended("rec-1", day),
	} {
		config := node.ClientTLS("") // trusts this site
		config.GetClientCertificate = shown.ClientTLS("").GetClientCertificate
		if _, err := renewed(t, s.client(func(understudy.ServerID) *tls.Config { return config }), node, "rec-1"); err == nil {
			t.Errorf("another certificate was given to a server with one %s", name)
		}
	}

	answer, err := renewed(t, rec, node, "rec-1")
	check(t, err)
	if !node.Ended() {
		t.Error("the certificate that has ended has not")
	}
	check(t, node.Renew([]byte(answer.Certificate)))
	if _, err := rec.Assignment(t.Context(), "rec-1"); err != nil || node.Ended() {
		t.Errorf("with the next certificate, on the connections of before: %v", err)
	}

	late := s.ended("rec-1", day)
	_, err = admin.RevokeServer(t.Context(), "rec-1", "a test")
	check(t, err)
	if _, err := renewed(t, s.client(late.ClientTLS), late, "rec-1"); understudy.CodeOf(err) != understudy.CodeForbidden {
		t.Errorf("another certificate was given in the moment of a revocation: %v", err)
	}
	trust := s.authority.Trust()
	trust.Revoked = []understudy.Revocation{{Server: "rec-1", Before: time.Now()}}
	check(t, s.node.UpdateTrust(trust))
	if _, err := renewed(t, s.client(late.ClientTLS), late, "rec-1"); err == nil {
		t.Error("another certificate was given for one that was revoked")
	}
}

func renewed(t *testing.T, c *client.Client, node *identity.Node, id understudy.ServerID) (understudy.JoinAnswer, error) {
	t.Helper()
	request, err := node.RenewalRequest()
	check(t, err)
	return c.Renew(t.Context(), id, understudy.JoinRequest{Request: string(request), Hosts: []string{"127.0.0.1"}})
}

// ended is a recording server whose certificate ended some time ago.
func (s *site) ended(id understudy.ServerID, ago time.Duration) *identity.Node {
	s.t.Helper()
	folder := s.t.TempDir()
	request, err := identity.NewJoinRequest(folder)
	check(s.t, err)
	signed, err := s.authority.Sign(request, id, understudy.RoleRecording, []string{"127.0.0.1"}, 0)
	check(s.t, err)
	template, err := x509.ParseCertificate(inPEM(s.t, string(signed)))
	check(s.t, err)
	template.NotBefore, template.NotAfter = time.Now().Add(-400*24*time.Hour), time.Now().Add(-ago)
	ca, key := readCA(s.t, s.dir)
	node, err := identity.SaveNode(folder, sign(s.t, template, ca, key), s.authority.Trust())
	check(s.t, err)
	return node
}

// authorityFile are the keys of a site.
func authorityFile(dir string) string { return filepath.Join(dir, "authority.json") }

// agedAuthority is the folder of the authority of a site that is more than a year old.
func agedAuthority(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	_, err := identity.OpenAuthority(dir)
	check(t, err)
	ca, key := readCA(t, dir)
	older := *ca
	older.NotBefore = older.NotBefore.Add(-500 * 24 * time.Hour)
	text, err := os.ReadFile(authorityFile(dir))
	check(t, err)
	var file map[string]any
	check(t, json.Unmarshal(text, &file))
	file["ca_certificate"] = string(sign(t, &older, &older, key))
	text, err = json.Marshal(file)
	check(t, err)
	check(t, os.WriteFile(authorityFile(dir), text, 0o600))
	return dir
}

// readCA returns what signs certificates.
func readCA(t *testing.T, dir string) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	text, err := os.ReadFile(authorityFile(dir))
	check(t, err)
	var ca struct {
		Certificate string `json:"ca_certificate"`
		Key         string `json:"ca_key"`
	}
	check(t, json.Unmarshal(text, &ca))
	key, err := x509.ParsePKCS8PrivateKey(inPEM(t, ca.Key))
	check(t, err)
	certificate, err := x509.ParseCertificate(inPEM(t, ca.Certificate))
	check(t, err)
	return certificate, key.(crypto.Signer)
}

func sign(t *testing.T, template, parent *x509.Certificate, key crypto.Signer) (certificate []byte) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, template.PublicKey, key)
	check(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func inPEM(t *testing.T, text string) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("this is no PEM: %.40q", text)
	}
	return block.Bytes
}
