package storetest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	us "understudy"
	"understudy/internal/identity"
	"understudy/internal/management"
	"understudy/internal/seal"
)

var allCameras = []us.CameraID{"a", "b", "c", "d"}

// authorityIn loads the authority of a folder as a management server does that starts.
func authorityIn(t testing.TB, folder string) *identity.Authority {
	t.Helper()
	return must[*identity.Authority](t)(identity.OpenAuthority(folder))
}

// pair is two management servers on one store; each loaded a copy of the same authority file when
// it started, and hears of nothing that the other does to its own.
func pair(t *testing.T, s management.Store) (one, two *management.Management, keys *identity.Authority) {
	t.Helper()
	folder := t.TempDir()
	keys = authorityIn(t, folder)
	one, two = with(t, s, keys), with(t, s, authorityIn(t, copied(t, folder)))
	populate(t, one)
	return one, two, keys
}

// copied returns a folder with a copy of the authority's file, as a further management server gets it.
func copied(t testing.TB, from string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	text := must[[]byte](t)(os.ReadFile(filepath.Join(from, "authority.json")))
	want(t, os.WriteFile(filepath.Join(folder, "authority.json"), text, 0o600), "")
	return folder
}

func setPassword(t testing.TB, m *management.Management, camera us.CameraID, password us.Secret) {
	t.Helper()
	must[us.Camera](t)(m.PutCamera(background, must[us.Camera](t)(m.Camera(background, camera)), &password))
}

// opensAll fails the test unless every password opens at each of the management servers.
func opensAll(t testing.TB, when string, now map[us.CameraID]us.Secret, all ...*management.Management) {
	t.Helper()
	for i, m := range all {
		for _, home := range []us.ServerID{"rec1", "rec2"} {
			assignment, err := m.Assignment(background, home)
			if err != nil {
				t.Errorf("%s, at management server %d: %v", when, i+1, err)
			}
			for _, c := range assignment.Cameras {
				expected, changed := now[c.Camera.ID]
				if !changed {
					expected = "password of " + us.Secret(c.Camera.ID)
				}
				if c.Credentials.Password != expected {
					t.Errorf("%s, at management server %d, the password of %s is %q", when, i+1, c.Camera.ID, string(c.Credentials.Password))
				}
			}
		}
	}
}

func storedRing(t testing.TB, s management.Store) (stored []byte) {
	t.Helper()
	view(t, s, func(r management.Reader) (err error) { stored, err = r.Keyring(); return err })
	return stored
}

// sealedNewest fails the test unless everything is sealed under the newest key of the ring that is stored.
func sealedNewest(t testing.TB, when string, s management.Store, keys *identity.Authority) {
	t.Helper()
	view(t, s, func(r management.Reader) error {
		ring := must[*seal.Ring](t)(keys.Keyring(must[[]byte](t)(r.Keyring())))
		for camera, sealed := range must[map[us.CameraID][]byte](t)(r.Passwords(allCameras)) {
			if _, newest, err := ring.Open(sealed, []byte("camera password "+string(camera))); err != nil || !newest {
				t.Errorf("%s the password of %s is not sealed under the newest key: %v", when, camera, err)
			}
		}
		for _, a := range must[[]management.Account](t)(r.Accounts()) {
			if _, newest, err := ring.Open(a.Second.Sealed, []byte("second factor of "+a.User.Name)); err != nil || !newest {
				t.Errorf("%s the second factor of %s is not sealed under the newest key: %v", when, a.User.Name, err)
			}
		}
		return nil
	})
}

