package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"understudy"
)

func stated(t testing.TB, n *Node) (understudy.Statement, understudy.SignedStatement) {
	t.Helper()
	s := understudy.Statement{Server: n.ID(), Camera: "lobby", Epoch: 8, Receiving: true, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Nonce: "0123456789abcdef"}
	signed, err := n.SignStatement(s)
	if err != nil {
		t.Fatal(err)
	}
	return s, signed
}

// What a server says of itself is believed by users and servers, after a way over JSON too.
func TestStatementIsBelieved(t *testing.T) {
	a := newAuthority(t)
	failover, home := join(t, a, "fo1", understudy.RoleFailover), join(t, a, "rec1", understudy.RoleRecording)
	said, signed := stated(t, failover)
	text, err := json.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	var told understudy.SignedStatement
	if err := json.Unmarshal(text, &told); err != nil {
		t.Fatal(err)
	}
	user, err := StatementVerifier([]byte(a.Trust().CA))
	if err != nil {
		t.Fatal(err)
	}
	for who, verify := range map[string]func(understudy.SignedStatement) (understudy.Statement, error){"a user": user, "a server": home.VerifyStatement} {
		if got, err := verify(told); err != nil || got != said {
			t.Errorf("%s reads %+v: %v", who, got, err)
		}
	}
	if _, err := home.SignStatement(said); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("rec1 signs what fo1 says: %v", err)
	}
}

func TestStatementIsRefused(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	failover, home := join(t, a, "fo1", understudy.RoleFailover), join(t, a, "rec1", understudy.RoleRecording)
	_, good := stated(t, failover)
	_, homes := stated(t, home)
	_, foreign := stated(t, join(t, other, "fo1", understudy.RoleFailover))
	_, management := stated(t, join(t, a, "mgt2", understudy.RoleManagement))
	_, channel := stated(t, join(t, a, "ch1", understudy.RoleChannel))
	ended := crafted(t, a, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	})
	_, late := stated(t, ended)
	change := func(f func(*understudy.SignedStatement)) understudy.SignedStatement {
		s := understudy.SignedStatement{Statement: slices.Clone(good.Statement), Certificates: slices.Clone(good.Certificates), Signature: slices.Clone(good.Signature)}
		f(&s)
		return s
	}
	user, err := StatementVerifier([]byte(a.Trust().CA))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]understudy.SignedStatement{
		"nothing": {},
		"a higher epoch": change(func(s *understudy.SignedStatement) {
			s.Statement = bytes.Replace(s.Statement, []byte(`"epoch":8`), []byte(`"epoch":9`), 1)
		}),
		"another nonce": change(func(s *understudy.SignedStatement) {
			s.Statement = bytes.Replace(s.Statement, []byte("0123"), []byte("3210"), 1)
		}),
		"another's certificate":        change(func(s *understudy.SignedStatement) { s.Certificates = homes.Certificates }),
		"another's signature":          change(func(s *understudy.SignedStatement) { s.Signature = homes.Signature }),
		"no signature":                 change(func(s *understudy.SignedStatement) { s.Signature = nil }),
		"the CA as the server":         change(func(s *understudy.SignedStatement) { s.Certificates = s.Certificates[1:] }),
		"too many certificates":        change(func(s *understudy.SignedStatement) { s.Certificates = slices.Repeat(s.Certificates, 5) }),
		"a certificate without bound":  change(func(s *understudy.SignedStatement) { s.Certificates[0] = make([]byte, maxCertificate+1) }),
		"another installation":         foreign,
		"a management server":          management,
		"a channel":                    channel,
		"a certificate that has ended": late,
	} {
		for who, verify := range map[string]func(understudy.SignedStatement) (understudy.Statement, error){"a user": user, "a server": home.VerifyStatement} {
			if said, err := verify(s); understudy.CodeOf(err) != understudy.CodeForbidden || said != (understudy.Statement{}) {
				t.Errorf("%s: %s believes %+v: %v", name, who, said, err)
			}
		}
	}
}

// FuzzVerifyStatement: whatever comes, nothing is believed but the words that were signed.
func FuzzVerifyStatement(f *testing.F) {
	a := newAuthority(f)
	n := join(f, a, "fo1", understudy.RoleFailover)
	said, signed := stated(f, n)
	text, err := json.Marshal(signed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"statement":"e30=","certificates":["MA=="],"signature":"MAA="}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s understudy.SignedStatement
		if json.Unmarshal(text, &s) != nil {
			return
		}
		if got, err := n.VerifyStatement(s); err == nil && got != said {
			t.Errorf("believed %+v", got)
		}
	})
}
