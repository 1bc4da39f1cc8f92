package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/management"
)

func takeover(id string, claimant, home us.ServerID, cameras ...us.CameraEpoch) us.Claim {
	return us.Claim{ID: id, Claimant: claimant, Home: home, Kind: us.ClaimTakeover, Cameras: cameras,
		Sentence: string(home) + " refused three connections, so " + string(claimant) + " takes over.", Decided: aTime}
}

func failback(id string, home us.ServerID, cameras ...us.CameraEpoch) us.Claim {
	return us.Claim{ID: id, Claimant: home, Home: home, Kind: us.ClaimFailback, Cameras: cameras, Sentence: string(home) + " records again."}
}

// race lets many claimants want the same cameras under the same epoch, with
// claims of their own and with repeated ones, round after round.
func race(t *testing.T, s management.Store) {
	m := aSite(t, s)
	const rounds, each = 8, 4
	for round := range rounds {
		a, b := lease(t, m, "a"), lease(t, m, "b")
		claimants := []us.ServerID{"fo1", "fo2", "rec1"}
		var mu sync.Mutex
		winners := map[string]us.ServerID{} // by claim
		var all sync.WaitGroup
		for _, claimant := range claimants {
			if claimant == a.Holder {
				continue // would be granted what it holds
			}
			for n := range 2 * each {
				all.Go(func() {
					id := fmt.Sprintf("race-%d-%s-%d", round, claimant, n/2) // each one twice
					c := takeover(id, claimant, "rec1", us.CameraEpoch{Camera: "a", Epoch: a.Epoch}, us.CameraEpoch{Camera: "b", Epoch: b.Epoch})
					if claimant == "rec1" {
						c = failback(id, "rec1", c.Cameras...)
					}
					answer, err := m.Claim(background, c)
					if err != nil {
						t.Error(err)
						return
					}
					if len(answer.Granted)+len(answer.Refused) != 2 || len(answer.Granted) == 1 {
						t.Errorf("round %d: %s was answered %+v", round, id, answer)
					}
					for _, r := range answer.Refused { // and knows why
						if !strings.HasPrefix(r.Reason, string(r.Lease.Holder)+" holds camera "+string(r.Camera)) {
							t.Errorf("round %d: %s was refused with %q, and the lease is %+v", round, id, r.Reason, r.Lease)
						}
					}
					if len(answer.Granted) == 2 {
						mu.Lock()
						defer mu.Unlock()
						winners[id] = claimant
					}
				})
			}
		}
		all.Wait()
		if len(winners) != 1 {
			t.Fatalf("round %d has winners %v, want exactly one claim", round, winners)
		}
		for id, winner := range winners {
			for _, l := range []us.Lease{lease(t, m, "a"), lease(t, m, "b")} {
				if l.Holder != winner || l.Epoch != a.Epoch+1 {
					t.Errorf("round %d: claim %s won, and the lease is %+v", round, id, l)
				}
			}
		}
	}
	moves := 0
	for _, e := range history(t, m) {
		if e.Kind == us.EventTakeover || e.Kind == us.EventFailback {
			moves++
		}
	}
	if moves != rounds {
		t.Errorf("%d rounds wrote %d events", rounds, moves)
	}
	isFolded(t, m)
}

// isFolded checks that the site is what the log says.
func isFolded(t testing.TB, m *management.Management) {
	t.Helper()
	var folded us.Site
	for n, e := range history(t, m) {
		if e.Seq != uint64(n+1) {
			t.Fatalf("event %d of the log has number %d", n+1, e.Seq)
		}
		folded = folded.Apply(e)
	}
	sameSite(t, must[us.Site](t)(m.Site(background)), folded)
}

