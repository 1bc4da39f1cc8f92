package management_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	us "understudy"
	"understudy/internal/management"
	"understudy/internal/management/storetest"
)

// promoted is a store behind which another takes the place of the one before.
type promoted struct {
	now atomic.Pointer[management.Memory]
}

func (p *promoted) Update(ctx context.Context, f func(management.Tx) error) error {
	return p.now.Load().Update(ctx, f)
}

func (p *promoted) View(ctx context.Context, f func(management.Reader) error) error {
	return p.now.Load().View(ctx, f)
}

// A replica that is promoted may lack the newest events. Their numbers are given away again, so
// that the log has another name from then on, the same for every management server.
func TestStoreThatLosesEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := management.NewMemory()
		store := &promoted{}
		store.now.Store(first)
		one, two := storetest.New(t, store), storetest.New(t, store)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, m := range []*management.Management{one, two} {
			go func() { _ = m.KeepUp(ctx, func(err error) { t.Error(err) }) }()
		}
		tell := func() {
			t.Helper()
			if err := one.Report(t.Context(), "rec1", us.Report{Kind: us.EventServer, Sentence: "Something."}); err != nil {
				t.Fatal(err)
			}
		}
		tell()
		replica := first.Copy()
		tell()
		time.Sleep(time.Second)
		before := one.Stream()
		if two.Stream() != before {
			t.Fatal("they name the log differently")
		}
		store.now.Store(replica)
		time.Sleep(time.Second)
		if one.Stream() == before || two.Stream() != one.Stream() {
			t.Errorf("the log was named %s, and is %s and %s", before, one.Stream(), two.Stream())
		}
		waited := make(chan error, 1)
		go func() { waited <- two.Wait(ctx, 1) }()
		time.Sleep(time.Second)
		select {
		case err := <-waited:
			t.Fatalf("an event is told that the store has lost: %v", err)
		default:
		}
		tell()
		if err := <-waited; err != nil {
			t.Error(err)
		}
	})
}
