// Package seal encrypts what is stored and must be read again: under one key, or under a ring
// of keys that is stored beside it and changes while everything goes on.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"

	"understudy"
)

// KeySize is how many bytes a key has.
const KeySize = 32

const version = 1

// Key encrypts with AES-256-GCM. Sealed bytes are a version, a random nonce
// of 12 bytes and the ciphertext with its tag; the context is authenticated
// and not stored, so that what was sealed for one place opens in no other.
type Key struct{ aead cipher.AEAD }

// NewKey returns the key of these bytes. CodeInvalid if they are not KeySize.
func NewKey(secret []byte) (Key, error) {
	if len(secret) != KeySize {
		return Key{}, understudy.Errorf(understudy.CodeInvalid, "a seal key has %d bytes, found %d", KeySize, len(secret))
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return Key{}, understudy.Errorf(understudy.CodeInternal, "the seal key cannot be used: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Key{}, understudy.Errorf(understudy.CodeInternal, "the seal key cannot be used: %w", err)
	}
	return Key{aead}, nil
}

// Seal encrypts plain; Open needs the same context, which says what it is (a column and a row, say).
func (k Key) Seal(plain, context []byte) []byte {
	return k.aead.Seal([]byte{version}, nil, plain, context)
}

// Open is the inverse of Seal. CodeInvalid for bytes that are damaged, or were sealed under
// another key or with another context.
func (k Key) Open(sealed, context []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != version {
		return nil, understudy.Errorf(understudy.CodeInvalid, "expected sealed bytes of version %d", version)
	}
	plain, err := k.aead.Open(nil, nil, sealed[1:], context)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "sealed bytes do not open: they are damaged, or were sealed by another server or for another place: %w", err)
	}
	return plain, nil
}

// randomSecret returns the bytes of a new key.
func randomSecret() []byte {
	b := make([]byte, KeySize)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}