func repeatedClaim(t *testing.T, s management.Store) {
	m := aSite(t, s)
	claim := takeover("claim-0001", "fo1", "rec1", us.CameraEpoch{Camera: "a", Epoch: 1}, us.CameraEpoch{Camera: "b", Epoch: 9})
	first := must[us.ClaimAnswer](t)(m.Claim(background, claim))
	if len(first.Granted) != 1 || first.Granted[0].Epoch != 2 || len(first.Refused) != 1 {
		t.Fatalf("answered %+v", first)
	}
	must[us.ClaimAnswer](t)(m.Claim(background, failback("claim-0002", "rec1", us.CameraEpoch{Camera: "a", Epoch: 2})))
	before := must[us.Site](t)(m.Site(background)).Seq
	same(t, "answer to the repeated claim", must[us.ClaimAnswer](t)(m.Claim(background, claim)), first)
	if after := must[us.Site](t)(m.Site(background)).Seq; after != before {
		t.Errorf("the repeated claim wrote %d events", after-before)
	}
	if l := lease(t, m, "a"); l.Holder != "rec1" || l.Epoch != 3 {
		t.Errorf("the repeated claim moved the lease to %+v", l)
	}
	other := claim
	other.Cameras = []us.CameraEpoch{{Camera: "a", Epoch: 3}}
	_, err := m.Claim(background, other)
	want(t, err, us.CodeConflict)
}

func claims(t *testing.T, s management.Store) {
	m := aSite(t, s)
	const first = uint64(1)
	for _, c := range []struct {
		name    string
		claim   us.Claim
		code    us.Code
		granted string // cameras
		refused string
	}{
		{"a stranger", takeover("stranger1", "fo3", "rec1", us.CameraEpoch{Camera: "a", Epoch: first}), us.CodeForbidden, "", ""},
		{"a recording server", takeover("stranger2", "rec2", "rec1", us.CameraEpoch{Camera: "a", Epoch: first}), us.CodeForbidden, "", ""},
		{"nobody", takeover("stranger3", "fo9", "rec1", us.CameraEpoch{Camera: "a", Epoch: first}), us.CodeForbidden, "", ""},
		{"home by takeover", takeover("stranger4", "rec1", "rec1", us.CameraEpoch{Camera: "a", Epoch: first}), us.CodeForbidden, "", ""},
		{"failback of another's", us.Claim{ID: "stranger5", Claimant: "fo1", Home: "rec1", Kind: us.ClaimFailback, Cameras: []us.CameraEpoch{{Camera: "a", Epoch: first}}}, us.CodeForbidden, "", ""},
		{"no such home", takeover("nowhere01", "fo1", "rec9", us.CameraEpoch{Camera: "a", Epoch: first}), us.CodeNotFound, "", ""},
		{"no cameras", takeover("empty-001", "fo1", "rec1"), us.CodeInvalid, "", ""},
		{"twice", takeover("twice-001", "fo1", "rec1", us.CameraEpoch{Camera: "a", Epoch: 1}, us.CameraEpoch{Camera: "a", Epoch: 2}), us.CodeInvalid, "", ""},
		{"short id", takeover("short", "fo1", "rec1", us.CameraEpoch{Camera: "a", Epoch: 1}), us.CodeInvalid, "", ""},
		{"a path", takeover("path-0001", "fo1", "rec1", us.CameraEpoch{Camera: "../a", Epoch: 1}), us.CodeInvalid, "", ""},
		{"mixed", takeover("mixed-001", "fo2", "rec1", us.CameraEpoch{Camera: "a", Epoch: first}, us.CameraEpoch{Camera: "b", Epoch: 7},
			us.CameraEpoch{Camera: "c", Epoch: first}, us.CameraEpoch{Camera: "d", Epoch: first}, us.CameraEpoch{Camera: "nowhere", Epoch: first}), "", "a", "b c d nowhere"},
		{"what it holds", takeover("holds-001", "fo2", "rec1", us.CameraEpoch{Camera: "a", Epoch: 2}), "", "a", ""},
		{"what it held long ago", takeover("holds-002", "fo2", "rec1", us.CameraEpoch{Camera: "a", Epoch: 1}), "", "", "a"},
		{"the second standby", takeover("second-01", "fo1", "rec1", us.CameraEpoch{Camera: "a", Epoch: 2}), "", "a", ""},
		{"home again", failback("homeagain", "rec1", us.CameraEpoch{Camera: "a", Epoch: 3}), "", "a", ""},
	} {
		before := must[us.Site](t)(m.Site(background))
		answer, err := m.Claim(background, c.claim)
		if code := codeOf(err); code != c.code {
			t.Fatalf("%s: %v, want code %q", c.name, err, c.code)
		}
		granted, refused := namesOf(answer)
		if granted != c.granted || refused != c.refused {
			t.Errorf("%s: granted %q, want %q; refused %q, want %q", c.name, granted, c.granted, refused, c.refused)
		}
		for _, r := range answer.Refused {
			if l, ok := before.Lease(r.Camera); ok && r.Lease != l || r.Reason == "" {
				t.Errorf("%s: refused with %+v, and the lease was %+v", c.name, r, l)
			}
		}
	}
	if l := lease(t, m, "a"); l.Holder != "rec1" || l.Epoch != 4 || !strings.Contains(l.Sentence, "records again") {
		t.Errorf("the lease is %+v", l)
	}
	claimEvents(t, m)
}

