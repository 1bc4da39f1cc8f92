package management

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"understudy"
)

const (
	joinAge    = time.Hour          // of a join token, where none is asked for
	maxJoinAge = 7 * 24 * time.Hour // a token in a mailbox is not a key for ever
	keepJoins  = 7 * 24 * time.Hour // after use or expiry, to be told why it is refused
)

// SetupCode returns a fresh code for Setup, or nothing once there is a user.
// Codes from before do not hold any more.
func (m *Management) SetupCode(ctx context.Context) (understudy.Secret, error) {
	letters := rand.Text()[:20] // 100 bits
	code := understudy.Secret(letters[:5] + "-" + letters[5:10] + "-" + letters[10:15] + "-" + letters[15:])
	err := m.update(ctx, func(tx *change) error {
		if err := tx.deleteSetupCodes(); err != nil {
			return err
		}
		accounts, err := tx.Accounts()
		if err != nil || len(accounts) > 0 {
			code = ""
			return err
		}
		return tx.PutToken(Token{Hash: hashSetupCode(code), Purpose: PurposeSetup, Created: tx.now})
	})
	if err != nil {
		return "", err
	}
	return code, nil
}

// hashSetupCode takes a code as people type it: in any case, with or without dashes.
func hashSetupCode(code understudy.Secret) TokenHash {
	letters := strings.NewReplacer("-", "", " ", "").Replace(strings.ToUpper(string(code)))
	return hashSecret(understudy.Secret("setup " + letters))
}

func (tx *change) deleteSetupCodes() error {
	codes, err := tx.Tokens(PurposeSetup)
	if err != nil {
		return err
	}
	for _, t := range codes {
		if err := tx.DeleteToken(t.Hash); err != nil {
			return err
		}
	}
	return nil
}

// Setup makes the first administrator, for whom has the code. CodeConflict once
// there is a user, CodeUnauthenticated for a wrong code.
func (m *Management) Setup(ctx context.Context, code understudy.Secret, user string, password understudy.Secret) (understudy.User, error) {
	address := understudy.Asker(ctx).Address
	u := understudy.User{Name: user, Role: understudy.RoleAdministrator, Cameras: []understudy.CameraID{understudy.AllCameras}}
	if err := validateUser(u); err != nil {
		return u, err
	}
	try, err := m.attempts.begin(m.now(), "(setup)", address)
	if err != nil {
		return u, err
	}
	if len(code) > maxSecret {
		code = ""
	}
	if err := m.store.View(ctx, func(r Reader) error { return checkSetup(r, code) }); err != nil {
		return u, err
	}
	hash, err := m.hash(ctx, user, &password)
	if err != nil {
		m.attempts.succeeded(try)
		return u, err
	}
	err = m.update(ctx, func(tx *change) error {
		if err := checkSetup(tx, code); err != nil { // somebody else may have been faster
			return err
		}
		if err := tx.deleteSetupCodes(); err != nil {
			return err
		}
		tx.actor = understudy.Identity{User: user}.String()
		return tx.putUser(&u, hash)
	})
	if err == nil {
		m.attempts.succeeded(try)
	}
	return u, err
}

func checkSetup(r Reader, code understudy.Secret) error {
	accounts, err := r.Accounts()
	if err != nil {
		return err
	}
	if len(accounts) > 0 {
		return understudy.Errorf(understudy.CodeConflict, "this site has been set up; sign in, or ask an administrator")
	}
	t, ok, err := r.Token(hashSetupCode(code))
	if err != nil {
		return err
	}
	if !ok || t.Purpose != PurposeSetup {
		return understudy.Errorf(understudy.CodeUnauthenticated, "the setup code is wrong; the management server printed it when it last started")
	}
	return nil
}

