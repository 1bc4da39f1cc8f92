package management

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"understudy"
)

const (
	sessionAge  = 12 * time.Hour
	maxSessions = 100 // of one user; the oldest ends
	maxSecret   = 200 // bytes of a token's secret
	maxVisitor  = 320 // bytes of the name of who has no account: an address of e-mail fits
)

// newSecret returns 32 random bytes as text, and what is stored of them.
func newSecret() (understudy.Secret, TokenHash) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the process instead
	secret := understudy.Secret(base64.RawURLEncoding.EncodeToString(random[:]))
	return secret, hashSecret(secret)
}

func hashSecret(s understudy.Secret) TokenHash { return sha256.Sum256([]byte(s)) }

// errWrongSignIn does not tell which of them is wrong.
var errWrongSignIn = understudy.Errorf(understudy.CodeUnauthenticated, "name or password is wrong, or the code that some users need besides")

// proof is what somebody has shown who knows a password.
type proof struct {
	account Account
	try     try
	step    int64 // of the code of the second factor; 0 where none was needed
}

// SignIn begins a session of 12 hours. Each try is counted for the account and
// for the address it came from before the password is looked at, so that many
// at once gain nothing.
func (m *Management) SignIn(ctx context.Context, name string, password understudy.Secret) (understudy.Session, error) {
	return m.SignInWithCode(ctx, name, password, "")
}

// SignInWithCode is SignIn with a code of the second factor, for who has one.
func (m *Management) SignInWithCode(ctx context.Context, name string, password, code understudy.Secret) (understudy.Session, error) {
	proof, err := m.prove(ctx, name, password, &code)
	if err != nil {
		return understudy.Session{}, err
	}
	if err := m.renewHash(ctx, &proof.account, password); err != nil {
		return understudy.Session{}, err
	}
	session, err := m.beginSession(ctx, proof)
	if errors.Is(err, errWrongSignIn) {
		return session, m.refuseSignIn(ctx, name, understudy.Asker(ctx).Address)
	}
	if err == nil {
		m.attempts.succeeded(proof.try)
	}
	return session, err
}

// prove verifies a name and a password and, with a code, also that it is one of
// the second factor, if there is one. The try is counted as one that failed.
func (m *Management) prove(ctx context.Context, name string, password understudy.Secret, code *understudy.Secret) (proof, error) {
	address := understudy.Asker(ctx).Address
	try, err := m.attempts.begin(m.now(), name, address)
	if err != nil {
		return proof{}, err
	}
	p := proof{try: try}
	var ring []byte // as stored; read for everybody, since how long it takes would tell who has a second factor
	err = m.store.View(ctx, func(r Reader) (err error) {
		if userName.MatchString(name) {
			p.account, _, err = r.Account(name)
		}
		if err == nil {
			ring, err = r.Keyring()
		}
		return err
	})
	if err != nil {
		return proof{}, err
	}
	ok := false
	if len(password) <= maxPassword {
		if ok, err = m.hasher.Verify(ctx, p.account.Hash, password); err != nil {
			return proof{}, unavailable("the password could not be checked", err)
		}
	}
	if ok && code != nil && p.account.Second.On {
		if p.step, ok, err = m.accepted(p.account, ring, *code); err != nil {
			return proof{}, unavailable("the code could not be checked", err)
		}
	}
	if !ok || p.account.User.Name == "" {
		return proof{}, m.refuseSignIn(ctx, p.account.User.Name, address)
	}
	return p, nil
}

// renewHash hashes a password anew, which was just proven, where its hash is of
// another cost than new ones: how long a wrong password takes would tell who has
// not signed in since the cost was changed.
func (m *Management) renewHash(ctx context.Context, a *Account, password understudy.Secret) error {
	if m.hasher.Current(a.Hash) {
		return nil
	}
	hash, err := m.hasher.Hash(ctx, password)
	if err != nil {
		return unavailable("the password could not be hashed", err)
	}
	return m.update(ctx, func(tx *change) error {
		now, ok, err := tx.Account(a.User.Name)
		if err != nil || !ok || now.Hash != a.Hash { // changed meanwhile, which the sign-in finds out
			return err
		}
		now.Hash, a.Hash = hash, hash
		return tx.PutAccount(now)
	})
}

// refuseSignIn writes down the failure. A name that does not exist is not
// written: it is often a password, typed into the wrong field.
func (m *Management) refuseSignIn(ctx context.Context, name, address string) error {
	who := "an unknown name"
	if name != "" {
		who = name
	}
	err := m.update(ctx, func(tx *change) error {
		return tx.record(understudy.Event{Kind: understudy.EventAccess, Sentence: oneSentence(fmt.Sprintf("A sign-in as %s%s was refused.", who, from(address)))})
	})
	if err != nil {
		return err
	}
	return errWrongSignIn
}

