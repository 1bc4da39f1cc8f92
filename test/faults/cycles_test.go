package faults_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"understudy/internal/site"
)

// Recording and failover server are killed at random moments, during takeover,
// failback and merge: what one of them had received is there once, and nothing
// is left on the failover server when all is well again. FAULTS_CYCLES and
// FAULTS_SEED run it for longer, and again.
func TestKilledAtRandomMoments(t *testing.T) {
	cycles, seed := 2, time.Now().UnixNano()
	if n, err := strconv.Atoi(os.Getenv("FAULTS_CYCLES")); err == nil {
		cycles = n
	}
	if n, err := strconv.ParseInt(os.Getenv("FAULTS_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("FAULTS_SEED=%d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	moment := func(most time.Duration) { time.Sleep(time.Duration(random.Int64N(int64(most)))) }
	b := up(t, hot("north", "south"), nil)
	var kills []time.Time
	kill := func(server string) {
		kills = append(kills, time.Now())
		t.Logf("%s kill %s", time.Now().UTC().Format("15:04:05.000"), server)
		b.do(site.FaultKill, server)
	}
	start := func(server string) {
		t.Logf("%s start %s", time.Now().UTC().Format("15:04:05.000"), server)
		b.do(site.CureStart, server)
	}
	for range cycles {
		kill("rec1")
		moment(4 * time.Second)
		if random.IntN(2) == 0 { // the failover server dies while it takes over, or after
			kill("fo1")
			moment(2 * time.Second)
			start("fo1")
			moment(2 * time.Second)
		}
		start("rec1")
		moment(6 * time.Second)
		switch random.IntN(3) { // during failback or merge
		case 0:
			kill("rec1")
			moment(time.Second)
			start("rec1")
		case 1:
			kill("fo1")
			moment(time.Second)
			start("fo1")
		}
		moment(4 * time.Second)
	}
	b.holds(40*time.Second, "rec1", 2)
	b.emptied(40*time.Second, "fo1")
	for _, c := range b.Layout.Cameras {
		b.recordsNow(10*time.Second, "rec1", c.ID)
		for _, h := range b.account(c.ID) {
			// What is lost was lost around a kill: what was not durable yet, the
			// decision, and the wait for a key frame.
			ok := false
			for _, k := range kills {
				ok = ok || h.after.After(k.Add(-1500*time.Millisecond)) && h.after.Before(k.Add(500*time.Millisecond))
			}
			if !ok {
				t.Errorf("%s: %d frames from %s to %s were lost without a cause", c.ID, h.frames, h.after.Format("15:04:05.000"), h.before.Format("15:04:05.000"))
			}
		}
	}
	if t.Failed() {
		t.Log(b.story())
	}
}
