package identity

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"understudy"
)

// While no management server is heard, a certificate is believed for a week beyond its end:
// nobody could have renewed it. Where one is heard, it ends when it ends.
func TestCertificatesEndLaterWithoutManagement(t *testing.T) {
	const day = 24 * time.Hour
	a := newAuthority(t)
	ended := func(ago time.Duration) *Node {
		return crafted(t, a, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = c.NotBefore.Add(-400*day), time.Now().Add(-ago)
		})
	}
	for _, c := range []struct {
		name     string
		ended    time.Duration // ago
		heard    time.Duration // ago
		believed bool
	}{
		{"just now, and the management server is there", time.Minute, 0, false},
		{"three days ago, four days after it was heard", 3 * day, 4 * day, true},
		{"five days ago, when it was heard still", 5 * day, 4 * day, false},
		{"six days ago, and it was away for a month", 6 * day, 30 * day, true},
		{"eight days ago, and it was away for a month", 8 * day, 30 * day, false},
	} {
		// This node's own certificate is older than the time that it goes by.
		old := crafted(t, a, func(x *x509.Certificate) { x.NotBefore = x.NotBefore.Add(-60 * day) })
		old.Hears(func() time.Time { return time.Now().Add(-c.heard) })
		m := meet(t, old.PeerTLS(), ended(c.ended).ClientTLS("crafted"))
		if (m.serverErr == nil) != c.believed {
			t.Errorf("ended %s: believed: %v, want %v (%v)", c.name, m.serverErr == nil, c.believed, m.serverErr)
		}
	}
}

// A management server lets in who comes with a certificate that ended up to a week ago, and knows who that is; all other
// ports refuse it. One that ended before, was revoked, or is of another CA, is let in nowhere.
func TestAnEndedCertificateAtTheManagementServer(t *testing.T) {
	const day = 24 * time.Hour
	a := agedAuthority(t)
	manager, err := a.Node("management", understudy.RoleManagement, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	ending := func(a *Authority, until time.Duration) *Node {
		return crafted(t, a, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = c.NotBefore.Add(-400*day), time.Now().Add(until)
		})
	}
	other := ending(agedAuthority(t), -day)
	strangers := manager.ClientTLS("management") // trusts this installation, and shows what another has signed
	strangers.GetClientCertificate = other.ClientTLS("").GetClientCertificate
	meets := func(shown *tls.Config) (byManagement, byOthers bool) {
		m := meet(t, manager.ManagementTLS(), shown)
		who, known := manager.Member(&m.served)
		if known != (m.serverErr == nil) || known && (who.Server != "crafted" || who.Role != understudy.RoleRecording) {
			t.Errorf("let in: %v, known: %v as the %s server %s", m.serverErr == nil, known, who.Role, who.Server)
		}
		strict := meet(t, manager.ServerTLS(), shown)
		return known, strict.serverErr == nil
	}
	for _, c := range []struct {
		name                   string
		shown                  *tls.Config
		byManagement, byOthers bool
	}{
		{"of now", ending(a, day).ClientTLS("management"), true, true},
		{"ended just now", ending(a, -time.Minute).ClientTLS("management"), true, false},
		{"ended nearly a week ago", ending(a, time.Hour-grace).ClientTLS("management"), true, false},
		{"ended more than a week ago", ending(a, -time.Minute-grace).ClientTLS("management"), false, false},
		{"of another CA", strangers, false, false},
	} {
		if byManagement, byOthers := meets(c.shown); byManagement != c.byManagement || byOthers != c.byOthers {
			t.Errorf("one %s: the management server believes it: %v, other ports: %v", c.name, byManagement, byOthers)
		}
	}
	tooLate := ending(a, -time.Minute-grace).current.Load().certificate.Leaf
	if _, known := manager.Member(&tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{tooLate}}); known {
		t.Error("a connection lets its certificate be believed for longer than a week after the end")
	}
	trust := manager.Trust()
	trust.Revoked = []understudy.Revocation{{Server: "crafted", Before: time.Now()}}
	if err := manager.UpdateTrust(trust); err != nil {
		t.Fatal(err)
	}
	if byManagement, byOthers := meets(ending(a, -day).ClientTLS("management")); byManagement || byOthers {
		t.Error("one that was revoked is believed")
	}
	if m := meet(t, manager.ManagementTLS(), pinned(t, a)); m.clientErr != nil {
		t.Errorf("who shows none is refused: %v", m.clientErr)
	} else if _, known := manager.Member(&m.served); known {
		t.Error("who shows none is known")
	}
}

// agedAuthority is of an installation that is more than a year old.
func agedAuthority(t *testing.T) *Authority {
	t.Helper()
	file, err := newAuthorityFile()
	if err != nil {
		t.Fatal(err)
	}
	key, err := decodeKey(file.CAKey)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := newCA(file.Installation, key, time.Now().Add(-500*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	file.CACertificate = encodePEM(pemCertificate, ca.Raw)
	a, err := file.open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return a
}
