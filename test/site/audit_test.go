package site_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"understudy/internal/site"
)

// The end of a management server's log is cut off while it does not run, with all that the
// database says of it. The server that starts on it finds that out by what lies in its own folder,
// and an auditor by the export that was made before.
func TestACutOffLogIsFound(t *testing.T) {
	s := up(t, false)
	run := commandLine(t, s)
	exported, err := run("audit", "export")
	if err != nil {
		t.Fatalf("%v\n%s", err, exported)
	}
	file := filepath.Join(t.TempDir(), "export.jsonl")
	if err := os.WriteFile(file, []byte(exported), 0o600); err != nil {
		t.Fatal(err)
	}
	newest, err := s.Client.VerifyAudit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the log to be kept outside of it", func(ctx context.Context) bool {
		audit, err := s.Client.VerifyAudit(ctx)
		return err == nil && audit.Known >= newest.Last
	})
	if out, err := run("audit", "verify", "--export", file); err != nil || !strings.Contains(out, "are in the log as they are there") {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := s.Do(site.FaultKill, site.Management); err != nil {
		t.Fatal(err)
	}
	process, _ := s.Process(site.Management)
	<-process.Gone()
	db, err := sql.Open("sqlite", filepath.Join(s.Folder(site.Management), "site.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"DELETE FROM events WHERE seq > 4",
		"UPDATE log SET seq = 4, head = (SELECT hash FROM events WHERE seq = 4)",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Do(site.CureStart, site.Management); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the management server to tell of it", func(ctx context.Context) bool {
		audit, err := s.Client.VerifyAudit(ctx)
		return err == nil && strings.Contains(audit.Sentence, "last kept its end")
	})
	if out, err := run("audit", "verify", "--export", file); err == nil || !strings.Contains(out, "are missing in the log") && !strings.Contains(out, "is another one than in") {
		t.Errorf("the export was not missed: %v\n%s", err, out)
	}
}
