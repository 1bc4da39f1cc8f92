package management

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"understudy"
)

// maxCameraSet bounds what is put at once: an event that a client takes in one piece.
const maxCameraSet = 500

// PutCameras creates or replaces cameras in one transaction and one event, as
// PutCamera does each.
func (m *Management) PutCameras(ctx context.Context, cameras []understudy.Camera, passwords map[understudy.CameraID]understudy.Secret) error {
	if len(cameras) == 0 || len(cameras) > maxCameraSet {
		return understudy.Errorf(understudy.CodeInvalid, "1 to %d cameras are put at once, found %d", maxCameraSet, len(cameras))
	}
	set := make([]understudy.Camera, len(cameras))
	seen := map[understudy.CameraID]bool{}
	for i, c := range cameras {
		c = c.WithDefaults()
		var password *understudy.Secret
		if given, ok := passwords[c.ID]; ok {
			password = &given
		}
		if err := validateCamera(c, password); err != nil {
			return err
		}
		if seen[c.ID] {
			return understudy.Errorf(understudy.CodeInvalid, "camera %s is there twice", c.ID)
		}
		set[i], seen[c.ID] = c, true
	}
	for id := range passwords {
		if !seen[id] {
			return understudy.Errorf(understudy.CodeInvalid, "there is a password for camera %.63q, which is not among the cameras", string(id))
		}
	}
	return m.update(ctx, func(tx *change) error {
		if err := m.putPasswords(tx, passwords); err != nil {
			return err
		}
		return tx.putCameras(set, passwords)
	})
}

// putCameras records one event: the site is taken over by everybody who follows
// the log once an event, and not once a camera.
func (tx *change) putCameras(set []understudy.Camera, passwords map[understudy.CameraID]understudy.Secret) error {
	var all understudy.Event
	var homes []understudy.ServerID
	var counts setCounts
	for _, c := range set {
		_, newPassword := passwords[c.ID]
		e, changed, err := tx.cameraEvent(c, newPassword)
		if err != nil {
			return err
		}
		if !changed {
			continue
		}
		if counts == (setCounts{}) {
			all = e
		} else {
			all.Changes = append(all.Changes, e.Changes...)
		}
		switch before, exists := tx.site.Camera(c.ID); {
		case !exists:
			counts.added++
		case before.Home != c.Home:
			counts.moved++
		default:
			counts.changed++
		}
		if !slices.Contains(homes, c.Home) {
			homes = append(homes, c.Home)
		}
	}
	switch counts.sum() {
	case 0:
		return nil
	case 1:
		return tx.record(all)
	}
	all.Camera, all.Sentence = "", counts.sentence(homes)
	if len(homes) > 1 {
		all.Server = ""
	}
	return tx.record(all)
}

type setCounts struct{ added, moved, changed int }

func (n setCounts) sum() int { return n.added + n.moved + n.changed }

// sentence counts; it names no camera, since not everybody may know of each.
func (n setCounts) sentence(homes []understudy.ServerID) string {
	var parts []string
	for _, part := range []struct {
		count int
		what  string
	}{{n.added, "added"}, {n.moved, "moved"}, {n.changed, "changed"}} {
		if part.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.count, part.what))
		}
	}
	at := string(homes[0])
	if len(homes) > 1 {
		at = fmt.Sprintf("%d recording servers", len(homes))
	}
	return fmt.Sprintf("Cameras at %s: %s.", at, strings.Join(parts, ", "))
}