// rotation: passwords are sealed under a new key, those that are set meanwhile as well, and the
// ring does not have the key before any more, nor shows the one that it has.
func rotation(t *testing.T, s management.Store) {
	one, _, keys := pair(t, s)
	want(t, one.RotateSecrets(background), "") // the first key is in the file as well, and stays
	before := must[*seal.Ring](t)(keys.Keyring(storedRing(t, s)))
	was := before.Seal([]byte("what it was"), nil)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { setPassword(t, one, "c", "changed") })
	}
	want(t, one.RotateSecrets(background), "")
	group.Wait()
	opensAll(t, "after it", map[us.CameraID]us.Secret{"c": "changed"}, one)
	sealedNewest(t, "after it", s, keys)
	now := must[*seal.Ring](t)(keys.Keyring(storedRing(t, s)))
	if _, _, err := now.Open(was, nil); us.CodeOf(err) != us.CodeInvalid {
		t.Errorf("the key before is not forgotten: %v", err)
	}
	view(t, s, func(r management.Reader) error {
		for camera, sealed := range must[map[us.CameraID][]byte](t)(r.Passwords(allCameras)) {
			if _, _, err := before.Open(sealed, []byte("camera password "+string(camera))); err == nil {
				t.Errorf("the password of %s opens with a key that was forgotten", camera)
			}
		}
		return nil
	})
	if events := must[[]us.Event](t)(one.Events(background, us.EventQuery{Text: "under a new key", Limit: 9})); len(events) != 2 {
		t.Errorf("of two changes are told %+v", events)
	}
}

// rotationAmongSeveral: the key is changed at one management server, and any other goes on with what
// it loaded when it started: it opens what was there, seals what is new, and that opens at all.
func rotationAmongSeveral(t *testing.T, s management.Store) {
	folder := t.TempDir()
	keys := authorityIn(t, folder)
	one, two := with(t, s, keys), with(t, s, authorityIn(t, copied(t, folder)))
	populate(t, one)
	correct := us.Secret("correct horse")
	must[us.User](t)(one.PutUser(background, us.User{Name: "ada", Role: us.RoleAdministrator}, &correct))
	secret, _, err := one.BeginSecondFactor(background, "ada", correct)
	want(t, err, "")
	opensAll(t, "before it", nil, one, two)

	want(t, two.RotateSecrets(background), "")
	opensAll(t, "after it", nil, one, two)
	setPassword(t, one, "a", "set at the other")
	setPassword(t, two, "d", "set where it was changed")
	changed := map[us.CameraID]us.Secret{"a": "set at the other", "d": "set where it was changed"}
	opensAll(t, "set after it", changed, one, two)
	sealedNewest(t, "set after it", s, keys)

	want(t, one.RotateSecrets(background), "")
	code := must[string](t)(totp.GenerateCode(string(secret), time.Now()))
	want(t, two.ConfirmSecondFactor(background, "ada", us.Secret(code)), "")
	late := with(t, s, authorityIn(t, copied(t, folder)))
	opensAll(t, "changed at the other, too", changed, one, two, late)
	sealedNewest(t, "changed at the other, too", s, keys)
}

// rotationsAtOnce: the key is changed at two management servers at the same time, while passwords
// are set at both.
func rotationsAtOnce(t *testing.T, s management.Store) {
	one, two, keys := pair(t, s)
	for range 4 {
		var group sync.WaitGroup
		for _, m := range []*management.Management{one, two} {
			group.Go(func() {
				if err := m.RotateSecrets(background); err != nil {
					t.Error(err)
				}
			})
			for _, camera := range []us.CameraID{"a", "d"} {
				group.Go(func() { setPassword(t, m, camera, "changed") })
			}
		}
		group.Wait()
		opensAll(t, "after both", map[us.CameraID]us.Secret{"a": "changed", "d": "changed"}, one, two)
		sealedNewest(t, "after both", s, keys)
	}
	areEnded(t, s, one, keys)
}

// areEnded fails the test unless the log tells of each change once, and none is under way.
func areEnded(t testing.TB, s management.Store, m *management.Management, keys *identity.Authority) {
	t.Helper()
	ended := must[[]us.Event](t)(m.Events(background, us.EventQuery{Text: "under a new key", Limit: 99}))
	ring := must[*seal.Ring](t)(keys.Keyring(storedRing(t, s)))
	if next := must[int](t)(ring.Begin()); next != len(ended)+1 {
		t.Errorf("the next change is number %d, and the log tells of %d", next, len(ended))
	}
}

