package remote_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"understudy"
	"understudy/internal/remote"
)

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNoFileIsTheSystemsAuthoritiesAndNoSecret(t *testing.T) {
	if roots, err := remote.Roots("ca_file", ""); roots != nil || err != nil {
		t.Errorf("no file is the system's authorities, got %v, %v", roots, err)
	}
	if secret, err := remote.Secret("secret_file", ""); secret != "" || err != nil {
		t.Errorf("no file is no secret, got %q, %v", secret, err)
	}
}

func TestWhatCannotBeReadSaysWhereItWasNamed(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	_, fromRoots := remote.Roots("mqtt.ca_file", missing)
	_, fromText := remote.Roots("mqtt.ca_file", file(t, "no certificate"))
	_, fromSecret := remote.Secret("mqtt.ca_file", missing)
	for _, err := range []error{fromRoots, fromText, fromSecret} {
		if understudy.CodeOf(err) != understudy.CodeInvalid || !strings.HasPrefix(err.Error(), "mqtt.ca_file ") {
			t.Errorf("expected the setting and invalid, got %v", err)
		}
	}
}

func TestASecretIsALineWithTheSpacesInIt(t *testing.T) {
	if secret, err := remote.Secret("secret_file", file(t, " two words \r\n")); secret != " two words " || err != nil {
		t.Errorf("expected the line without its end, got %q, %v", secret, err)
	}
}

func TestIsHere(t *testing.T) {
	for host, here := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true,
		"": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "localhost.example.com": false, "127.0.0.1.example.com": false,
	} {
		if remote.IsHere(host) != here {
			t.Errorf("%q here: expected %v", host, here)
		}
	}
}
