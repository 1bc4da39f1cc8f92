package sqlstore_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	us "understudy"
	"understudy/internal/sqlstore"
	"understudy/internal/sqlstore/pgtest"
)

func TestDSNsThatAreRefused(t *testing.T) {
	for dsn, want := range map[string]string{
		"":                                     "a store is sqlite:/path/to/file",
		"sqlite:":                              "a store is sqlite:/path/to/file",
		"/var/lib/site.db":                     "a store is sqlite:/path/to/file",
		"mysql://u@h/d":                        "a store is sqlite:/path/to/file",
		"postgres://u:hush@h/d":                "password_file=",
		"postgres://u@h/d?password=hush":       "password_file=",
		"sqlserver://u:hush@h?database=d":      "password_file=",
		"postgres://u:hu%sh@h/d":               "written as %XX",
		"postgres://u@h/d?password_file=/none": "password_file of the store cannot be read",
		"postgres://u@h/d?sslmode=maybe":       "not one of PostgreSQL",
		"sqlserver://u@h":                      "names no database",
		"sqlserver://u@h?database=d&encrypt=x": "not one of SQL Server",
	} {
		_, err := sqlstore.Open(context.Background(), dsn)
		if us.CodeOf(err) != us.CodeInvalid || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v, want %q", dsn, err, want)
		}
	}
}

// A server elsewhere is spoken to over TLS, whose certificate is checked, unless
// the DSN says otherwise.
func TestWhatTheDSNLeavesOpen(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://u@db.example.com/d":                         "db.example.com 5432 TLS, checked",
		"postgres://u@10.0.0.5:6000/d?sslmode=disable":          "10.0.0.5 6000 plain",
		"postgres://u@localhost/d":                              "localhost 5432 TLS", // if it is offered
		"postgres:///d?host=/run/postgresql":                    "/run/postgresql 5432 plain",
		"postgres:///d?host=one,two&port=5432,6000":             "one 5432 TLS, checked; two 6000 TLS, checked",
		"sqlserver://u@db.example.com?database=d":               "db.example.com 1433 TLS, checked",
		"sqlserver://u@db.example.com?database=d&encrypt=false": "db.example.com 1433 plain",
	} {
		if got := sqlstore.Reach(t, dsn); got != want {
			t.Errorf("%s: %s, want %s", dsn, got, want)
		}
	}
}

func TestThePasswordMayBeInTheEnvironment(t *testing.T) {
	server := pgtest.Shared(t)
	dsn, err := url.Parse(server.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	query := dsn.Query()
	query.Del("password_file")
	dsn.RawQuery = query.Encode()
	if _, err := sqlstore.Open(context.Background(), dsn.String()); us.CodeOf(err) != us.CodeUnavailable || !strings.Contains(err.Error(), "password") {
		t.Errorf("without a password: %v", err)
	}
	password, err := os.ReadFile(server.PasswordFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("UNDERSTUDY_STORE_PASSWORD", strings.TrimSpace(string(password)))
	open(t, dsn.String())
}

func TestAPostgresThatMayForgetIsRefused(t *testing.T) {
	_, err := sqlstore.Open(context.Background(), pgtest.Shared(t).Database(t)+"&synchronous_commit=off")
	if us.CodeOf(err) != us.CodeInternal || !strings.Contains(err.Error(), "synchronous_commit") {
		t.Errorf("opened with %v", err)
	}
}

func TestADatabaseThatIsNotThereIsSaid(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "site.db")
	if _, err := sqlstore.Find(context.Background(), "sqlite:"+missing); us.CodeOf(err) != us.CodeNotFound {
		t.Errorf("found with %v", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("to look for it made it")
	}
	if _, err := sqlstore.Open(context.Background(), "postgres://u@127.0.0.1:1/d"); us.CodeOf(err) != us.CodeUnavailable || !strings.Contains(err.Error(), "see that it runs") {
		t.Errorf("opened with %v", err)
	}
}
