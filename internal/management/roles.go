package management

import (
	"context"
	"fmt"
	"slices"

	"understudy"
)

// maxRoles bounds the roles of a site's own: more than that nobody tells apart.
const maxRoles = 1000

// Roles returns those that every site has, and then the site's own, by name.
func (m *Management) Roles(ctx context.Context) ([]understudy.SiteRole, error) {
	var all []understudy.SiteRole
	for _, name := range understudy.UserRoles() {
		all = append(all, understudy.SiteRole{Name: name, Actions: name.Actions(), BuiltIn: true})
	}
	site, err := m.Site(ctx)
	return append(all, site.Roles...), err
}

// PutRole creates or replaces a role of the site's own.
func (m *Management) PutRole(ctx context.Context, r understudy.SiteRole) (understudy.SiteRole, error) {
	if err := validateRole(r); err != nil {
		return r, err
	}
	r = r.Ordinary()
	r.BuiltIn = false
	return r, m.update(ctx, func(tx *change) error {
		before, exists := tx.site.Role(r.Name)
		if exists && slices.Equal(before.Actions, r.Actions) {
			return nil
		}
		if !exists && len(tx.site.Roles) >= maxRoles {
			return understudy.Errorf(understudy.CodeInvalid, "a site may have %d roles of its own, and has them", maxRoles)
		}
		e := understudy.Event{
			Kind:     understudy.EventAccess,
			Sentence: fmt.Sprintf("Role %s was %s: %v.", r.Name, addedOrChanged(exists), r.Actions),
			Changes:  []understudy.Change{{Role: &r}},
		}
		if lacks(r.Actions, before.Actions) {
			recalls, err := tx.recallWhere(func(g understudy.Grant) bool { return g.Role == r.Name })
			if err != nil {
				return err
			}
			e.Changes = append(e.Changes, recalls...)
		}
		return tx.record(e)
	})
}

func validateRole(r understudy.SiteRole) error {
	if err := understudy.ValidateID("role", r.Name); err != nil {
		return err
	}
	if err := notBuiltIn(r.Name); err != nil {
		return err
	}
	if len(r.Actions) == 0 {
		return understudy.Errorf(understudy.CodeInvalid, "role %s needs actions, out of %v", r.Name, understudy.Actions())
	}
	for _, a := range r.Actions {
		if !slices.Contains(understudy.Actions(), a) {
			return understudy.Errorf(understudy.CodeInvalid, "role %s allows %.40q, which is none of the actions %v", r.Name, string(a), understudy.Actions())
		}
	}
	return nil
}

func notBuiltIn(name understudy.UserRole) error {
	if name.Actions() == nil {
		return nil
	}
	return understudy.Errorf(understudy.CodeConflict, "every site has the role %s, and it stays as it is; add one of another name", name)
}

// DeleteRole forgets a role that no user has.
func (m *Management) DeleteRole(ctx context.Context, name understudy.UserRole) error {
	if err := notBuiltIn(name); err != nil {
		return err
	}
	return m.update(ctx, func(tx *change) error {
		if _, ok := tx.site.Role(name); !ok {
			return understudy.Errorf(understudy.CodeNotFound, "there is no role %.63q of the site's own", string(name))
		}
		if err := tx.ungranted("role "+string(name), func(g understudy.Grant) bool { return g.Role == name }); err != nil {
			return err
		}
		return tx.record(understudy.Event{
			Kind:     understudy.EventAccess,
			Sentence: fmt.Sprintf("Role %s was deleted.", name),
			Changes:  []understudy.Change{{GoneRole: name}},
		})
	})
}
