package management

import (
	"context"
	"fmt"
	"slices"

	"understudy"
)

// CameraGroups returns all of them, by id.
func (m *Management) CameraGroups(ctx context.Context) ([]understudy.CameraGroup, error) {
	site, err := m.Site(ctx)
	return site.CameraGroups, err
}

// PutCameraGroup creates or replaces. Its cameras must exist; whoever has a right on
// the group has it on these from now on.
func (m *Management) PutCameraGroup(ctx context.Context, g understudy.CameraGroup) (understudy.CameraGroup, error) {
	g = g.Ordinary()
	if err := understudy.ValidateID("camera group", g.ID); err != nil {
		return g, err
	}
	if err := validateName("camera group", g.ID, g.Name); err != nil {
		return g, err
	}
	if len(g.Cameras) > maxClaimCameras {
		return g, understudy.Errorf(understudy.CodeInvalid, "camera group %s may have %d cameras, and has %d", g.ID, maxClaimCameras, len(g.Cameras))
	}
	return g, m.update(ctx, func(tx *change) error {
		for _, camera := range g.Cameras {
			if _, ok := tx.site.Camera(camera); !ok {
				return understudy.Errorf(understudy.CodeInvalid, "camera group %s is made of cameras, and there is no %q", g.ID, string(camera))
			}
		}
		before, exists := tx.site.CameraGroup(g.ID)
		if exists && before.Name == g.Name && slices.Equal(before.Cameras, g.Cameras) {
			return nil
		}
		e := understudy.Event{
			Kind:     understudy.EventAccess,
			Sentence: fmt.Sprintf("Camera group %s was %s, of %d now.", g.ID, addedOrChanged(exists), len(g.Cameras)),
			Changes:  []understudy.Change{{CameraGroup: &g}},
		}
		if lacks(g.Cameras, before.Cameras) {
			recalls, err := tx.recallWhere(func(of understudy.Grant) bool { return slices.Contains(of.CameraGroups, g.ID) })
			if err != nil {
				return err
			}
			e.Changes = append(e.Changes, recalls...)
		}
		return tx.record(e)
	})
}

// DeleteCameraGroup forgets a group that no user has a right on.
func (m *Management) DeleteCameraGroup(ctx context.Context, id understudy.CameraGroupID) error {
	return m.update(ctx, func(tx *change) error {
		if _, ok := tx.site.CameraGroup(id); !ok {
			return understudy.Errorf(understudy.CodeNotFound, "there is no camera group %.63q", string(id))
		}
		err := tx.ungranted("camera group "+string(id), func(g understudy.Grant) bool { return slices.Contains(g.CameraGroups, id) })
		if err != nil {
			return err
		}
		return tx.record(understudy.Event{
			Kind:     understudy.EventAccess,
			Sentence: fmt.Sprintf("Camera group %s was deleted.", id),
			Changes:  []understudy.Change{{GoneCameraGroup: id}},
		})
	})
}

// ungranted refuses to delete what a grant of a user is about.
func (tx *change) ungranted(what string, about func(understudy.Grant) bool) error {
	accounts, err := tx.Accounts()
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if slices.ContainsFunc(a.User.Grants(), about) {
			return understudy.Errorf(understudy.CodeConflict, "%s cannot be deleted while user %s has it; change the user first", what, a.User.Name)
		}
	}
	return nil
}

// leaveGroups is what takes a camera that is deleted out of all groups.
func (tx *change) leaveGroups(id understudy.CameraID) []understudy.Change {
	var changes []understudy.Change
	for _, g := range tx.site.CameraGroups {
		if slices.Contains(g.Cameras, id) {
			g.Cameras = without(g.Cameras, id)
			changes = append(changes, understudy.Change{CameraGroup: &g})
		}
	}
	return changes
}

// without returns a list without one.
func without[T ~string](list []T, one T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(t T) bool { return t == one })
}
