package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMediaDefaultsAndValues(t *testing.T) {
	c, err := LoadMedia(write(t, "data: /srv/rec1\nstorage: {max_size: 500GB}\nhold_down: 3s\n"), understudy.RoleRecording)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Folder{Dir: "/srv/rec1/footage", MaxSize: 500e9, MinFree: 1 << 30}); len(c.Storage.Folders) != 1 || c.Storage.Folders[0] != want || c.HoldDown != 3*time.Second || c.Listen.State != ":11000" {
		t.Errorf("read %+v", c)
	}
}

func TestTheStoreOfTheManagementServer(t *testing.T) {
	for text, want := range map[string]string{
		"data: /srv/m": "sqlite:/srv/m/site.db",
		"data: /srv/m\nstore: postgres://vms@db.example.com/vms?password_file=/etc/understudy/db": "postgres://vms@db.example.com/vms?password_file=/etc/understudy/db",
	} {
		if c, err := LoadManagement(write(t, text)); err != nil || c.Store != want {
			t.Errorf("%q: read %+v, %v", text, c, err)
		}
	}
}

func TestSeveralFolders(t *testing.T) {
	c, err := LoadMedia(write(t, "storage:\n  folders:\n    - {dir: /a/, max_size: 5GB}\n    - {dir: /b, min_free: 2GB}\n"), understudy.RoleRecording)
	want := []Folder{{Dir: "/a", MaxSize: 5e9, MinFree: 1 << 30}, {Dir: "/b", MinFree: 2e9}}
	if err != nil || !slices.Equal(c.Storage.Folders, want) {
		t.Errorf("read %+v, %v", c.Storage.Folders, err)
	}
}

func TestAnArchive(t *testing.T) {
	c, err := LoadMedia(write(t, "storage:\n  give_up_unmerged: true\n  archive:\n    endpoint: https://s3.example.com\n    bucket: footage\n    prefix: site1\n    access_key_file: /a\n    secret_key_file: /s\n    max_rate: 20MB\n"), understudy.RoleRecording)
	want := Archive{Endpoint: "https://s3.example.com", Bucket: "footage", Prefix: "site1", AccessKeyFile: "/a", SecretKeyFile: "/s", MaxRate: 20e6}
	if err != nil || c.Storage.Archive != want || !c.Storage.GiveUpUnmerged || len(c.Storage.Folders) != 1 {
		t.Errorf("read %+v, %v", c.Storage, err)
	}
}

// Whoever reads from another machine shows a token; on this one nobody needs to.
func TestMetrics(t *testing.T) {
	for text, want := range map[string]Metrics{
		"log: info":                                    {},
		"metrics: {listen: '127.0.0.1:9464'}":          {Listen: "127.0.0.1:9464"},
		"metrics: {listen: 'localhost:9464'}":          {Listen: "localhost:9464"},
		"metrics: {listen: '[::1]:9464'}":              {Listen: "[::1]:9464"},
		"metrics: {listen: ':9464', token_file: /a/t}": {Listen: ":9464", TokenFile: "/a/t"},
	} {
		if c, err := LoadManagement(write(t, text)); err != nil || c.Metrics != want {
			t.Errorf("%s: read %+v, %v", text, c.Metrics, err)
		}
	}
}

func TestTheUsersOfADomain(t *testing.T) {
	c, err := LoadManagement(write(t, "kerberos: {keytab: /k, realms: [EXAMPLE.COM], clock_skew: 1m, plain_http: true}\ngrants:\n  - {group: S-1-5-32-544, role: operator, cameras: [lobby]}\n  - {user: ada@EXAMPLE.COM, role: administrator, cameras: ['*']}\n"))
	if err != nil || c.Kerberos.Keytab != "/k" || !c.Kerberos.PlainHTTP || c.Kerberos.ClockSkew != time.Minute || len(c.Grants) != 2 || c.Grants[0].Cameras[0] != "lobby" || c.Grants[1].User != "ada@EXAMPLE.COM" {
		t.Errorf("read %+v, %v", c, err)
	}
	for text, want := range map[string]string{
		"kerberos: {plain_http: true}":               "kerberos needs keytab",
		"kerberos: {keytab: /k}":                     "without grants",
		"openid: {client_id: x}":                     "openid needs issuer",
		"openid: {issuer: 'https://sso'}":            "without grants",
		"kerberos: {keytab: /k, clock_skew: 16m}":    "kerberos.clock_skew",
		"grants: [{groop: x}]":                       `there is no key "groop"`,
		"kerberos: {keytab: /k, password: hunter22}": `there is no key "password"`,
	} {
		if _, err := LoadManagement(write(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: must be refused with %q, got %v", text, want, err)
		}
	}
}

func TestMistakesAreSentences(t *testing.T) {
	for text, want := range map[string]string{
		"dta: /srv":                                    `line 1: there is no key "dta"; the keys are data,`,
		"storage:\n  max: 5GB":                         `line 2: there is no key "max"`,
		"storage: {max_size: a lot}":                   `a size is written as 500GB`,
		"listen: {media: 7563}":                        `listen.media is [host]:port`,
		"storage: {dir: /a, folders: [{dir: /b}]}":     `write them in the list`,
		"storage: {folders: [{dir: /b}, {dir: /b/}]}":  `a dir of its own; number 2 has "/b"`,
		"storage: {folders: [{max_size: 1GB}]}":        `a dir of its own; number 1`,
		"storage: {folders: [{dir: /b, max_sise: 1}]}": `line 1: there is no key "max_sise"`,
		"storage: {archive: {bucket: footage}}":        `storage.archive needs endpoint, bucket, access_key_file and secret_key_file`,
		"metrics: {listen: 9464}":                      `metrics.listen is [host]:port`,
		"metrics: {listen: ':9464'}":                   `which others reach, and needs metrics.token_file`,
		"storage: {archive: {secret_key: x}}":          `there is no key "secret_key"`,
		"hold_down: 0s":                                `hold_down is 1s to 15m`,
		"hold_down: 1h":                                `hold_down is 1s to 15m`,
		"hold_down: [":                                 `configuration`,
	} {
		_, err := LoadMedia(write(t, text), understudy.RoleRecording)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := LoadMedia("/nowhere/x.yaml", understudy.RoleFailover); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("data: /srv\nlisten: {media: ':1'}")
	f.Add("storage: {max_size: 5GB}")
	f.Fuzz(func(t *testing.T, text string) {
		var c Media
		_ = parse("fuzz", []byte(text), &c) // must not panic
	})
}
