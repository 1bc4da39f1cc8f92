package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"understudy"
	"understudy/internal/management"
)

// storm is a site on which many claim.
type storm struct {
	o     ManagementOptions
	epoch []atomic.Uint64 // of each recording server's cameras, which move together
	ids   atomic.Uint64   // of claims
}

// newStorm fills a store with the site, whose servers are all at that address.
func newStorm(ctx context.Context, store management.Store, at understudy.Addresses, o ManagementOptions) (*storm, error) {
	b := &storm{o: o, epoch: make([]atomic.Uint64, o.Servers)}
	o.Say(fmt.Sprintf("making %d recording servers with %d cameras each", o.Servers, o.Cameras))
	spares := understudy.FailoverGroup{ID: "spares"}
	var changes []understudy.Change
	for n := range standbys {
		spares.Members = append(spares.Members, standbyID(n))
		changes = append(changes, understudy.Change{FailoverServer: &understudy.FailoverServer{ID: standbyID(n), Addresses: at}})
	}
	changes = append(changes, understudy.Change{Group: &spares})
	for n := range o.Servers {
		changes = append(changes, understudy.Change{RecordingServer: &understudy.RecordingServer{ID: homeID(n), Addresses: at, PrimaryGroup: spares.ID}})
	}
	if err := appendChanges(ctx, store, changes); err != nil {
		return nil, err
	}
	const lot = 10 // servers
	for from := 0; from < o.Servers; from += lot {
		var cameras, leases []understudy.Change
		for n := from; n < min(from+lot, o.Servers); n++ {
			b.epoch[n].Store(1)
			for i := range o.Cameras {
				id := cameraID(n, i)
				cameras = append(cameras, understudy.Change{Camera: &understudy.Camera{ID: id, Name: "Camera " + string(id), Home: homeID(n), URL: "rtsp://10.1.2.3/stream1"}})
				leases = append(leases, understudy.Change{Lease: &understudy.Lease{Camera: id, Holder: homeID(n), Epoch: 1, Since: time.Now(), Sentence: "it is its home"}})
			}
		}
		if err := appendChanges(ctx, store, append(cameras, leases...)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendChanges configures as the authority would, several servers at a time instead of a camera.
func appendChanges(ctx context.Context, store management.Store, changes []understudy.Change) error {
	return store.Update(ctx, func(tx management.Tx) error {
		_, err := tx.Append(understudy.Event{At: time.Now(), Kind: understudy.EventConfig, Hash: rand.Text(), Sentence: "a site is made", Changes: changes})
		return err
	})
}

func homeID(n int) understudy.ServerID { return understudy.ServerID(fmt.Sprintf("rec-%04d", n)) }

func standbyID(n int) understudy.ServerID { return understudy.ServerID(fmt.Sprintf("fo-%02d", n)) }

func cameraID(home, n int) understudy.CameraID {
	return understudy.CameraID(fmt.Sprintf("cam-%04d-%03d", home, n))
}

// leases is what a claimant asks.
type leases interface {
	Claim(ctx context.Context, c understudy.Claim) (understudy.ClaimAnswer, error)
}

// claim moves all cameras of a recording server, again and again until it is answered.
func (b *storm) claim(ctx context.Context, authority leases, home int, kind understudy.ClaimKind) error {
	c := understudy.Claim{ID: fmt.Sprintf("claim-%09d", b.ids.Add(1)), Kind: kind, Home: homeID(home), Claimant: homeID(home),
		Sentence: "rec did not answer for 1.2 s", Decided: time.Now()}
	if kind == understudy.ClaimTakeover {
		c.Claimant = standbyID(home % standbys)
	}
	for i := range b.o.Cameras {
		c.Cameras = append(c.Cameras, understudy.CameraEpoch{Camera: cameraID(home, i), Epoch: b.epoch[home].Load()})
	}
	for {
		answer, err := authority.Claim(ctx, c)
		switch {
		case understudy.CodeOf(err) == understudy.CodeUnavailable && ctx.Err() == nil:
			continue
		case err != nil:
			return err
		case len(answer.Granted) != b.o.Cameras:
			return understudy.Errorf(understudy.CodeInternal, "claim %s was granted %d of %d cameras: %v", c.ID, len(answer.Granted), b.o.Cameras, answer.Refused[:min(1, len(answer.Refused))])
		}
		b.epoch[home].Store(answer.Granted[0].Epoch)
		return nil
	}
}

// steady lets servers that do not fail later be taken over and go home, one after
// another at a steady rate, while others ask how the site is.
func (b *storm) steady(ctx context.Context, m *management.Management, result *ManagementResult) error {
	b.o.Say(fmt.Sprintf("%d claims a second beside %d heartbeats, for %d s", claimsASecond, heartbeatsASecond, b.o.Seconds))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var beats atomic.Int64
	var beating sync.WaitGroup
	const askers = 20
	for range askers {
		beating.Go(func() { beat(ctx, m, time.Second*askers/heartbeatsASecond, &beats) })
	}
	began := time.Now()
	moving := make([]sync.Mutex, b.o.Servers)
	times, err := atRate(ctx, claimsASecond, b.o.Seconds*claimsASecond, func(n int) error {
		healthy := b.o.Servers - b.o.Failing
		home, kind := b.o.Failing+n%healthy, understudy.ClaimTakeover
		if n/healthy%2 == 1 {
			kind = understudy.ClaimFailback
		}
		moving[home].Lock() // until it has come, it cannot go
		defer moving[home].Unlock()
		return b.claim(ctx, m, home, kind)
	})
	result.Heartbeats = round(float64(beats.Load()) / time.Since(began).Seconds())
	cancel()
	beating.Wait()
	if err != nil {
		return err
	}
	result.Claims = len(times)
	result.ClaimMedian, result.ClaimP99 = percentiles(times)
	return nil
}

// beat asks at a steady rate.
func beat(ctx context.Context, m *management.Management, every time.Duration, beats *atomic.Int64) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, err := m.Site(ctx); err == nil {
			beats.Add(1)
		}
	}
}

// atRate does something so often, each when it is due, whether those before are done or not, and
// returns how long after that each was done.
func atRate(ctx context.Context, aSecond, count int, do func(n int) error) ([]time.Duration, error) {
	times, errs := make([]time.Duration, count), make([]error, count)
	var all sync.WaitGroup
	began := time.Now()
	for n := range count {
		due := began.Add(time.Duration(n) * time.Second / time.Duration(aSecond))
		if err := sleep(ctx, time.Until(due)); err != nil {
			return nil, err
		}
		all.Go(func() {
			errs[n] = do(n)
			times[n] = time.Since(due)
		})
	}
	all.Wait()
	return times, errors.Join(errs...)
}

// percentiles are the 50th and the 99th, in milliseconds; 0 of none.
func percentiles(times []time.Duration) (half, most float64) {
	if len(times) == 0 {
		return 0, 0
	}
	slices.Sort(times)
	ms := func(percent int) float64 { return round(times[len(times)*percent/100].Seconds() * 1000) }
	return ms(50), ms(99)
}
