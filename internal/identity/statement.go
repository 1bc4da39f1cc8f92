package identity

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"time"

	"understudy"
)

// Bounds of what is read of a signed statement.
const (
	maxStatement   = 4 << 10
	maxCertificate = 8 << 10
	maxSignature   = 128
)

// statementContext keeps what is signed here apart from all else that a node's
// key signs (TLS handshakes, certificate requests).
const statementContext = "understudy statement\n"

func statementDigest(text []byte) []byte {
	sum := sha256.Sum256(append([]byte(statementContext), text...))
	return sum[:]
}

// SignStatement signs what this node says of its own part. CodeInvalid for
// another server's.
func (n *Node) SignStatement(s understudy.Statement) (understudy.SignedStatement, error) {
	if s.Server != n.subject.id {
		return understudy.SignedStatement{}, understudy.Errorf(understudy.CodeInvalid, "%s states its own part only, and was given one of %q", n.subject.id, string(s.Server))
	}
	text, err := json.Marshal(s)
	if err != nil {
		return understudy.SignedStatement{}, internal("write a statement", err)
	}
	signature, err := ecdsa.SignASN1(rand.Reader, n.key, statementDigest(text))
	if err != nil {
		return understudy.SignedStatement{}, internal("sign a statement", err)
	}
	return understudy.SignedStatement{Statement: text, Certificates: n.current.Load().certificate.Certificate, Signature: signature}, nil
}

// VerifyStatement returns what a server of this installation says of its part,
// as StatementVerifier does.
func (n *Node) VerifyStatement(s understudy.SignedStatement) (understudy.Statement, error) {
	said, leaf, err := verifyStatement(s, n.current.Load().trust.roots, n.now())
	if err != nil {
		return understudy.Statement{}, err
	}
	if _, err := n.verifyPeer(leaf); err != nil {
		return understudy.Statement{}, err
	}
	return said, nil
}

// StatementVerifier returns what verifies statements for users, who trust the
// CA of an installation (PEM): CodeForbidden for one that is not in the words of
// the recording or failover server that it names, or whose certificate has ended.
// That it answers the question that was asked is for the caller to see.
func StatementVerifier(caPEM []byte) (func(understudy.SignedStatement) (understudy.Statement, error), error) {
	roots, _, err := rootsOf(caPEM)
	if err != nil {
		return nil, err
	}
	return func(s understudy.SignedStatement) (understudy.Statement, error) {
		said, _, err := verifyStatement(s, roots, time.Now())
		return said, err
	}, nil
}

func verifyStatement(s understudy.SignedStatement, roots *x509.CertPool, now time.Time) (said understudy.Statement, leaf *x509.Certificate, err error) {
	refuse := func(format string, args ...any) (understudy.Statement, *x509.Certificate, error) {
		return understudy.Statement{}, nil, understudy.Errorf(understudy.CodeForbidden, format, args...)
	}
	if len(s.Statement) > maxStatement || len(s.Signature) > maxSignature || len(s.Certificates) == 0 || len(s.Certificates) > maxChain || len(s.Certificates[0]) > maxCertificate {
		return refuse("expected a statement of up to %d bytes, with its signature and up to %d certificates, found %d, %d and %d",
			maxStatement, maxChain, len(s.Statement), len(s.Signature), len(s.Certificates))
	}
	leaf, err = x509.ParseCertificate(s.Certificates[0])
	if err != nil {
		return refuse("the certificate of whoever made a statement cannot be read: %w", err)
	}
	// The CA signs servers only, so that there is nothing between it and them.
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now}); err != nil {
		return refuse("whoever made a statement is not of this installation, or its certificate has ended: %w", err)
	}
	by, err := subjectOf(leaf)
	if err != nil {
		return understudy.Statement{}, nil, err
	}
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || !ecdsa.VerifyASN1(key, statementDigest(s.Statement), s.Signature) {
		return refuse("the statement is not as %s has signed it", by.id)
	}
	if err := json.Unmarshal(s.Statement, &said); err != nil {
		return refuse("the statement of %s cannot be read: %w", by.id, err)
	}
	if said.Server != by.id || by.role != understudy.RoleRecording && by.role != understudy.RoleFailover {
		return refuse("the %s server %s speaks for %q", by.role, by.id, string(said.Server))
	}
	return said, leaf, nil
}
