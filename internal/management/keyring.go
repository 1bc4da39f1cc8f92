package management

import "understudy/internal/seal"

// keyring reads the ring of keys within the transaction in which something is sealed or opened.
// No management server remembers it from one to the next: another may have changed it since.
// What is sealed is so under the newest key of that moment, since transactions that write happen
// one after another.
func (m *Management) keyring(r Reader) (*seal.Ring, error) {
	stored, err := r.Keyring()
	if err != nil {
		return nil, err
	}
	return m.sealer.Keyring(stored)
}

func putKeyring(tx Tx, ring *seal.Ring) error {
	stored, err := ring.Stored()
	if err != nil {
		return err
	}
	return tx.PutKeyring(stored)
}

// takeInKeys stores the keys of this server's authority, the first time that it is on this store:
// a version that knew no stored ring may have sealed under them.
func (m *Management) takeInKeys(tx Tx) error {
	if m.sealer == nil {
		return nil
	}
	ring, err := m.keyring(tx)
	if err != nil || !ring.Grew() {
		return err
	}
	return putKeyring(tx, ring)
}
