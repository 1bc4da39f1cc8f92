package recording

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"understudy"
	"understudy/internal/channel"
	"understudy/internal/identity"
	"understudy/internal/management"
)

var errAway = errors.New("management is away")

// authority is the management server's inside, which can be away.
type authority struct {
	*management.Management
	feed understudy.Feed
	away atomic.Bool
	slow atomic.Int32 // so many questions for events it does not answer
}

func newManagement(t *testing.T, site *installation) *authority {
	t.Helper()
	m, err := management.New(t.Context(), management.NewMemory(), management.Options{Sealer: site.authority, Hasher: identity.NewPasswords()})
	if err != nil {
		t.Fatal(err)
	}
	return &authority{Management: m, feed: channel.Tail(m)}
}

func (a *authority) Follow(ctx context.Context, after understudy.Cursor, f func(understudy.Update) error) error {
	if a.away.Load() {
		return understudy.Errorf(understudy.CodeUnavailable, "the test: %w", errAway)
	}
	return a.feed.Follow(ctx, after, f)
}

func (a *authority) Assignment(ctx context.Context, server understudy.ServerID) (understudy.Assignment, error) {
	if a.away.Load() {
		return understudy.Assignment{}, understudy.Errorf(understudy.CodeUnavailable, "the test: %w", errAway)
	}
	return a.Management.Assignment(ctx, server)
}

func (a *authority) Events(ctx context.Context, q understudy.EventQuery) ([]understudy.Event, error) {
	if a.slow.Add(-1) >= 0 {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "the test: %w", errAway)
	}
	return a.Management.Events(ctx, q)
}

