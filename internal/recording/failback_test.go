package recording

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"understudy"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// look is what home sees at one moment, and a play is looks at their seconds.
type look struct {
	healthy string // cameras that are received and recorded here, by initial
	away    string // cameras whose lease is elsewhere
	change  func(*situation)
}

// play looks twice a second and returns what was decided, each new sentence with its time.
func play(seconds int, at map[int]look, base situation) string {
	var out strings.Builder
	var seen health
	var now look
	said := ""
	for tick := range 2 * seconds {
		if next, ok := at[tick/2]; ok && tick%2 == 0 {
			now = next
		}
		s := base
		s.leases = nil
		s.now, s.self = noon.Add(time.Duration(tick)*500*time.Millisecond), "rec-1"
		s.state.Storage.Writable = true
		for _, c := range []string{"lobby", "yard", "vault"} {
			initial := c[:1]
			holder := understudy.ServerID("rec-1")
			if strings.Contains(now.away, initial) {
				holder = "fo-1"
			}
			s.leases = append(s.leases, understudy.Lease{Camera: understudy.CameraID(c), Holder: holder, Epoch: 2})
			healthy := strings.Contains(now.healthy, initial)
			s.state.Cameras = append(s.state.Cameras, understudy.CameraState{Camera: understudy.CameraID(c), Receiving: healthy, Recording: healthy})
		}
		if now.change != nil {
			now.change(&s)
		}
		seen.observe(s.now, s.self, s.state, s.leases)
		s.health = seen
		if d := decide(s); d.Sentence != said && (len(d.Cameras) == 0 || !strings.HasPrefix(said, "claims")) {
			said = d.Sentence
			line := said
			if len(d.Cameras) > 0 {
				said, line = "claims", fmt.Sprintf("claims %v: %s", claim(d.Cameras), d.Sentence)
			}
			fmt.Fprintf(&out, "%5.1f %s\n", float64(tick)/2, line)
		}
	}
	return out.String()
}

// claim writes what is claimed. A failback holds no server to be lost, as those
// do that take over.
func claim(claimed []understudy.CameraEpoch) (written []string) {
	for _, c := range claimed {
		line := fmt.Sprintf("{%s %d}", c.Camera, c.Epoch)
		if c.Lost || !c.Written.IsZero() {
			line = fmt.Sprintf("%+v", c)
		}
		written = append(written, line)
	}
	return written
}

