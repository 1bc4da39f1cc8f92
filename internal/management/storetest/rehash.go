package storetest

import (
	"testing"

	us "understudy"
	"understudy/internal/management"
)

func rehashing(t *testing.T, s management.Store) {
	m := New(t, s)
	password := us.Secret("correct horse")
	must[us.User](t)(m.PutUser(background, us.User{Name: "ada", Role: us.RoleAdministrator, Cameras: []us.CameraID{us.AllCameras}}, &password))
	hash := func() (hash string) {
		t.Helper()
		want(t, s.View(background, func(r management.Reader) error {
			a, _, err := r.Account("ada")
			hash = a.Hash
			return err
		}), "")
		return hash
	}
	now := hash()
	want(t, s.Update(background, func(tx management.Tx) error {
		a, _, err := tx.Account("ada")
		if err != nil {
			return err
		}
		a.Hash = formerly + a.Hash
		return tx.PutAccount(a)
	}), "")
	_, err := m.SignIn(background, "ada", "wrong horse")
	want(t, err, us.CodeUnauthenticated)
	if hash() != formerly+now {
		t.Error("a wrong password was hashed anew")
	}
	for range 2 {
		session := must[us.Session](t)(m.SignIn(background, "ada", password))
		must[us.Identity](t)(m.Identify(background, session.Token))
		if hash() != now {
			t.Errorf("after a sign-in the hash is %q, and a new one is %q", hash(), now)
		}
	}
}
