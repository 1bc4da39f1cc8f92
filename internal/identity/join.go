package identity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"understudy"
)

const (
	joinPrefix    = "us1."
	maxJoinToken  = 4 << 10
	maxJoinURLs   = 16
	maxJoinSecret = 128
)

// JoinToken lets a server join an installation: where its management servers
// are, how to recognise them before anything else is known, and the secret
// that they will accept once.
type JoinToken struct {
	URLs     []string          // of management servers, https://host[:port]
	CASHA256 [sha256.Size]byte // of the CA certificate (DER)
	Secret   understudy.Secret
}

type joinTokenJSON struct {
	URLs   []string `json:"u"`
	CA     string   `json:"c"`
	Secret string   `json:"s"`
}

// Encode returns the token as one line to be copied: "us1." and base64url. It
// holds the secret, and so is one.
func (t JoinToken) Encode() understudy.Secret {
	// Strings and a slice of them always marshal.
	body, _ := json.Marshal(joinTokenJSON{t.URLs, hex.EncodeToString(t.CASHA256[:]), string(t.Secret)})
	return understudy.Secret(joinPrefix + base64.RawURLEncoding.EncodeToString(body))
}

// ParseJoinToken is the inverse of Encode. CodeInvalid, with a sentence that
// does not repeat the token.
func ParseJoinToken(text string) (JoinToken, error) {
	text = strings.TrimSpace(text)
	body, ok := strings.CutPrefix(text, joinPrefix)
	if !ok || len(text) > maxJoinToken {
		return JoinToken{}, understudy.Errorf(understudy.CodeInvalid,
			"a join token is one line that begins with %q, of up to %d bytes; make one with: understudy server add", joinPrefix, maxJoinToken)
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(body)
	var parts joinTokenJSON
	if err == nil {
		err = json.Unmarshal(decoded, &parts)
	}
	digest, hexErr := hex.DecodeString(parts.CA)
	if err != nil || hexErr != nil || len(digest) != sha256.Size {
		return JoinToken{}, understudy.Errorf(understudy.CodeInvalid, "the join token is damaged or cut short: copy it again, whole")
	}
	t := JoinToken{URLs: parts.URLs, CASHA256: [sha256.Size]byte(digest), Secret: understudy.Secret(parts.Secret)}
	return t, t.validate()
}

func (t JoinToken) validate() error {
	if len(t.URLs) == 0 || len(t.URLs) > maxJoinURLs || t.Secret == "" || len(t.Secret) > maxJoinSecret {
		return understudy.Errorf(understudy.CodeInvalid, "a join token has 1 to %d addresses and a secret of 1 to %d bytes", maxJoinURLs, maxJoinSecret)
	}
	for _, text := range t.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
			return understudy.Errorf(understudy.CodeInvalid, "the address of a management server is https://host[:port], found %.200q", text)
		}
	}
	return nil
}

// PinnedTLS trusts a management server of exactly the installation that t
// names, at whatever address. It is for joining, when nothing else is known.
func PinnedTLS(t JoinToken) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: managementName,
		// Verified below, against the one CA that the token pins, which the peer
		// sends along.
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			roots := x509.NewCertPool()
			for _, cert := range state.PeerCertificates {
				if sha256.Sum256(cert.Raw) == t.CASHA256 {
					roots.AddCert(cert)
				}
			}
			leaf := state.PeerCertificates[0]
			_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: managementName})
			if err == nil {
				var peer subject
				if peer, err = subjectOf(leaf); err == nil && peer.role != understudy.RoleManagement {
					err = fmt.Errorf("it is the %s server %s", peer.role, peer.id)
				}
			}
			if err != nil {
				return understudy.Errorf(understudy.CodeForbidden,
					"the server that answered is not a management server of the installation that the join token names: %w", err)
			}
			return nil
		},
	}
}

// NewJoinRequest prepares folder to hold a node and returns a certificate
// request (PEM) for the management server. Asked again before SaveNode it
// returns a request for the same key. CodeConflict if the folder holds a node
// already.
func NewJoinRequest(folder string) (csrPEM []byte, err error) {
	file, err := readNodeFile(folder)
	switch {
	case err == nil && file.Certificate != "":
		return nil, understudy.Errorf(understudy.CodeConflict,
			"%s already holds a server of installation %s: to join another one, give it another folder", folder, file.Trust.Installation)
	case err != nil && understudy.CodeOf(err) != understudy.CodeNotFound:
		return nil, err
	case err != nil:
		if file, err = newNodeFile(); err != nil {
			return nil, err
		}
		if err := writeJSON(nodePath(folder), file); err != nil {
			return nil, err
		}
	}
	key, err := decodeKey(file.Key)
	if err != nil {
		return nil, err
	}
	return newRequest(key)
}

// SaveNode completes what NewJoinRequest began: certPEM and trust are the
// management server's answer. CodeInvalid if they do not belong to the request
// or to each other.
func SaveNode(folder string, certPEM []byte, trust Trust) (*Node, error) {
	file, err := readNodeFile(folder)
	if err != nil {
		return nil, err
	}
	file.Certificate, file.Trust = string(certPEM), trust
	n, err := file.open(folder)
	if err != nil {
		return nil, err
	}
	return n, writeJSON(nodePath(folder), file)
}
