package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"understudy"
	"understudy/internal/bundle"
)

// madeAt is when the files of testdata/upgrade were made.
var madeAt = time.Date(2026, 11, 29, 23, 16, 40, 0, time.UTC)

// kept copies what a server of an earlier version had on its disk, with the modes it had there.
func kept(t *testing.T, server string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	from := filepath.Join("testdata", "upgrade", server)
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(from, file.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, file.Name()), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func readGolden(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "upgrade", name))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func nodeOf(t *testing.T, server string) *Node {
	t.Helper()
	n, err := LoadNode(kept(t, server))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// isGolden reports whether cameras are those of the bundle, with what is needed to record them.
func isGolden(cameras []understudy.AssignedCamera) bool {
	if len(cameras) != 2 {
		return false
	}
	north, south := cameras[0], cameras[1]
	return north.Camera.ID == "north" && north.URL() == "rtsp://10.0.0.8/stream1" && north.Camera.Sub == "rtsp://10.0.0.8/stream2" &&
		north.Credentials == understudy.Credentials{Username: "viewer", Password: "golden-password"} && north.Record &&
		north.Camera.Priority == 3 && north.Camera.KeepFor == 24*time.Hour &&
		south.Camera.ID == "south" && !south.Record && south.Credentials.Password == "golden-password"
}

// A failover server that was upgraded while no management server answers opens the bundles
// that the version before has kept: with them it takes over alone. Those that a management
// server of the version before still sends are opened as well.
func TestAnUpgradeOpensWhatWasKept(t *testing.T) {
	fo1 := nodeOf(t, "fo1")
	text, err := fo1.OpenFile("bundles")
	if err != nil {
		t.Fatal(err)
	}
	var all []bundle.Kept
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	shelf := bundle.NewShelf(all)
	due := shelf.Due([]understudy.ServerID{"rec1"})
	cameras, err := due["rec1"].Content("rec1", fo1.OpenBundle)
	if err != nil || !isGolden(cameras) {
		t.Errorf("the bundle that was kept has %+v: %v", cameras, err)
	}
	var came []understudy.Bundle
	readGolden(t, "bundles.json", &came)
	shelf = bundle.NewShelf(nil)
	if !shelf.Take(came, fo1.VerifyBundle, func(_ understudy.ServerID, err error) { t.Error(err) }) {
		t.Error("bundles of a management server of the version before were not taken")
	}
	if cameras, err = shelf.Of("rec1").Content("rec1", fo1.OpenBundle); err != nil || !isGolden(cameras) {
		t.Errorf("the bundle that came has %+v: %v", cameras, err)
	}

	text, err = nodeOf(t, "rec1").OpenFile("assignment")
	if err != nil {
		t.Fatal(err)
	}
	var assignment understudy.Assignment
	if err := json.Unmarshal(text, &assignment); err != nil || assignment.Server != "rec1" || len(assignment.Cameras) != 2 ||
		assignment.Cameras[0].Credentials.Password != "golden-password" {
		t.Errorf("the recording server was assigned %+v: %v", assignment, err)
	}
}

// A management server that was upgraded before its servers has their authority, and what it makes
// is theirs to use.
func TestAnUpgradedAuthorityIsTheSame(t *testing.T) {
	a, err := OpenAuthority(kept(t, "authority"))
	if err != nil {
		t.Fatal(err)
	}
	fo1 := nodeOf(t, "fo1")
	if a.Installation() != fo1.Trust().Installation || !a.Trust().Equal(fo1.Trust()) {
		t.Errorf("the authority is that of %+v, and fo1 trusts %+v", a.Trust(), fo1.Trust())
	}
	if plain, err := fo1.OpenBundle(sealed(t, a, fo1, "a new bundle")); err != nil || string(plain) != "a new bundle" {
		t.Errorf("a new bundle opens as %q: %v", plain, err)
	}
	request, err := fo1.RenewalRequest()
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := a.Sign(request, "fo1", understudy.RoleFailover, nil, 0)
	if err == nil {
		err = fo1.Renew(certificate)
	}
	if err != nil {
		t.Errorf("the certificate is not renewed: %v", err)
	}
}

// storedKeyring is what the database of a management server had.
type storedKeyring struct {
	Ring   []byte `json:"ring"`
	First  []byte `json:"first"`  // sealed under the key of the authority's file
	Newest []byte `json:"newest"` // sealed under the one that came after it
}

// A management server opens the ring of keys that an earlier one has stored, and what that has sealed.
func TestAnUpgradeOpensTheKeyring(t *testing.T) {
	a, err := OpenAuthority(kept(t, "authority"))
	if err != nil {
		t.Fatal(err)
	}
	var had storedKeyring
	readGolden(t, "keyring.json", &had)
	ring := ringOf(t, a, had.Ring)
	for want, sealed := range map[string][]byte{"golden-first": had.First, "golden-newest": had.Newest} {
		if plain, newest, err := ring.Open(sealed, []byte("a place")); err != nil || string(plain) != want || newest != (want == "golden-newest") {
			t.Errorf("%s opens as %q, of the newest key: %v, %v", want, plain, newest, err)
		}
	}
	if ring.Grew() || !ring.Changing(1) {
		t.Error("the ring is not as it was stored: with the key of the file, and a change under way")
	}
}

// What servers of the version before have signed is believed.
func TestAnUpgradeBelievesWhatWasSigned(t *testing.T) {
	rec1 := nodeOf(t, "rec1")
	var statement understudy.SignedStatement
	readGolden(t, "statement.json", &statement)
	var token understudy.MediaToken
	readGolden(t, "token.json", &token)
	user, err := StatementVerifier([]byte(rec1.Trust().CA))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(madeAt)) // in the bubble's time, in which they have not ended
		for who, verify := range map[string]func(understudy.SignedStatement) (understudy.Statement, error){"a user": user, "a server": rec1.VerifyStatement} {
			if said, err := verify(statement); err != nil || said.Server != "fo1" || said.Camera != "north" || said.Epoch != 8 || !said.Receiving {
				t.Errorf("%s reads %+v: %v", who, said, err)
			}
		}
		who, err := rec1.VerifyToken(string(token.Token), nil)
		if err != nil || who.User != "ada" || who.May(understudy.ActionLive, "north") != nil || who.May(understudy.ActionLive, "south") == nil ||
			who.May(understudy.ActionAudio, "north") != nil || who.May(understudy.ActionAudio, "south") == nil { // of before there was a right to hear
			t.Errorf("the media token is that of %+v: %v", who, err)
		}
	})
}

