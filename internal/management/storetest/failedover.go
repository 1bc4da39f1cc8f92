package storetest

import (
	"slices"
	"strings"
	"testing"

	us "understudy"
	"understudy/internal/management"
)

// failedOver: while a failover server stands in for a home with all that it may,
// a camera that is added there, or moves there, is its to serve; one that moves
// away is its new home's; and everything comes home with the failback.
func failedOver(t *testing.T, s management.Store) {
	m := aSite(t, s)
	claim := func(id string, kind us.ClaimKind, claimant us.ServerID, cameras ...us.CameraID) {
		t.Helper()
		c := us.Claim{ID: id, Claimant: claimant, Home: "rec1", Kind: kind, Sentence: "it is so"}
		for _, camera := range cameras {
			c.Cameras = append(c.Cameras, us.CameraEpoch{Camera: camera, Epoch: lease(t, m, camera).Epoch})
		}
		if answer := must[us.ClaimAnswer](t)(m.Claim(background, c)); len(answer.Refused) > 0 {
			t.Fatalf("the claim of %s was refused: %+v", claimant, answer.Refused)
		}
	}
	put := func(c us.Camera) us.Event {
		t.Helper()
		c.URL, c.Username = "rtsp://cam/"+string(c.ID), "viewer"
		password := us.Secret("password of " + c.ID)
		must[us.Camera](t)(m.PutCamera(background, c, &password))
		events := must[[]us.Event](t)(m.Events(background, us.EventQuery{Camera: c.ID, Limit: 1}))
		return events[0]
	}
	holds := func(camera us.CameraID, holder us.ServerID) {
		t.Helper()
		if l := lease(t, m, camera); l.Holder != holder {
			t.Errorf("camera %s is held by %s under %d (%s), want %s", camera, l.Holder, l.Epoch, l.Sentence, holder)
		}
	}

	claim("sick-one-camera", us.ClaimTakeover, "fo1", "a") // rec1 is there and has b
	put(us.Camera{ID: "e", Home: "rec1"})
	holds("e", "rec1")

	claim("all-of-them", us.ClaimTakeover, "fo1", "b", "e")
	added := put(us.Camera{ID: "f", Home: "rec1"})
	holds("f", "fo1")
	if !strings.Contains(added.Sentence, "fo1 stands in for rec1") {
		t.Errorf("the sentence does not say who serves it: %s", added.Sentence)
	}
	waits := us.Camera{ID: "g", Home: "rec1", Failover: us.SupportNone}
	put(waits)
	holds("g", "rec1") // it waits for its home

	before := lease(t, m, "d").Epoch
	put(us.Camera{ID: "d", Home: "rec1"}) // from rec2, which is well
	holds("d", "fo1")
	if l := lease(t, m, "d"); l.Epoch <= before {
		t.Errorf("the lease of d went from epoch %d to %d", before, l.Epoch)
	}
	put(us.Camera{ID: "f", Home: "rec2"}) // which is there
	holds("f", "rec2")

	held := must[us.Assignment](t)(m.Assignment(background, "fo1"))
	i := slices.IndexFunc(held.Cameras, func(c us.AssignedCamera) bool { return c.Camera.ID == "d" })
	if i < 0 || held.Cameras[i].Credentials.Password != "password of d" || !held.Cameras[i].Record {
		t.Errorf("fo1 is not told what it needs for d: %+v", held.Cameras)
	}
	home := must[us.Assignment](t)(m.Assignment(background, "rec1"))
	if !slices.ContainsFunc(home.Cameras, func(c us.AssignedCamera) bool { return c.Camera.ID == "d" }) {
		t.Errorf("home is not told of d: %+v", home.Cameras)
	}
	claim("home-again", us.ClaimFailback, "rec1", "a", "b", "d", "e")
	for _, camera := range []us.CameraID{"a", "b", "d", "e"} {
		holds(camera, "rec1")
	}
	put(us.Camera{ID: "h", Home: "rec1"})
	holds("h", "rec1")
}