func from(address string) string {
	if address == "" {
		return ""
	}
	return " from " + address
}

func (m *Management) beginSession(ctx context.Context, checked proof) (understudy.Session, error) {
	address := understudy.Asker(ctx).Address
	secret, hash := newSecret()
	session := understudy.Session{ID: hash.name(), Token: secret, Address: address}
	err := m.update(ctx, func(tx *change) error {
		account, ok, err := tx.Account(checked.account.User.Name)
		if err != nil {
			return err
		}
		if !ok || account.Hash != checked.account.Hash || !bytes.Equal(account.Second.Sealed, checked.account.Second.Sealed) { // changed while it was being checked
			return errWrongSignIn
		}
		if account.Second.On {
			if checked.step <= account.Second.Step { // somebody else was quicker with the same code
				return errWrongSignIn
			}
			account.Second.Step = checked.step
			if err := tx.PutAccount(account); err != nil {
				return err
			}
		}
		if err := tx.makeRoom(account.User.Name); err != nil {
			return err
		}
		session.User, session.Began, session.Expires = account.User, tx.now, tx.now.Add(sessionAge)
		return tx.putSession(Token{Hash: hash, User: account.User.Name, Address: address, Expires: session.Expires})
	})
	if err != nil {
		return understudy.Session{}, err
	}
	return session, nil
}

// BeginSession begins a session for a user who was proven elsewhere and has no
// account here. It gives the rights that i has, until a time, 12 hours at most:
// in it nobody is asked again.
func (m *Management) BeginSession(ctx context.Context, i understudy.Identity, until time.Time) (understudy.Session, error) {
	if i.User == "" || i.Server != "" || i.Actions == nil || len(i.User) > maxVisitor {
		return understudy.Session{}, understudy.Errorf(understudy.CodeInvalid, "a session is for a user with rights, of a name of up to %d bytes, not for %s", maxVisitor, i)
	}
	address := i.Address
	i.Address = ""
	secret, hash := newSecret()
	session := understudy.Session{ID: hash.name(), Token: secret, Address: address, User: visitor(i)}
	err := m.update(ctx, func(tx *change) error {
		if err := tx.makeRoom(i.User); err != nil {
			return err
		}
		session.User.Created, session.Began, session.Expires = tx.now, tx.now, tx.now.Add(sessionAge)
		if until = until.UTC().Truncate(time.Microsecond); until.Before(session.Expires) {
			session.Expires = until
		}
		return tx.putSession(Token{Hash: hash, User: i.User, Visitor: &i, Address: address, Expires: session.Expires})
	})
	if err != nil {
		return understudy.Session{}, err
	}
	return session, nil
}

// visitor is what a session says of its user who has no account.
func visitor(i understudy.Identity) understudy.User {
	if len(i.Grants) == 0 {
		return understudy.User{Name: i.User, Role: nearest(i), Cameras: i.Cameras}
	}
	first := i.Grants[0]
	return understudy.User{Name: i.User, Role: first.Role, Cameras: first.Cameras, CameraGroups: first.CameraGroups, Also: i.Grants[1:]}
}

// nearest is the highest role of which a user may do everything somewhere; it is for reading.
func nearest(i understudy.Identity) understudy.UserRole {
	for _, role := range []understudy.UserRole{understudy.RoleAdministrator, understudy.RoleOperator} {
		if !slices.ContainsFunc(role.Actions(), func(a understudy.Action) bool { return i.May(a, "") != nil }) {
			return role
		}
	}
	return understudy.RoleViewer
}

func (tx *change) putSession(t Token) error {
	t.Purpose, t.Created = PurposeSession, tx.now
	if err := tx.PutToken(t); err != nil {
		return err
	}
	return tx.record(understudy.Event{
		Kind: understudy.EventAccess, Actor: understudy.Identity{User: t.User}.String(),
		Sentence: oneSentence(fmt.Sprintf("%s signed in%s.", t.User, from(t.Address))),
	})
}

// makeRoom forgets the sessions that have expired, and a user's oldest when there are too many.
func (tx *change) makeRoom(user string) error {
	sessions, err := tx.Tokens(PurposeSession)
	if err != nil {
		return err
	}
	var theirs []Token
	for _, t := range sessions {
		switch {
		case !t.Expires.After(tx.now):
			if err := tx.DeleteToken(t.Hash); err != nil {
				return err
			}
		case t.User == user:
			theirs = append(theirs, t)
		}
	}
	for len(theirs) >= maxSessions {
		if err := tx.DeleteToken(theirs[0].Hash); err != nil {
			return err
		}
		theirs = theirs[1:]
	}
	return nil
}

