package sqlstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	us "understudy"
	"understudy/internal/management"
	"understudy/internal/management/storetest"
	"understudy/internal/sqlstore/pgtest"
)

const (
	promotions   = 3
	claimsBefore = 40 // each of them
)

// Two management servers work on a PostgreSQL with a synchronous replica. The primary is
// killed while they are asked, the replica promoted, and the old primary follows it: then the
// other way round. They go on by themselves, and no claim and no event is lost or doubled.
func TestNothingIsLostWhenAReplicaIsPromoted(t *testing.T) {
	primary, replica, dsn := replicated(t)
	both := &counted{t: t, many: make(chan struct{}, 1)}
	var followers []*follower
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for range 2 {
		m := storetest.New(t, open(t, dsn))
		both.list = append(both.list, m)
		f := &follower{m: m, stream: m.Stream(), site: must[us.Site](t)(m.Site(ctx))}
		followers = append(followers, f)
		running.Go(func() { _ = m.KeepUp(ctx, func(error) {}) })
	}
	over := make(chan struct{})
	running.Go(func() {
		defer close(over)
		for range promotions {
			both.wait(ctx, claimsBefore)
			primary.Kill()
			if err := errors.Join(replica.Promote(), primary.Follow(replica.Server)); err != nil {
				t.Error(err)
				return
			}
			primary, replica = replica, primary
		}
		both.wait(ctx, claimsBefore)
	})
	var following sync.WaitGroup
	for _, f := range followers {
		following.Go(func() { f.follow(ctx) })
	}
	storetest.Linearizable(t, both, over)
	must[us.FailoverGroup](t)(both.any().PutGroup(ctx, us.FailoverGroup{ID: "the-end"}))
	following.Wait()
	for _, f := range followers {
		f.judge(t)
	}
	if audit := must[us.Audit](t)(both.any().VerifyAudit(ctx)); len(audit.Faults) > 0 {
		t.Errorf("the log is found to be %+v", audit)
	}
}

// replicated is a database with the site of a contest, on a server with a synchronous replica.
func replicated(t *testing.T) (primary, replica pgtest.Server, dsn string) {
	primary = pgtest.Start(t)
	dsn, err := primary.Server.Database("site")
	if err != nil {
		t.Fatal(err)
	}
	storetest.Contest(t, open(t, dsn))
	replica = primary.Replica(t)
	return primary, replica, pgtest.OnEither(dsn, primary, replica)
}

func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// counted is an authority whose claims are counted. Whatever goes wrong is unavailable, so
// that whoever asks asks again.
type counted struct {
	servers
	t    *testing.T
	many chan struct{} // has something when more claims were answered than are waited for

	mu   sync.Mutex
	left int // until many
}

func (c *counted) Claim(claim us.Claim) (us.ClaimAnswer, error) {
	answer, err := c.servers.Claim(claim)
	if c.answered(err); err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.left--; c.left == 0 {
			c.many <- struct{}{}
		}
	}
	return answer, err
}

func (c *counted) Leases() (us.Leases, error) {
	leases, err := c.servers.Leases()
	c.answered(err)
	return leases, err
}

func (c *counted) answered(err error) {
	if err != nil && us.CodeOf(err) != us.CodeUnavailable {
		c.t.Errorf("answered with %v", err)
	}
}

// wait waits until so many more claims are answered.
func (c *counted) wait(ctx context.Context, count int) {
	c.mu.Lock()
	c.left = count
	c.mu.Unlock()
	select {
	case <-c.many:
	case <-ctx.Done():
	}
}

// follower hears of events as a service channel does.
type follower struct {
	m      *management.Management
	stream string
	site   us.Site
	wrong  error
}

// follow follows until the end is told.
func (f *follower) follow(ctx context.Context) {
	highest := uint64(0)
	for f.m.Wait(ctx, f.site.Seq) == nil {
		events, err := f.m.Events(ctx, us.EventQuery{After: f.site.Seq, Limit: 1000})
		if err != nil {
			continue // it is asked again
		}
		for _, e := range events {
			if e.Seq != f.site.Seq+1 {
				f.wrong = us.Errorf(us.CodeInternal, "event %d came after %d", e.Seq, f.site.Seq)
				return
			}
			for _, c := range e.Changes {
				if c.Lease != nil && c.Lease.Epoch <= highest {
					f.wrong = us.Errorf(us.CodeInternal, "event %d gives epoch %d, and %d was there before", e.Seq, c.Lease.Epoch, highest)
				}
			}
			for _, c := range e.Changes {
				if c.Lease != nil {
					highest = max(highest, c.Lease.Epoch)
				}
				if c.Group != nil && c.Group.ID == "the-end" {
					f.site = f.site.Apply(e)
					return
				}
			}
			f.site = f.site.Apply(e)
		}
	}
}

// judge compares what was told with what is there.
func (f *follower) judge(t *testing.T) {
	t.Helper()
	now := must[us.Site](t)(f.m.Site(t.Context()))
	if f.wrong != nil || f.m.Stream() != f.stream || now.Seq != f.site.Seq {
		t.Errorf("%v; the log is %s and was %s, and its event %d was told of %d", f.wrong, f.m.Stream(), f.stream, f.site.Seq, now.Seq)
	}
	for i, l := range now.Leases {
		if *f.site.Leases[i] != *l {
			t.Errorf("the lease is %+v, and was told as %+v", *l, *f.site.Leases[i])
		}
	}
}

// A replica that commits do not wait for may have missed the last of them when it is promoted:
// the claim is forgotten, but its epoch is not given again once a server has told of it.
func TestAReplicaThatMissedAClaimGivesNoEpochAgain(t *testing.T) {
	primary, replica, dsn := replicated(t)
	m := storetest.New(t, open(t, dsn))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { _ = m.KeepUp(ctx, func(error) {}) })
	replica.Kill()
	if err := primary.Asynchronous(); err != nil {
		t.Fatal(err)
	}
	before, stream := must[us.Site](t)(m.Site(ctx)), m.Stream()
	claim := func(id string, by us.ServerID, epoch uint64) (us.ClaimAnswer, error) {
		return m.Claim(ctx, us.Claim{ID: id, Kind: us.ClaimTakeover, Claimant: by, Home: "rec1", Sentence: "it is gone",
			Cameras: []us.CameraEpoch{{Camera: "a", Epoch: epoch}}})
	}
	missed := must[us.ClaimAnswer](t)(claim("claim-missed", "fo1", before.Leases[0].Epoch)).Granted[0]
	primary.Kill()
	if err := errors.Join(replica.Run(), replica.Promote()); err != nil {
		t.Fatal(err)
	}
	for m.Stream() == stream { // until it has seen that events are gone
		_, _ = m.Site(ctx)
	}
	for err := error(nil); ; {
		if err = m.Ratchet(ctx, missed.Epoch); err == nil { // as a server's answer on port 11000 does
			break
		}
		if us.CodeOf(err) != us.CodeUnavailable {
			t.Fatal(err)
		}
	}
	again := must[us.ClaimAnswer](t)(claim("claim-missed", "fo1", before.Leases[0].Epoch))
	if len(again.Granted) > 0 || again.Refused[0].Lease.Holder != "rec1" || again.Refused[0].Lease.Epoch <= missed.Epoch {
		t.Errorf("the claim that the replica has missed is answered with %+v", again)
	}
	next := must[us.ClaimAnswer](t)(claim("claim-another", "fo2", again.Refused[0].Lease.Epoch))
	if len(next.Granted) != 1 || next.Granted[0].Epoch <= missed.Epoch {
		t.Errorf("epoch %d was granted, and now %+v", missed.Epoch, next)
	}
}