// CreateJoinToken returns the secret by which one server may join as that role
// and id, once, within ttl (at most 7 days; 0 is an hour).
func (m *Management) CreateJoinToken(ctx context.Context, role understudy.Role, id understudy.ServerID, ttl time.Duration) (understudy.Secret, error) {
	switch role {
	case understudy.RoleRecording, understudy.RoleFailover, understudy.RoleChannel:
	default:
		return "", understudy.Errorf(understudy.CodeInvalid, "a server joins as recording, failover or channel, not as %.40q", string(role))
	}
	if err := understudy.ValidateID("server", id); err != nil {
		return "", err
	}
	if id == understudy.ServerID(understudy.RoleManagement) { // found out now, not when the token is used up
		return "", understudy.Errorf(understudy.CodeInvalid, "management servers are known by the name %q; choose another id", string(id))
	}
	if ttl == 0 {
		ttl = joinAge
	}
	if ttl < 0 || ttl > maxJoinAge {
		return "", understudy.Errorf(understudy.CodeInvalid, "a join token holds for at most %s, not %s", maxJoinAge, ttl)
	}
	secret, hash := newSecret()
	err := m.update(ctx, func(tx *change) error {
		if err := roleIsFree(tx.site, role, id); err != nil {
			return err
		}
		if err := tx.forgetJoins(); err != nil {
			return err
		}
		token := Token{Hash: hash, Purpose: PurposeJoin, Server: id, Role: role, Created: tx.now, Expires: tx.now.Add(ttl)}
		if err := tx.PutToken(token); err != nil {
			return err
		}
		return tx.record(understudy.Event{
			Kind: understudy.EventAccess, Server: id,
			Sentence: fmt.Sprintf("A token was made by which %s may join as %s server within %s.", id, role, ttl),
		})
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// roleIsFree refuses the id of a server that has another role.
func roleIsFree(site understudy.Site, role understudy.Role, id understudy.ServerID) error {
	_, recording := site.RecordingServer(id)
	_, failover := site.FailoverServer(id)
	if recording && role != understudy.RoleRecording || failover && role != understudy.RoleFailover {
		return understudy.Errorf(understudy.CodeConflict, "%s is in the site with another role; a %s server needs an id of its own", id, role)
	}
	return nil
}

// forgetJoins deletes the tokens that have been of no use for a while.
func (tx *change) forgetJoins() error {
	tokens, err := tx.Tokens(PurposeJoin)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		if tx.now.Sub(t.Expires) > keepJoins {
			if err := tx.DeleteToken(t.Hash); err != nil {
				return err
			}
		}
	}
	return nil
}

// UseJoinToken uses up a join token's secret and returns whom it lets in. The
// same key (its SHA-256) is let in again until the token expires: the answer to the first
// time may have been lost, and a certificate is worth something to the key's
// owner only. CodeUnauthenticated, with the reason, if it lets in nobody;
// CodeInvalid, and the token stays good, if it is for another role than as
// (empty: whatever the token says).
func (m *Management) UseJoinToken(ctx context.Context, secret understudy.Secret, key [32]byte, as understudy.Role) (understudy.Role, understudy.ServerID, error) {
	var token Token
	err := m.update(ctx, func(tx *change) error {
		var ok bool
		var err error
		if len(secret) <= maxSecret {
			if token, ok, err = tx.Token(hashSecret(secret)); err != nil {
				return err
			}
		}
		switch {
		case !ok || token.Purpose != PurposeJoin:
			return understudy.Errorf(understudy.CodeUnauthenticated, "this join token is not known here; make a new one at this site's management server")
		case !token.Used.IsZero() && token.UsedBy != key:
			return understudy.Errorf(understudy.CodeUnauthenticated, "this join token was used at %s, and lets in one server once; make a new one", token.Used.Format(time.RFC3339))
		case !token.Expires.After(tx.now):
			return understudy.Errorf(understudy.CodeUnauthenticated, "this join token expired at %s; make a new one", token.Expires.Format(time.RFC3339))
		case as != "" && as != token.Role:
			return understudy.Errorf(understudy.CodeInvalid, "this join token is for a %s server named %s, not for a %s server; start it as `understudy %s`, or make another token",
				token.Role, token.Server, as, token.Role)
		case !token.Used.IsZero():
			return nil
		}
		token.Used, token.UsedBy = tx.now, key
		if err := tx.PutToken(token); err != nil {
			return err
		}
		return tx.record(understudy.Event{
			Kind: understudy.EventServer, Server: token.Server, Actor: understudy.Identity{Server: token.Server}.String(),
			Sentence: oneSentence(fmt.Sprintf("%s joined as %s server%s.", token.Server, token.Role, from(understudy.Asker(ctx).Address))),
		})
	})
	if err != nil {
		return "", "", err
	}
	return token.Role, token.Server, nil
}
