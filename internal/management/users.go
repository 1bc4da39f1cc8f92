package management

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"understudy"
)

const (
	minPassword = 10  // characters
	maxGrants   = 100 // of a user, besides the first
	maxNamed    = 5   // cameras and groups of a role, in a sentence
)

// The names of users stand in logs and addresses: no spaces, no control characters.
var userName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// Users returns all users, by name.
func (m *Management) Users(ctx context.Context) ([]understudy.User, error) {
	users := []understudy.User{}
	err := m.store.View(ctx, func(r Reader) error {
		accounts, err := r.Accounts()
		for _, a := range accounts {
			a.User.SecondFactor = a.Second.On
			users = append(users, a.User)
		}
		return err
	})
	return users, err
}

// PutUser creates or replaces. A new password ends the user's sessions; new
// grants hold at once, in sessions that go on, too.
func (m *Management) PutUser(ctx context.Context, u understudy.User, password *understudy.Secret) (understudy.User, error) {
	if err := validateUser(u); err != nil {
		return u, err
	}
	hash, err := m.hash(ctx, u.Name, password)
	if err != nil {
		return u, err
	}
	u = u.Ordinary()
	return u, m.update(ctx, func(tx *change) error { return tx.putUser(&u, hash) })
}

func validateUser(u understudy.User) error {
	if !userName.MatchString(u.Name) {
		return understudy.Errorf(understudy.CodeInvalid, "a user's name is 1 to 64 letters, digits, dots, dashes, underscores and @, found %.80q", u.Name)
	}
	if len(u.Also) > maxGrants {
		return understudy.Errorf(understudy.CodeInvalid, "user %s may have %d roles besides the first, and was given %d; put cameras into groups", u.Name, maxGrants, len(u.Also))
	}
	for _, g := range u.Grants() {
		if n := len(g.Cameras) + len(g.CameraGroups); n > maxClaimCameras {
			return understudy.Errorf(understudy.CodeInvalid, "user %s may be given %d cameras by name, and was given %d; put them into a group", u.Name, maxClaimCameras, n)
		}
	}
	return nil
}

// known refuses a grant of what the site does not have.
func (tx *change) known(user string, g understudy.Grant) error {
	if tx.site.Actions(g.Role) == nil {
		return understudy.Errorf(understudy.CodeInvalid, "user %s needs the role viewer, operator, administrator or one of the site's own (`understudy role list`), not %.63q", user, string(g.Role))
	}
	for _, camera := range g.Cameras {
		if _, ok := tx.site.Camera(camera); camera != understudy.AllCameras && !ok {
			return understudy.Errorf(understudy.CodeInvalid, "user %s is given camera %.63q, which does not exist", user, string(camera))
		}
	}
	for _, group := range g.CameraGroups {
		if _, ok := tx.site.CameraGroup(group); !ok {
			return understudy.Errorf(understudy.CodeInvalid, "user %s is given camera group %.63q, which does not exist; add it first", user, string(group))
		}
	}
	return nil
}

// hash returns what is stored of a password, nothing for none.
func (m *Management) hash(ctx context.Context, user string, password *understudy.Secret) (string, error) {
	if password == nil {
		return "", nil
	}
	if n := utf8.RuneCountInString(string(*password)); n < minPassword || len(*password) > maxPassword {
		return "", understudy.Errorf(understudy.CodeInvalid, "the password of %s has %d characters; it needs %d or more, in at most %d bytes", user, n, minPassword, maxPassword)
	}
	hash, err := m.hasher.Hash(ctx, *password)
	if err != nil {
		return "", unavailable("the password could not be hashed", err)
	}
	return hash, nil
}

