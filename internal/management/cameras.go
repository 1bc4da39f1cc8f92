package management

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"understudy"
	"understudy/internal/seal"
)

// Bounds of texts that come from outside; the vocabulary bounds the others.
const (
	maxName     = 200
	maxURL      = 2000
	maxUsername = 200
	maxPassword = 1000
)

// Cameras returns all cameras, by id.
func (m *Management) Cameras(ctx context.Context) ([]understudy.Camera, error) {
	site, err := m.Site(ctx)
	return site.Cameras, err
}

// Camera returns the camera of that id.
func (m *Management) Camera(ctx context.Context, id understudy.CameraID) (understudy.Camera, error) {
	site, err := m.Site(ctx)
	if err != nil {
		return understudy.Camera{}, err
	}
	c, ok := site.Camera(id)
	if !ok {
		return c, noCamera(id)
	}
	return c, nil
}

func noCamera(id understudy.CameraID) error {
	return understudy.Errorf(understudy.CodeNotFound, "there is no camera %q", string(id))
}

// PutCamera creates or replaces a camera. A new one is served by its home from
// epoch 1 on (or the one after the last that a camera of that id ever had); one
// that moves to another home is served there, under the next epoch. While a
// failover server stands in for that home, it serves the camera, too. Nothing is
// written where nothing changes.
func (m *Management) PutCamera(ctx context.Context, c understudy.Camera, password *understudy.Secret) (understudy.Camera, error) {
	c = c.WithDefaults()
	if err := validateCamera(c, password); err != nil {
		return c, err
	}
	return c, m.update(ctx, func(tx *change) error {
		if password != nil {
			if err := m.putPasswords(tx, map[understudy.CameraID]understudy.Secret{c.ID: *password}); err != nil {
				return err
			}
		}
		return tx.putCamera(c, password != nil)
	})
}

// putPasswords keeps the passwords of cameras, sealed; an empty one forgets it.
func (m *Management) putPasswords(tx Tx, passwords map[understudy.CameraID]understudy.Secret) error {
	if len(passwords) == 0 {
		return nil
	}
	ring, err := m.keyring(tx)
	if err != nil {
		return err
	}
	for camera, password := range passwords {
		var sealed []byte
		if password != "" {
			sealed = ring.Seal([]byte(password), passwordContext(camera))
		}
		if err := tx.PutPassword(camera, sealed); err != nil {
			return err
		}
	}
	return nil
}

func validateCamera(c understudy.Camera, password *understudy.Secret) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if err := validateName("camera", c.ID, c.Name); err != nil {
		return err
	}
	for _, address := range []string{c.URL, c.Sub} {
		if len(address) > maxURL || !printable(address) {
			return understudy.Errorf(understudy.CodeInvalid, "the URL of camera %s may have %d bytes without control characters, and has %d", c.ID, maxURL, len(address))
		}
	}
	if len(c.Username) > maxUsername || !printable(c.Username) || !printable(c.URL) {
		return understudy.Errorf(understudy.CodeInvalid, "the user name and URL of camera %s have no control characters, and the name at most %d bytes", c.ID, maxUsername)
	}
	if password != nil && len(*password) > maxPassword {
		return understudy.Errorf(understudy.CodeInvalid, "the password of camera %s may have %d bytes, and has %d", c.ID, maxPassword, len(*password))
	}
	return nil
}

func (tx *change) putCamera(c understudy.Camera, newPassword bool) error {
	e, changed, err := tx.cameraEvent(c, newPassword)
	if err != nil || !changed {
		return err
	}
	return tx.record(e)
}

// cameraEvent is what is to be recorded when a camera is put, if that changes anything.
func (tx *change) cameraEvent(c understudy.Camera, newPassword bool) (e understudy.Event, changed bool, err error) {
	if _, ok := tx.site.RecordingServer(c.Home); !ok {
		return e, false, understudy.Errorf(understudy.CodeInvalid, "camera %s needs a recording server as home, and there is no %q", c.ID, string(c.Home))
	}
	if _, ok := tx.site.FailoverServer(c.Mirror); c.Mirror != "" && !ok {
		return e, false, understudy.Errorf(understudy.CodeInvalid, "the mirror of camera %s must be a failover server, and there is no %q", c.ID, string(c.Mirror))
	}
	before, exists := tx.site.Camera(c.ID)
	if exists && before == c && !newPassword {
		return e, false, nil
	}
	e = understudy.Event{Kind: understudy.EventConfig, Server: c.Home, Camera: c.ID, Changes: []understudy.Change{{Camera: &c}}}
	switch {
	case !exists:
		e.Sentence = fmt.Sprintf("Camera %s was added at %s.", c.ID, c.Home)
	case before.Home != c.Home:
		e.Sentence = fmt.Sprintf("Camera %s was moved from %s to %s.", c.ID, before.Home, c.Home)
	case before == c:
		e.Sentence = fmt.Sprintf("Camera %s was given a new password.", c.ID)
	default:
		e.Sentence = fmt.Sprintf("Camera %s was changed.", c.ID)
	}
	if !exists || before.Home != c.Home {
		if exists {
			e.Changes = append(e.Changes, understudy.Change{Moved: moved(tx.site, c)})
		}
		epoch, err := tx.nextEpoch(c.ID)
		if err != nil {
			return e, false, err
		}
		holder := c.Home
		if standIn, ok := standIn(tx.site, c); ok {
			holder = standIn
			e.Sentence = fmt.Sprintf("%s %s stands in for %s and serves it until %s is back.", e.Sentence, holder, c.Home, c.Home)
		}
		e.Changes = append(e.Changes, understudy.Change{Lease: &understudy.Lease{
			Camera: c.ID, Holder: holder, Epoch: epoch, Since: tx.now, Sentence: e.Sentence,
		}})
	}
	return e, true, nil
}

