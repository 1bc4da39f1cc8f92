package management

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"understudy"
)

// The codes are those that every app makes: RFC 6238 with SHA-1, six digits, 30
// seconds. One before and one after are good, too, since clocks differ (§5.2).
const (
	codeEvery = 30 * time.Second
	codeSkew  = 1
)

// Second is an account's second factor; the zero Second is none.
type Second struct {
	Sealed []byte `json:",omitempty"` // the secret, in base32
	On     bool   `json:",omitempty"` // the owner has shown a code of it
	Step   int64  `json:",omitempty"` // of the newest code that was accepted; none up to it is again
}

func secondContext(user string) []byte { return []byte("second factor of " + user) }

// accepted returns the step of a code that is good now and was not accepted before. The ring is
// what was stored when the account was read.
func (m *Management) accepted(a Account, stored []byte, code understudy.Secret) (step int64, ok bool, err error) {
	ring, err := m.sealer.Keyring(stored)
	if err != nil {
		return 0, false, err
	}
	secret, _, err := ring.Open(a.Second.Sealed, secondContext(a.User.Name))
	if err != nil {
		return 0, false, err
	}
	digits := strings.ReplaceAll(string(code), " ", "") // apps show them in groups
	now := m.now().Unix() / int64(codeEvery/time.Second)
	for step := max(now-codeSkew, a.Second.Step+1); step <= now+codeSkew; step++ {
		good, err := hotp.ValidateCustom(digits, uint64(step), string(secret), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && good { // an error is about the length of what was typed
			return step, true, nil
		}
	}
	return 0, false, nil
}

// BeginSecondFactor returns the secret of a new second factor, to be typed into
// an app, and the address that carries it, to be shown as a QR code. It is needed
// to sign in from ConfirmSecondFactor on. CodeConflict while the user has one.
func (m *Management) BeginSecondFactor(ctx context.Context, user string, password understudy.Secret) (secret, address understudy.Secret, err error) {
	proof, err := m.prove(ctx, user, password, nil)
	if err != nil {
		return "", "", err
	}
	m.attempts.succeeded(proof.try)
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Understudy", AccountName: user})
	if err != nil {
		return "", "", err
	}
	err = m.changeSecond(ctx, user, "", func(tx Tx, a Account) (Second, error) {
		if a.Second.On {
			return a.Second, understudy.Errorf(understudy.CodeConflict, "%s has a second factor; remove it before another one is begun", user)
		}
		ring, err := m.keyring(tx)
		if err != nil {
			return a.Second, err
		}
		return Second{Sealed: ring.Seal([]byte(key.Secret()), secondContext(user))}, nil
	})
	return understudy.Secret(key.Secret()), understudy.Secret(key.URL()), err
}

// ConfirmSecondFactor makes the second factor that was begun needed, by a code of it.
func (m *Management) ConfirmSecondFactor(ctx context.Context, user string, code understudy.Secret) error {
	try, err := m.attempts.begin(m.now(), user, understudy.Asker(ctx).Address)
	if err != nil {
		return err
	}
	err = m.changeSecond(ctx, user, "%s turned on a second factor.", func(tx Tx, a Account) (Second, error) {
		if a.Second.On || a.Second.Sealed == nil {
			return a.Second, understudy.Errorf(understudy.CodeConflict, "no second factor of %s waits to be confirmed; begin one", user)
		}
		ring, err := tx.Keyring()
		if err != nil {
			return a.Second, err
		}
		step, ok, err := m.accepted(a, ring, code)
		if err == nil && !ok {
			err = understudy.Errorf(understudy.CodeInvalid, "this is not the code of now; look at the app again, and at whether the clocks of the phone and of the server are right")
		}
		return Second{Sealed: a.Second.Sealed, On: true, Step: step}, err
	})
	if err == nil {
		m.attempts.succeeded(try)
	}
	return err
}

// RemoveSecondFactor lets a user sign in by the password alone again.
func (m *Management) RemoveSecondFactor(ctx context.Context, user string, password, code understudy.Secret) error {
	proof, err := m.prove(ctx, user, password, &code)
	if err != nil {
		return err
	}
	m.attempts.succeeded(proof.try)
	return m.changeSecond(ctx, user, "%s turned off the second factor.", func(_ Tx, a Account) (Second, error) {
		if a.Second.Step >= proof.step && a.Second.On {
			return a.Second, errWrongSignIn
		}
		return Second{}, nil
	})
}

// ResetSecondFactor is for an administrator to do for who has lost the phone. It
// ends the user's sessions: whoever has the phone may have one.
func (m *Management) ResetSecondFactor(ctx context.Context, user string) error {
	return m.changeSecond(ctx, user, "The second factor of %s was taken away.", func(_ Tx, a Account) (Second, error) {
		if a.Second.Sealed == nil {
			return a.Second, understudy.Errorf(understudy.CodeNotFound, "%s has no second factor", user)
		}
		return Second{}, nil
	})
}

// changeSecond changes an account's second factor; an empty sentence is not worth an event.
func (m *Management) changeSecond(ctx context.Context, user, sentence string, to func(Tx, Account) (Second, error)) error {
	return m.update(ctx, func(tx *change) error {
		var account Account
		var ok bool
		var err error
		if userName.MatchString(user) {
			account, ok, err = tx.Account(user)
		}
		switch {
		case err != nil:
			return err
		case !ok:
			return understudy.Errorf(understudy.CodeNotFound, "%.80q has no account here, and so no second factor here", user)
		}
		had := account.Second.On
		if account.Second, err = to(tx, account); err != nil {
			return err
		}
		e := understudy.Event{Kind: understudy.EventAccess, Sentence: fmt.Sprintf(sentence, user)}
		if had && !account.Second.On {
			e.Changes = []understudy.Change{recall(user, tx.now)}
			if err := tx.endSessions(user); err != nil {
				return err
			}
		}
		if err := tx.PutAccount(account); err != nil || sentence == "" {
			return err
		}
		return tx.record(e)
	})
}
