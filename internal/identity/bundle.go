package identity

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"time"

	"understudy"
	"understudy/internal/seal"
)

const (
	// bundleVersion is the first byte of what is sealed. A server that knows only
	// older ones says so, and goes on with the bundle that it has.
	bundleVersion = 1
	// maxBundle bounds what is read of one: 20,000 cameras have about 16 MB.
	maxBundle     = 32 << 20
	maxBundleKey  = 4 << 10 // bytes of a public key, of a later kind too
	bundleContext = "understudy bundle"
)

// The parts of HPKE (RFC 9180 §7): X25519, HKDF-SHA256 and AES-256-GCM.
func bundleKEM() hpke.KEM   { return hpke.DHKEM(ecdh.X25519()) }
func bundleKDF() hpke.KDF   { return hpke.HKDFSHA256() }
func bundleAEAD() hpke.AEAD { return hpke.AES256GCM() }

// bundleKey is the node's private key for bundles. It is derived from the key
// that seals its files, so that servers which joined before there were bundles
// have one, and is never used for anything else.
func (f nodeFile) bundleKey() (hpke.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, f.SealKey, nil, bundleContext+" key", seal.KeySize)
	if err != nil {
		return nil, internal("derive the key of bundles", err)
	}
	key, err := bundleKEM().DeriveKeyPair(seed)
	if err != nil {
		return nil, internal("derive the key of bundles", err)
	}
	return key, nil
}

// bundleHeader is what stands outside of the encryption, in one form: it is
// bound to the ciphertext and signed with it.
func bundleHeader(installation string, b understudy.Bundle) []byte {
	return fmt.Appendf(nil, "%s\n%s\n%s\n%s\n%s\n%d\n%s\n", bundleContext, installation, b.Signer, b.Server, b.Home, b.Seq, b.Made.UTC().Format(time.RFC3339Nano))
}

// SealBundle encrypts plain to the failover server that b names, whose key
// (Node.BundleKey) is given, and signs all of it. CodeInvalid for a key that is none.
func (a *Authority) SealBundle(b understudy.Bundle, key, plain []byte) (understudy.Bundle, error) {
	public, err := bundleKEM().NewPublicKey(key)
	if len(key) > maxBundleKey || err != nil {
		return b, understudy.Errorf(understudy.CodeInvalid, "expected the X25519 key of %s for bundles, found %d bytes that are none", b.Server, len(key))
	}
	b.Signer = keyID(a.token.Public().(ed25519.PublicKey))
	header := bundleHeader(a.id, b)
	sealed, err := hpke.Seal(public, bundleKDF(), bundleAEAD(), header, plain)
	if err != nil {
		return b, internal("seal a bundle", err)
	}
	b.Sealed = append([]byte{bundleVersion}, sealed...)
	b.Signature, err = a.token.Sign(nil, append(header, b.Sealed...), &ed25519.Options{Context: bundleContext})
	if err != nil {
		return b, internal("sign a bundle", err)
	}
	return b, nil
}

// BundleKey returns the public key that bundles for this node are sealed to.
func (n *Node) BundleKey() []byte { return n.bundle.PublicKey().Bytes() }

// VerifyBundle reports whether b was made for this node by the authority, and
// is as it was made. CodeInvalid if not. It opens nothing.
func (n *Node) VerifyBundle(b understudy.Bundle) error {
	if b.Server != n.subject.id {
		return understudy.Errorf(understudy.CodeInvalid, "the bundle of %.80q was made for %.80q, and this is %s", string(b.Home), string(b.Server), n.subject.id)
	}
	if len(b.Sealed) == 0 || len(b.Sealed) > maxBundle || len(b.Signature) != ed25519.SignatureSize {
		return understudy.Errorf(understudy.CodeInvalid, "a bundle has up to %d sealed bytes and a signature of %d, found %d and %d",
			maxBundle, ed25519.SignatureSize, len(b.Sealed), len(b.Signature))
	}
	trust := n.current.Load().trust
	key, ok := trust.keys[b.Signer]
	signed := append(bundleHeader(trust.Installation, b), b.Sealed...)
	if !ok || ed25519.VerifyWithOptions(key, signed, b.Signature, &ed25519.Options{Context: bundleContext}) != nil {
		return understudy.Errorf(understudy.CodeInvalid, "the bundle of %s is not as this installation's authority has signed it", b.Home)
	}
	if b.Sealed[0] != bundleVersion {
		return understudy.Errorf(understudy.CodeInvalid, "the bundle of %s is of version %d, and this server knows version %d: update this server", b.Home, b.Sealed[0], bundleVersion)
	}
	return nil
}

// OpenBundle verifies b and returns what is in it.
func (n *Node) OpenBundle(b understudy.Bundle) ([]byte, error) {
	if err := n.VerifyBundle(b); err != nil {
		return nil, err
	}
	plain, err := hpke.Open(n.bundle, bundleKDF(), bundleAEAD(), bundleHeader(n.current.Load().trust.Installation, b), b.Sealed[1:])
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the bundle of %s was sealed to another key than this server has: %w", b.Home, err)
	}
	return plain, nil
}