// moved returns which homes a camera had before, when it gets another.
func moved(site understudy.Site, now understudy.Camera) *understudy.MovedCamera {
	m := &understudy.MovedCamera{Camera: now.ID}
	had := site.FootageServers(now.ID)
	for _, r := range site.RecordingServers { // by id
		if _, before := had[r.ID]; before && r.ID != now.Home {
			m.From = append(m.From, r.ID)
		}
	}
	return m
}

// standIn returns the server that stands in for the home of c with all of its
// other cameras, if it is a standby of c too; the one with most of them, if they
// are several.
func standIn(site understudy.Site, c understudy.Camera) (understudy.ServerID, bool) {
	held := map[understudy.ServerID]int{}
	for _, other := range site.Cameras {
		if other.ID == c.ID || other.Home != c.Home || other.Failover == understudy.SupportNone {
			continue
		}
		lease, _ := site.Lease(other.ID)
		held[lease.Holder]++
	}
	if held[c.Home] > 0 {
		return "", false // it is there: what moved is sick cameras
	}
	best, ok := understudy.ServerID(""), false
	for _, server := range slices.Sorted(maps.Keys(held)) {
		if _, _, stands := site.Standby(c, server); stands && held[server] > held[best] {
			best, ok = server, true
		}
	}
	return best, ok
}

// nextEpoch is higher than any that the camera had, as far back as anyone remembers.
func (tx *change) nextEpoch(id understudy.CameraID) (uint64, error) {
	log, err := tx.Log()
	if err != nil {
		return 0, err
	}
	if _, exists := tx.site.Camera(id); exists { // it moves: see decide
		id = understudy.AllCameras
	}
	epoch, err := tx.Epoch(id)
	return max(epoch, log.Floor) + 1, err
}

// DeleteCamera forgets a camera, its password and who might see it.
func (m *Management) DeleteCamera(ctx context.Context, id understudy.CameraID) error {
	return m.update(ctx, func(tx *change) error {
		c, ok := tx.site.Camera(id)
		if !ok {
			return noCamera(id)
		}
		if err := tx.PutPassword(id, nil); err != nil {
			return err
		}
		e := understudy.Event{
			Kind: understudy.EventConfig, Server: c.Home, Camera: id,
			Sentence: fmt.Sprintf("Camera %s was deleted; its footage stays until retention takes it.", id),
			Changes:  append(tx.leaveGroups(id), understudy.Change{GoneCamera: id}),
		}
		recalls, err := tx.recallWhere(func(g understudy.Grant) bool {
			return slices.Contains(g.Cameras, id) || slices.ContainsFunc(g.CameraGroups, func(group understudy.CameraGroupID) bool {
				of, _ := tx.site.CameraGroup(group)
				return slices.Contains(of.Cameras, id)
			})
		})
		if err != nil {
			return err
		}
		e.Changes = append(e.Changes, recalls...)
		if err := tx.withdrawCamera(id, &e); err != nil {
			return err
		}
		return tx.record(e)
	})
}

// withdrawCamera takes a camera out of all users' lists, so that another camera
// that gets its id later is not theirs to see, and tells the event so.
func (tx *change) withdrawCamera(id understudy.CameraID, e *understudy.Event) error {
	accounts, err := tx.Accounts()
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if !slices.ContainsFunc(a.User.Grants(), func(g understudy.Grant) bool { return slices.Contains(g.Cameras, id) }) {
			continue
		}
		before := a.User
		a.User.Cameras, a.User.Also = without(a.User.Cameras, id), slices.Clone(a.User.Also)
		for i, g := range a.User.Also {
			a.User.Also[i].Cameras = without(g.Cameras, id)
		}
		if err := tx.PutAccount(a); err != nil {
			return err
		}
		after := a.User
		before.SecondFactor, after.SecondFactor = a.Second.On, a.Second.On
		e.Was, e.Changes = append(e.Was, understudy.Change{User: &before}), append(e.Changes, understudy.Change{User: &after})
	}
	return nil
}

// passwordContext binds a sealed password to its camera: moved to another
// camera's row it does not open.
func passwordContext(id understudy.CameraID) []byte { return []byte("camera password " + string(id)) }

// credentials returns what a server shows those cameras.
func (m *Management) credentials(r Reader, cameras []understudy.Camera) (map[understudy.CameraID]understudy.Credentials, error) {
	ids := make([]understudy.CameraID, len(cameras))
	for i, c := range cameras {
		ids[i] = c.ID
	}
	sealed, err := r.Passwords(ids)
	if err != nil {
		return nil, err
	}
	var ring *seal.Ring
	if len(sealed) > 0 {
		if ring, err = m.keyring(r); err != nil {
			return nil, err
		}
	}
	all := make(map[understudy.CameraID]understudy.Credentials, len(cameras))
	for _, c := range cameras {
		credentials := understudy.Credentials{Username: c.Username}
		if s, ok := sealed[c.ID]; ok {
			if credentials.Password, _, err = openPassword(ring, c.ID, s); err != nil {
				return nil, err
			}
		}
		all[c.ID] = credentials
	}
	return all, nil
}

// openPassword also says whether it was sealed under the newest key.
func openPassword(ring *seal.Ring, camera understudy.CameraID, sealed []byte) (_ understudy.Secret, newest bool, err error) {
	plain, newest, err := ring.Open(sealed, passwordContext(camera))
	if err != nil {
		return "", false, understudy.Errorf(understudy.CodeInternal,
			"the password of camera %s cannot be decrypted with this installation's keys; set it again: %w", camera, err)
	}
	return understudy.Secret(plain), newest, nil
}