// Identify returns the identity behind a session's token, with the rights that
// the user has now.
func (m *Management) Identify(ctx context.Context, token understudy.Secret) (understudy.Identity, error) {
	var identity understudy.Identity
	err := m.store.View(ctx, func(r Reader) error {
		t, ok, err := session(r, token)
		if err != nil {
			return err
		}
		ended := understudy.Errorf(understudy.CodeUnauthenticated, "the session has ended; sign in again")
		if !ok || !t.Expires.After(m.now()) {
			return ended
		}
		if identity, ok, err = rights(r, t); err == nil && !ok {
			return ended
		}
		identity.Address = understudy.Asker(ctx).Address
		return err
	})
	return identity, err
}

// rights returns what the user of a session may do now; not ok without an account,
// which a visitor needs none of.
func rights(r Reader, t Token) (i understudy.Identity, ok bool, err error) {
	var grants []understudy.Grant
	if t.Visitor != nil {
		if grants = t.Visitor.Grants; grants == nil { // of before there were any
			return t.Visitor.Hearing(), true, nil
		}
	} else {
		account, exists, err := r.Account(t.User)
		if err != nil || !exists {
			return i, false, err
		}
		grants = account.User.Grants()
	}
	site, err := r.Site()
	i = site.Identity(t.User, grants)
	if t.Visitor != nil { // what was taken when the session began stays taken
		i = i.Without(func(a understudy.Action) bool { return a.Changing() && t.Visitor.May(a, "") != nil })
	}
	return i, true, err
}

func session(r Reader, secret understudy.Secret) (Token, bool, error) {
	if len(secret) > maxSecret {
		return Token{}, false, nil
	}
	t, ok, err := r.Token(hashSecret(secret))
	if !ok || t.Purpose != PurposeSession {
		return Token{}, false, err
	}
	return t, true, err
}

// SignOut ends a session; one that has ended already is no error.
func (m *Management) SignOut(ctx context.Context, token understudy.Secret) error {
	return m.update(ctx, func(tx *change) error {
		t, ok, err := session(tx, token)
		if err != nil || !ok {
			return err
		}
		if err := tx.DeleteToken(t.Hash); err != nil {
			return err
		}
		return tx.record(understudy.Event{
			Kind: understudy.EventAccess, Actor: understudy.Identity{User: t.User}.String(),
			Sentence: fmt.Sprintf("%s signed out.", t.User),
		})
	})
}

// name is what a session is called by: too little of the hash to be taken for it.
func (h TokenHash) name() string { return hex.EncodeToString(h[:8]) }

// Sessions returns the sessions that go on, the newest first, without their
// tokens: a user's, or everyone's for an empty name.
func (m *Management) Sessions(ctx context.Context, user string) ([]understudy.Session, error) {
	var sessions []understudy.Session
	err := m.store.View(ctx, func(r Reader) error {
		tokens, err := r.Tokens(PurposeSession)
		if err != nil {
			return err
		}
		accounts, err := r.Accounts()
		if err != nil {
			return err
		}
		users := map[string]understudy.User{}
		for _, a := range accounts {
			users[a.User.Name] = a.User
		}
		sessions = nil
		for _, t := range slices.Backward(tokens) {
			if user != "" && t.User != user || !t.Expires.After(m.now()) {
				continue
			}
			of := users[t.User]
			if t.Visitor != nil {
				of = visitor(*t.Visitor)
				of.Created = t.Created
			}
			sessions = append(sessions, understudy.Session{ID: t.Hash.name(), User: of, Address: t.Address, Began: t.Created, Expires: t.Expires})
		}
		return nil
	})
	return sessions, err
}

// EndSession ends the session of that id, of a user or, for an empty name, of
// anyone. CodeNotFound when there is none, or it is somebody else's.
func (m *Management) EndSession(ctx context.Context, user, id string) error {
	return m.update(ctx, func(tx *change) error {
		tokens, err := tx.Tokens(PurposeSession)
		if err != nil {
			return err
		}
		for _, t := range tokens {
			if t.Hash.name() != id || user != "" && t.User != user {
				continue
			}
			if err := tx.DeleteToken(t.Hash); err != nil {
				return err
			}
			return tx.record(understudy.Event{Kind: understudy.EventAccess, Changes: []understudy.Change{recall(t.User, tx.now)},
				Sentence: oneSentence(fmt.Sprintf("A session of %s%s was ended.", t.User, from(t.Address)))})
		}
		return understudy.Errorf(understudy.CodeNotFound, "there is no session %.40q; it may have ended by itself", id)
	})
}
