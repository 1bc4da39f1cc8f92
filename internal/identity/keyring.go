package identity

import (
	"crypto/hkdf"
	"crypto/sha256"
	"slices"

	"understudy"
	"understudy/internal/seal"
)

const maxSealKeys = 2

// sealKeys are the keys of the file under which something may be sealed, the newest first. It is
// one, save where a version changed it that kept its ring here.
func (f authorityFile) sealKeys() ([][]byte, error) {
	keys := slices.Concat([][]byte{f.SealKey}, f.OldSealKeys)
	if len(keys) > maxSealKeys {
		return nil, understudy.Errorf(understudy.CodeInvalid, "an installation has up to %d seal keys, found %d", maxSealKeys, len(keys))
	}
	for _, key := range keys {
		if _, err := seal.NewKey(key); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// auditKey follows from the first seal key, so that every management server of a site has the
// same. Where a version changed that key in the file, it kept what followed from the first.
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

// siteKey is what management servers seal for each other. It follows from the key of the audit,
// which is the same in every file that a site has ever had: the seal key need not be.
func siteKey(audit []byte) (seal.Key, error) {
	secret, err := hkdf.Key(sha256.New, audit, nil, "understudy site", seal.KeySize)
	if err != nil {
		return seal.Key{}, internal("derive the key of the site", err)
	}
	return seal.NewKey(secret)
}

// Keyring opens the ring of keys under which the site's secrets are sealed, as it is stored with
// them, and takes in what this authority's file has; of nothing it makes the first. CodeInvalid
// for another installation's.
func (a *Authority) Keyring(stored []byte) (*seal.Ring, error) {
	ring, err := seal.OpenRing(a.site, stored, a.seals)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid,
			"the keys that are stored with the secrets of the site do not open with the authority in %s: it is another site's, or the store is damaged; restore both from one backup: %w", a.folder, err)
	}
	return ring, nil
}

// Seal encrypts plain for whichever management server of the site gets it back; Open needs
// the same context, which says what it is.
func (a *Authority) Seal(plain, context []byte) ([]byte, error) {
	return a.site.Seal(plain, context), nil
}

// Open is the inverse of Seal. CodeInvalid for bytes that are damaged, of
// another installation, or sealed with another context.
func (a *Authority) Open(sealed, context []byte) ([]byte, error) { return a.site.Open(sealed, context) }
