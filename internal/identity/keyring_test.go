package identity

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"understudy"
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
		if !sealed.Trust().Equal(open.Trust()) || !bytes.Equal(sealed.AuditKey(), open.AuditKey()) {
			t.Error("it is another installation")
		}
		if err := sealed.NewSealKey(); err != nil { // what changes is kept as well
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

// A new key seals from then on, the old one opens until it is forgotten, and the chain of
// the log goes on under the key that it had. All of that outlives a restart.
func TestSealKeysChange(t *testing.T) {
	folder := t.TempDir()
	a, err := OpenAuthority(folder)
	if err != nil {
		t.Fatal(err)
	}
	context := []byte("a place")
	seal := func(text string) []byte {
		sealed, err := a.Seal([]byte(text), context)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	opens := func(sealed []byte, text string) bool {
		plain, err := a.Open(sealed, context)
		return err == nil && string(plain) == text
	}
	again := func() {
		audit := a.AuditKey()
		if a, err = OpenAuthority(folder); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.AuditKey(), audit) {
			t.Error("the chain of the log has another key")
		}
	}
	first := seal("one")
	if err := a.NewSealKey(); err != nil {
		t.Fatal(err)
	}
	second := seal("two")
	again()
	if !opens(first, "one") || !opens(second, "two") {
		t.Error("while both keys are there, both open")
	}
	if err := a.ForgetSealKeys(); err != nil {
		t.Fatal(err)
	}
	again()
	if opens(first, "one") || !opens(second, "two") {
		t.Error("the old key is not forgotten, or the new one is")
	}
	for range 9 { // changes that were broken off
		if err := a.NewSealKey(); err != nil || !opens(second, "two") {
			t.Fatalf("the key before is lost: %v", err)
		}
	}
}
