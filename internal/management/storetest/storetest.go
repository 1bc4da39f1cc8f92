// Package storetest says in tests what a management.Store promises, and what
// the authority promises over it. Each implementation runs the same suite.
package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	us "understudy"
	"understudy/internal/identity"
	"understudy/internal/management"
)

// Open returns an empty store that is closed when the test ends.
type Open func(t testing.TB) management.Store

// Run runs the whole suite over the stores that open returns.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, management.Store)
	}{
		{"what is read was written", roundTrip},
		{"an update that fails leaves nothing", rollBack},
		{"an update that panics leaves nothing", rollBackOfPanic},
		{"updates happen one after another", oneAfterAnother},
		{"events are selected by number, kind and camera", selectEvents},
		{"old events are forgotten", forgetEvents},
		{"the log makes the site", fold},
		{"epochs only grow", epochsGrow},
		{"a context that has ended does nothing", endedContext},
		{"text is only text", hostileText},
		{"cameras", cameras},
		{"many cameras are put as one", cameraSet},
		{"servers and groups", servers},
		{"revocations", revocations},
		{"the log is audited", audit},
		{"references are checked", references},
		{"racing claims have one winner", race},
		{"a claim finds capacity or is told why not", capacity},
		{"orders stand until they end", orders},
		{"pre-flights tell what is in the way of a takeover", preflights},
		{"a repeated claim is answered alike", repeatedClaim},
		{"claims decide each camera by itself", claims},
		{"the log is restored", ratchet},
		{"assignments and duties", assignments},
		{"mirrors", mirrors},
		{"configuration while failed over", failedOver},
		{"bundles", bundles},
		{"camera passwords are sealed", passwords},
		{"the key of secrets is changed", rotation},
		{"the key of secrets is changed at any of several", rotationAmongSeveral},
		{"two changes of the key at once", rotationsAtOnce},
		{"a change of the key that another overtakes", rotationOvertaken},
		{"a change of the key that is broken off", rotationBrokenOff},
		{"a change of the key of which a part is lost", rotationOfLostParts},
		{"keys of the version before", keysOfBefore},
		{"keys of another site", keysOfAnother},
		{"users and sessions", users},
		{"roles and camera groups", rights},
		{"media tokens are recalled", recalls},
		{"old recalls are forgotten", forgetsRecalls},
		{"setup and joining", joining},
		{"a password is hashed anew when its cost has changed", rehashing},
		{"waiting for events", waiting},
		{"several management servers", severalManagers},
		{"an event is told once", triggers},
		{"locks are their owner's", locks},
		{"an incident is told and concluded once", incidents},
		{"what users did with footage is told in their name", uses},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// New returns an authority over store with real encryption and a quick hash. All that it returns
// are management servers of one site.
func New(t testing.TB, store management.Store) *management.Management {
	t.Helper()
	return with(t, store, must[*identity.Authority](t)(shared()))
}

// with is New with keys of its own.
func with(t testing.TB, store management.Store, keys management.Sealer) *management.Management {
	t.Helper()
	return must[*management.Management](t)(management.New(background, store, management.Options{Sealer: keys, Bundles: openBundles{}, Hasher: quickHasher{}}))
}

// shared are the keys of the site that New's management servers are of.
var shared = sync.OnceValues(func() (_ *identity.Authority, err error) {
	folder, err := os.MkdirTemp("", "understudy-storetest-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }() // it is not written to again
	return identity.OpenAuthority(folder)
})

// openBundles seals nothing: what is in a bundle can be read by everybody.
type openBundles struct{}

func (openBundles) SealBundle(b us.Bundle, _, plain []byte) (us.Bundle, error) {
	b.Sealed = plain
	return b, nil
}

// quickHasher is no hash for real passwords. One that begins with formerly is of another cost.
type quickHasher struct{}

const formerly = "formerly "

func (quickHasher) Hash(_ context.Context, password us.Secret) (string, error) {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:]), nil
}

func (h quickHasher) Verify(ctx context.Context, hash string, password us.Secret) (bool, error) {
	other, err := h.Hash(ctx, password)
	return other == strings.TrimPrefix(hash, formerly), err
}

func (quickHasher) Current(hash string) bool { return !strings.HasPrefix(hash, formerly) }

// want fails the test unless err has that code, or is nil for none.
func want(t testing.TB, err error, code us.Code) {
	t.Helper()
	if code == "" && err != nil {
		t.Fatalf("failed: %v", err)
	}
	if code != "" && (err == nil || us.CodeOf(err) != code) {
		t.Fatalf("answered %v, want code %s", err, code)
	}
}

// must fails the test if err is not nil.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var background = context.Background()

func addresses(host string) us.Addresses {
	return us.Addresses{Media: host + ":7563", State: host + ":11000", Merge: host + ":5210"}
}

// aSite is an authority over what populate makes.
func aSite(t testing.TB, store management.Store) *management.Management {
	t.Helper()
	m := New(t, store)
	populate(t, m)
	return m
}

// populate makes a site: rec1 with hot standby fo1 and group east (fo1, fo2) and cameras a, b
// (live only) and c (none); rec2 with group east and camera d; fo3 in group west.
func populate(t testing.TB, m *management.Management) {
	t.Helper()
	for _, id := range []us.ServerID{"fo1", "fo2", "fo3"} {
		must[us.FailoverServer](t)(m.PutFailoverServer(background, us.FailoverServer{ID: id, Addresses: addresses(string(id))}))
	}
	must[us.FailoverGroup](t)(m.PutGroup(background, us.FailoverGroup{ID: "east", Members: []us.ServerID{"fo1", "fo2"}}))
	must[us.FailoverGroup](t)(m.PutGroup(background, us.FailoverGroup{ID: "west", Members: []us.ServerID{"fo3"}}))
	must[us.RecordingServer](t)(m.PutRecordingServer(background, us.RecordingServer{ID: "rec1", Addresses: addresses("rec1"), HotStandby: "fo1", PrimaryGroup: "east"}))
	must[us.RecordingServer](t)(m.PutRecordingServer(background, us.RecordingServer{ID: "rec2", Addresses: addresses("rec2"), PrimaryGroup: "east"}))
	for id, home := range map[us.CameraID]us.ServerID{"a": "rec1", "b": "rec1", "c": "rec1", "d": "rec2"} {
		c := us.Camera{ID: id, Home: home, URL: "rtsp://cam/" + string(id), Username: "viewer"}
		switch id {
		case "b":
			c.Failover = us.SupportLive
		case "c":
			c.Failover = us.SupportNone
		}
		password := us.Secret("password of " + id)
		must[us.Camera](t)(m.PutCamera(background, c, &password))
	}
}

func lease(t testing.TB, m *management.Management, camera us.CameraID) us.Lease {
	t.Helper()
	site := must[us.Site](t)(m.Site(background))
	l, ok := site.Lease(camera)
	if !ok {
		t.Fatalf("camera %s has no lease", camera)
	}
	return l
}

// history returns the whole log.
func history(t testing.TB, m *management.Management) []us.Event {
	t.Helper()
	all := must[[]us.Event](t)(m.Events(background, us.EventQuery{Before: 2, Limit: 1}))
	for len(all) > 0 {
		more := must[[]us.Event](t)(m.Events(background, us.EventQuery{After: all[len(all)-1].Seq, Limit: 7}))
		if len(more) == 0 {
			break
		}
		all = append(all, more...)
	}
	return all
}
