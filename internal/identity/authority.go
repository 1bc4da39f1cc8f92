package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
	"understudy/internal/seal"
)

// Authority keeps the secrets of an installation: the CA that signs servers'
// certificates, the key that signs media tokens, and the one from which follows
// what opens camera passwords. Only management servers have it, all of a site the same.
type Authority struct {
	folder  string
	id      string // of the installation
	token   ed25519.PrivateKey
	audit   []byte
	site    seal.Key // see siteKey
	seals   [][]byte // see sealKeys
	issuing atomic.Pointer[issuing]

	mu   sync.Mutex // held while file is changed and written
	file authorityFile
	keep safe
}

// authorityFile is all secrets of an installation in one file, so that they
// are created whole or not at all, and backed up as one.
type authorityFile struct {
	Installation  string `json:"installation"`
	CACertificate string `json:"ca_certificate"`
	CAKey         string `json:"ca_key"`
	// NextCA and OldCA are there while the CA is exchanged (rotation.go).
	NextCA *caFile `json:"next_ca,omitempty"`
	OldCA  *caFile `json:"old_ca,omitempty"`

	TokenSeed []byte `json:"token_seed"`
	// SealKey is the first key of secrets, and stays: those that come after it are stored with them.
	SealKey []byte `json:"seal_key"`
	// OldSealKeys and AuditKey are of a version that changed the seal key here: the keys before it,
	// and what the audit's was before the first change.
	OldSealKeys [][]byte `json:"old_seal_keys,omitempty"`
	AuditKey    []byte   `json:"audit_key,omitempty"`
}

// OpenAuthority loads the authority that is kept in folder, and creates a new
// installation if the folder holds none. CodeForbidden if others may read the file.
func OpenAuthority(folder string) (*Authority, error) { return OpenSealedAuthority(folder, "") }

// OpenSealedAuthority is OpenAuthority for one that is sealed under the key in a file
// (NewKeyFile), which lies elsewhere: a copy of the folder is of no use without it. What was
// not sealed until now is from then on. An empty path leaves it as it is.
func OpenSealedAuthority(folder, keyFile string) (*Authority, error) {
	keep, err := openSafe(folder, keyFile)
	if err != nil {
		return nil, err
	}
	var file authorityFile
	err = keep.read(&file)
	if err != nil && understudy.CodeOf(err) == understudy.CodeNotFound {
		if file, err = newAuthorityFile(); err == nil {
			err = keep.write(file)
		}
	}
	if err != nil {
		return nil, err
	}
	a, err := file.open(folder)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "%s is damaged, restore it from a backup: %w", keep.path(), err)
	}
	a.keep = keep
	return a, nil
}

func newAuthorityFile() (authorityFile, error) {
	key, err := newKey()
	if err != nil {
		return authorityFile{}, err
	}
	installation := hex.EncodeToString(randomBytes(8))
	ca, err := newCA(installation, key, time.Now())
	if err != nil {
		return authorityFile{}, err
	}
	encoded, err := encodeKey(key)
	return authorityFile{
		Installation:  installation,
		CACertificate: encodePEM(pemCertificate, ca.Raw),
		CAKey:         encoded,
		TokenSeed:     randomBytes(ed25519.SeedSize),
		SealKey:       randomBytes(seal.KeySize),
	}, err
}

func (f authorityFile) open(folder string) (*Authority, error) {
	if len(f.TokenSeed) != ed25519.SeedSize {
		return nil, understudy.Errorf(understudy.CodeInvalid, "a token seed has %d bytes, found %d", ed25519.SeedSize, len(f.TokenSeed))
	}
	token := ed25519.NewKeyFromSeed(f.TokenSeed)
	issuing, err := f.issuing(Trust{
		Installation: f.Installation,
		TokenKeys:    []string{base64.StdEncoding.EncodeToString(token.Public().(ed25519.PublicKey))},
	})
	if err != nil {
		return nil, err
	}
	seals, err := f.sealKeys()
	if err != nil {
		return nil, err
	}
	audit, err := f.auditKey()
	if err != nil {
		return nil, err
	}
	site, err := siteKey(audit)
	if err != nil {
		return nil, err
	}
	a := &Authority{folder: folder, id: f.Installation, token: token, audit: audit, site: site, seals: seals, file: f}
	a.issuing.Store(issuing)
	return a, nil
}

// Installation returns the id of the installation, 16 hexadecimal digits.
func (a *Authority) Installation() string { return a.id }

// AuditKey is the key under which the log is chained. It follows from the first seal key, so that
// every management server of the site has the same.
func (a *Authority) AuditKey() []byte { return a.audit }

// CACertificate returns the CA's certificate (PEM), for people to install in browsers; while the
// CA is exchanged, both, the one of management servers first.
func (a *Authority) CACertificate() []byte {
	i := a.issuing.Load()
	if i.old == "" {
		return []byte(i.trust.CA)
	}
	return []byte(i.own.text + i.signs.text)
}

// Trust returns what servers of the installation need to recognise each other.
func (a *Authority) Trust() Trust { return a.issuing.Load().trust }

// JoinToken returns what a server needs to join, with a secret that the caller
// has made and will accept once. urls are where management servers are
// reached, https://host[:port].
func (a *Authority) JoinToken(urls []string, secret understudy.Secret) (JoinToken, error) {
	t := JoinToken{URLs: urls, CASHA256: sha256.Sum256(a.issuing.Load().own.certificate.Raw), Secret: secret}
	return t, t.validate()
}

// Sign answers a certificate request (PEM), of a server that joins or renews,
// with a certificate for that server followed by its CA's (PEM). Nothing of
// the request counts but its key: who it is, and which host names and
// addresses it has, the caller says. A ttl of 0 is the longest, 390 days.
// CodeInvalid for a request, an id, a role or a host that is malformed;
// CodeForbidden for a host name by which servers know each other.
func (a *Authority) Sign(csrPEM []byte, id understudy.ServerID, role understudy.Role, hosts []string, ttl time.Duration) ([]byte, error) {
	if ttl < 0 || ttl > longestAge {
		return nil, understudy.Errorf(understudy.CodeInvalid, "a certificate lasts up to %d days, and %s was asked for", longestAge/(24*time.Hour), ttl)
	}
	if ttl == 0 {
		ttl = longestAge
	}
	s := subject{a.id, role, id}
	if err := s.validate(); err != nil {
		return nil, err
	}
	key, err := requestedKey(csrPEM)
	if err != nil {
		return nil, err
	}
	by := a.issuing.Load().signs
	if role == understudy.RoleManagement {
		by = a.issuing.Load().own
	}
	der, err := newLeaf(by.certificate, by.key, key, s, hosts, time.Now(), ttl)
	if err != nil {
		return nil, err
	}
	return []byte(encodePEM(pemCertificate, der) + by.text), nil
}

// change changes the file, and what is made of it.
func (a *Authority) change(f func(*authorityFile) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	file := a.file
	if err := f(&file); err != nil {
		return err
	}
	issuing, err := file.issuing(a.Trust())
	if err != nil {
		return err
	}
	if err := a.keep.write(file); err != nil {
		return err
	}
	a.file = file
	a.issuing.Store(issuing)
	return nil
}
