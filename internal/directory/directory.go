// Package directory says what people may do here who have no account here: the
// users of a Kerberos realm, an Active Directory domain or an identity provider,
// by the groups that these say they are in.
package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"understudy"
)

// Grant is what the members of a group, or one user, may do.
type Grant struct {
	// Group is its SID or, where LDAP is asked, its DN or name as well.
	Group string
	User  string // ada@EXAMPLE.COM; either this or Group
	understudy.Grant
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
		case len(g.Cameras)+len(g.CameraGroups) == 0:
			return understudy.Errorf(understudy.CodeInvalid, `the grant to %.80q needs cameras: their ids, or "*" for every one, or camera_groups`, g.Group+g.User)
		}
		if err := understudy.ValidateID("role", g.Role); err != nil {
			return understudy.Errorf(understudy.CodeInvalid, "the grant to %.80q needs a role: %w", g.Group+g.User, err)
		}
		for _, id := range g.CameraGroups {
			if err := understudy.ValidateID("camera group", id); err != nil {
				return err
			}
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

// Lacking says of each grant what the site does not have: until it does, the grant
// gives nothing.
func (all Grants) Lacking(site understudy.Site) []string {
	var sentences []string
	for _, g := range all {
		if site.Actions(g.Role) == nil {
			sentences = append(sentences, fmt.Sprintf("the grant to %s gives nothing until there is a role %s: understudy role add %s", g.Group+g.User, g.Role, g.Role))
		}
		for _, id := range g.CameraGroups {
			if _, ok := site.CameraGroup(id); !ok {
				sentences = append(sentences, fmt.Sprintf("the grant to %s lacks the cameras of the group %s until there is one: understudy camera-group add %s", g.Group+g.User, id, id))
			}
		}
	}
	return sentences
}

// Directory decides what users may do: by the groups that LDAP names for those of
// its realm, and by those that were vouched for with the user for all others.
type Directory struct {
	Grants Grants
	LDAP   *LDAP // nil is none
	// Site tells which roles and camera groups there are.
	Site func(context.Context) (understudy.Site, error)
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
	granted := d.Grants.of(user, groups)
	if len(granted) == 0 {
		return understudy.Identity{}, understudy.Errorf(understudy.CodeForbidden, "%s is known, but neither the user nor any of %d groups has a role here: an administrator adds one to grants in the management server's configuration", user, len(groups))
	}
	site, err := d.Site(ctx)
	if err != nil {
		return understudy.Identity{}, err
	}
	identity := site.Identity(user, granted)
	if identity.Actions == nil {
		return understudy.Identity{}, understudy.Errorf(understudy.CodeForbidden, "%s is granted the role %s, which this site does not have: an administrator adds it (`understudy role add %s`)", user, granted[0].Role, granted[0].Role)
	}
	return identity, nil
}

// of returns what a user is granted, alone and as a member of groups. Neither a
// domain nor a realm's name of it tells upper from lower case.
func (all Grants) of(user string, groups []string) []understudy.Grant {
	var granted []understudy.Grant
	for _, g := range all {
		if g.User != "" && strings.EqualFold(g.User, user) ||
			g.Group != "" && slices.ContainsFunc(groups, func(group string) bool { return strings.EqualFold(group, g.Group) }) {
			granted = append(granted, g.Grant)
		}
	}
	return granted
}
