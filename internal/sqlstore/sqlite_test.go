package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	us "understudy"
	"understudy/internal/management"
	"understudy/internal/sqlstore"
)

func TestADatabaseOfTheFirstVersionIsMigrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "management.db")
	first, err := os.ReadFile("testdata/form1.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	hash := management.TokenHash{1}
	_, err = db.Exec("CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version (version) VALUES (1);" + string(first) +
		"INSERT INTO tokens (hash, purpose, account, server, role, created, expires, used) VALUES (x'01" + strings.Repeat("00", 31) + "', 'join', '', 'rec1', 'recording', 1, 3, 2);" +
		"INSERT INTO cameras (id, name, home, url, transport, username, failover, priority, keep_for) VALUES ('a', 'A', 'rec1', 'rtsp://h/', 'tcp', '', 'full', 0, 7);" +
		"INSERT INTO recording_servers (id, name, media_address, state_address, merge_address, hot_standby, primary_group, secondary_group) VALUES " +
		"('rec1', 'R', 'h:1', 'h:2', 'h:3', '', '', ''), ('rec3', 'R', 'h:1', 'h:2', 'h:3', '', '', ''), ('rec2', 'R', 'h:1', 'h:2', 'h:3', '', '', '')")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	err = open(t, "sqlite:"+path).View(context.Background(), func(r management.Reader) error {
		token, ok, err := r.Token(hash)
		if !ok || token.Server != "rec1" || token.Used.IsZero() || token.UsedBy != [32]byte{} {
			t.Errorf("read %+v, %v", token, ok)
		}
		site, siteErr := r.Site()
		if len(site.Cameras) != 1 || site.Cameras[0].KeepFor != 7 || site.Cameras[0].Rule != (us.RecordingRule{}) {
			t.Errorf("a camera from before there were rules is %+v", site.Cameras)
		}
		if want := []us.MovedCamera{{Camera: "a", From: []us.ServerID{"rec2", "rec3"}}}; !reflect.DeepEqual(site.Moved, want) {
			t.Errorf("a camera that may have been anywhere was at %+v", site.Moved)
		}
		return errors.Join(err, siteErr)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "management.db")
	text := strings.Repeat("these are somebody's notes\n", 100)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.Open(context.Background(), "sqlite:"+path); us.CodeOf(err) != us.CodeUnavailable {
		t.Errorf("opened with %v", err)
	}
	if left, err := os.ReadFile(path); err != nil || string(left) != text {
		t.Errorf("the file was changed, %v", err)
	}
	if _, err := sqlstore.Open(context.Background(), "sqlite:"+filepath.Join(path, "x.db")); us.CodeOf(err) != us.CodeUnavailable {
		t.Errorf("below a file: opened with %v", err)
	}
}

func TestOnlyTheOwnerMayReadIt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "sqlite:"+filepath.Join(dir, "management.db"))
	if err := put(t, s, "a", 1); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

// A power cut must not undo a granted lease.
func TestCommitsAreSynced(t *testing.T) {
	s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "management.db"))
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal"} {
		if got := sqlstore.Setting(t, s, "PRAGMA "+pragma); got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
}

// What a landed migration does never changes: a database that went through the
// old ones is the same as a new one.
func TestLandedMigrationsDoWhatTheyDid(t *testing.T) {
	want, err := os.ReadFile("testdata/form10.txt")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, text := range sqlstore.Migrations(t, "sqlite:x")[:10] {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := db.Query("SELECT m.type || ' ' || m.name || ': ' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || COALESCE(c.dflt_value, '-') || ' ' || c.pk " +
		"FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table' " +
		"UNION ALL SELECT m.type || ' ' || m.name || ': ' || c.name FROM sqlite_schema AS m JOIN pragma_index_info(m.name) AS c WHERE m.type = 'index' " +
		"UNION ALL SELECT name || ' is ' || CASE WHEN strict THEN 'strict' ELSE 'lax' END || CASE WHEN wr THEN ', by key' ELSE '' END FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line+"\n")
	}
	slices.Sort(lines)
	if got := strings.Join(lines, ""); rows.Err() != nil || got != string(want) {
		t.Errorf("%v; the schema is\n%s\nand was\n%s", rows.Err(), got, want)
	}
}

func TestSQLiteVersionsThatCorruptAreKnown(t *testing.T) {
	for version, want := range map[string]bool{"3.51.3": true, "3.51.10": true, "3.53.0": true, "4.0.0": true,
		"3.51.2": false, "3.7.17": false, "2.99.99": false, "3.51": false, "": false, "x.y.z": false} {
		if got := sqlstore.AtLeast(version, [3]int{3, 51, 3}); got != want {
			t.Errorf("version %q accepted: %v, want %v", version, got, want)
		}
	}
}

// No commit has to bring what was committed before from the log into the database.
func TestCommitsAreBroughtIntoTheDatabaseMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "management.db")
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	synctest.Test(t, func(t *testing.T) {
		s, err := sqlstore.Open(t.Context(), "sqlite:"+path)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // of virtual time
		before := size()
		for seq := range 20 {
			err := s.Update(t.Context(), func(tx management.Tx) error {
				_, err := tx.Append(us.Event{Kind: us.EventConfig, Hash: strconv.Itoa(seq), Sentence: strings.Repeat("x", 1<<20)})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if now := size(); now != before {
			t.Errorf("20 commits of 1 MiB have brought %d bytes into the database", now-before)
		}
		time.Sleep(2 * time.Second)
		if now := size(); now < before+20<<20 {
			t.Errorf("%d bytes of 20 MiB are in the database", now-before)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
