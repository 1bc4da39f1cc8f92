package management

import (
	"context"
	"fmt"
	"slices"

	"understudy"
)

const resealLot = 500 // passwords that are sealed anew in one transaction

// RotateSecrets seals all that is sealed under a new key and forgets the old one: the
// passwords of cameras, and the second factors of users.
// Broken off anywhere, it is done whole the next time: until then both keys open.
func (m *Management) RotateSecrets(ctx context.Context) error {
	if err := m.sealer.NewSealKey(); err != nil {
		return err
	}
	var site understudy.Site
	// After whatever was sealed under the old key a moment ago.
	if err := m.store.Update(ctx, func(tx Tx) (err error) { site, err = tx.Site(); return err }); err != nil {
		return err
	}
	count := 0
	for lot := range slices.Chunk(site.Cameras, resealLot) {
		done := 0
		if err := m.store.Update(ctx, func(tx Tx) (err error) { done, err = m.reseal(tx, lot); return err }); err != nil {
			return err
		}
		count += done
	}
	if err := m.store.Update(ctx, m.resealSeconds); err != nil {
		return err
	}
	if err := m.sealer.ForgetSealKeys(); err != nil {
		return err
	}
	return m.update(ctx, func(tx *change) error {
		return tx.record(understudy.Event{Kind: understudy.EventAccess, Sentence: fmt.Sprintf(
			"The passwords of %d cameras, and all second factors, were sealed under a new key, and the old one was forgotten.", count)})
	})
}

func (m *Management) reseal(tx Tx, cameras []understudy.Camera) (count int, err error) {
	all, err := m.credentials(tx, cameras)
	if err != nil {
		return 0, err
	}
	for id, c := range all {
		if c.Password == "" {
			continue
		}
		if err := m.putPassword(tx, id, c.Password); err != nil {
			return 0, err
		}
		count++
	}
	return count, nil
}

func (m *Management) resealSeconds(tx Tx) error {
	accounts, err := tx.Accounts()
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.Second.Sealed == nil {
			continue
		}
		context := secondContext(a.User.Name)
		plain, err := m.sealer.Open(a.Second.Sealed, context)
		if err != nil {
			return understudy.Errorf(understudy.CodeInternal,
				"the second factor of %s cannot be decrypted with this installation's key; take it away with `understudy user reset-second-factor`, and set it up again: %w", a.User.Name, err)
		}
		if a.Second.Sealed, err = m.sealer.Seal(plain, context); err != nil {
			return err
		}
		if err := tx.PutAccount(a); err != nil {
			return err
		}
	}
	return nil
}
