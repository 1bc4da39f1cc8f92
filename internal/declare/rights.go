package declare

import (
	"context"
	"slices"

	"understudy"
)

// rightsSteps are those about who may do what, behind the cameras that they are about.
func rightsSteps(now Now, d Document) (Plan, error) {
	var plan Plan
	for _, g := range d.CameraGroups {
		before, exists := now.CameraGroup(g.ID)
		plan = append(plan, step("camera group", string(g.ID), exists, before.Ordinary(), g.Ordinary(), func(ctx context.Context, s Service) error {
			_, err := s.PutCameraGroup(ctx, g)
			return err
		})...)
	}
	for _, r := range d.Roles {
		before, exists := now.Role(r.Name)
		plan = append(plan, step("role", string(r.Name), exists, before.Ordinary(), r.Ordinary(), func(ctx context.Context, s Service) error {
			_, err := s.PutRole(ctx, r)
			return err
		})...)
	}
	for _, u := range d.Users {
		n := slices.IndexFunc(now.Users, func(o understudy.User) bool { return o.Name == u.Name })
		if n < 0 {
			return nil, understudy.Errorf(understudy.CodeInvalid, "there is no user %.80q yet, and a file gives nobody a password; run `understudy user add %s --cameras ''`, then apply again, which sets the roles", u.Name, u.Name)
		}
		plan = append(plan, step("user", u.Name, true, listed(now.Users[n]), listed(u), func(ctx context.Context, s Service) error {
			_, err := s.PutUser(ctx, u, nil) // who keeps the password
			return err
		})...)
	}
	return plan, nil
}

// listed is a user with no list left out, so that a plan shows an empty one as such.
func listed(u understudy.User) understudy.User {
	u = u.Ordinary()
	u.CameraGroups, u.Also = append([]understudy.CameraGroupID{}, u.CameraGroups...), append([]understudy.Grant{}, u.Also...)
	return u
}

// pruneRights removes the camera groups and roles that the document does not have,
// when it is about such: before users had them, files did not say a word.
func pruneRights(site understudy.Site, d Document) Plan {
	var plan Plan
	for _, g := range site.CameraGroups {
		if d.CameraGroups != nil && !slices.ContainsFunc(d.CameraGroups, func(o understudy.CameraGroup) bool { return o.ID == g.ID }) {
			plan = append(plan, Step{Verb: "remove", Noun: "camera group", ID: string(g.ID),
				do: func(ctx context.Context, s Service) error { return s.DeleteCameraGroup(ctx, g.ID) }})
		}
	}
	for _, r := range site.Roles {
		if d.Roles != nil && !slices.ContainsFunc(d.Roles, func(o understudy.SiteRole) bool { return o.Name == r.Name }) {
			plan = append(plan, Step{Verb: "remove", Noun: "role", ID: string(r.Name),
				do: func(ctx context.Context, s Service) error { return s.DeleteRole(ctx, r.Name) }})
		}
	}
	return plan
}