// rotationOvertaken: before the last step of a change another management server has ended it, and
// has begun or ended the next: that one is left alone.
func rotationOvertaken(t *testing.T, s management.Store) {
	one, _, keys := pair(t, s)
	dying := &interrupted{Store: s, before: 1, between: func() error { return errBroken }}
	dies := with(t, dying, keys)
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"ended", func() { want(t, one.RotateSecrets(background), "") }},
		{"ended, and another as well", func() {
			want(t, one.RotateSecrets(background), "")
			want(t, one.RotateSecrets(background), "")
		}},
		{"ended, and another begun", func() {
			want(t, one.RotateSecrets(background), "")
			dying.before = 1
			if err := dies.RotateSecrets(background); !errors.Is(err, errBroken) {
				t.Error(err)
			}
		}},
	} {
		slow := &interrupted{Store: s, before: 1}
		m := with(t, slow, keys)
		slow.before = 2
		slow.between = sync.OnceValue(func() error { c.do(); return nil })
		want(t, m.RotateSecrets(background), "")
		opensAll(t, c.name, nil, one, m)
	}
	want(t, one.RotateSecrets(background), "") // what was begun last
	sealedNewest(t, "after all", s, keys)
	areEnded(t, s, one, keys)
}

var errBroken = errors.New("broken off")

// interrupted is a store of which a management server makes so many transactions; before each
// further one between is called, which may break it off.
type interrupted struct {
	management.Store
	before  int
	between func() error
}

func (i *interrupted) Update(ctx context.Context, f func(management.Tx) error) error {
	if i.before == 0 {
		if err := i.between(); err != nil {
			return err
		}
	} else {
		i.before--
	}
	return i.Store.Update(ctx, f)
}

// rotationBrokenOff: wherever a management server dies that changes the key, others go on, what is
// set meanwhile opens, and a change at another does the whole.
func rotationBrokenOff(t *testing.T, s management.Store) {
	one, _, keys := pair(t, s)
	dying := &interrupted{Store: s, before: 1, between: func() error { return errBroken }}
	two := with(t, dying, keys)
	for steps := 0; ; steps++ {
		dying.before = steps
		err := two.RotateSecrets(background)
		if err == nil {
			if steps < 3 {
				t.Errorf("the key was changed in %d transactions, and the test wants several", steps)
			}
			return
		}
		if !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		setPassword(t, one, "b", "changed")
		changed := map[us.CameraID]us.Secret{"b": "changed"}
		opensAll(t, "broken off", changed, one, two)
		began := storedRing(t, s)
		want(t, one.RotateSecrets(background), "")
		opensAll(t, "done at another", changed, one, two)
		sealedNewest(t, "done at another", s, keys)
		if steps == 0 {
			continue // none was begun
		}
		sealed := must[*seal.Ring](t)(keys.Keyring(storedRing(t, s))).Seal(nil, nil)
		if _, newest, err := must[*seal.Ring](t)(keys.Keyring(began)).Open(sealed, nil); err != nil || !newest {
			t.Errorf("after %d steps another key was begun, and not the one before ended: %v", steps, err)
		}
	}
}

// rotationOfLostParts: a replica is promoted that lacks a password which was sealed anew. The key
// is not forgotten that opens it.
func rotationOfLostParts(t *testing.T, s management.Store) {
	one, _, keys := pair(t, s)
	want(t, one.RotateSecrets(background), "") // so that the next forgets one
	var old []byte
	view(t, s, func(r management.Reader) error {
		old = must[map[us.CameraID][]byte](t)(r.Passwords(allCameras))["a"]
		return nil
	})
	losing := &interrupted{Store: s, before: 1}
	losing.between = func() error {
		update(t, s, func(tx management.Tx) error { return tx.PutPassword("a", old) })
		return nil
	}
	two := with(t, losing, keys)
	losing.before = 2
	want(t, two.RotateSecrets(background), "")
	opensAll(t, "after it", nil, one, two)
	sealedNewest(t, "after it", s, keys)
}

