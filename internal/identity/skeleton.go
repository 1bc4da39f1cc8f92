// Package identity says who is who: the installation's CA, how a server joins,
// mutual TLS, media tokens, passwords, and what is sealed at rest.
package identity

import (
	"context"
	"crypto/tls"
	"time"

	"understudy"
)

// MaxTokenAge is the longest life of a media token.
const MaxTokenAge = 10 * time.Minute

// Authority keeps the secrets of an installation; only the management server has it.
type Authority struct{}

// OpenAuthority loads the authority in dir, or creates it on first start.
func OpenAuthority(dir string) (*Authority, error) { panic("being built") }

// Installation returns the id of the installation.
func (a *Authority) Installation() string { panic("being built") }

// CACertificate returns the CA certificate, PEM, to be installed in browsers.
func (a *Authority) CACertificate() []byte { panic("being built") }

// Trust returns what every server of the installation needs to recognise the others.
func (a *Authority) Trust() Trust { panic("being built") }

// JoinToken returns the token that lets a server find, recognise and join this installation.
func (a *Authority) JoinToken(urls []string, secret understudy.Secret) (JoinToken, error) {
	panic("being built")
}

// Sign answers a join or renewal request with a certificate (PEM) for that
// server. Only the key of the request counts; names are what the arguments say.
// ttl 0 is the longest.
func (a *Authority) Sign(csrPEM []byte, id understudy.ServerID, role understudy.Role, hosts []string, ttl time.Duration) ([]byte, error) {
	panic("being built")
}

// Node returns the management server's own node, kept in the authority's folder.
func (a *Authority) Node(id understudy.ServerID, role understudy.Role, hosts []string) (*Node, error) {
	panic("being built")
}

// Seal encrypts for storage; Open needs the same context.
func (a *Authority) Seal(plain, context []byte) ([]byte, error) { panic("being built") }

// Open is the inverse of Seal.
func (a *Authority) Open(sealed, context []byte) ([]byte, error) { panic("being built") }

// SignToken makes a media token for a user, of an age up to MaxTokenAge. ActionAdminister never goes into it.
func (a *Authority) SignToken(i understudy.Identity, ttl time.Duration) (understudy.MediaToken, error) {
	panic("being built")
}

// Trust is what every server of an installation needs to recognise the others. It holds no secret.
type Trust struct {
	Installation string   `json:"installation" doc:"Id of the installation"`
	CA           string   `json:"ca" doc:"CA certificates, PEM"`
	TokenKeys    []string `json:"token_keys" doc:"Ed25519 public keys that sign media tokens, base64"`
}

// JoinToken lets a server join: where, whom to trust there, and the one-time secret.
type JoinToken struct {
	URLs     []string // of management servers, https://host[:port]
	CASHA256 [32]byte // of the CA certificate (DER)
	Secret   understudy.Secret
}

// Encode returns the token as one line, "us1.…". It holds the secret.
func (t JoinToken) Encode() understudy.Secret { panic("being built") }

// ParseJoinToken is the inverse of Encode.
func ParseJoinToken(text string) (JoinToken, error) { panic("being built") }

// PinnedTLS trusts the management server of exactly the installation in t, for joining.
func PinnedTLS(t JoinToken) *tls.Config { panic("being built") }

// UserTLS trusts servers of the installation by their host names; it shows no certificate.
func UserTLS(caPEM []byte) (*tls.Config, error) { panic("being built") }

// NewJoinRequest prepares dir for a node and returns a certificate request (PEM).
func NewJoinRequest(dir string) (csrPEM []byte, err error) { panic("being built") }

// SaveNode completes what NewJoinRequest began, with the answer to the request.
func SaveNode(dir string, certPEM []byte, trust Trust) (*Node, error) { panic("being built") }

// LoadNode opens the node in dir; CodeNotFound if none has joined there.
func LoadNode(dir string) (*Node, error) { panic("being built") }

// Node is a server of an installation: its key, its certificate and whom it trusts.
type Node struct{}

// ID returns the server's id.
func (n *Node) ID() understudy.ServerID { panic("being built") }

// Role returns the server's role.
func (n *Node) Role() understudy.Role { panic("being built") }

// Trust returns what the node trusts now.
func (n *Node) Trust() Trust { panic("being built") }

// ServerTLS serves users and servers: a server that dials with ClientTLS is
// asked for its certificate, a browser is not.
func (n *Node) ServerTLS() *tls.Config { panic("being built") }

// PeerTLS serves servers of the installation only.
func (n *Node) PeerTLS() *tls.Config { panic("being built") }

// ClientTLS connects to that server of the installation and no other, whatever
// its address; an empty id is a management server.
func (n *Node) ClientTLS(server understudy.ServerID) *tls.Config { panic("being built") }

// VerifyToken returns the user behind a media token, asking nobody.
func (n *Node) VerifyToken(token string) (understudy.Identity, error) { panic("being built") }

// UpdateTrust replaces what the node trusts, and keeps it on disk.
func (n *Node) UpdateTrust(t Trust) error { panic("being built") }

// RenewAt returns when to ask for a new certificate: after two thirds of its life.
func (n *Node) RenewAt() time.Time { panic("being built") }

// Hosts returns the host names and addresses in the node's certificate.
func (n *Node) Hosts() []string { panic("being built") }

// RenewalRequest returns a certificate request (PEM) for the node's key.
func (n *Node) RenewalRequest() ([]byte, error) { panic("being built") }

// Renew puts a new certificate (PEM) to use at once and keeps it on disk.
func (n *Node) Renew(certPEM []byte) error { panic("being built") }

// SealFile keeps plain in the node's folder, readable by this node only.
func (n *Node) SealFile(name string, plain []byte) error { panic("being built") }

// OpenFile returns what SealFile kept; CodeNotFound if there is nothing.
func (n *Node) OpenFile(name string) ([]byte, error) { panic("being built") }

// PeerIdentity returns the server at the other end of a verified connection.
func PeerIdentity(state *tls.ConnectionState) (understudy.Identity, bool) { panic("being built") }

// Passwords hashes passwords, a bounded number at a time, since each takes much memory on purpose.
type Passwords struct{}

// NewPasswords returns a hasher of argon2id.
func NewPasswords() *Passwords { panic("being built") }

// Hash returns the hash of a new password, in PHC string format.
func (p *Passwords) Hash(ctx context.Context, password understudy.Secret) (string, error) {
	panic("being built")
}

// Verify reports whether password has that hash. An empty hash takes as long
// as a wrong password, so that unknown users are not told apart.
func (p *Passwords) Verify(ctx context.Context, hash string, password understudy.Secret) (bool, error) {
	panic("being built")
}