// What a newer version adds is left out by this one, and the rest holds.
func TestANewerVersionIsUnderstood(t *testing.T) {
	a := newAuthority(t)
	fo1 := join(t, a, "fo1", understudy.RoleFailover)
	b := sealed(t, a, fo1, `[{"camera":{"id":"north","home":"rec1","url":"rtsp://10.0.0.8/1","lens":{"focal":35}},"credentials":{"username":"viewer","otp":[1]},"record":true,"new":{}}]`)
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	text = append([]byte(`{"compressed":false,"parts":[1,2],`), text[1:]...)
	var told understudy.Bundle
	if err := json.Unmarshal(text, &told); err != nil {
		t.Fatal(err)
	}
	cameras, err := bundle.Kept{Bundle: told}.Content("rec1", fo1.OpenBundle)
	if err != nil || len(cameras) != 1 || cameras[0].Camera.ID != "north" || !cameras[0].Record || cameras[0].Credentials.Username != "viewer" {
		t.Errorf("a newer bundle has %+v: %v", cameras, err)
	}

	said := []byte(`{"server":"fo1","camera":"north","epoch":3,"receiving":true,"at":"2026-03-01T12:00:00Z","nonce":"n","quality":"sub"}`)
	signature, err := ecdsa.SignASN1(rand.Reader, fo1.key, statementDigest(said))
	if err != nil {
		t.Fatal(err)
	}
	read, err := fo1.VerifyStatement(understudy.SignedStatement{Statement: said, Certificates: fo1.current.Load().certificate.Certificate, Signature: signature})
	if err != nil || read.Epoch != 3 {
		t.Errorf("a newer statement is %+v: %v", read, err)
	}

	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": a.Installation(), "sub": "ada", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		"actions": []string{"live", "teleport"}, "cameras": []string{"north"}, "rights": 2, "zones": map[string]any{"north": "door"},
	})
	token.Header["kid"] = keyID(a.token.Public().(ed25519.PublicKey))
	signed, err := token.SignedString(a.token)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := fo1.VerifyToken(signed, nil); err != nil || who.May(understudy.ActionLive, "north") != nil || who.May(understudy.ActionPlayback, "north") == nil || who.May(understudy.ActionAudio, "north") == nil {
		t.Errorf("a newer token is that of %+v: %v", who, err)
	}

	trust, err := json.Marshal(fo1.Trust())
	if err != nil {
		t.Fatal(err)
	}
	var newer Trust
	if err := json.Unmarshal(append([]byte(`{"domains":{"b":"c"},`), trust[1:]...), &newer); err != nil || !newer.Equal(fo1.Trust()) {
		t.Errorf("a newer trust is %+v: %v", newer, err)
	}
}
