package sqlstore_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"understudy/internal/sqlstore"
)

// emptySQLServer returns the DSN of the database that the environment names, with
// nothing in it. It must be one for tests alone.
func emptySQLServer(t testing.TB) string {
	t.Helper()
	given := os.Getenv("UNDERSTUDY_TEST_SQLSERVER_DSN")
	if given == "" {
		t.Skip("UNDERSTUDY_TEST_SQLSERVER_DSN is not set; it is sqlserver://user:password@host?database=name of an empty database for tests, whose snapshots are allowed")
	}
	u, err := url.Parse(given)
	if err != nil {
		t.Fatal(err)
	}
	if password, ok := u.User.Password(); ok {
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
		u.User = url.User(u.User.Username())
		u.RawQuery += "&password_file=" + url.QueryEscape(file)
	}
	dsn := u.String()
	sqlstore.DropAll(t, dsn)
	return dsn
}

// Without a server it cannot be proven that SQL Server takes these; but no word
// that it does not know, or knows otherwise, is in them.
func TestMigrationsForSQLServer(t *testing.T) {
	for n, text := range sqlstore.Migrations(t, "sqlserver://user@localhost?database=x") {
		for _, foreign := range []string{"TEXT", "INTEGER", "BLOB", "BYTEA", "STRICT", "WITHOUT ROWID", "ADD COLUMN", "IF NOT EXISTS", "x''", "json_group_array", " rule ", "{{"} {
			if strings.Contains(text, foreign) {
				t.Errorf("migration %d has %q:\n%s", n+1, foreign, text)
			}
		}
	}
}
