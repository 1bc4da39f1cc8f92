package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/hpke"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
	"understudy/internal/seal"
)

// Node is a server of an installation: its key, its certificate, and whom it
// trusts, kept in a folder of its own. Its methods may be called at once from
// many goroutines; what Renew and UpdateTrust bring holds for connections made
// from then on, also of TLS configurations already handed out. Connections of servers whose
// certificate is revoked, or of a CA that is believed no more, end.
type Node struct {
	folder  string
	key     *ecdsa.PrivateKey
	sealer  seal.Key
	bundle  hpke.PrivateKey
	subject subject
	current atomic.Pointer[credentials]
	peers   peers
	heard   atomic.Pointer[func() time.Time] // nil: it does not matter

	mu   sync.Mutex // held while file is changed and written
	file nodeFile
}

// credentials are what changes in the life of a node.
type credentials struct {
	certificate tls.Certificate // the chain includes the CA, which PinnedTLS looks for
	trust       trusted
	signed      string   // id of the CA that has signed the certificate
	believed    []string // ids of all that are trusted
}

// nodeFile is all of a node in one file, so that it is written whole or not at
// all. It has no certificate while the node is joining.
type nodeFile struct {
	Key         string `json:"key"`
	SealKey     []byte `json:"seal_key"`
	Certificate string `json:"certificate,omitempty"`
	Trust       Trust  `json:"trust"`
}

func nodePath(folder string) string { return filepath.Join(folder, "node.json") }

func newNodeFile() (nodeFile, error) {
	key, err := newKey()
	if err != nil {
		return nodeFile{}, err
	}
	encoded, err := encodeKey(key)
	return nodeFile{Key: encoded, SealKey: randomBytes(seal.KeySize)}, err
}

func readNodeFile(folder string) (nodeFile, error) {
	var file nodeFile
	err := readJSON(nodePath(folder), &file)
	return file, err
}

// LoadNode opens the node in folder. CodeNotFound if no server has joined
// there, CodeForbidden if others may read its secrets.
func LoadNode(folder string) (*Node, error) {
	file, err := readNodeFile(folder)
	if err == nil && file.Certificate == "" || err != nil && understudy.CodeOf(err) == understudy.CodeNotFound {
		return nil, understudy.Errorf(understudy.CodeNotFound, "no server has joined an installation from %s: join with a join token first", folder)
	}
	if err != nil {
		return nil, err
	}
	return file.open(folder)
}

func (f nodeFile) open(folder string) (*Node, error) {
	key, err := decodeKey(f.Key)
	if err != nil {
		return nil, err
	}
	sealer, err := seal.NewKey(f.SealKey)
	if err != nil {
		return nil, err
	}
	current, s, err := f.credentials(key)
	if err != nil {
		return nil, err
	}
	bundle, err := f.bundleKey()
	if err != nil {
		return nil, err
	}
	n := &Node{folder: folder, key: key, sealer: sealer, bundle: bundle, subject: s, file: f}
	n.current.Store(current)
	return n, nil
}

// credentials checks that certificate, key and trust belong together. Dates
// are not looked at: a server with an old certificate, or an old clock, still
// records.
func (f nodeFile) credentials(key *ecdsa.PrivateKey) (*credentials, subject, error) {
	trust, err := f.Trust.parse()
	if err != nil {
		return nil, subject{}, err
	}
	chain, err := decodeCertificates([]byte(f.Certificate))
	if err != nil {
		return nil, subject{}, err
	}
	leaf := chain[0]
	s, err := subjectOf(leaf)
	if err != nil {
		return nil, subject{}, err
	}
	if s.installation != f.Trust.Installation || !key.PublicKey.Equal(leaf.PublicKey) {
		return nil, subject{}, understudy.Errorf(understudy.CodeInvalid,
			"the certificate of %s was made for another key or for installation %s, not %s", s.id, s.installation, f.Trust.Installation)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: trust.roots, CurrentTime: issued(leaf)}); err != nil {
		return nil, subject{}, understudy.Errorf(understudy.CodeInvalid, "the certificate of %s is not signed by the CA of its installation: %w", s.id, err)
	}
	certificate := tls.Certificate{PrivateKey: key, Leaf: leaf}
	for _, cert := range chain {
		certificate.Certificate = append(certificate.Certificate, cert.Raw)
	}
	c := &credentials{certificate: certificate, trust: trust}
	c.authorities()
	return c, s, nil
}

// issued returns when a certificate was made.
func issued(leaf *x509.Certificate) time.Time { return leaf.NotBefore.Add(backdated) }

// Node returns the management server's own node, kept in the authority's
// folder. Its certificate is made anew when its id, role or hosts have
// changed, when two thirds of its life are over, or when the CA is retired that has signed it;
// else it stays the same, so that a browser that was told to accept it still does.
func (a *Authority) Node(id understudy.ServerID, role understudy.Role, hosts []string) (*Node, error) {
	file, err := readNodeFile(a.folder)
	if err != nil {
		if understudy.CodeOf(err) != understudy.CodeNotFound {
			return nil, err
		}
		if file, err = newNodeFile(); err != nil {
			return nil, err
		}
	}
	names, addresses, err := splitHosts(hosts)
	if err != nil {
		return nil, err
	}
	trust := a.Trust()
	trust.Revoked, trust.Management = file.Trust.Revoked, file.Trust.Management // until they are told
	same := file.Trust.Equal(trust)
	file.Trust = trust
	wanted := hostsOf(&x509.Certificate{DNSNames: names, IPAddresses: addresses})
	if n, err := file.open(a.folder); err == nil && n.subject == (subject{a.id, role, id}) &&
		slices.Equal(n.Hosts(), wanted) && time.Now().Before(n.RenewAt()) {
		if same {
			return n, nil
		}
		return n, writeJSON(nodePath(a.folder), file)
	}
	key, err := decodeKey(file.Key)
	if err != nil {
		return nil, err
	}
	request, err := newRequest(key)
	if err != nil {
		return nil, err
	}
	certificate, err := a.Sign(request, id, role, hosts, 0)
	if err != nil {
		return nil, err
	}
	file.Certificate = string(certificate)
	n, err := file.open(a.folder)
	if err != nil {
		return nil, err
	}
	return n, writeJSON(nodePath(a.folder), file)
}

