package identity

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
)

func TestAnAuthorityStaysTheSame(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "deep", "authority")
	first, err := OpenAuthority(folder)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := first.Seal([]byte("hunter2"), []byte("camera lobby"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := first.SignToken(understudy.Identity{User: "ada"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	second, err := OpenAuthority(folder)
	if err != nil {
		t.Fatal(err)
	}
	if !second.Trust().Equal(first.Trust()) || second.Installation() != first.Installation() || !installationPattern.MatchString(second.Installation()) {
		t.Errorf("trust %+v, then %+v", first.Trust(), second.Trust())
	}
	if plain, err := second.Open(sealed, []byte("camera lobby")); err != nil || string(plain) != "hunter2" {
		t.Errorf("opened %q, %v", plain, err)
	}
	if who, err := join(t, second, "rec-1", understudy.RoleRecording).VerifyToken(string(token.Token), nil); err != nil || who.User != "ada" {
		t.Errorf("token of %s, %v", who, err)
	}
	node, err := second.Node("site", understudy.RoleManagement, []string{"localhost", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := second.Node("site", understudy.RoleManagement, []string{"localhost", "127.0.0.1"})
	if err != nil || !again.current.Load().certificate.Leaf.Equal(node.current.Load().certificate.Leaf) {
		t.Errorf("a browser that accepted the certificate would be asked again (%v)", err)
	}
	moved, err := second.Node("site", understudy.RoleManagement, []string{"localhost", "127.0.0.2"})
	if err != nil || !slices.Equal(moved.Hosts(), []string{"localhost", "127.0.0.2"}) {
		t.Errorf("after a move: %v", err)
	}
}

func TestSecretsThatOthersMayReadAreRefused(t *testing.T) {
	a := newAuthority(t)
	n := join(t, a, "rec-1", understudy.RoleRecording)
	if err := n.SealFile("duties", []byte("x")); err != nil {
		t.Fatal(err)
	}
	for path, load := range map[string]func() error{
		filepath.Join(a.folder, "authority.json"): func() error { _, err := OpenAuthority(a.folder); return err },
		filepath.Join(n.folder, "node.json"):      func() error { _, err := LoadNode(n.folder); return err },
		filepath.Join(n.folder, "duties.sealed"):  func() error { _, err := n.OpenFile("duties"); return err },
	} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if err := load(); understudy.CodeOf(err) != understudy.CodeForbidden || !strings.Contains(err.Error(), "chmod 600") {
				t.Errorf("%s with mode %04o: %v", path, mode, err)
			}
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := load(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestADamagedAuthorityIsNotReplacedByANewOne(t *testing.T) {
	a := newAuthority(t)
	path := filepath.Join(a.folder, "authority.json")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, foreign, _ := bytes.Cut(mustRead(t, filepath.Join(newAuthority(t).folder, "authority.json")), []byte(`"ca_key"`))
	mine, _, _ := bytes.Cut(whole, []byte(`"ca_key"`))
	for name, text := range map[string][]byte{
		"empty":           nil,
		"cut":             whole[:len(whole)/2],
		"of other parts":  slices.Concat(mine, []byte(`"ca_key"`), foreign),
		"no installation": bytes.Replace(whole, []byte(a.Installation()), []byte("../../../etc/pas"), 1),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenAuthority(a.folder); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(mustRead(t, path), text) {
			t.Errorf("%s: the file was written over", name)
		}
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestJoiningCanBeBrokenOffAnywhereAndBegunAgain(t *testing.T) {
	a, folder := newAuthority(t), filepath.Join(t.TempDir(), "node")
	if _, err := LoadNode(folder); understudy.CodeOf(err) != understudy.CodeNotFound || !strings.Contains(err.Error(), "join token") {
		t.Errorf("before joining: %v", err)
	}
	first, err := NewJoinRequest(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LoadNode(folder); understudy.CodeOf(err) != understudy.CodeNotFound {
		t.Errorf("while joining: %v", err)
	}
	certificate, err := a.Sign(first, "rec-1", understudy.RoleRecording, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewJoinRequest(folder); err != nil { // the answer to the first came late
		t.Fatal(err)
	}
	other := newAuthority(t)
	stranger, err := NewJoinRequest(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	othersCertificate, err := a.Sign(stranger, "rec-1", understudy.RoleRecording, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]struct {
		certificate []byte
		trust       Trust
	}{
		"another server's certificate":  {othersCertificate, a.Trust()},
		"another installation's trust":  {certificate, other.Trust()},
		"an installation by name alone": {certificate, Trust{Installation: a.Installation(), CA: other.Trust().CA, TokenKeys: other.Trust().TokenKeys}},
		"our trust in another's name":   {certificate, Trust{Installation: other.Installation(), CA: a.Trust().CA, TokenKeys: a.Trust().TokenKeys}},
		"no trust":                      {certificate, Trust{}},
		"no certificate":                {nil, a.Trust()},
		"the CA as certificate":         {a.CACertificate(), a.Trust()},
	} {
		if _, err := SaveNode(folder, answer.certificate, answer.trust); err == nil {
			t.Errorf("%s: saved", name)
		}
	}
	saved, err := SaveNode(folder, certificate, a.Trust())
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := LoadNode(folder)
	if err != nil || loaded.ID() != "rec-1" || loaded.Role() != understudy.RoleRecording || !reflect.DeepEqual(loaded.Trust(), saved.Trust()) {
		t.Errorf("loaded %+v, %v", loaded, err)
	}
	if _, err := NewJoinRequest(folder); understudy.CodeOf(err) != understudy.CodeConflict || !strings.Contains(err.Error(), a.Installation()) {
		t.Errorf("joining again: %v", err)
	}
	if _, err := SaveNode(t.TempDir(), certificate, a.Trust()); understudy.CodeOf(err) != understudy.CodeNotFound {
		t.Errorf("an answer to nothing: %v", err)
	}
}

func TestTrustIsReplacedOnlyByOneThatTrustsTheNodeItself(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	n := join(t, a, "rec-1", understudy.RoleRecording)
	wider := a.Trust()
	wider.TokenKeys = append(slices.Clone(wider.TokenKeys), other.Trust().TokenKeys...)
	wider.CA += other.Trust().CA
	if err := n.UpdateTrust(wider); err != nil {
		t.Fatal(err)
	}
	for name, trust := range map[string]Trust{
		"another installation": other.Trust(),
		"another CA":           {Installation: a.Installation(), CA: other.Trust().CA, TokenKeys: a.Trust().TokenKeys},
		"no token key":         {Installation: a.Installation(), CA: a.Trust().CA},
		"too many token keys":  {Installation: a.Installation(), CA: a.Trust().CA, TokenKeys: slices.Repeat(a.Trust().TokenKeys, 17)},
		"half a token key":     {Installation: a.Installation(), CA: a.Trust().CA, TokenKeys: []string{"AAAA"}},
		"a leaf for a CA":      {Installation: a.Installation(), CA: encodePEM(pemCertificate, n.current.Load().certificate.Leaf.Raw), TokenKeys: a.Trust().TokenKeys},
		"more than a CA":       {Installation: a.Installation(), CA: a.Trust().CA + encodePEM(pemKey, []byte("x")), TokenKeys: a.Trust().TokenKeys},
		"nothing":              {},
	} {
		if err := n.UpdateTrust(trust); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	loaded, err := LoadNode(n.folder)
	if err != nil || !loaded.Trust().Equal(wider) || !n.Trust().Equal(wider) {
		t.Errorf("now %+v, after a restart %+v, %v", n.Trust(), loaded.Trust(), err)
	}
}

func TestAServerWithoutAClockStillKnowsItsPeers(t *testing.T) {
	a := newAuthority(t)
	n := join(t, a, "rec-1", understudy.RoleRecording)
	peer := join(t, a, "fo-1", understudy.RoleFailover).current.Load().certificate.Leaf
	synctest.Test(t, func(t *testing.T) {
		if time.Now().Year() != 2000 {
			t.Skip("the bubble's clock is not an old one any more")
		}
		if now := n.now(); now.Before(peer.NotBefore) || now.After(peer.NotAfter) {
			t.Errorf("by the clock of the server it is %s, and its peer's certificate holds from %s", now, peer.NotBefore)
		}
	})
}

func TestTheManagementServersCertificateIsRenewedAfterTwoThirdsOfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		n, err := a.Node("management", understudy.RoleManagement, []string{"vms.example", "10.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		first := n.current.Load().certificate.Leaf
		const life = 390 * 24 * time.Hour
		if due := n.RenewAt().Sub(issued(first)); due != life*2/3 {
			t.Errorf("due after %s of %s", due, life)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.KeepRenewed(ctx, n, slog.New(slog.DiscardHandler)) }()
		time.Sleep(life*2/3 - time.Hour)
		synctest.Wait()
		if !n.current.Load().certificate.Leaf.Equal(first) {
			t.Error("renewed before it was due")
		}
		if err := os.Rename(n.folder, n.folder+"-away"); err != nil { // the disk fails for a while
			t.Fatal(err)
		}
		if err := os.WriteFile(n.folder, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if !n.current.Load().certificate.Leaf.Equal(first) {
			t.Error("a certificate is in use that a restart would lose")
		}
		if err := errors.Join(os.Remove(n.folder), os.Rename(n.folder+"-away", n.folder)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		second := n.current.Load().certificate.Leaf
		if second.Equal(first) || time.Until(second.NotAfter) < life-2*time.Hour || !slices.Equal(n.Hosts(), hostsOf(first)) {
			t.Errorf("not renewed when it could be: until %s, hosts %v", second.NotAfter, n.Hosts())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatIsSealedOpensOnlyWhereItBelongs(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	plain := []byte("the camera's password")
	sealed, err := a.Seal(plain, []byte("camera lobby"))
	if err != nil {
		t.Fatal(err)
	}
	twice, err := a.Seal(plain, []byte("camera lobby"))
	if err != nil || bytes.Equal(sealed, twice) || bytes.Contains(sealed, plain) {
		t.Errorf("sealed % x, and again % x: %v", sealed, twice, err)
	}
	if len(sealed) != 1+12+len(plain)+16 || sealed[0] != 1 {
		t.Errorf("a version, a nonce of 12, the text and a tag of 16 are wanted, found %d bytes with version %d", len(sealed), sealed[0])
	}
	if opened, err := a.Open(sealed, []byte("camera lobby")); err != nil || !bytes.Equal(opened, plain) {
		t.Errorf("%q, %v", opened, err)
	}
	if _, err := a.Open(sealed, []byte("camera door")); err == nil {
		t.Error("opened for another camera")
	}
	if _, err := other.Open(sealed, []byte("camera lobby")); err == nil {
		t.Error("opened by another installation")
	}
	for bit := range len(sealed) * 8 {
		flipped := bytes.Clone(sealed)
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, err := a.Open(flipped, []byte("camera lobby")); err == nil {
			t.Fatalf("opened with bit %d flipped", bit)
		}
	}
	for cut := range sealed {
		if _, err := a.Open(sealed[:cut], []byte("camera lobby")); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Fatalf("cut to %d bytes: %v", cut, err)
		}
	}
}

func TestSealedFilesAreTheNodesOwn(t *testing.T) {
	a := newAuthority(t)
	n := join(t, a, "fo-1", understudy.RoleFailover)
	twin := join(t, a, "fo-2", understudy.RoleFailover)
	if _, err := n.OpenFile("duties"); understudy.CodeOf(err) != understudy.CodeNotFound {
		t.Errorf("nothing there: %v", err)
	}
	for _, text := range []string{"first", "second"} {
		if err := n.SealFile("duties", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	reloaded, err := LoadNode(n.folder)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := reloaded.OpenFile("duties"); err != nil || string(plain) != "second" {
		t.Errorf("after a restart: %q, %v", plain, err)
	}
	sealed := mustRead(t, filepath.Join(n.folder, "duties.sealed"))
	if bytes.Contains(sealed, []byte("second")) {
		t.Error("readable on disk")
	}
	for _, path := range []string{filepath.Join(n.folder, "assignment.sealed"), filepath.Join(twin.folder, "duties.sealed")} {
		if err := os.WriteFile(path, sealed, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.OpenFile("assignment"); err == nil {
		t.Error("opened under another name")
	}
	if _, err := twin.OpenFile("duties"); err == nil {
		t.Error("opened by another failover server")
	}
	for _, name := range []string{"", "../duties", "a/b", "a.b", "Duties", ".duties", strings.Repeat("a", 64)} {
		if err := n.SealFile(name, nil); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := n.OpenFile(name); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	if entries, err := os.ReadDir(n.folder); err != nil || len(entries) != 3 {
		t.Errorf("left behind in the folder: %v, %v", entries, err)
	}
}
