package management_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	us "understudy"
	"understudy/internal/management"
	"understudy/internal/management/storetest"
)

// virtual runs a test with an authority on virtual time.
func virtual(t *testing.T, test func(t *testing.T, m *management.Management)) {
	synctest.Test(t, func(t *testing.T) {
		test(t, storetest.New(t, management.NewMemory()))
	})
}

func put(t *testing.T, m *management.Management) {
	t.Helper()
	ctx := context.Background()
	at := us.Addresses{Media: "h:1", State: "h:2", Merge: "h:3"}
	password := us.Secret("correct horse")
	for _, err := range []error{
		second(m.PutFailoverServer(ctx, us.FailoverServer{ID: "fo1", Addresses: at})),
		second(m.PutFailoverServer(ctx, us.FailoverServer{ID: "fo2", Addresses: at})),
		second(m.PutRecordingServer(ctx, us.RecordingServer{ID: "rec1", Addresses: at, HotStandby: "fo1"})),
		second(m.PutCamera(ctx, us.Camera{ID: "a", Home: "rec1", URL: "rtsp://h/"}, nil)),
		second(m.PutUser(ctx, us.User{Name: "ada", Role: us.RoleAdministrator}, &password)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestSessionsEndAfterTwelveHours(t *testing.T) {
	virtual(t, func(t *testing.T, m *management.Management) {
		put(t, m)
		session, err := m.SignIn(t.Context(), "ada", "correct horse")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(12*time.Hour - time.Millisecond)
		if _, err := m.Identify(t.Context(), session.Token); err != nil {
			t.Errorf("ended early: %v", err)
		}
		time.Sleep(time.Millisecond)
		if _, err := m.Identify(t.Context(), session.Token); us.CodeOf(err) != us.CodeUnauthenticated {
			t.Errorf("after 12 hours: %v", err)
		}
	})
}

func TestAUsersOldestSessionEndsWhenThereAreTooMany(t *testing.T) {
	virtual(t, func(t *testing.T, m *management.Management) {
		put(t, m)
		var tokens []us.Secret
		for range 101 {
			session, err := m.SignIn(t.Context(), "ada", "correct horse")
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, session.Token)
			time.Sleep(time.Second)
		}
		if _, err := m.Identify(t.Context(), tokens[0]); us.CodeOf(err) != us.CodeUnauthenticated {
			t.Errorf("the first of 101 sessions: %v", err)
		}
		if _, err := m.Identify(t.Context(), tokens[1]); err != nil {
			t.Errorf("the second of 101 sessions: %v", err)
		}
	})
}

// guess tries wrong passwords as often as it may for a day, and returns how often that was.
func guess(t *testing.T, m *management.Management, name, address func(n int) string) int {
	t.Helper()
	tries := 0
	for until := time.Now().Add(24 * time.Hour); time.Now().Before(until) && tries < 10000; {
		ctx := us.WithAsker(t.Context(), us.Identity{Address: address(tries)})
		switch _, err := m.SignIn(ctx, name(tries), "wrong password"); us.CodeOf(err) {
		case us.CodeUnauthenticated:
			tries++
		case us.CodeUnavailable:
			if !strings.Contains(err.Error(), "try again in") {
				t.Fatalf("refused with %q", err)
			}
			time.Sleep(10 * time.Second)
		default:
			t.Fatal(err)
		}
	}
	return tries
}

func TestGuessingIsSlowedDown(t *testing.T) {
	constant := func(s string) func(int) string { return func(int) string { return s } }
	for _, c := range []struct {
		name          string
		user, address func(int) string
		most          int
	}{
		{"one account from one address", constant("ada"), constant("10.0.0.9:1"), 150},
		{"one account from many addresses", constant("ada"), func(n int) string { return fmt.Sprintf("10.0.%d.%d:1", n/250, n%250) }, 3000},
		{"a name that does not exist", constant("nobody"), func(n int) string { return fmt.Sprintf("10.0.%d.%d:1", n/250, n%250) }, 3000},
		{"many accounts from one address", func(n int) string { return fmt.Sprint("user", n) }, constant("10.0.0.9:1"), 150},
		{"many accounts from one IPv6 network", func(n int) string { return fmt.Sprint("user", n) }, func(n int) string { return fmt.Sprintf("[2001:db8::%x]:1", n) }, 150},
	} {
		t.Run(c.name, func(t *testing.T) {
			virtual(t, func(t *testing.T, m *management.Management) {
				put(t, m)
				if tries := guess(t, m, c.user, c.address); tries > c.most || tries < 5 {
					t.Errorf("%d tries in a day, want 5 to %d", tries, c.most)
				}
				time.Sleep(15 * time.Minute)
				ctx := us.WithAsker(t.Context(), us.Identity{Address: "192.0.2.1:1"})
				if _, err := m.SignIn(ctx, "ada", "correct horse"); err != nil {
					t.Errorf("afterwards, ada from elsewhere: %v", err)
				}
			})
		})
	}
}

func TestOnesOwnAccountDoesNotHelpToGuessAnothers(t *testing.T) {
	virtual(t, func(t *testing.T, m *management.Management) {
		put(t, m)
		password := us.Secret("battery staple")
		if _, err := m.PutUser(t.Context(), us.User{Name: "eve", Role: us.RoleViewer}, &password); err != nil {
			t.Fatal(err)
		}
		ctx := us.WithAsker(t.Context(), us.Identity{Address: "10.0.0.9:1"})
		tries := 0
		for range 200 {
			if _, err := m.SignIn(ctx, fmt.Sprint("user", tries), "wrong password"); us.CodeOf(err) == us.CodeUnauthenticated {
				tries++
			}
			_, _ = m.SignIn(ctx, "eve", "battery staple")
		}
		if tries > 25 {
			t.Errorf("%d tries at once", tries)
		}
	})
}

func TestManyTriesAtOnceAreCountedBeforeThePasswordIsLookedAt(t *testing.T) {
	virtual(t, func(t *testing.T, m *management.Management) {
		put(t, m)
		answers := make(chan error, 200)
		for range cap(answers) {
			go func() { _, err := m.SignIn(t.Context(), "ada", "wrong password"); answers <- err }()
		}
		looked := 0
		for range cap(answers) {
			if us.CodeOf(<-answers) == us.CodeUnauthenticated {
				looked++
			}
		}
		if looked > 6 {
			t.Errorf("%d of 200 tries at once were looked at", looked)
		}
	})
}

func TestJoinTokensExpire(t *testing.T) {
	virtual(t, func(t *testing.T, m *management.Management) {
		secret, err := m.CreateJoinToken(t.Context(), us.RoleRecording, "rec2", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		_, _, err = m.UseJoinToken(t.Context(), secret, [32]byte{1}, "")
		if us.CodeOf(err) != us.CodeUnauthenticated || !strings.Contains(err.Error(), "expired at") {
			t.Errorf("an expired token: %v", err)
		}
		used, err := m.CreateJoinToken(t.Context(), us.RoleRecording, "rec2", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for _, late := range []bool{false, true} {
			_, _, err := m.UseJoinToken(t.Context(), used, [32]byte{1}, "")
			if (err != nil) != late {
				t.Errorf("joined late: %v, %v", late, err)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestTheLogKeepsItsNewestEvents(t *testing.T) {
	m, err := management.New(t.Context(), management.NewMemory(), management.Options{KeepEvents: 5})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 8 {
		if err := m.Report(t.Context(), "rec1", us.Report{Kind: us.EventServer, Sentence: fmt.Sprintf("event %d", n+1)}); err != nil {
			t.Fatal(err)
		}
	}
	events, err := m.Events(t.Context(), us.EventQuery{})
	if err != nil || len(events) != 5 || events[0].Seq != 4 || events[4].Seq != 8 {
		t.Errorf("kept %+v, %v", events, err)
	}
}

func TestClaimsAreRememberedForAnHour(t *testing.T) {
	virtual(t, func(t *testing.T, m *management.Management) {
		put(t, m)
		claim := us.Claim{ID: "claim-0001", Claimant: "fo1", Home: "rec1", Kind: us.ClaimTakeover, Cameras: []us.CameraEpoch{{Camera: "a", Epoch: 1}}}
		first, err := m.Claim(t.Context(), claim)
		if err != nil || len(first.Granted) != 1 {
			t.Fatal(first, err)
		}
		time.Sleep(59 * time.Minute)
		back := us.Claim{ID: "claim-0002", Claimant: "rec1", Home: "rec1", Kind: us.ClaimFailback, Cameras: []us.CameraEpoch{{Camera: "a", Epoch: 2}}}
		if _, err := m.Claim(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		if again, err := m.Claim(t.Context(), claim); err != nil || len(again.Granted) != 1 {
			t.Errorf("after 59 minutes: %+v, %v", again, err)
		}
		time.Sleep(2 * time.Minute)
		back.ID, back.Cameras[0].Epoch = "claim-0003", 3
		if _, err := m.Claim(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		if again, err := m.Claim(t.Context(), claim); err != nil || len(again.Granted) != 0 {
			t.Errorf("forgotten, a claim of an old epoch is decided anew: %+v, %v", again, err)
		}
	})
}

func TestARefusalIsToldOncePerMinute(t *testing.T) {
	virtual(t, func(t *testing.T, m *management.Management) {
		put(t, m)
		for n := range 4 * 60 * 4 {
			for _, claimant := range []us.ServerID{"fo1", "fo2"} { // a stale epoch, and no entitlement
				_, _ = m.Claim(t.Context(), us.Claim{ID: fmt.Sprintf("claim-%s-%d", claimant, n), Claimant: claimant, Home: "rec1",
					Kind: us.ClaimTakeover, Cameras: []us.CameraEpoch{{Camera: "a", Epoch: 9}}})
			}
			time.Sleep(250 * time.Millisecond)
		}
		events, err := m.Events(t.Context(), us.EventQuery{Kind: us.EventRefused, Limit: 1000})
		if err != nil || len(events) != 8 {
			t.Errorf("two claimants that asked for 4 minutes wrote %d events, %v; want 8", len(events), err)
		}
	})
}

func TestReportsAreBounded(t *testing.T) {
	virtual(t, func(t *testing.T, m *management.Management) {
		written := 0
		report := func() {
			if m.Report(t.Context(), "rec1", us.Report{Kind: us.EventCamera, Sentence: "lost"}) == nil {
				written++
			}
		}
		for range 5000 {
			report()
		}
		if written != 1000 {
			t.Errorf("%d of 5000 reports at once were written, want 1000", written)
		}
		time.Sleep(time.Minute)
		for range 5000 {
			report()
		}
		if written != 1600 {
			t.Errorf("%d written a minute later, want 1600", written)
		}
		if err := m.Report(t.Context(), "rec2", us.Report{Kind: us.EventCamera, Sentence: "lost"}); err != nil {
			t.Errorf("another server is held back, too: %v", err)
		}
	})
}
