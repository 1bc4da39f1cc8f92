package management

import (
	"context"
	"slices"

	"understudy"
	"understudy/internal/seal"
)

const resealLot = 500 // passwords that are sealed anew in one transaction

// RotateSecrets seals all that is sealed under a new key and forgets the old one: the
// passwords of cameras, and the second factors of users. It begins with the ring that has the
// new key, which is stored before anything is sealed under it, and ends with the one that has
// no other; in between, whatever any management server seals is under the new key, and both open.
// Broken off anywhere, it is done whole the next time, at whichever server. Of two at once, both
// do the work of the first, and one of them ends it.
func (m *Management) RotateSecrets(ctx context.Context) error {
	var site understudy.Site
	begun := 0
	err := m.update(ctx, func(tx *change) error {
		ring, err := m.keyring(tx)
		if err != nil {
			return err
		}
		if begun, err = ring.Begin(); err != nil {
			return err
		}
		site = tx.site
		return putKeyring(tx, ring)
	})
	if err != nil {
		return err
	}
	for lot := range slices.Chunk(site.Cameras, resealLot) {
		if err := m.update(ctx, func(tx *change) error { return m.reseal(tx, lot) }); err != nil {
			return err
		}
	}
	return m.update(ctx, func(tx *change) error { return m.endRotation(tx, begun) })
}

// endRotation forgets the keys before the newest, if the change of that number is still to be
// ended. That nothing is sealed under them is not concluded from the lots but looked at here: the
// store may have lost some of them, as a replica may that was promoted.
func (m *Management) endRotation(tx *change, begun int) error {
	ring, err := m.keyring(tx)
	if err != nil || !ring.Changing(begun) {
		return err
	}
	if err := m.reseal(tx, tx.site.Cameras); err != nil {
		return err
	}
	if err := resealSeconds(tx, ring); err != nil {
		return err
	}
	if err := ring.End(); err != nil {
		return err
	}
	if err := putKeyring(tx, ring); err != nil {
		return err
	}
	return tx.record(understudy.Event{Kind: understudy.EventAccess,
		Sentence: "The passwords of all cameras, and all second factors, were sealed under a new key; nothing is sealed under the one before."})
}

// reseal seals the passwords of those cameras anew that are not sealed under the newest key.
func (m *Management) reseal(tx Tx, cameras []understudy.Camera) error {
	ring, err := m.keyring(tx)
	if err != nil {
		return err
	}
	ids := make([]understudy.CameraID, len(cameras))
	for i, c := range cameras {
		ids[i] = c.ID
	}
	all, err := tx.Passwords(ids)
	if err != nil {
		return err
	}
	for id, sealed := range all {
		password, newest, err := openPassword(ring, id, sealed)
		if err != nil {
			return err
		}
		if newest {
			continue
		}
		if err := tx.PutPassword(id, ring.Seal([]byte(password), passwordContext(id))); err != nil {
			return err
		}
	}
	return nil
}

func resealSeconds(tx Tx, ring *seal.Ring) error {
	accounts, err := tx.Accounts()
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.Second.Sealed == nil {
			continue
		}
		context := secondContext(a.User.Name)
		plain, newest, err := ring.Open(a.Second.Sealed, context)
		if err != nil {
			return understudy.Errorf(understudy.CodeInternal,
				"the second factor of %s cannot be decrypted with this installation's keys; take it away with `understudy user reset-second-factor`, and set it up again: %w", a.User.Name, err)
		}
		if newest {
			continue
		}
		a.Second.Sealed = ring.Seal(plain, context)
		if err := tx.PutAccount(a); err != nil {
			return err
		}
	}
	return nil
}
