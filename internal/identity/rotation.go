package identity

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"time"

	"understudy"
)

// The CA is exchanged in three steps, each of which every server can follow at its own time:
//
//	AnnounceCA  the next one is believed, and signs nothing yet
//	UseCA       it signs the certificates of servers; the old one is believed on
//	RetireCA    the old one is believed no more
//
// The first CA of Trust.CA is the one that signs. A server whose certificate another one has
// signed gets its next at once. Management servers go last: theirs are of the old CA until it is
// retired, so that who missed the first step still knows them.

// caFile is a CA that does not sign servers' certificates, or does not any more.
type caFile struct {
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// issuer is a CA with its key.
type issuer struct {
	text        string // PEM
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issuing is what of an authority changes when its CA is exchanged.
type issuing struct {
	signs     issuer // for servers
	own       issuer // for management servers: the oldest that is believed
	next, old string // ids; empty: there is none
	trust     Trust
}

func (f caFile) open() (issuer, error) {
	certificates, err := decodeCertificates([]byte(f.Certificate))
	if err != nil {
		return issuer{}, err
	}
	key, err := decodeKey(f.Key)
	if err != nil {
		return issuer{}, err
	}
	if !key.PublicKey.Equal(certificates[0].PublicKey) {
		return issuer{}, understudy.Errorf(understudy.CodeInvalid, "a CA's key and its certificate do not belong together")
	}
	return issuer{text: f.Certificate, certificate: certificates[0], key: key}, nil
}

func (f authorityFile) ca() caFile { return caFile{f.CACertificate, f.CAKey} }

// issuing opens all CAs of the file. trust has everything but them.
func (f authorityFile) issuing(trust Trust) (*issuing, error) {
	signs, err := f.ca().open()
	if err != nil {
		return nil, err
	}
	i := &issuing{signs: signs, own: signs, trust: trust}
	i.trust.CA = signs.text
	if f.NextCA != nil {
		next, err := f.NextCA.open()
		if err != nil {
			return nil, err
		}
		i.next = caID(next.certificate)
		i.trust.CA += next.text
	}
	if f.OldCA != nil {
		if i.own, err = f.OldCA.open(); err != nil {
			return nil, err
		}
		i.old = caID(i.own.certificate)
		i.trust.CA += i.own.text
	}
	_, err = i.trust.parse()
	return i, err
}

// caID names a CA: the beginning of its fingerprint.
func caID(ca *x509.Certificate) string {
	sum := sha256.Sum256(ca.Raw)
	return hex.EncodeToString(sum[:8])
}

// CA returns the ids of the CA that signs servers' certificates, of the one that is announced
// to come after it, and of the one before it that is still believed; empty where there is none.
func (a *Authority) CA() (signs, next, old string) {
	i := a.issuing.Load()
	return caID(i.signs.certificate), i.next, i.old
}

// AnnounceCA makes the next CA. CodeConflict while there is one, or an old one that is not retired.
func (a *Authority) AnnounceCA() error {
	key, err := newKey()
	if err != nil {
		return err
	}
	certificate, err := newCA(a.Installation(), key, time.Now())
	if err != nil {
		return err
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return err
	}
	return a.change(func(f *authorityFile) error {
		if f.NextCA != nil || f.OldCA != nil {
			return understudy.Errorf(understudy.CodeConflict, "the CA is being exchanged already; `understudy ca status` says how far it is")
		}
		f.NextCA = &caFile{encodePEM(pemCertificate, certificate.Raw), encoded}
		return nil
	})
}

// UseCA has the CA that was announced sign from now on. CodeConflict if none was.
func (a *Authority) UseCA() error {
	return a.change(func(f *authorityFile) error {
		if f.NextCA == nil {
			return understudy.Errorf(understudy.CodeConflict, "no CA is announced; `understudy ca new` makes one")
		}
		old := f.ca()
		f.CACertificate, f.CAKey = f.NextCA.Certificate, f.NextCA.Key
		f.NextCA, f.OldCA = nil, &old
		return nil
	})
}

// RetireCA forgets the CA that signed before. CodeConflict if there is none.
func (a *Authority) RetireCA() error {
	return a.change(func(f *authorityFile) error {
		if f.OldCA == nil {
			return understudy.Errorf(understudy.CodeConflict, "there is no old CA to retire; `understudy ca new` begins to exchange it")
		}
		f.OldCA = nil
		return nil
	})
}

// Tell has a management server's own node trust t. Where t does not believe the node's certificate
// any more, it gets another with it.
func (a *Authority) Tell(n *Node, t Trust) error {
	trust, err := t.parse()
	if err != nil {
		return err
	}
	if trust.signed(n.current.Load().certificate.Leaf) {
		return n.UpdateTrust(t)
	}
	certificate, err := a.renewed(n)
	if err != nil {
		return err
	}
	t.Revoked = joined(n.Trust().Revoked, t.Revoked)
	return n.change(func(f *nodeFile) { f.Certificate, f.Trust = string(certificate), t })
}

// signed reports whether a CA that is believed has signed a certificate.
func (t trusted) signed(leaf *x509.Certificate) bool {
	for _, ca := range t.cas {
		if leaf.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return false
}

// CAs returns the ids of the CA that has signed the node's certificate, and of those that it believes.
func (n *Node) CAs() (signed string, believed []string) {
	c := n.current.Load()
	return c.signed, c.believed
}

// authorities finds out what CAs returns.
func (c *credentials) authorities() {
	for _, ca := range c.trust.cas {
		id := caID(ca)
		c.believed = append(c.believed, id)
		if c.signed == "" && c.certificate.Leaf.CheckSignatureFrom(ca) == nil {
			c.signed = id
		}
	}
}

// superseded reports whether another CA than the one that has signed the certificate signs now.
func (c *credentials) superseded() bool { return c.signed != c.believed[0] }
