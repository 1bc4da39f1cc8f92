package sqlstore_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	us "understudy"
	"understudy/internal/management/storetest"
)

// Whoever writes to the database behind the authority's back is found out.
func TestChangedRowsAreFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "management.db")
	m := storetest.New(t, open(t, "sqlite:"+path))
	for i := range 5 {
		address := us.Addresses{Media: "10.0.0.1:7563", State: "10.0.0.1:11000", Merge: "10.0.0.1:5210"}
		if _, err := m.PutFailoverServer(t.Context(), us.FailoverServer{ID: us.ServerID(fmt.Sprint("fo", i)), Addresses: address}); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, c := range []struct {
		statement string
		found     int
	}{
		{"SELECT 1", 0},
		{"UPDATE events SET actor = 'user:bob' WHERE seq = 4", 1},
		{"DELETE FROM events WHERE seq = 2", 2},
		{"UPDATE log SET head = ''", 3},
	} {
		if _, err := db.ExecContext(t.Context(), c.statement); err != nil {
			t.Fatal(err)
		}
		audit, err := m.VerifyAudit(t.Context())
		if err != nil || len(audit.Faults) != c.found {
			t.Errorf("%s: %d places are found, want %d: %+v, %v", c.statement, len(audit.Faults), c.found, audit, err)
		}
	}
}