// ID returns the server's id.
func (n *Node) ID() understudy.ServerID { return n.subject.id }

// Role returns the server's role.
func (n *Node) Role() understudy.Role { return n.subject.role }

// Trust returns whom the node trusts now.
func (n *Node) Trust() Trust { return n.current.Load().trust.Trust }

// Hosts returns the host names and addresses in the node's certificate, for a renewal to keep them.
func (n *Node) Hosts() []string { return hostsOf(n.current.Load().certificate.Leaf) }

// RenewAt returns when it is time for a new certificate: after two thirds of its life, or at
// once when another CA signs than the one that has signed it. Management servers go last.
func (n *Node) RenewAt() time.Time {
	c := n.current.Load()
	leaf := c.certificate.Leaf
	if c.superseded() && n.subject.role != understudy.RoleManagement {
		return issued(leaf)
	}
	return issued(leaf).Add(leaf.NotAfter.Sub(issued(leaf)) * 2 / 3)
}

// Ended reports whether the node's certificate has ended: a management server gives it another, for a week, and nothing else.
func (n *Node) Ended() bool { return time.Now().After(n.current.Load().certificate.Leaf.NotAfter) }

// RenewalRequest returns a certificate request (PEM) for the node's key.
func (n *Node) RenewalRequest() ([]byte, error) { return newRequest(n.key) }

// Renew puts a new certificate (PEM) to use at once and keeps it on disk.
// CodeInvalid if it is not one of this server.
func (n *Node) Renew(certPEM []byte) error {
	return n.change(func(f *nodeFile) { f.Certificate = string(certPEM) })
}

// UpdateTrust replaces whom the node trusts, and keeps it on disk. What was revoked
// stays so: a database that was restored from a backup may not know of it. CodeInvalid
// if the node itself would not be trusted then.
func (n *Node) UpdateTrust(t Trust) error {
	t.Revoked = joined(n.Trust().Revoked, t.Revoked)
	if n.Trust().Equal(t) {
		return nil
	}
	return n.change(func(f *nodeFile) { f.Trust = t })
}

func (n *Node) change(f func(*nodeFile)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	file := n.file
	f(&file)
	current, s, err := file.credentials(n.key)
	if err != nil {
		return err
	}
	if s != n.subject {
		return understudy.Errorf(understudy.CodeInvalid, "expected a certificate of the %s server %s, found one of the %s server %s", n.subject.role, n.subject.id, s.role, s.id)
	}
	if err := writeJSON(nodePath(n.folder), file); err != nil {
		return err
	}
	n.file = file
	n.current.Store(current)
	n.peers.end(current.trust)
	return nil
}

const renewalCheck = time.Hour

// KeepRenewed signs a new certificate for the management server's own node n
// whenever RenewAt has passed, and tries again each hour while that fails,
// until ctx ends. Other servers ask the management server.
func (a *Authority) KeepRenewed(ctx context.Context, n *Node, log *slog.Logger) error {
	ticker := time.NewTicker(renewalCheck)
	defer ticker.Stop()
	for {
		if !time.Now().Before(n.RenewAt()) {
			if err := a.renew(n); err != nil {
				log.Warn("the management server's certificate could not be renewed, trying again in an hour",
					"expires", n.current.Load().certificate.Leaf.NotAfter, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (a *Authority) renew(n *Node) error {
	certificate, err := a.renewed(n)
	if err != nil {
		return err
	}
	return n.Renew(certificate)
}

// renewed is another certificate for a management server's own node.
func (a *Authority) renewed(n *Node) ([]byte, error) {
	request, err := n.RenewalRequest()
	if err != nil {
		return nil, err
	}
	return a.Sign(request, n.ID(), n.Role(), n.Hosts(), 0)
}

var filePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// SealFile keeps plain in the node's folder under a name of lower-case
// letters, digits and dashes. Only this node can open it, and only under that name.
func (n *Node) SealFile(name string, plain []byte) error {
	path, context, err := n.sealed(name)
	if err != nil {
		return err
	}
	return writeFile(path, n.sealer.Seal(plain, context))
}

// OpenFile returns what SealFile kept. CodeNotFound if there is nothing,
// CodeInvalid if it is damaged or another node's.
func (n *Node) OpenFile(name string) ([]byte, error) {
	path, context, err := n.sealed(name)
	if err != nil {
		return nil, err
	}
	sealed, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return n.sealer.Open(sealed, context)
}

func (n *Node) sealed(name string) (path string, context []byte, err error) {
	if !filePattern.MatchString(name) {
		return "", nil, understudy.Errorf(understudy.CodeInvalid, "expected a file name of lower-case letters, digits and dashes, found %.80q", name)
	}
	return filepath.Join(n.folder, name+".sealed"), []byte("file " + n.subject.uri().String() + " " + name), nil
}
