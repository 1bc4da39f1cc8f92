package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"

	"understudy"
)

const (
	sealKeySize = 32
	sealVersion = 1
)

// sealer encrypts with AES-256-GCM. Sealed bytes are a version, a random nonce
// of 12 bytes and the ciphertext with its tag; the context is authenticated
// and not stored, so that what was sealed for one place opens in no other.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (sealer, error) {
	if len(key) != sealKeySize {
		return sealer{}, understudy.Errorf(understudy.CodeInvalid, "a seal key has %d bytes, found %d", sealKeySize, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, internal("use the seal key", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, internal("use the seal key", err)
	}
	return sealer{aead}, nil
}

func (s sealer) seal(plain, context []byte) []byte {
	return s.aead.Seal([]byte{sealVersion}, nil, plain, context)
}

func (s sealer) open(sealed, context []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != sealVersion {
		return nil, understudy.Errorf(understudy.CodeInvalid, "expected sealed bytes of version %d", sealVersion)
	}
	plain, err := s.aead.Open(nil, nil, sealed[1:], context)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "sealed bytes do not open: they are damaged, or were sealed by another server or for another place: %w", err)
	}
	return plain, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}
