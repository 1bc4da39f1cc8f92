package sqlstore_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"understudy/internal/sqlstore"
)

// givenSQLServer is the DSN of a database for tests alone.
var givenSQLServer = os.Getenv("UNDERSTUDY_TEST_SQLSERVER_DSN")

// Whoever looks at what was tested shall see what was not.
func TestStoresOnSQLServer(t *testing.T) {
	if givenSQLServer == "" {
		t.Skip("no test ran on SQL Server: UNDERSTUDY_TEST_SQLSERVER_DSN is not set; it is sqlserver://user:password@host?database=name of an empty database for tests, whose snapshots are allowed")
	}
}

// emptySQLServer returns the DSN of the given database, with nothing in it.
func emptySQLServer(t testing.TB) string {
	t.Helper()
	u, err := url.Parse(givenSQLServer)
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
