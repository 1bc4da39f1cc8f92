package management_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/management"
)

// eyes see what a test tells them, and note whom they were asked about.
type eyes struct {
	states map[us.ServerID]us.State
	asleep bool
	asked  []us.ServerID
}

func (e *eyes) Awake() error {
	if e.asleep {
		return us.Errorf(us.CodeUnavailable, "repeat it in a moment")
	}
	return nil
}

func (e *eyes) Ask(_ context.Context, servers []us.ServerID) (states []us.State) {
	e.asked = append(e.asked, servers...)
	for _, id := range servers {
		if s, ok := e.states[id]; ok {
			states = append(states, s)
		}
	}
	return states
}

func watched(t *testing.T) (*management.Management, *eyes) {
	t.Helper()
	e := &eyes{}
	m, err := management.New(t.Context(), management.NewMemory(), management.Options{Hasher: noHasher{}, Witness: e})
	if err != nil {
		t.Fatal(err)
	}
	put(t, m)
	return m, e
}

type noHasher struct{}

func (noHasher) Hash(context.Context, us.Secret) (string, error)         { return "x", nil }
func (noHasher) Verify(context.Context, string, us.Secret) (bool, error) { return false, nil }
func (noHasher) Current(string) bool                                     { return true }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// atWork is a server that records camera a, up to some seconds after noon.
func atWork(seconds int, with ...func(*us.State)) us.State {
	s := us.State{Server: "rec1", Storage: us.StorageState{Writable: true}, Cameras: []us.CameraState{
		{Camera: "a", Receiving: true, Recording: true, Watermark: us.Watermark{At: noon.Add(time.Duration(seconds) * time.Second)}}}}
	for _, change := range with {
		change(&s)
	}
	return s
}

// A claimant that does not hear a holder does not get a camera which the
// management server hears that holder record.
func TestAHolderThatIsHeardAtWorkKeepsItsCamera(t *testing.T) {
	lost := us.CameraEpoch{Camera: "a", Epoch: 1, Lost: true, Written: noon}
	camera := func(change func(*us.CameraState)) func(*us.State) {
		return func(s *us.State) { change(&s.Cameras[0]) }
	}
	for _, c := range []struct {
		name    string
		state   us.State // zero: nobody answers
		wanted  us.CameraEpoch
		granted bool
	}{
		{"nobody answers", us.State{}, lost, true},
		{"it records", atWork(1), lost, false},
		{"it was never heard", atWork(1), us.CameraEpoch{Camera: "a", Epoch: 1, Lost: true}, false},
		{"it has recorded nothing since", atWork(0), lost, true},
		{"it is heard by the claimant, too, and is sick", atWork(1), us.CameraEpoch{Camera: "a", Epoch: 1}, true},
		{"it cannot write", atWork(1, func(s *us.State) { s.Storage.Writable = false }), lost, true},
		{"it is about to stop", atWork(1, func(s *us.State) { s.Leaving = "an update" }), lost, true},
		{"it gets no frames", atWork(1, camera(func(c *us.CameraState) { c.Receiving = false })), lost, true},
		{"it does not record", atWork(1, camera(func(c *us.CameraState) { c.Recording = false })), lost, true},
		{"it records another", atWork(1, camera(func(c *us.CameraState) { c.Camera = "b" })), lost, true},
		{"it waits for an event", atWork(0, camera(func(c *us.CameraState) {
			c.Recording, c.Waiting, c.Buffered = false, true, us.Watermark{At: noon.Add(time.Second)}
		})), lost, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, e := watched(t)
			if c.state.Server != "" {
				e.states = map[us.ServerID]us.State{"rec1": c.state}
			}
			claim := us.Claim{ID: "claim-0001", Claimant: "fo1", Home: "rec1", Kind: us.ClaimTakeover, Cameras: []us.CameraEpoch{c.wanted}}
			answer, err := m.Claim(t.Context(), claim)
			if err != nil || (len(answer.Granted) == 1) != c.granted || (len(answer.Refused) == 0) != c.granted {
				t.Fatalf("answered %+v, %v", answer, err)
			}
			if asked := slices.Equal(e.asked, []us.ServerID{"rec1"}); asked != c.wanted.Lost {
				t.Errorf("asked %v", e.asked)
			}
			// Repeated, it is answered alike, and nobody is asked again.
			e.asked, e.states = nil, map[us.ServerID]us.State{"rec1": atWork(9)}
			again, err := m.Claim(t.Context(), claim)
			if err != nil || len(again.Granted) != len(answer.Granted) || len(e.asked) != 0 {
				t.Errorf("repeated: answered %+v, %v, asked %v", again, err, e.asked)
			}
		})
	}
}

// Nobody is asked for whoever gets nothing in any case.
func TestWhoIsNotEntitledMakesNobodyAsk(t *testing.T) {
	m, e := watched(t)
	for i, c := range []us.Claim{
		{Claimant: "fo2", Home: "rec1", Cameras: []us.CameraEpoch{{Camera: "a", Epoch: 1, Lost: true}}},
		{Claimant: "fo1", Home: "rec1", Cameras: []us.CameraEpoch{{Camera: "a", Epoch: 7, Lost: true}}},
	} {
		c.ID, c.Kind = fmt.Sprintf("claim-%04d", i), us.ClaimTakeover
		if answer, err := m.Claim(t.Context(), c); len(answer.Granted) != 0 || err == nil && len(answer.Refused) != 1 {
			t.Errorf("claim %d is answered %+v, %v", i, answer, err)
		}
	}
	if len(e.asked) != 0 {
		t.Errorf("asked %v", e.asked)
	}
}

// A management server that has stood still grants nothing before it has looked
// around, and what it says then is no answer: the same claim is decided later.
func TestWhoHasStoodStillDecidesNothing(t *testing.T) {
	m, e := watched(t)
	e.asleep = true
	claims := []us.Claim{
		{ID: "claim-0001", Claimant: "fo1", Home: "rec1", Kind: us.ClaimTakeover, Cameras: []us.CameraEpoch{{Camera: "a", Epoch: 1}}},
		{ID: "claim-0002", Claimant: "rec1", Home: "rec1", Kind: us.ClaimFailback, Cameras: []us.CameraEpoch{{Camera: "a", Epoch: 2}}},
	}
	for _, c := range claims {
		e.asleep = true
		if answer, err := m.Claim(t.Context(), c); us.CodeOf(err) != us.CodeUnavailable || len(answer.Granted) != 0 {
			t.Errorf("while it sleeps, %s is answered %+v, %v", c.ID, answer, err)
		}
		e.asleep = false
		if answer, err := m.Claim(t.Context(), c); err != nil || len(answer.Granted) != 1 {
			t.Errorf("awake, %s is answered %+v, %v", c.ID, answer, err)
		}
		e.asleep = true
		if answer, err := m.Claim(t.Context(), c); err != nil || len(answer.Granted) != 1 {
			t.Errorf("what was decided before is no news, and %s is answered %+v, %v", c.ID, answer, err)
		}
	}
}
