package sqlstore

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"github.com/microsoft/go-mssqldb/msdsn"
)

// Setting returns what a query of one value returns on the connection that writes.
func Setting(t testing.TB, s *Store, query string) string {
	t.Helper()
	var value string
	if err := s.writer.NewRaw(query).Scan(t.Context(), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// Exec does to a database what only an administrator of it can.
func Exec(t testing.TB, s *Store, query string) {
	t.Helper()
	if _, err := s.writer.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

// Undo takes back the newest event, as a replica does that missed it, which was about
// the last camera.
func Undo(t testing.TB, s *Store) {
	t.Helper()
	newest := " WHERE seq = (SELECT seq FROM log)"
	Exec(t, s, "DELETE FROM event_cameras"+newest)
	Exec(t, s, "DELETE FROM events"+newest)
	Exec(t, s, "UPDATE log SET seq = seq - 1, head = (SELECT hash FROM events WHERE events.seq = log.seq - 1)")
	for table, key := range map[string]string{"cameras": "id", "leases": "camera"} {
		Exec(t, s, "DELETE FROM "+table+" WHERE "+key+" = (SELECT MAX("+key+") FROM "+table+")")
	}
}

// Migrations returns what the migrations are for a database of that kind.
func Migrations(t testing.TB, dsn string) (all []string) {
	t.Helper()
	e, err := engineOf(dsn)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range steps {
		text, err := step(name, e.words())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	return all
}

// AtLeast is atLeast.
var AtLeast = atLeast

// DropAll drops the tables of a database.
func DropAll(t testing.TB, dsn string) {
	t.Helper()
	s, err := connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var tables []string
	if err := s.writer.NewRaw("SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'").Scan(t.Context(), &tables); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		Exec(t, s, `DROP TABLE "`+table+`"`)
	}
}

// Reach says in which order which hosts are tried, and how.
func Reach(t testing.TB, dsn string) string {
	t.Helper()
	e, err := engineOf(dsn)
	if err != nil {
		t.Fatal(err)
	}
	protection := func(c *tls.Config) string {
		switch {
		case c == nil:
			return "plain"
		case c.InsecureSkipVerify:
			return "TLS"
		}
		return "TLS, checked"
	}
	if s, ok := e.(sqlServer); ok {
		if s.config.Encryption != msdsn.EncryptionRequired {
			s.config.TLSConfig = nil // but for the password
		}
		return fmt.Sprint(s.config.Host, " ", cmp.Or(s.config.Port, 1433), " ", protection(s.config.TLSConfig))
	}
	c := e.(postgres).config
	reach := fmt.Sprint(c.Host, " ", c.Port, " ", protection(c.TLSConfig))
	for _, f := range c.Fallbacks {
		if f.Host != c.Host {
			reach += fmt.Sprint("; ", f.Host, " ", f.Port, " ", protection(f.TLSConfig))
		}
	}
	return reach
}

// Tables returns the names of the tables that are copied.
func Tables() (names []string) {
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}

// Dump returns all rows of a SQLite store as literals.
func Dump(t testing.TB, s *Store) string {
	t.Helper()
	var dump strings.Builder
	for _, table := range tables {
		l := dumpTable(t, s, table.name, table.key)
		if l.rows == 0 {
			t.Errorf("table %s has nothing to be copied", table.name)
		}
		fmt.Fprintf(&dump, "%s: %#v\n", table.name, l.values)
	}
	return dump.String()
}

func dumpTable(t testing.TB, s *Store, name, key string) (l lot) {
	t.Helper()
	rows, err := s.readers.QueryContext(t.Context(), "SELECT * FROM "+name+" ORDER BY "+key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	if l.columns, err = rows.Columns(); err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		if err := l.add(rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return l
}
