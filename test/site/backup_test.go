package site_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"understudy"
	"understudy/internal/postgres"
	"understudy/internal/site"
)

// A site on PostgreSQL is backed up while it runs, and the password of a camera is changed by mistake. The backup
// is restored into an empty database, beside the data folder, which was kept: the management server starts on it, and the
// password that lies sealed in the backup, and nowhere in clear, opens the camera again for a recording server that ran all along.
func TestABackupIsRestoredWithItsSealedPasswords(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole site of real processes takes half a minute; skipped with -short")
	}
	server, err := postgres.Start(postgres.InMemory())
	if err != nil {
		t.Fatalf("PostgreSQL is needed (scripts/install-test-tools.sh installs it): %v", err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	database := func(name string) string {
		t.Helper()
		dsn, err := server.Database(name)
		if err != nil {
			t.Fatal(err)
		}
		return dsn
	}
	user, password := "keeper", "S3"+rand.Text()
	layout := site.Layout{Recording: []understudy.RecordingServer{{ID: "rec1"}}}
	var texts []string
	for _, name := range []string{"north", "south"} {
		texts = append(texts, fmt.Sprintf("%s=rtsp://%s:%s@%s", name, user, password, strings.TrimPrefix(realCamera(t, name, user, password), "rtsp://")))
	}
	if err := layout.AddCameras(texts, "rec1"); err != nil {
		t.Fatal(err)
	}
	before := database("before")
	s := upOn(t, before, false, layout)
	run := commandLine(t, s)
	file := filepath.Join(t.TempDir(), "backup.db")
	if out, err := run("store", "backup", "--from", before, "--to", file); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range forms(password) {
		if bytes.Contains(content, []byte(form)) {
			t.Error("the password is in the backup in clear")
		}
	}
	if !bytes.Contains(content, []byte(user)) {
		t.Error("the user of the camera is not in the backup: this proves nothing")
	}

	now, err := s.Client.Site(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	north, _ := now.Camera("north")
	if _, err := s.Client.PutCamera(t.Context(), north, new(understudy.Secret("a mistake"))); err != nil {
		t.Fatal(err)
	}
	lost := func(lost bool) func(context.Context) bool {
		return func(context.Context) bool {
			state, ok := statusOf(s, "rec1")
			return ok && lost != recordsAll(s, "rec1") && len(state.Cameras) == 2
		}
	}
	eventually(t, "the camera to refuse the other password", lost(true))
	kill(t, s, site.Management)
	restored := database("restored")
	if out, err := run("store", "restore", "--from", file, "--to", restored); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	useStore(t, s, restored)
	if err := s.Do(site.CureStart, site.Management); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the password of the backup to open the camera", lost(false))
}

// kill kills a process of the site, and waits until it is gone.
func kill(t *testing.T, s *site.Site, name string) {
	t.Helper()
	if err := s.Do(site.FaultKill, name); err != nil {
		t.Fatal(err)
	}
	process, _ := s.Process(name)
	<-process.Gone()
}

// useStore names another database in the configuration of the management server.
func useStore(t *testing.T, s *site.Site, dsn string) {
	t.Helper()
	file := filepath.Join(s.Folder(site.Management), "config.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var settings map[string]any
	if err := json.Unmarshal(text, &settings); err != nil {
		t.Fatal(err)
	}
	settings["store"] = dsn
	if text, err = json.Marshal(settings); err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
