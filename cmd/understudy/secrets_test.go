package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	us "understudy"
	"understudy/internal/config"
	"understudy/internal/sqlstore/pgtest"
)

// Of two management servers on one PostgreSQL the second has a copy of the first one's authority, as
// docs/install.md says. The key of secrets is changed at one while both run, and a camera is put at
// the other: every password opens at both, and at one that starts afterwards.
func TestSecretsAreChangedAtOneOfSeveral(t *testing.T) {
	dsn, folder := pgtest.Shared(t).Database(t), t.TempDir()
	start := func(name string) *managementServer {
		t.Helper()
		m, err := openManagement(t.Context(), config.Management{Data: filepath.Join(folder, name), Store: dsn, HTTP: "127.0.0.1:0", HTTPS: "127.0.0.1:0", Log: "error"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for _, l := range m.listeners {
				l.Close()
			}
			if err := errors.Join(m.store.Close(), m.lock.Close()); err != nil {
				t.Error(err)
			}
		})
		return m
	}
	copied := func(name string) {
		t.Helper()
		file := filepath.Join("authority", "authority.json")
		text, err := os.ReadFile(filepath.Join(folder, "one", file))
		if err == nil {
			err = os.MkdirAll(filepath.Join(folder, name, "authority"), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name, file), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	one := start("one")
	copied("two")
	copied("three")
	two := start("two")
	at := us.Addresses{Media: "h:1", State: "h:2", Merge: "h:3"}
	if _, err := one.service.PutRecordingServer(t.Context(), us.RecordingServer{ID: "rec1", Addresses: at}); err != nil {
		t.Fatal(err)
	}
	put := func(m *managementServer, id us.CameraID) {
		t.Helper()
		password := us.Secret("password of " + id)
		if _, err := m.service.PutCamera(t.Context(), us.Camera{ID: id, Home: "rec1", URL: "rtsp://h/"}, &password); err != nil {
			t.Fatal(err)
		}
	}
	put(one, "a")
	for range 2 {
		if err := two.service.RotateSecrets(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	put(one, "b")
	put(two, "c")
	for name, m := range map[string]*managementServer{"one": one, "two": two, "three": start("three")} {
		assignment, err := m.service.Assignment(t.Context(), "rec1")
		if err != nil || len(assignment.Cameras) != 3 {
			t.Errorf("%s assigns %d cameras: %v", name, len(assignment.Cameras), err)
		}
		for _, c := range assignment.Cameras {
			if c.Credentials.Password != "password of "+us.Secret(c.Camera.ID) {
				t.Errorf("at %s the password of %s is %q", name, c.Camera.ID, string(c.Credentials.Password))
			}
		}
	}
}
