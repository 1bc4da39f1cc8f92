package main

import (
	"errors"
	"os"

	"understudy"
	"understudy/internal/postgres"
)

// withStore calls f with the DSN of a drill's database; postgres is one that runs as
// long as the drill.
func withStore(store string, runs int, f func(dsn string) error) (err error) {
	if store != "" && runs > 1 {
		return understudy.Errorf(understudy.CodeInvalid, "each run is a new site and needs an empty database, so with --store there is one run; found --runs %d", runs)
	}
	if store != "postgres" {
		return f(store)
	}
	server, err := postgres.Start(os.TempDir())
	if err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "PostgreSQL could not be started; install Debian's postgresql, or give the DSN of an empty database: %w", err)
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	dsn, err := server.Database("drill")
	if err != nil {
		return err
	}
	return f(dsn)
}
