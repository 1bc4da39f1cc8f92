package sqlstore_test

import (
	"context"
	"sync"
	"testing"

	"understudy/internal/sqlstore"
	"understudy/internal/sqlstore/pgtest"
)

// PostgreSQL tells a management server of what others write, and not of its own; again
// after the connection was lost.
func TestPostgresTellsOfWhatOthersWrite(t *testing.T) {
	dsn := pgtest.Shared(t).Database(t)
	s, other := open(t, dsn), open(t, dsn)
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan struct{}, 100)
	var hearing sync.WaitGroup
	defer hearing.Wait()
	defer cancel()
	hearing.Go(func() { s.Told(ctx, func() { told <- struct{}{} }) })
	<-told // it hears from now on
	for n, writes := range []*sqlstore.Store{s, s, other} {
		if err := put(t, writes, "a", uint64(n+1)); err != nil {
			t.Fatal(err)
		}
	}
	<-told
	if len(told) > 0 {
		t.Error("it is told of its own")
	}
	sqlstore.Exec(t, other, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN understudy'")
	<-told // it hears again
	if err := put(t, other, "a", 4); err != nil {
		t.Fatal(err)
	}
	<-told
}
