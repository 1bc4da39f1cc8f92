package openid

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"understudy"
)

func good() Config {
	return Config{Issuer: "https://sso.example.com:8443/realm", ClientID: "understudy", SecretFile: "/none"}
}

func TestASettingThatCannotBeIsNamed(t *testing.T) {
	if _, err := New(good()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for words, spoil := range map[string]func(*Config){
		"openid.issuer":       func(c *Config) { c.Issuer = "http://sso.example.com" },
		"found \"sso":         func(c *Config) { c.Issuer = "sso.example.com" },
		"client_id":           func(c *Config) { c.ClientID = "" },
		"secret_file":         func(c *Config) { c.SecretFile = "" },
		"cannot be read":      func(c *Config) { c.CAFile = "/none" },
		"certificates in PEM": func(c *Config) { c.CAFile = file },
	} {
		c := good()
		spoil(&c)
		if _, err := New(c); understudy.CodeOf(err) != understudy.CodeInvalid || !strings.Contains(err.Error(), words) {
			t.Errorf("must be refused with %q, got %v", words, err)
		}
	}
}

func TestWhatAProviderSaysOfAUser(t *testing.T) {
	d, err := New(good())
	if err != nil {
		t.Fatal(err)
	}
	user, err := d.userOf(map[string]any{"preferred_username": "root@EXAMPLE.COM", "groups": []any{"Guards", 7.0, nil, "Staff", "s-1-5-32-544"}})
	if err != nil || user.Name != "root@EXAMPLE.COM@sso.example.com" || strings.Join(user.Groups, " ") != "Guards Staff" {
		t.Errorf("nobody can take the name of a realm's user: %+v, %v", user, err)
	}
	for _, claims := range []map[string]any{
		{},
		{"preferred_username": ""},
		{"preferred_username": 7.0},
		{"preferred_username": "ada\n"},
		{"preferred_username": "ada lovelace"},
		{"preferred_username": strings.Repeat("x", maxClaim+1)},
		{"preferred_username": "ada", "groups": make([]any, maxGroups+1)},
	} {
		if user, err := d.userOf(claims); understudy.CodeOf(err) != understudy.CodeUnauthenticated {
			t.Errorf("%.80v is no user, but %+v, %v", claims, user, err)
		}
	}
	if user, err := d.userOf(map[string]any{"preferred_username": "ada", "groups": "Guards"}); err != nil || user.Groups != nil {
		t.Errorf("groups are a list: %+v, %v", user, err)
	}
}

// TestWhoComesBackFromNowhere is refused before the provider is asked.
func TestWhoComesBackFromNowhere(t *testing.T) {
	d, err := New(good())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		begun       Begun
		state, code string
	}{
		"nothing was begun": {Begun{}, "", "code"},
		"another state":     {Begun{State: "a"}, "b", "code"},
		"no code":           {Begun{State: "a"}, "a", ""},
	} {
		if _, err := d.Finish(t.Context(), c.begun, c.state, c.code); understudy.CodeOf(err) != understudy.CodeUnauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
}