func TestFailback(t *testing.T) {
	base := situation{holdDown: 10 * time.Second}
	for name, test := range map[string]struct {
		base situation
		at   map[int]look
		want string
	}{
		"nothing is elsewhere": {base, map[int]look{0: {healthy: "lyv"}}, ""},
		"after the hold-down": {base, map[int]look{0: {away: "lyv"}, 3: {away: "lyv", healthy: "lyv"}}, `
  0.0 rec-1 does not record lobby, vault, yard again yet
  3.0 rec-1 records again and waits to take 3 cameras back: the hold-down is 10s
 13.0 claims [{lobby 2} {vault 2} {yard 2}]: rec-1 has recorded lobby, vault, yard again for 10s (the hold-down is 10s) and takes its part back from fo-1
`},
		"one camera is late": {base, map[int]look{0: {away: "lyv", healthy: "ly"}, 2: {away: "lyv", healthy: "lyv"}}, `
  0.0 rec-1 records again and waits to take 3 cameras back: the hold-down is 10s
 12.0 claims [{lobby 2} {vault 2} {yard 2}]: rec-1 has recorded lobby, vault, yard again for 12s (the hold-down is 10s) and takes its part back from fo-1
`},
		"one camera is dead and does not keep the others": {base, map[int]look{0: {away: "lyv", healthy: "ly"}}, `
  0.0 rec-1 records again and waits to take 3 cameras back: the hold-down is 10s
 15.0 claims [{lobby 2} {yard 2}]: rec-1 has recorded lobby, yard again for 15s (the hold-down is 10s) and takes its part back from fo-1
`},
		"an interruption begins anew": {base, map[int]look{0: {away: "l", healthy: "lyv"}, 6: {away: "l", healthy: "yv"}, 7: {away: "l", healthy: "lyv"}}, `
  0.0 rec-1 records again and waits to take 1 camera back: the hold-down is 10s
  6.0 rec-1 does not record lobby again yet
  7.0 rec-1 records again and waits to take 1 camera back: the hold-down is 10s
 17.0 claims [{lobby 2}]: rec-1 has recorded lobby again for 10s (the hold-down is 10s) and takes its part back from fo-1
`},
		"health before the takeover does not count": {base, map[int]look{0: {healthy: "lyv"}, 20: {away: "lyv", healthy: "lyv"}}, `
 20.0 rec-1 records again and waits to take 3 cameras back: the hold-down is 10s
 30.0 claims [{lobby 2} {vault 2} {yard 2}]: rec-1 has recorded lobby, vault, yard again for 10s (the hold-down is 10s) and takes its part back from fo-1
`},
		"a planned stop": {situation{holdDown: 10 * time.Second, planned: true}, map[int]look{0: {away: "lyv"}, 2: {away: "lyv", healthy: "lyv"}}, `
  0.0 rec-1 does not record lobby, vault, yard again yet
  2.0 claims [{lobby 2} {vault 2} {yard 2}]: rec-1 has recorded lobby, vault, yard again for 0s (the stop was planned, so there is no hold-down) and takes its part back from fo-1
`},
		"a flapping server": {situation{holdDown: 10 * time.Second, failbacks: []time.Time{noon.Add(-2 * time.Hour), noon.Add(-4 * time.Minute)}},
			map[int]look{0: {away: "l", healthy: "lyv"}}, `
  0.0 rec-1 records again and waits to take 1 camera back: the hold-down is 20s after 1 failback within the hour
 20.0 claims [{lobby 2}]: rec-1 has recorded lobby again for 20s (the hold-down is 20s after 1 failback within the hour) and takes its part back from fo-1
`},
		"a server that crashes before it can take anything back": {situation{holdDown: 10 * time.Second, starts: []time.Time{
			noon.Add(-2 * time.Hour), noon.Add(-9 * time.Minute), noon.Add(-8 * time.Minute), noon.Add(-7 * time.Minute), noon.Add(-6 * time.Minute)}},
			map[int]look{0: {away: "l", healthy: "lyv"}}, `
  0.0 rec-1 records again and waits to take 1 camera back: the hold-down is 40s after 4 starts within the hour
 40.0 claims [{lobby 2}]: rec-1 has recorded lobby again for 40s (the hold-down is 40s after 4 starts within the hour) and takes its part back from fo-1
`},
		"a server that lost its part too often": {situation{holdDown: 10 * time.Second, failbacks: []time.Time{noon.Add(-59*time.Minute - 50*time.Second), noon.Add(-4 * time.Minute)}},
			map[int]look{0: {away: "l", healthy: "lyv"}}, `
  0.0 rec-1 took its part back 2 times within the hour and lost it again: it does not before 12:00:10 UTC, unless an operator says so (` + "`understudy failback rec-1`" + `)
 10.0 rec-1 records again and waits to take 1 camera back: the hold-down is 20s after 1 failback within the hour
 20.0 claims [{lobby 2}]: rec-1 has recorded lobby again for 20s (the hold-down is 20s after 1 failback within the hour) and takes its part back from fo-1
`},
		"manual, until an operator says so": {situation{holdDown: 10 * time.Second, server: understudy.RecordingServer{Failback: understudy.FailbackPolicy{Mode: understudy.FailbackManual}}},
			map[int]look{0: {away: "l", healthy: "lyv"}, 30: {away: "l", healthy: "lyv", change: func(s *situation) {
				s.server.TakeBack, s.leases[0].Since = noon.Add(30*time.Second), noon.Add(-time.Minute)
			}}}, `
  0.0 rec-1 waits to take its part back: its failback is manual: ` + "`understudy failback`" + ` does it
 30.0 claims [{lobby 2}]: rec-1 has recorded lobby again for 30s (an operator ordered it, so there is no hold-down) and takes its part back from fo-1
`},
		"what was taken over after the order is not ordered back": {situation{holdDown: 10 * time.Second, server: understudy.RecordingServer{
			Failback: understudy.FailbackPolicy{Mode: understudy.FailbackManual}, TakeBack: noon.Add(-time.Hour)}},
			map[int]look{0: {away: "l", healthy: "lyv", change: func(s *situation) { s.leases[0].Since = noon.Add(-time.Minute) }}}, `
  0.0 rec-1 waits to take its part back: its failback is manual: ` + "`understudy failback`" + ` does it
`},
		"outside its windows": {situation{holdDown: 10 * time.Second, server: understudy.RecordingServer{
			Failback: understudy.FailbackPolicy{Mode: understudy.FailbackWindow, Windows: "sun 13:01-15:00", Zone: "Europe/Berlin"}}},
			map[int]look{0: {away: "l", healthy: "lyv"}}, `
  0.0 rec-1 waits to take its part back: it goes home within "sun 13:01-15:00" (Europe/Berlin)
`},
		"in a window": {situation{holdDown: 10 * time.Second, server: understudy.RecordingServer{
			Failback: understudy.FailbackPolicy{Mode: understudy.FailbackWindow, Windows: "sun 13:00-15:00", Zone: "Europe/Berlin"}}},
			map[int]look{0: {away: "l", healthy: "lyv"}}, `
  0.0 rec-1 records again and waits to take 1 camera back: the hold-down is 10s
 10.0 claims [{lobby 2}]: rec-1 has recorded lobby again for 10s (the hold-down is 10s) and takes its part back from fo-1
`},
		"handed over, until the time is over": {situation{holdDown: 10 * time.Second, server: understudy.RecordingServer{HandOver: understudy.HandOver{
			To: "fo-1", Since: noon.Add(-time.Minute), Until: noon.Add(20 * time.Second), By: "user:ada", Reason: "new disks"}}},
			map[int]look{0: {away: "l", healthy: "lyv", change: func(s *situation) { s.leases[0].Since = noon.Add(-30 * time.Second) }}}, `
  0.0 rec-1 takes nothing back: it was handed over to fo-1 by user:ada until 2026-03-01 12:00 UTC (new disks)
 20.0 claims [{lobby 2}]: rec-1 has recorded lobby again for 20s (an operator ordered it, so there is no hold-down) and takes its part back from fo-1
`},
		"a disk that fails": {base, map[int]look{0: {away: "l", healthy: "lyv", change: func(s *situation) {
			s.state.Storage = understudy.StorageState{Sentence: "the disk is full"}
		}}}, `
  0.0 rec-1 takes nothing back: its storage is not writable (the disk is full)
`},
		"a server that is about to stop": {base, map[int]look{0: {away: "l", healthy: "lyv", change: func(s *situation) {
			s.state.Leaving = "maintenance"
		}}}, `
  0.0 rec-1 takes nothing back: it is about to stop (maintenance)
`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := play(45, test.at, test.base); got != strings.TrimPrefix(test.want, "\n") {
				t.Errorf("decided\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// A process that was stopped does not count the time it was away as healthy.
func TestFailbackDistrustsItsOwnPause(t *testing.T) {
	state := understudy.State{Storage: understudy.StorageState{Writable: true},
		Cameras: []understudy.CameraState{{Camera: "lobby", Receiving: true, Recording: true}}}
	leases := []understudy.Lease{{Camera: "lobby", Holder: "fo-1", Epoch: 2}}
	var seen health
	seen.observe(noon, "rec-1", state, leases)
	woken := noon.Add(time.Minute)
	seen.observe(woken, "rec-1", state, leases)
	s := situation{now: woken, self: "rec-1", state: state, leases: leases, health: seen, holdDown: 10 * time.Second}
	if d := decide(s); len(d.Cameras) != 0 {
		t.Errorf("claimed after a pause of a minute: %s", d.Sentence)
	}
}

// Whatever happens, only what is elsewhere, was recorded here without a break
// for the hold-down, and is named with the epoch that is known is claimed; and
// when all is well for long enough, all is claimed.
func TestFailbackProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cameras := []understudy.CameraID{"a", "b", "c", "d"}
		hold := time.Duration(rapid.IntRange(1, 20).Draw(t, "hold-down")) * time.Second
		broken := map[understudy.CameraID]time.Time{} // when it was last not healthy here, or its lease was here
		for _, c := range cameras {
			broken[c] = noon
		}
		var seen health
		now := noon
		step := func(healthy, away map[understudy.CameraID]bool, writable bool) decision {
			s := situation{now: now, self: "rec-1", holdDown: hold}
			s.state.Storage.Writable = writable
			for _, c := range cameras {
				holder := understudy.ServerID("rec-1")
				if away[c] {
					holder = "fo-1"
				}
				s.leases = append(s.leases, understudy.Lease{Camera: c, Holder: holder, Epoch: 7})
				s.state.Cameras = append(s.state.Cameras, understudy.CameraState{Camera: c, Receiving: healthy[c], Recording: healthy[c]})
				if !healthy[c] || !away[c] || !writable {
					broken[c] = now
				}
			}
			seen.observe(s.now, s.self, s.state, s.leases)
			s.health = seen
			d := decide(s)
			for _, claimed := range d.Cameras {
				if claimed.Epoch != 7 || now.Sub(broken[claimed.Camera]) < hold {
					t.Fatalf("claimed %+v at %s, and it was not well or not elsewhere at %s: %s", claimed, now, broken[claimed.Camera], d.Sentence)
				}
			}
			if len(d.Cameras) > 0 && d.Sentence == "" {
				t.Fatal("a claim without a sentence")
			}
			return d
		}
		draw := func(name string) map[understudy.CameraID]bool {
			set := map[understudy.CameraID]bool{}
			for _, c := range rapid.SliceOfDistinct(rapid.SampledFrom(cameras), rapid.ID[understudy.CameraID]).Draw(t, name) {
				set[c] = true
			}
			return set
		}
		for range rapid.IntRange(0, 30).Draw(t, "looks") {
			healthy, away, writable := draw("healthy"), draw("away"), rapid.IntRange(0, 9).Draw(t, "disk") > 0
			for range rapid.IntRange(1, 60).Draw(t, "ticks") {
				now = now.Add(250 * time.Millisecond)
				step(healthy, away, writable)
			}
		}
		all := map[understudy.CameraID]bool{"a": true, "b": true, "c": true, "d": true}
		var last decision
		for range int((hold+straggle)/(250*time.Millisecond)) + 2 {
			now = now.Add(250 * time.Millisecond)
			last = step(all, all, true)
		}
		if len(last.Cameras) != len(cameras) || !slices.IsSortedFunc(last.Cameras, func(a, b understudy.CameraEpoch) int { return strings.Compare(string(a.Camera), string(b.Camera)) }) {
			t.Fatalf("all was well for longer than needed, and the claim is %v: %s", last.Cameras, last.Sentence)
		}
	})
}

// TestRoleChangesWithinAnHour lets a server crash and come back as it likes: a
// takeover follows each crash at once, and in no hour do its cameras change
// hands more than six times.
func TestRoleChangesWithinAnHour(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Failback{Self: "rec-1", HoldDown: 10 * time.Second}
		var changes, failbacks, starts []time.Time
		lease := understudy.Lease{Camera: "lobby", Holder: "rec-1", Epoch: 1}
		now, downUntil := noon, noon
		for now.Before(noon.Add(5 * time.Hour)) {
			now = now.Add(2 * time.Second)
			if rapid.IntRange(0, 30).Draw(t, "crash") == 0 {
				f.seen, downUntil = health{}, now.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "down"))*time.Second)
				starts = append(starts, downUntil)
				if lease.Holder == "rec-1" {
					lease = understudy.Lease{Camera: "lobby", Holder: "fo-1", Epoch: lease.Epoch + 1, Since: now}
					changes = append(changes, now)
				}
			}
			if now.Before(downUntil) {
				continue
			}
			state := understudy.State{Storage: understudy.StorageState{Writable: true},
				Cameras: []understudy.CameraState{{Camera: "lobby", Receiving: true, Recording: true}}}
			d := f.look(situation{now: now, self: "rec-1", state: state, leases: []understudy.Lease{lease}, holdDown: 10 * time.Second, failbacks: failbacks, starts: starts})
			if len(d.Cameras) > 0 {
				lease = understudy.Lease{Camera: "lobby", Holder: "rec-1", Epoch: lease.Epoch + 1, Since: now}
				failbacks, changes = append(failbacks, now), append(changes, now)
			}
		}
		for i := 6; i < len(changes); i++ {
			if changes[i].Sub(changes[i-6]) < time.Hour {
				t.Fatalf("seven changes of role between %s and %s", changes[i-6], changes[i])
			}
		}
	})
}
