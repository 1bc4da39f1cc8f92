package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	us "understudy"
	"understudy/internal/management"
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

// outside keeps the end of the log elsewhere than in the database.
type outside struct {
	mu   sync.Mutex
	seq  uint64
	hash string
	kept chan uint64
}

func (o *outside) Head() (seq uint64, hash string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seq, o.hash, nil
}

func (o *outside) KeepHead(seq uint64, hash string) error {
	o.mu.Lock()
	o.seq, o.hash = seq, hash
	o.mu.Unlock()
	o.kept <- seq
	return nil
}

// Whoever cuts the end of the log off, with all that the database says of it, is found out by what
// was kept outside: also when the log has gone on since, and until an operator puts it away.
func TestACutOffEndIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "management.db")
	store := open(t, "sqlite:"+path)
	kept := &outside{kept: make(chan uint64, 8)}
	began := func(anchor *outside) *management.Management {
		t.Helper()
		o := management.Options{AuditKey: []byte("the key of the chain")}
		if anchor != nil {
			o.Anchor = anchor
		}
		m, err := management.New(t.Context(), store, o)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := began(kept)
	write := func(from, to int) {
		t.Helper()
		for i := from; i <= to; i++ {
			address := us.Addresses{Media: "10.0.0.1:7563", State: "10.0.0.1:11000", Merge: "10.0.0.1:5210"}
			if _, err := m.PutFailoverServer(t.Context(), us.FailoverServer{ID: us.ServerID(fmt.Sprint("fo", i)), Addresses: address}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// keep runs until what it does at once is done.
	keep := func(done func() bool) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.KeepHead(ctx, func(err error) { t.Error(err) }) }()
		for !done() {
			runtime.Gosched()
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	verify := func(m *management.Management, what string, faults int, said string) {
		t.Helper()
		audit, err := m.VerifyAudit(t.Context())
		if err != nil || len(audit.Faults) != faults || !strings.Contains(audit.Sentence, said) {
			t.Errorf("%s: %+v, %v", what, audit, err)
		}
	}
	write(1, 6)
	keep(func() bool { return len(kept.kept) > 0 })
	if seq := <-kept.kept; seq != 6 || kept.hash == "" {
		t.Fatalf("kept is event %d, %q", seq, kept.hash)
	}
	write(7, 8)
	verify(m, "the log goes on", 0, "Events 1 to 8 are as they were written")

	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range []string{
		"DELETE FROM events WHERE seq > 4",
		"UPDATE log SET seq = 4, head = (SELECT hash FROM events WHERE seq = 4)",
		"DELETE FROM failover_servers WHERE id IN ('fo5', 'fo6', 'fo7', 'fo8')",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	verify(began(nil), "by the database alone", 0, "are as they were written")
	m = began(kept)
	verify(m, "by what was kept", 1, "event 6 was in the log when this management server last kept its end, and the log ends with event 4")
	newest := func() uint64 {
		events, err := m.Events(t.Context(), us.EventQuery{Kind: us.EventStorage, Limit: 1})
		if err != nil {
			t.Error(err)
			return 1
		}
		if len(events) == 0 {
			return 0
		}
		return events[0].Seq
	}
	keep(func() bool { return newest() > 0 })
	write(9, 12)
	verify(m, "the log has gone on", 1, "event 6 is another one than was in the log")
	if seq, _, _ := kept.Head(); seq != 6 {
		t.Errorf("what was kept has become event %d: nobody would learn of it any more", seq)
	}
	kept.seq, kept.hash = 0, "" // an operator has put it away
	keep(func() bool { return len(kept.kept) > 0 })
	verify(m, "put away", 0, "are as they were written")
}
