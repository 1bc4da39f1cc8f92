package storetest

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/identity"
	"understudy/internal/management"
)

// bundles: what a failover server keeps for the day on which nobody can be asked
// has every camera that it may have to play, cold ones with their passwords; it
// opens there and nowhere else, and is made anew when something has changed and
// not else.
func bundles(t *testing.T, s management.Store) {
	authority := must[*identity.Authority](t)(identity.OpenAuthority(filepath.Join(t.TempDir(), "authority")))
	m := must[*management.Management](t)(management.New(background, s, management.Options{Sealer: authority, Bundles: authority, Hasher: quickHasher{}}))
	populate(t, m)
	password := us.Secret("secret of a")
	a := must[us.Camera](t)(m.Camera(background, "a"))
	must[us.Camera](t)(m.PutCamera(background, a, &password))
	fo1, fo2 := node(t, authority, "fo1"), node(t, authority, "fo2")

	first := must[[]us.Bundle](t)(m.Bundles(background, "fo2", fo2.BundleKey()))
	if len(first) != 2 || first[0].Home != "rec1" || first[0].Server != "fo2" || first[1].Home != "rec2" {
		t.Fatalf("fo2 stands by for rec1 and rec2, in cold; its bundles are %+v", first)
	}
	var cameras []us.AssignedCamera
	if err := json.Unmarshal(must[[]byte](t)(fo2.OpenBundle(first[0])), &cameras); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(cameras, func(c us.AssignedCamera) bool { return c.Camera.ID == "a" })
	if i < 0 || cameras[i].Credentials.Password != password || !cameras[i].Record {
		t.Errorf("camera a with its password is not in the bundle of a cold standby: %+v", cameras)
	}
	if _, err := fo1.OpenBundle(first[0]); us.CodeOf(err) != us.CodeInvalid {
		t.Errorf("fo1 opened the bundle of fo2: %v", err)
	}

	want(t, m.Report(background, "rec1", us.Report{Kind: us.EventServer, Sentence: "nothing of it is in a bundle"}), "")
	takeOver := us.Claim{ID: "bundle-claim", Claimant: "fo1", Home: "rec1", Kind: us.ClaimTakeover, Cameras: []us.CameraEpoch{{Camera: "a", Epoch: 1}}, Sentence: "it is gone"}
	must[us.ClaimAnswer](t)(m.Claim(background, takeOver))
	if again := must[[]us.Bundle](t)(m.Bundles(background, "fo2", fo2.BundleKey())); again[0].Seq != first[0].Seq || !again[0].Made.Equal(first[0].Made) {
		t.Errorf("a report and a takeover made another bundle: %d after %d", again[0].Seq, first[0].Seq)
	}
	password = "another secret of a"
	must[us.Camera](t)(m.PutCamera(background, a, &password))
	changed := must[[]us.Bundle](t)(m.Bundles(background, "fo2", fo2.BundleKey()))[0]
	if changed.Seq <= first[0].Seq {
		t.Errorf("after another password the bundle is still number %d", changed.Seq)
	}
	want(t, second(m.Bundles(background, "nobody", fo2.BundleKey())), us.CodeNotFound)
	want(t, second(m.Bundles(background, "fo2", []byte("no key"))), us.CodeInvalid)
}

// node is a failover server that has joined.
func node(t *testing.T, authority *identity.Authority, id us.ServerID) *identity.Node {
	t.Helper()
	dir := filepath.Join(t.TempDir(), string(id))
	request := must[[]byte](t)(identity.NewJoinRequest(dir))
	certificate := must[[]byte](t)(authority.Sign(request, id, us.RoleFailover, []string{"127.0.0.1"}, time.Hour))
	return must[*identity.Node](t)(identity.SaveNode(dir, certificate, authority.Trust()))
}
