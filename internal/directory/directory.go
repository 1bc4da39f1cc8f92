// Package directory says what people may do here who have no account here: the
// users of a Kerberos realm, an Active Directory domain or an identity provider,
// by the groups that these say they are in.
package directory

import (
	"context"
	"slices"
	"strings"

	"understudy"
)

// Grant is what the members of a group, or one user, may do.
type Grant struct {
	// Group is its SID or, where LDAP is asked, its DN or name as well.
	Group   string
	User    string // ada@EXAMPLE.COM; either this or Group
	Role    understudy.UserRole
	Cameras []understudy.CameraID // understudy.AllCameras for every one
}

const (
	maxGrants = 1000
	maxName   = 512
)

// Grants are all of them. A person's are joined.
type Grants []Grant

// Validate names the first grant that is wrong.
func (all Grants) Validate() error {
	if len(all) > maxGrants {
		return understudy.Errorf(understudy.CodeInvalid, "there may be %d grants, and there are %d; give rights to groups", maxGrants, len(all))
	}
	for i, g := range all {
		switch {
		case (g.Group == "") == (g.User == "") || len(g.Group+g.User) > maxName:
			return understudy.Errorf(understudy.CodeInvalid, "number %d of grants needs either a group or a user, of up to %d bytes", i+1, maxName)
		case g.Role.Actions() == nil:
			return understudy.Errorf(understudy.CodeInvalid, "the grant to %.80q needs the role viewer, operator or administrator, not %.40q", g.Group+g.User, string(g.Role))
		case len(g.Cameras) == 0:
			return understudy.Errorf(understudy.CodeInvalid, `the grant to %.80q needs cameras: their ids, or "*" for every one`, g.Group+g.User)
		}
		for _, c := range g.Cameras {
			if c == understudy.AllCameras {
				continue
			}
			if err := understudy.ValidateID("camera", c); err != nil {
				return err
			}
		}
	}
	return nil
}

// Directory decides what users may do: by the groups that LDAP names for those of
// its realm, and by those that were vouched for with the user for all others.
type Directory struct {
	Grants Grants
	LDAP   *LDAP // nil is none
}

// Rights returns a user with what the groups allow, all of it together.
// CodeForbidden for those who may do nothing here, CodeUnavailable while that
// cannot be found out.
func (d Directory) Rights(ctx context.Context, user string, groups []string) (understudy.Identity, error) {
	if d.LDAP != nil && d.LDAP.of(user) {
		var err error
		if groups, err = d.LDAP.Groups(ctx, user); err != nil {
			return understudy.Identity{}, err
		}
	}
	return d.Grants.rights(user, groups)
}

func (all Grants) rights(user string, groups []string) (understudy.Identity, error) {
	identity := understudy.Identity{User: user}
	for _, g := range all {
		// Neither a domain nor a realm's name of it tells upper from lower case.
		if g.User != "" && strings.EqualFold(g.User, user) ||
			g.Group != "" && slices.ContainsFunc(groups, func(group string) bool { return strings.EqualFold(group, g.Group) }) {
			identity = identity.With(g.Role, g.Cameras)
		}
	}
	if identity.Actions == nil {
		return understudy.Identity{}, understudy.Errorf(understudy.CodeForbidden, "%s is known, but neither the user nor any of %d groups has a role here: an administrator adds one to grants in the management server's configuration", user, len(groups))
	}
	return identity, nil
}