// furnish gives the site a recording server with those cameras and a hot standby.
func (a *authority) furnish(t *testing.T, cameras understudy.Assignment) {
	t.Helper()
	address := understudy.Addresses{Media: "10.0.0.1:7563", State: "10.0.0.1:11000", Merge: "10.0.0.1:5210"}
	if _, err := a.PutFailoverServer(t.Context(), understudy.FailoverServer{ID: "fo-1", Name: "fo-1", Addresses: address}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.PutRecordingServer(t.Context(), understudy.RecordingServer{ID: "rec-1", Name: "rec-1", Addresses: address, HotStandby: "fo-1"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range cameras.Cameras {
		password := c.Credentials.Password
		if _, err := a.PutCamera(t.Context(), c.Camera, &password); err != nil {
			t.Fatal(err)
		}
	}
}

func (a *authority) lease(t *testing.T, camera understudy.CameraID) understudy.Lease {
	t.Helper()
	site, err := a.Site(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lease, _ := site.Lease(camera)
	return lease
}

// atHome drives a server by a Home with a short hold-down.
func atHome(m Management, home **Home) func(*running) func(context.Context) error {
	return func(r *running) func(context.Context) error {
		*home = NewHome(HomeConfig{Server: r.Server, Vault: r.node, Management: m, HoldDown: time.Second, Log: r.log})
		return (*home).Run
	}
}

// It fetches its assignment, and after a restart records with what it kept, asking nobody.
func TestRecordsWithoutAskingAnyone(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	authority := newManagement(t, site)
	a := cameras(t, "rec-1", "lobby", "yard")
	authority.furnish(t, a)
	var home *Home
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{drive: atHome(authority, &home)})
	until(t, "what is assigned is recorded", r.recordsAll(a))
	until(t, "it is kept", func() bool {
		_, err := r.node.OpenFile(assignmentFile)
		return err == nil
	})
	r.stop()
	authority.away.Store(true)
	again := site.start(r.node, options{dir: r.dir, drive: atHome(authority, &home)})
	until(t, "what was assigned is recorded again", again.recordsAll(a))
	authority.away.Store(false)
	if err := authority.DeleteCamera(t.Context(), "yard"); err != nil {
		t.Fatal(err)
	}
	until(t, "a change reaches it", func() bool { return len(again.State().Cameras) == 1 })
}

// It takes its cameras back when it records them, says why, and loses no frame by it.
func TestTakesItsCamerasBack(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	authority := newManagement(t, site)
	a := cameras(t, "rec-1", "lobby", "yard")
	authority.furnish(t, a)
	var home *Home
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{drive: atHome(authority, &home)})
	until(t, "what is assigned is recorded", r.recordsAll(a))
	answer, err := authority.Claim(t.Context(), understudy.Claim{ID: "takeover-1", Claimant: "fo-1", Home: "rec-1", Kind: understudy.ClaimTakeover,
		Cameras: []understudy.CameraEpoch{{Camera: "lobby", Epoch: 1}, {Camera: "yard", Epoch: 1}}, Sentence: "fo-1 heard nothing from rec-1"})
	if err != nil || len(answer.Granted) != 2 {
		t.Fatalf("the takeover was answered %+v, %v", answer, err)
	}
	until(t, "home holds both again", func() bool {
		return authority.lease(t, "lobby").Holder == "rec-1" && authority.lease(t, "yard").Holder == "rec-1"
	})
	if l := authority.lease(t, "lobby"); l.Epoch != 3 || !strings.Contains(l.Sentence, "takes its part back from fo-1") {
		t.Errorf("the lease is %+v", l)
	}
	until(t, "it records under the new epoch", r.wholeUpTo(t, "lobby", 3))
	gapless(t, r.frames(t, "lobby"), 5)
	events, err := authority.Events(t.Context(), understudy.EventQuery{Kind: understudy.EventFailback, Limit: 10})
	if err != nil || len(events) != 1 {
		t.Errorf("one claim makes one event; found %+v, %v", events, err)
	}
	home.mu.Lock()
	failbacks := len(home.history.Failbacks)
	home.mu.Unlock()
	if failbacks != 1 {
		t.Errorf("it remembers %d failbacks", failbacks)
	}
}

// A planned stop is remembered over the restart, once.
func TestPlannedStopIsRemembered(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	authority := newManagement(t, site)
	authority.furnish(t, understudy.Assignment{})
	node := site.join("rec-1", understudy.RoleRecording)
	var home *Home
	planned := func() bool {
		home.mu.Lock()
		defer home.mu.Unlock()
		return home.planned
	}
	r := site.start(node, options{drive: atHome(authority, &home)})
	until(t, "the site is known", func() bool {
		_, known := home.situation()
		return known
	})
	home.Leave(t.Context(), "an upgrade")
	r.stop()
	authority.away.Store(true) // so that nothing settles it
	r = site.start(node, options{dir: r.dir, drive: atHome(authority, &home)})
	until(t, "the planned stop is known", planned)
	until(t, "and will be forgotten", func() bool {
		plain, err := node.OpenFile(historyFile)
		return err == nil && !strings.Contains(string(plain), "true")
	})
	home.remember(func(past *history) { past.Failbacks = append(past.Failbacks, time.Now()) }) // which must not plan the next stop
	r.stop()
	home = NewHome(HomeConfig{Server: r.Server, Vault: node, Management: authority})
	home.recall()
	if planned() {
		t.Error("a stop that was not planned counts as one")
	}
}

func TestConcerns(t *testing.T) {
	a := understudy.Assignment{Cameras: []understudy.AssignedCamera{{Camera: understudy.Camera{ID: "lobby"}}}}
	for name, test := range map[string]struct {
		change understudy.Change
		want   bool
	}{
		"a camera of ours":               {understudy.Change{Camera: &understudy.Camera{ID: "lobby", Home: "rec-1"}}, true},
		"a new camera":                   {understudy.Change{Camera: &understudy.Camera{ID: "yard", Home: "rec-1"}}, true},
		"a camera that moves away":       {understudy.Change{Camera: &understudy.Camera{ID: "lobby", Home: "rec-2"}}, true},
		"a camera of another":            {understudy.Change{Camera: &understudy.Camera{ID: "yard", Home: "rec-2"}}, false},
		"a camera that is gone":          {understudy.Change{GoneCamera: "lobby"}, true},
		"a lease of ours":                {understudy.Change{Lease: &understudy.Lease{Camera: "lobby"}}, true},
		"a lease of another":             {understudy.Change{Lease: &understudy.Lease{Camera: "yard"}}, false},
		"a group, which does not matter": {understudy.Change{Group: &understudy.FailoverGroup{ID: "g"}}, false},
	} {
		if got := concerns(understudy.Event{Changes: slices.Concat([]understudy.Change{{GoneGroup: "x"}}, []understudy.Change{test.change})}, "rec-1", a); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Locks are obeyed after a restart without asking anyone, and events that were
// told while the server was away get their marks when it is back.
func TestLocksAndEventsOutliveARestart(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	authority := newManagement(t, site)
	a := cameras(t, "rec-1", "lobby")
	authority.furnish(t, a)
	var home *Home
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{drive: atHome(authority, &home)})
	until(t, "the camera is recorded", r.recordsAll(a))
	tell := func(id string) {
		if _, err := authority.Trigger(t.Context(), understudy.Trigger{ID: id, Camera: "lobby", Name: "door"}); err != nil {
			t.Fatal(err)
		}
	}
	marked := func(r *running, id string) func() bool {
		return func() bool {
			notes, err := r.store.Notes(t.Context(), "lobby", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
			return err == nil && slices.ContainsFunc(notes, func(n understudy.Note) bool { return n.ID == id })
		}
	}
	tell("while-it-runs")
	until(t, "the event is marked", marked(r, "while-it-runs"))
	ada := understudy.WithAsker(t.Context(), understudy.Identity{User: "ada"})
	if _, err := authority.PutLock(ada, understudy.Lock{ID: "case", Camera: "lobby", From: time.Now().Add(-time.Hour), To: time.Now(), Reason: "case"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the lock is kept", func() bool {
		_, err := r.node.OpenFile(locksFile)
		return err == nil
	})
	r.stop()
	tell("while-it-was-away")
	authority.away.Store(true)
	again := site.start(r.node, options{dir: r.dir, drive: atHome(authority, &home)})
	until(t, "the lock is known although nobody answers", func() bool {
		spared := again.protected("lobby")
		return len(spared) == 1 && spared[0].Locked
	})
	again.stop()
	if err := again.node.SealFile(locksFile, []byte("{")); err != nil {
		t.Fatal(err)
	}
	blind := site.start(again.node, options{dir: again.dir, drive: atHome(authority, &home)})
	until(t, "all is spared while nobody can say what is locked", func() bool {
		spared := blind.protected("lobby")
		return len(spared) == 1 && spared[0].From.IsZero() && spared[0].Locked
	})
	authority.slow.Store(2)
	authority.away.Store(false)
	until(t, "the event that was told meanwhile is marked", marked(blind, "while-it-was-away"))
	until(t, "the lock is known again", func() bool {
		spared := blind.protected("lobby")
		return len(spared) == 1 && !spared[0].From.IsZero()
	})
}