func codeOf(err error) us.Code {
	if err == nil {
		return ""
	}
	return us.CodeOf(err)
}

func namesOf(answer us.ClaimAnswer) (granted, refused string) {
	var g, r []string
	for _, l := range answer.Granted {
		g = append(g, string(l.Camera))
	}
	for _, x := range answer.Refused {
		r = append(r, string(x.Camera))
	}
	return strings.Join(g, " "), strings.Join(r, " ")
}

// claimEvents checks that the log tells moves and refusals, with the claimant's sentence.
func claimEvents(t *testing.T, m *management.Management) {
	kinds := map[us.EventKind]int{}
	for _, e := range history(t, m) {
		kinds[e.Kind]++
		switch e.Kind {
		case us.EventTakeover:
			if e.Server != "rec1" || !strings.Contains(e.Sentence, "refused three connections") || !e.Decided.Equal(aTime) || !strings.HasPrefix(e.Actor, "server:fo") {
				t.Errorf("the log tells a takeover as %+v", e)
			}
		case us.EventFailback:
			if e.Actor != "server:rec1" || e.Camera != "a" || !strings.Contains(e.Sentence, "records again") {
				t.Errorf("the log tells a failback as %+v", e)
			}
		}
	}
	if kinds[us.EventTakeover] != 2 || kinds[us.EventFailback] != 1 || kinds[us.EventRefused] != 7 {
		t.Errorf("the log has %v; want 2 takeovers, 1 failback, 7 refusals", kinds)
	}
	isFolded(t, m)
}

func ratchet(t *testing.T, s management.Store) {
	m := aSite(t, s)
	stream, site := m.Stream(), must[us.Site](t)(m.Site(background))
	want(t, m.Ratchet(background, 1), "")
	if at := must[uint64](t)(m.Renamed(background)); at != 0 {
		t.Errorf("the log is said to be renamed with event %d before it was", at)
	}
	if m.Stream() != stream || must[us.Site](t)(m.Site(background)).Seq != site.Seq {
		t.Error("an epoch that is known changed something")
	}
	want(t, m.Ratchet(background, 41), "")
	want(t, m.Ratchet(background, 41), "")
	if at := must[uint64](t)(m.Renamed(background)); at != site.Seq+1 {
		t.Errorf("the log was renamed with event %d, want %d", at, site.Seq+1)
	}
	for _, l := range must[us.Site](t)(m.Site(background)).Leases {
		if before, _ := site.Lease(l.Camera); l.Epoch != 1042 || l.Holder != before.Holder {
			t.Errorf("the lease went on as %+v", l)
		}
	}
	if m.Stream() == stream || m.Stream() != New(t, s).Stream() {
		t.Errorf("the log was %s, is %s, and %s for the next", stream, m.Stream(), New(t, s).Stream())
	}
	must[us.Camera](t)(m.PutCamera(background, us.Camera{ID: "new", Home: "rec1", URL: "rtsp://h/"}, nil))
	if l := lease(t, m, "new"); l.Epoch <= 1041 {
		t.Errorf("a camera that the lost part of the log may have known begins under epoch %d", l.Epoch)
	}
	want(t, m.Ratchet(background, 1<<63), us.CodeInvalid)
	isFolded(t, m)

	empty := New(t, management.NewMemory())
	want(t, empty.Ratchet(background, 7), "")
	before := empty.Stream()
	want(t, empty.Ratchet(background, 7), "")
	if empty.Stream() != before {
		t.Error("without cameras, the same epoch renames the log again and again")
	}
}

