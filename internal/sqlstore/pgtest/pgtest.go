// Package pgtest gives tests a real PostgreSQL: one server a test binary, a database a test.
package pgtest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"understudy/internal/postgres"
)

// Server is a PostgreSQL server of tests.
type Server struct{ *postgres.Server }

// shared is the server of this test binary, if one was needed.
var shared struct {
	once   sync.Once
	server *postgres.Server
	failed error
}

// Main runs the tests of a package and then stops the server, if one was needed.
func Main(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "the PostgreSQL of the tests:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// Shared returns the server of this test binary, whose package has a TestMain that calls Main.
func Shared(t testing.TB) Server {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.failed = postgres.Start(postgres.InMemory()) })
	return started(t, shared.server, shared.failed)
}

// Start returns a server of the test's own, which it may kill.
func Start(t testing.TB) Server {
	t.Helper()
	server, err := postgres.Start(postgres.InMemory())
	s := started(t, server, err)
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Replica returns a server of the test's own that follows s, whose commits wait for it.
func (s Server) Replica(t testing.TB) Server {
	t.Helper()
	replica, err := s.Server.Replica(postgres.InMemory())
	r := started(t, replica, err)
	t.Cleanup(func() {
		if err := replica.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func started(t testing.TB, s *postgres.Server, err error) Server {
	t.Helper()
	if err != nil {
		t.Fatalf("PostgreSQL could not be started; scripts/install-test-tools.sh installs it: %v", err)
	}
	return Server{s}
}

var made atomic.Int64 // databases

// Database makes an empty database, which goes when the test ends, and returns its DSN.
func (s Server) Database(t testing.TB) string {
	t.Helper()
	name := "test" + strconv.FormatInt(made.Add(1), 10)
	dsn, err := s.Server.Database(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Drop(name); err != nil {
			t.Error(err)
		}
	})
	return dsn
}

// OnEither returns the DSN of a database that is on the one of two servers that is the primary.
func OnEither(dsn string, one, other Server) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err) // it is of Database
	}
	query := u.Query()
	query.Set("user", u.User.Username())
	u.User, u.Host = nil, ""
	var hosts, ports []string
	for _, s := range []Server{one, other} {
		host, port, err := net.SplitHostPort(s.Address)
		if err != nil {
			panic(err) // likewise
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	query.Set("host", strings.Join(hosts, ","))
	query.Set("port", strings.Join(ports, ","))
	u.RawQuery = query.Encode()
	return u.String()
}

// Through returns the DSN of a database on another address, such as a relay's.
func Through(dsn, address string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err) // it is of Database
	}
	u.Host = address
	return u.String()
}