// putUser keeps u with that hash, or with the one it had.
func (tx *change) putUser(u *understudy.User, hash string) error {
	for _, g := range u.Grants() {
		if err := tx.known(u.Name, g); err != nil {
			return err
		}
	}
	before, exists, err := tx.Account(u.Name)
	if err != nil {
		return err
	}
	u.Created, u.SecondFactor = tx.now, false // which is not set by this
	if exists {
		u.Created = before.User.Created
	}
	if err := tx.keepAdministrator(before.User, *u); err != nil {
		return err
	}
	same := exists && reflect.DeepEqual(before.User.Grants(), u.Grants())
	sentence := fmt.Sprintf("User %s was added as %s.", u.Name, rightsOf(*u))
	switch {
	case hash == "" && !exists:
		return understudy.Errorf(understudy.CodeInvalid, "the new user %s needs a password", u.Name)
	case hash == "" && same:
		return nil
	case same:
		sentence = fmt.Sprintf("User %s was given a new password.", u.Name)
	case exists:
		sentence = fmt.Sprintf("User %s was %s, and is %s now%s.", u.Name, rightsOf(before.User), rightsOf(*u), map[bool]string{true: ", with a new password"}[hash != ""])
	}
	e := understudy.Event{Kind: understudy.EventAccess, Sentence: oneSentence(sentence), Changes: []understudy.Change{{User: u}}}
	if exists {
		e.Was, e.Changes = []understudy.Change{{User: &before.User}}, append(e.Changes, recall(u.Name, tx.now))
	}
	if hash == "" {
		hash = before.Hash
	} else if err := tx.endSessions(u.Name); err != nil {
		return err
	}
	if err := tx.PutAccount(Account{User: *u, Hash: hash, Second: before.Second}); err != nil {
		return err
	}
	u.SecondFactor, before.User.SecondFactor = before.Second.On, before.Second.On
	return tx.record(e)
}

// rightsOf names all roles of a user, and what each is for.
func rightsOf(u understudy.User) string {
	var roles []string
	for _, g := range u.Grants() {
		on := strings.Split(strings.Replace(g.On(), string(understudy.AllCameras), "all cameras", 1), ",")
		if more := len(on) - maxNamed; more > 0 {
			on = append(on[:maxNamed], fmt.Sprintf("%d more", more))
		}
		roles = append(roles, fmt.Sprintf("%s of %s", g.Role, cmp.Or(strings.Join(on, ", "), "no camera")))
	}
	return strings.Join(roles, " and ")
}

func administers(u understudy.User) bool {
	return slices.ContainsFunc(u.Grants(), func(g understudy.Grant) bool { return g.Role == understudy.RoleAdministrator })
}

// keepAdministrator refuses to take the role from the last one who has it.
func (tx *change) keepAdministrator(before, after understudy.User) error {
	if !administers(before) || administers(after) {
		return nil
	}
	accounts, err := tx.Accounts()
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if administers(a.User) && a.User.Name != before.Name {
			return nil
		}
	}
	return understudy.Errorf(understudy.CodeConflict, "%s is the last administrator; make another one first", before.Name)
}

// DeleteUser ends the user's sessions too.
func (m *Management) DeleteUser(ctx context.Context, name string) error {
	return m.update(ctx, func(tx *change) error {
		var a Account
		var ok bool
		var err error
		if userName.MatchString(name) {
			if a, ok, err = tx.Account(name); err != nil {
				return err
			}
		}
		if !ok {
			return understudy.Errorf(understudy.CodeNotFound, "there is no user %.80q", name)
		}
		if err := tx.keepAdministrator(a.User, understudy.User{}); err != nil {
			return err
		}
		if err := tx.endSessions(name); err != nil {
			return err
		}
		if err := tx.DeleteAccount(name); err != nil {
			return err
		}
		a.User.SecondFactor = a.Second.On
		return tx.record(understudy.Event{Kind: understudy.EventAccess, Sentence: oneSentence(fmt.Sprintf("User %s was deleted, who was %s.", name, rightsOf(a.User))),
			Changes: []understudy.Change{{GoneUser: name}, recall(name, tx.now)}, Was: []understudy.Change{{User: &a.User}}})
	})
}

func (tx *change) endSessions(user string) error {
	sessions, err := tx.Tokens(PurposeSession)
	if err != nil {
		return err
	}
	for _, t := range sessions {
		if t.User == user {
			if err := tx.DeleteToken(t.Hash); err != nil {
				return err
			}
		}
	}
	return nil
}
