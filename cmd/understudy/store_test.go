package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	us "understudy"
	"understudy/internal/config"
	"understudy/internal/management"
	"understudy/internal/sqlstore"
	"understudy/internal/sqlstore/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// storeDone runs `understudy store …`, which must succeed, and returns what it printed.
func storeDone(t *testing.T, args ...string) string {
	t.Helper()
	var out, bar bytes.Buffer
	c := commands()
	c.SetArgs(append([]string{"store"}, args...))
	c.SetOut(&out)
	c.SetErr(&bar)
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("store %s: %v", strings.Join(args, " "), err)
	}
	return out.String()
}

// authority opens a database until the test ends.
func authority(t *testing.T, dsn string) *management.Management {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) //nolint:errcheck // a test's
	m, err := management.New(t.Context(), s, management.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func highestLease(t *testing.T, m *management.Management) (epoch uint64) {
	t.Helper()
	site, err := m.Site(t.Context())
	if err != nil || len(site.Leases) != 1 {
		t.Fatalf("the site is %+v, %v", site, err)
	}
	return site.Leases[0].Epoch
}

// A site goes from SQLite to PostgreSQL, is backed up there, and is restored into
// SQLite; its log goes on, and after the backup no epoch is granted twice.
func TestASiteMoves(t *testing.T) {
	dir := t.TempDir()
	old, postgres := "sqlite:"+filepath.Join(dir, "m", "site.db"), pgtest.Shared(t).Database(t)
	first := authority(t, old)
	at := us.Addresses{Media: "h:1", State: "h:2", Merge: "h:3"}
	if _, err := first.PutRecordingServer(t.Context(), us.RecordingServer{ID: "rec1", Addresses: at}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.PutCamera(t.Context(), us.Camera{ID: "a", Home: "rec1", URL: "rtsp://h/"}, nil); err != nil {
		t.Fatal(err)
	}
	if said := storeDone(t, "copy", "--from", old, "--to", postgres); !strings.Contains(said, "was copied") {
		t.Errorf("copy said %q", said)
	}
	moved := authority(t, postgres)
	if moved.Stream() != first.Stream() || highestLease(t, moved) != 1 {
		t.Errorf("the log %s became %s, under epoch %d", first.Stream(), moved.Stream(), highestLease(t, moved))
	}
	backup := filepath.Join(dir, "backup.db")
	storeDone(t, "backup", "--from", postgres, "--to", backup)
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 2 {
		t.Errorf("beside the backup there are %v, %v", left, err)
	}
	restored := "sqlite:" + filepath.Join(dir, "again.db")
	storeDone(t, "restore", "--from", backup, "--to", restored)
	m := authority(t, restored)
	if m.Stream() == first.Stream() || highestLease(t, m) <= 1000 {
		t.Errorf("restored, the log is %s as before, or the lease goes on under epoch %d", m.Stream(), highestLease(t, m))
	}
	events, err := m.Events(t.Context(), us.EventQuery{Limit: 1})
	if err != nil || len(events) != 1 || !strings.Contains(events[0].Sentence, "restored from a backup whose newest event is 2") {
		t.Errorf("the newest event is %+v, %v", events, err)
	}
	if said := storeDone(t, "migrate", "--to", restored); !strings.Contains(said, "as it should") {
		t.Errorf("migrate said %q", said)
	}
}

// A management server serves from PostgreSQL, and not without the keys of the site that is there.
func TestAManagementServerOnPostgres(t *testing.T) {
	c := config.Management{Data: filepath.Join(t.TempDir(), "m"), Store: pgtest.Shared(t).Database(t), HTTP: "127.0.0.1:0", HTTPS: "127.0.0.1:0", Log: "error"}
	for range 2 { // an empty database, and a site
		m, err := openManagement(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range m.listeners {
			l.Close()
		}
		if err := errors.Join(m.store.Close(), m.lock.Close()); err != nil {
			t.Fatal(err)
		}
	}
	c.Data = filepath.Join(t.TempDir(), "another")
	if _, err := openManagement(t.Context(), c); err == nil || !strings.Contains(err.Error(), "keys of that site are missing") {
		t.Errorf("with new keys: %v", err)
	}
}

// A drill on `postgres` has a database as long as it runs.
func TestTheDatabaseOfADrill(t *testing.T) {
	var dsn string
	err := withStore("postgres", 1, func(given string) error {
		dsn = given
		s, err := sqlstore.Open(t.Context(), dsn)
		if err != nil {
			return err
		}
		return s.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.Find(t.Context(), dsn); err == nil {
		t.Error("its PostgreSQL is still there")
	}
	if s := said(t, "", "drill", "--store", "sqlite:x", "--runs", "2"); !strings.Contains(s, "needs an empty database") {
		t.Errorf("two runs on one database: %q", s)
	}
}

func TestWhatIsNotCopied(t *testing.T) {
	dir := t.TempDir()
	used, empty := "sqlite:"+filepath.Join(dir, "used.db"), "sqlite:"+filepath.Join(dir, "empty.db")
	authority(t, used)
	storeDone(t, "migrate", "--to", empty)
	backup := filepath.Join(dir, "backup.db")
	storeDone(t, "backup", "--from", used, "--to", backup)
	served := filepath.Join(dir, "served")
	lock, err := dataFolder(served)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	authority(t, "sqlite:"+filepath.Join(served, "site.db"))
	for want, args := range map[string][]string{
		"nothing is written over":   {"copy", "--from", used, "--to", used},
		"holds a site already":      {"restore", "--from", backup, "--to", used},
		"overwrites nothing":        {"backup", "--from", used, "--to", backup},
		"there is no database":      {"copy", "--from", "sqlite:" + filepath.Join(dir, "none.db"), "--to", empty},
		"used by another process":   {"copy", "--from", "sqlite:" + filepath.Join(served, "site.db"), "--to", empty},
		"a store is sqlite:":        {"migrate", "--to", filepath.Join(dir, "x.db")},
		"password_file=":            {"migrate", "--to", "postgres://u:p@h/d"},
		`required flag(s) "to" not`: {"copy", "--from", used},
	} {
		if s := said(t, "", append([]string{"store"}, args...)...); !strings.Contains(s, want) {
			t.Errorf("%v: %q, want %q", args, s, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("a database was made where there was none")
	}
}
