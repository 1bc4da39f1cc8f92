package identity

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"time"

	"understudy"
)

const maxTokenKeys = 16

var installationPattern = regexp.MustCompile(`^[0-9a-f]{16}$`)

// Trust is what every server of an installation needs to recognise the others
// and their users. It holds no secret.
type Trust struct {
	Installation string   `json:"installation" doc:"Id of the installation"`
	CA           string   `json:"ca" doc:"CA certificates, PEM; the first one signs"`
	TokenKeys    []string `json:"token_keys" doc:"Ed25519 public keys that sign media tokens, base64"`
	// Management are the addresses of all management servers, https://host[:port].
	Management []string `json:"management,omitempty"`
	// Revoked says whose certificates are believed no more.
	Revoked []understudy.Revocation `json:"revoked,omitempty"`
}

// Equal reports whether both say the same.
func (t Trust) Equal(other Trust) bool {
	return t.Installation == other.Installation && t.CA == other.CA && slices.Equal(t.TokenKeys, other.TokenKeys) && slices.Equal(t.Management, other.Management) &&
		slices.EqualFunc(t.Revoked, other.Revoked, func(a, b understudy.Revocation) bool {
			return a.Server == b.Server && a.Before.Equal(b.Before)
		})
}

// trusted is a Trust made ready for use.
type trusted struct {
	Trust
	roots *x509.CertPool
	cas   []*x509.Certificate          // the first one signs
	keys  map[string]ed25519.PublicKey // by key id

	revoked map[understudy.ServerID]time.Time // what was made before
}

func (t Trust) parse() (trusted, error) {
	if !installationPattern.MatchString(t.Installation) {
		return trusted{}, understudy.Errorf(understudy.CodeInvalid, "the id of an installation is 16 hexadecimal digits, found %.40q", t.Installation)
	}
	roots, cas, err := rootsOf([]byte(t.CA))
	if err != nil {
		return trusted{}, err
	}
	if len(t.TokenKeys) == 0 || len(t.TokenKeys) > maxTokenKeys {
		return trusted{}, understudy.Errorf(understudy.CodeInvalid, "an installation has 1 to %d token keys, found %d", maxTokenKeys, len(t.TokenKeys))
	}
	keys := make(map[string]ed25519.PublicKey, len(t.TokenKeys))
	for _, text := range t.TokenKeys {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return trusted{}, understudy.Errorf(understudy.CodeInvalid, "expected a token key of %d bytes in base64, found %.80q", ed25519.PublicKeySize, text)
		}
		keys[keyID(key)] = key
	}
	if len(t.Management) > maxJoinURLs {
		return trusted{}, understudy.Errorf(understudy.CodeInvalid, "an installation has up to %d addresses of management servers, found %d", maxJoinURLs, len(t.Management))
	}
	revoked := make(map[understudy.ServerID]time.Time, len(t.Revoked))
	for _, r := range t.Revoked {
		revoked[r.Server] = r.Before
	}
	return trusted{t, roots, cas, keys, revoked}, nil
}

// joined is the later revocation of each server, by id.
func joined(a, b []understudy.Revocation) []understudy.Revocation {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b understudy.Revocation) int {
		return cmp.Or(strings.Compare(string(a.Server), string(b.Server)), b.Before.Compare(a.Before))
	})
	return slices.CompactFunc(all, func(a, b understudy.Revocation) bool { return a.Server == b.Server })
}

// believes is CodeForbidden for a server whose certificate was revoked since it was made.
func (t trusted) believes(s subject, leaf *x509.Certificate) error {
	if before, ok := t.revoked[s.id]; ok && issued(leaf).Before(before) {
		return understudy.Errorf(understudy.CodeForbidden, "the certificate of the %s server %s was made %s and revoked since; it has to join again", s.role, s.id, issued(leaf).UTC().Format(time.RFC3339))
	}
	return nil
}

// keyID names a token key in the header of the tokens that it signs.
func keyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

func rootsOf(caPEM []byte) (*x509.CertPool, []*x509.Certificate, error) {
	certs, err := decodeCertificates(caPEM)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	for _, cert := range certs {
		if !cert.IsCA {
			return nil, nil, understudy.Errorf(understudy.CodeInvalid, "expected CA certificates, found the one of %q, which is not", cert.Subject.CommonName)
		}
		roots.AddCert(cert)
	}
	return roots, certs, nil
}

// UserTLS trusts the servers of an installation by their host names, as a
// browser does that has its CA installed (PEM); it shows no certificate.
func UserTLS(caPEM []byte) (*tls.Config, error) {
	roots, _, err := rootsOf(caPEM)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots}, nil
}