// edit changes an authority's file as the version before did that kept the ring in there.
func edit(t *testing.T, folder string, change func(map[string]any)) {
	t.Helper()
	path := filepath.Join(folder, "authority.json")
	content := map[string]any{}
	want(t, json.Unmarshal(must[[]byte](t)(os.ReadFile(path)), &content), "")
	change(content)
	want(t, os.WriteFile(path, must[[]byte](t)(json.Marshal(content)), 0o600), "")
}

// populateWithout is populate without any password, and without keys.
func populateWithout(t *testing.T, s management.Store) {
	t.Helper()
	m := must[*management.Management](t)(management.New(background, s, management.Options{Hasher: quickHasher{}}))
	for _, id := range []us.ServerID{"rec1", "rec2"} {
		must[us.RecordingServer](t)(m.PutRecordingServer(background, us.RecordingServer{ID: id, Addresses: addresses(string(id))}))
	}
	for i, id := range allCameras {
		home := us.ServerID("rec1")
		if i == len(allCameras)-1 {
			home = "rec2"
		}
		must[us.Camera](t)(m.PutCamera(background, us.Camera{ID: id, Home: home, URL: "rtsp://cam/" + string(id)}, nil))
	}
}

// keysOfBefore: a site whose keys are in the authority's file only, as the version before left it,
// goes on without a step, and what a management server of that version seals meanwhile opens, also
// after the key was changed. One that had a key of its own there, since the key was changed at it,
// brings that to the others.
func keysOfBefore(t *testing.T, s management.Store) {
	folder := t.TempDir()
	keys := authorityIn(t, folder)
	var file struct {
		SealKey []byte `json:"seal_key"`
	}
	want(t, json.Unmarshal(must[[]byte](t)(os.ReadFile(filepath.Join(folder, "authority.json"))), &file), "")
	byKey := func(secret []byte, camera us.CameraID) {
		t.Helper()
		key := must[seal.Key](t)(seal.NewKey(secret))
		sealed := key.Seal([]byte("password of "+camera), []byte("camera password "+string(camera)))
		update(t, s, func(tx management.Tx) error { return tx.PutPassword(camera, sealed) })
	}
	populateWithout(t, s)
	for _, camera := range allCameras {
		byKey(file.SealKey, camera)
	}
	if stored := storedRing(t, s); stored != nil {
		t.Fatalf("the store has a ring: %x", stored)
	}
	one := with(t, s, keys)
	setPassword(t, one, "a", "password of a")
	opensAll(t, "upgraded", nil, one)
	sealedNewest(t, "upgraded, and readable to the version before,", s, keys)
	for range 2 {
		want(t, one.RotateSecrets(background), "")
		byKey(file.SealKey, "b")
		opensAll(t, "sealed by the version before", nil, one)
	}
	want(t, one.RotateSecrets(background), "")
	sealedNewest(t, "after another change", s, keys)

	other, own := copied(t, folder), make([]byte, seal.KeySize)
	_, _ = rand.Read(own)
	edit(t, other, func(content map[string]any) {
		content["seal_key"], content["audit_key"] = own, keys.AuditKey()
	})
	byKey(own, "c")
	_, err := one.Assignment(background, "rec1")
	want(t, err, us.CodeInternal)
	two := with(t, s, authorityIn(t, other))
	opensAll(t, "with the key of the other", nil, one, two)
	want(t, two.RotateSecrets(background), "")
	opensAll(t, "changed there", nil, one, two)
	sealedNewest(t, "changed there", s, keys)
}

// keysOfAnother: a management server of another site is told so when it starts, and changes nothing.
func keysOfAnother(t *testing.T, s management.Store) {
	pair(t, s)
	stored := storedRing(t, s)
	_, err := management.New(background, s, management.Options{Sealer: authorityIn(t, t.TempDir())})
	want(t, err, us.CodeInvalid)
	if !strings.Contains(err.Error(), "another site's") || !slices.Equal(storedRing(t, s), stored) {
		t.Errorf("refused with %v", err)
	}
}
