package identity

import (
	"crypto/hkdf"
	"crypto/sha256"
	"slices"

	"understudy"
)

const maxSealKeys = 2

// keyring seals under its first key and opens under any.
type keyring []sealer

func (f authorityFile) keyring() (keyring, error) {
	var ring keyring
	for _, key := range slices.Concat([][]byte{f.SealKey}, f.OldSealKeys) {
		s, err := newSealer(key)
		if err != nil {
			return nil, err
		}
		ring = append(ring, s)
	}
	if len(ring) > maxSealKeys {
		return nil, understudy.Errorf(understudy.CodeInvalid, "an installation has up to %d seal keys, found %d", maxSealKeys, len(ring))
	}
	return ring, nil
}

// auditKey follows from the seal key, so that every management server of a site has the
// same, and stays when that is changed.
func (f authorityFile) auditKey() ([]byte, error) {
	if len(f.AuditKey) > 0 {
		return f.AuditKey, nil
	}
	key, err := hkdf.Key(sha256.New, f.SealKey, nil, "understudy audit", sha256.Size)
	if err != nil {
		return nil, internal("derive the key of the audit", err)
	}
	return key, nil
}

// Seal encrypts plain for storage; Open needs the same context, which says
// what it is (a column and a row, say).
func (a *Authority) Seal(plain, context []byte) ([]byte, error) {
	return (*a.seals.Load())[0].seal(plain, context), nil
}

// Open is the inverse of Seal. CodeInvalid for bytes that are damaged, of
// another installation, or sealed with another context.
func (a *Authority) Open(sealed, context []byte) (plain []byte, err error) {
	for _, s := range *a.seals.Load() {
		if plain, err = s.open(sealed, context); err == nil {
			return plain, nil
		}
	}
	return nil, err
}

// NewSealKey makes the key under which is sealed from now on. What was sealed before opens
// until ForgetSealKeys. Before that it makes no further one: the last change was broken off.
func (a *Authority) NewSealKey() error {
	return a.change(func(f *authorityFile) error {
		if len(f.OldSealKeys) == 0 {
			f.AuditKey = a.audit
			f.OldSealKeys = [][]byte{f.SealKey}
			f.SealKey = randomBytes(sealKeySize)
		}
		return nil
	})
}

// ForgetSealKeys leaves the newest key only: nothing is sealed under another any more.
func (a *Authority) ForgetSealKeys() error {
	return a.change(func(f *authorityFile) error { f.OldSealKeys = nil; return nil })
}
