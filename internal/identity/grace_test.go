package identity

import (
	"crypto/x509"
	"testing"
	"time"
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