// severalManagers work on one store: each hears of what the others write. When the store
// loses what it had, the log has another name for all of them.
func severalManagers(t *testing.T, s management.Store) {
	folder := t.TempDir()
	one, two := with(t, s, authorityIn(t, folder)), with(t, s, authorityIn(t, folder))
	populate(t, one)
	ctx, cancel := context.WithCancel(background)
	ended := make(chan error, 1)
	go func() { ended <- two.KeepUp(ctx, func(err error) { t.Errorf("the store is complained of: %v", err) }) }()
	defer func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	seq := must[us.Site](t)(one.Site(background)).Seq
	want(t, one.Report(background, "rec1", us.Report{Kind: us.EventCamera, Camera: "a", Sentence: "Camera a is lost."}), "")
	want(t, two.Wait(background, seq), "")
	if events := must[[]us.Event](t)(two.Events(background, us.EventQuery{After: seq, Limit: 9})); len(events) != 1 {
		t.Errorf("the other's event is heard as %+v", events)
	}
	granted := must[us.ClaimAnswer](t)(two.Claim(background, takeover("claim-0001", "fo1", "rec1", us.CameraEpoch{Camera: "a", Epoch: 1}))).Granted
	again := must[us.ClaimAnswer](t)(one.Claim(background, takeover("claim-0001", "fo1", "rec1", us.CameraEpoch{Camera: "a", Epoch: 1}))).Granted
	if len(granted) != 1 || len(again) != 1 || granted[0].Epoch != again[0].Epoch {
		t.Errorf("a claim that is repeated at another is answered %+v and %+v", granted, again)
	}
}

func waiting(t *testing.T, s management.Store) {
	m := aSite(t, s)
	seq := must[us.Site](t)(m.Site(background)).Seq
	want(t, m.Wait(background, seq-1), "")
	woken := make(chan error, 1)
	go func() { woken <- m.Wait(background, seq) }()
	want(t, m.Report(background, "rec1", us.Report{Kind: us.EventCamera, Camera: "a", Sentence: "Camera a stopped\nsending."}), "")
	if err := <-woken; err != nil {
		t.Fatal(err)
	}
	events := must[[]us.Event](t)(m.Events(background, us.EventQuery{After: seq, Limit: 9}))
	if len(events) != 1 || events[0].Sentence != "Camera a stopped sending." || events[0].Actor != "server:rec1" || events[0].Kind != us.EventCamera {
		t.Errorf("reported as %+v", events)
	}
	ctx, cancel := context.WithCancel(background)
	cancel()
	if err := m.Wait(ctx, seq+1); err == nil {
		t.Error("waited for no event, and did not say that the context had ended")
	}
	for _, r := range []us.Report{{Kind: us.EventTakeover, Sentence: "x"}, {Kind: us.EventCamera}, {Kind: us.EventCamera, Camera: "../x", Sentence: "x"},
		{Kind: us.EventCamera, Sentence: strings.Repeat("x", 2001)}} {
		want(t, m.Report(background, "rec1", r), us.CodeInvalid)
	}
	if again := New(t, s); again.Wait(background, seq) != nil || time.Since(events[0].At) > time.Hour {
		t.Error("an authority that starts does not know the newest event")
	}
}
