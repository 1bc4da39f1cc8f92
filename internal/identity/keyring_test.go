package identity

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"understudy"
	"understudy/internal/seal"
)

func keyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, NewKeyFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What lies in a folder is sealed once there is a key for it, opens with that key only, and
// is the same installation as before.
func TestAuthorityIsSealed(t *testing.T) {
	folder, key := t.TempDir(), keyFile(t)
	open, err := OpenAuthority(folder)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		sealed, err := OpenSealedAuthority(folder, key)
		if err != nil {
			t.Fatal(err)
		}
		if sealed.Installation() != open.Installation() || !bytes.Equal(sealed.AuditKey(), open.AuditKey()) {
			t.Error("it is another installation")
		}
		_, next, _ := sealed.CA()
		if next == "" { // what changes is kept as well
			err = sealed.AnnounceCA()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "authority.json")); err == nil {
		t.Error("it lies there open as well")
	}
	text, err := os.ReadFile(filepath.Join(folder, "authority.sealed"))
	if err != nil || bytes.Contains(text, []byte("PRIVATE")) || bytes.Contains(text, []byte(open.Installation())) {
		t.Errorf("sealed it reads %q, %v", text, err)
	}
	for name, path := range map[string]string{"no key": "", "another key": keyFile(t)} {
		if _, err := OpenSealedAuthority(folder, path); understudy.CodeOf(err) != understudy.CodeInvalid || !strings.Contains(err.Error(), "key_file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	if err := os.WriteFile(none, []byte("a password"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSealedAuthority(folder, none); understudy.CodeOf(err) != understudy.CodeInvalid || strings.Contains(err.Error(), "a password") {
		t.Errorf("a file that holds no key: %v", err)
	}
}

// ringOf opens what is stored, or makes the first ring of an authority.
func ringOf(t *testing.T, a *Authority, stored []byte) *seal.Ring {
	t.Helper()
	ring, err := a.Keyring(stored)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// A ring that one management server has stored opens at every other that has the site's file,
// sealed or not, also one of before or after a version changed the key in there; and at no other.
func TestAKeyringIsTheSites(t *testing.T) {
	folder := t.TempDir()
	a, err := OpenAuthority(folder)
	if err != nil {
		t.Fatal(err)
	}
	ring := ringOf(t, a, nil)
	if _, err := ring.Begin(); err != nil {
		t.Fatal(err)
	}
	secret := ring.Seal([]byte("a password"), nil)
	stored, err := ring.Stored()
	if err != nil {
		t.Fatal(err)
	}
	var changed authorityFile
	if err := readJSON(filepath.Join(folder, "authority.json"), &changed); err != nil {
		t.Fatal(err)
	}
	changed.AuditKey, changed.OldSealKeys, changed.SealKey = a.AuditKey(), [][]byte{changed.SealKey}, randomBytes(seal.KeySize)
	elsewhere := t.TempDir()
	if err := writeJSON(filepath.Join(elsewhere, "authority.json"), changed); err != nil {
		t.Fatal(err)
	}
	b, err := OpenAuthority(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := OpenSealedAuthority(folder, keyFile(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]*Authority{"the key was changed there": b, "its file is sealed": sealed} {
		if plain, newest, err := ringOf(t, other, stored).Open(secret, nil); err != nil || !newest || string(plain) != "a password" {
			t.Errorf("%s: opens as %q, %v", name, plain, err)
		}
	}
	if _, err := newAuthority(t).Keyring(stored); understudy.CodeOf(err) != understudy.CodeInvalid || !strings.Contains(err.Error(), "another site's") {
		t.Errorf("another site opens it: %v", err)
	}
}
