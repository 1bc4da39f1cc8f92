package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/management"
)

var aTime = time.Date(2026, 3, 29, 1, 30, 0, 123456000, time.UTC)

func update(t testing.TB, s management.Store, f func(management.Tx) error) {
	t.Helper()
	if err := s.Update(background, f); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, s management.Store, f func(management.Reader) error) {
	t.Helper()
	if err := s.View(background, f); err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// fill writes one of everything and returns what it wrote.
type everything struct {
	log     management.Log
	event   us.Event
	claim   management.ClaimRecord
	account management.Account
	token   management.Token
	sealed  []byte
	keyring []byte
	trigger management.TriggerRecord
}

func fill(tx management.Tx) (everything, error) {
	l := us.Lease{Camera: "a", Holder: "rec1", Epoch: 3, Since: aTime, Sentence: "It's \"home\"; -- ? ümlaut 🎥"}
	all := everything{
		log: management.Log{Stream: "log-x", Floor: 2, Head: "5d"},
		event: us.Event{At: aTime, Kind: us.EventConfig, Actor: "user:ada", Server: "rec1", Camera: "a", Sentence: l.Sentence, Decided: aTime.Add(-time.Second), From: "10.0.0.9", Hash: "5d", Was: []us.Change{{Group: &us.FailoverGroup{ID: "g", Name: "was", Members: []us.ServerID{}}}}, Changes: []us.Change{
			{Camera: &us.Camera{ID: "a", Name: "A'", Home: "rec1", URL: "rtsp://h/p?x=1", Transport: us.TransportUDP, Username: "u", Failover: us.SupportLive, Priority: -3, KeepFor: time.Hour, Mirror: "fo1", Sessions: 3, Sub: "rtsp://h/sub",
				Rule: us.RecordingRule{Mode: us.RecordBoth, Before: time.Second, After: time.Minute, Schedule: "night=daily 22:00-06:00", Events: "a,b", KeepEvents: 2 * time.Hour, KeepBytes: 7, ArchiveAfter: time.Hour}}},
			{RecordingServer: &us.RecordingServer{ID: "rec1", Name: "R", Addresses: addresses("rec1"), MirrorStandby: "fo2", HotStandby: "fo1", PrimaryGroup: "g", SecondaryGroup: "h",
				Merge: us.MergePolicy{BytesPerSecond: 5000, Windows: "daily 20:00-06:00 1MB/s", Grace: 3 * time.Second}}},
			{FailoverServer: &us.FailoverServer{ID: "fo1", Name: "F", Addresses: addresses("fo1"), Capacity: us.Capacity{Cameras: 40, BitRate: 200_000_000, DiskFor: 24 * time.Hour}}},
			{Group: &us.FailoverGroup{ID: "g", Name: "G", Members: []us.ServerID{"fo1"}}},
			{Lease: &l},
			{Lock: &us.Lock{ID: "lock-1", Camera: "a", From: aTime, To: aTime.Add(time.Hour), Owner: "ada", Reason: "it's a case", Until: aTime.Add(24 * time.Hour)}},
			{Moved: &us.MovedCamera{Camera: "a", From: []us.ServerID{"rec2", "rec3"}}},
			{Revoked: &us.Revocation{Server: "rec9", Before: aTime, Reason: "it's stolen"}},
			{CameraGroup: &us.CameraGroup{ID: "doors", Name: "All doors'", Cameras: []us.CameraID{"a"}}},
			{Role: &us.SiteRole{Name: "guard", Actions: []us.Action{us.ActionLive, us.ActionEvents}}},
			{Recall: &us.Recall{User: "ada@EXAMPLE.COM", Before: aTime}},
		}},
		trigger: management.TriggerRecord{Told: aTime, Trigger: us.Trigger{ID: "t-1", Camera: "a", Name: "door's open", At: aTime, Until: aTime.Add(time.Second), Data: []byte(`{"a":[1]}`)}},
		claim: management.ClaimRecord{ID: "claim-01", Digest: [32]byte{1, 2}, At: aTime, Seq: 1, Granted: []us.Lease{l},
			Refused: []us.Refusal{{Camera: "b", Reason: "why not", Lease: l}}},
		account: management.Account{User: us.User{Name: "ada", Role: us.RoleOperator, Cameras: []us.CameraID{"a", "b"}, Created: aTime,
			CameraGroups: []us.CameraGroupID{"doors"}, Also: []us.Grant{{Role: "guard", Cameras: []us.CameraID{us.AllCameras}}}}, Hash: "$argon2id$x",
			Second: management.Second{Sealed: []byte{0, 255, 39}, On: true, Step: 1 << 40}},
		token: management.Token{Hash: management.TokenHash{9}, Purpose: management.PurposeJoin, User: "u", Server: "fo1", Role: us.RoleFailover, Address: "10.0.0.9",
			Visitor: &us.Identity{User: "ada@EXAMPLE.COM", Actions: us.RoleViewer.Actions(), Cameras: []us.CameraID{us.AllCameras},
				Also: map[us.Action][]us.CameraID{us.ActionPlayback: {"lobby"}}, Grants: []us.Grant{{Role: us.RoleViewer, CameraGroups: []us.CameraGroupID{"doors"}}}},
			Created: aTime, Expires: aTime.Add(time.Hour), Used: aTime.Add(time.Minute), UsedBy: [32]byte{7}},
		sealed:  []byte{0, 1, 255, 39},
		keyring: []byte{0, 2, 255, 39},
	}
	event, err := tx.Append(all.event)
	all.event = event
	return all, errors.Join(err, tx.PutLog(all.log), tx.PutClaim(all.claim), tx.PutAccount(all.account),
		tx.PutToken(all.token), tx.PutPassword("a", all.sealed), tx.PutTrigger(all.trigger), tx.PutKeyring([]byte{1}), tx.PutKeyring(all.keyring))
}

// Fill writes one of everything to an empty store.
func Fill(t testing.TB, s management.Store) {
	t.Helper()
	update(t, s, func(tx management.Tx) error {
		_, err := fill(tx)
		return errors.Join(err, tx.PutPreflight(us.Preflight{Server: "fo1", At: aTime}))
	})
}

func roundTrip(t *testing.T, s management.Store) {
	var wrote everything
	check := func(r management.Reader) error {
		same(t, "log", must[management.Log](t)(r.Log()), wrote.log)
		site := must[us.Site](t)(r.Site())
		changes := wrote.event.Changes
		same(t, "site", site, us.Site{Seq: 1, Cameras: []us.Camera{*changes[0].Camera}, RecordingServers: []us.RecordingServer{*changes[1].RecordingServer},
			FailoverServers: []us.FailoverServer{*changes[2].FailoverServer}, Groups: []us.FailoverGroup{*changes[3].Group}, Leases: us.Leases{changes[4].Lease}, Locks: []us.Lock{*changes[5].Lock}, Moved: []us.MovedCamera{*changes[6].Moved}, Revoked: []us.Revocation{*changes[7].Revoked}, Recalls: []us.Recall{*changes[10].Recall},
			CameraGroups: []us.CameraGroup{*changes[8].CameraGroup}, Roles: []us.SiteRole{*changes[9].Role}})
		same(t, "events", must[[]us.Event](t)(r.Events(us.EventQuery{Limit: 9})), []us.Event{wrote.event})
		claim, ok, err := r.Claim("claim-01")
		same(t, "claim", []any{claim, ok, err}, []any{wrote.claim, true, error(nil)})
		trigger, ok, err := r.Trigger("t-1")
		same(t, "trigger", []any{trigger, ok, err}, []any{wrote.trigger, true, error(nil)})
		same(t, "accounts", must[[]management.Account](t)(r.Accounts()), []management.Account{wrote.account})
		account, ok, err := r.Account("ada")
		same(t, "account", []any{account, ok, err}, []any{wrote.account, true, error(nil)})
		token, ok, err := r.Token(wrote.token.Hash)
		same(t, "token", []any{token, ok, err}, []any{wrote.token, true, error(nil)})
		same(t, "tokens", must[[]management.Token](t)(r.Tokens(management.PurposeJoin)), []management.Token{wrote.token})
		same(t, "passwords", must[map[us.CameraID][]byte](t)(r.Passwords([]us.CameraID{"a", "b"})), map[us.CameraID][]byte{"a": wrote.sealed})
		same(t, "keyring", must[[]byte](t)(r.Keyring()), wrote.keyring)
		same(t, "epoch", must[uint64](t)(r.Epoch("a")), uint64(3))
		return nil
	}
	update(t, s, func(tx management.Tx) (err error) {
		if wrote, err = fill(tx); err != nil {
			return err
		}
		return check(tx) // a transaction reads what it has written
	})
	view(t, s, check)
	update(t, s, func(tx management.Tx) error {
		return errors.Join(tx.DeleteAccount("ada"), tx.DeleteAccount("nobody"), tx.DeleteToken(wrote.token.Hash), tx.DeleteToken(wrote.token.Hash),
			tx.PutPassword("a", nil), tx.ForgetClaims(aTime.Add(time.Microsecond)), tx.ForgetTriggers(aTime.Add(time.Microsecond)))
	})
	view(t, s, func(r management.Reader) error {
		_, claim, _ := r.Claim("claim-01")
		_, account, _ := r.Account("ada")
		_, token, _ := r.Token(wrote.token.Hash)
		passwords := must[map[us.CameraID][]byte](t)(r.Passwords([]us.CameraID{"a"}))
		_, trigger, _ := r.Trigger("t-1")
		if claim || trigger || account || token || len(passwords) > 0 {
			t.Errorf("still there: claim %v, account %v, token %v, passwords %v", claim, account, token, passwords)
		}
		return nil
	})
}

// isEmpty fails the test if anything was left in the store.
func isEmpty(t testing.TB, s management.Store) {
	t.Helper()
	view(t, s, func(r management.Reader) error {
		same(t, "log", must[management.Log](t)(r.Log()), management.Log{})
		site := must[us.Site](t)(r.Site())
		if site.Seq != 0 || len(site.Cameras)+len(site.Leases)+len(site.Groups)+len(site.RecordingServers)+len(site.FailoverServers) > 0 {
			t.Errorf("the site is %+v", site)
		}
		if events := must[[]us.Event](t)(r.Events(us.EventQuery{Limit: 9})); len(events) > 0 {
			t.Errorf("events %+v", events)
		}
		_, claim, _ := r.Claim("claim-01")
		accounts := must[[]management.Account](t)(r.Accounts())
		if keyring := must[[]byte](t)(r.Keyring()); keyring != nil {
			t.Errorf("keyring %v", keyring)
		}
		tokens := must[[]management.Token](t)(r.Tokens(management.PurposeJoin))
		passwords := must[map[us.CameraID][]byte](t)(r.Passwords([]us.CameraID{"a"}))
		epoch := must[uint64](t)(r.Epoch(us.AllCameras))
		if claim || len(accounts)+len(tokens)+len(passwords) > 0 || epoch > 0 {
			t.Errorf("left: claim %v, accounts %v, tokens %v, passwords %v, epoch %d", claim, accounts, tokens, passwords, epoch)
		}
		return nil
	})
}

func rollBack(t *testing.T, s management.Store) {
	mine := errors.New("mine")
	err := s.Update(background, func(tx management.Tx) error {
		if _, err := fill(tx); err != nil {
			return err
		}
		return mine
	})
	if !errors.Is(err, mine) {
		t.Fatalf("update returned %v, want the function's own error", err)
	}
	isEmpty(t, s)
}

func rollBackOfPanic(t *testing.T, s management.Store) {
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.Update(background, func(tx management.Tx) error {
			if _, err := fill(tx); err != nil {
				return err
			}
			panic("mine")
		})
	}()
	isEmpty(t, s)
}

func oneAfterAnother(t *testing.T, s management.Store) {
	const workers, rounds = 16, 5
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range rounds {
				err := s.Update(background, func(tx management.Tx) error {
					log, err := tx.Log()
					if err != nil {
						return err
					}
					count, _ := strconv.Atoi(log.Stream)
					return tx.PutLog(management.Log{Stream: strconv.Itoa(count + 1)})
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	view(t, s, func(r management.Reader) error {
		if log := must[management.Log](t)(r.Log()); log.Stream != strconv.Itoa(workers*rounds) {
			t.Errorf("counted to %s, want %d: updates were lost", log.Stream, workers*rounds)
		}
		return nil
	})
}

func selectEvents(t *testing.T, s management.Store) {
	update(t, s, func(tx management.Tx) error {
		for n := 1; n <= 10; n++ {
			e := us.Event{At: aTime, Kind: us.EventServer, Sentence: strconv.Itoa(n)}
			switch {
			case n%3 == 0:
				e.Kind, e.Camera = us.EventCamera, "a"
			case n == 7:
				e.Changes = []us.Change{{Lease: &us.Lease{Camera: "a", Holder: "x", Epoch: 1}}, {Lease: &us.Lease{Camera: "b", Holder: "x", Epoch: 1}}}
			case n == 8:
				e.Changes = []us.Change{{GoneCamera: "b"}}
			}
			if _, err := tx.Append(e); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range []struct {
		query us.EventQuery
		want  []uint64
	}{
		{us.EventQuery{Limit: 3}, []uint64{8, 9, 10}},
		{us.EventQuery{Limit: 100}, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{us.EventQuery{After: 4, Limit: 3}, []uint64{5, 6, 7}},
		{us.EventQuery{After: 10, Limit: 3}, []uint64{}},
		{us.EventQuery{After: 1 << 63, Limit: 3}, []uint64{}},
		{us.EventQuery{Before: 4, Limit: 2}, []uint64{2, 3}},
		{us.EventQuery{After: 2, Before: 5, Limit: 9}, []uint64{3, 4}},
		{us.EventQuery{Kind: us.EventCamera, Limit: 2}, []uint64{6, 9}},
		{us.EventQuery{Kind: us.EventCamera, After: 3, Limit: 1}, []uint64{6}},
		{us.EventQuery{Camera: "a", Limit: 9}, []uint64{3, 6, 7, 9}},
		{us.EventQuery{Camera: "b", Limit: 9}, []uint64{7, 8}},
		{us.EventQuery{Camera: "b", After: 7, Limit: 9}, []uint64{8}},
		{us.EventQuery{Camera: "nobody", Limit: 9}, []uint64{}},
	} {
		view(t, s, func(r management.Reader) error {
			got := []uint64{}
			for _, e := range must[[]us.Event](t)(r.Events(c.query)) {
				got = append(got, e.Seq)
				if e.Sentence != strconv.FormatUint(e.Seq, 10) {
					t.Errorf("event %d says %q", e.Seq, e.Sentence)
				}
			}
			same(t, "events", got, c.want)
			return nil
		})
	}
}

func forgetEvents(t *testing.T, s management.Store) {
	numbers := func(what string, q us.EventQuery, want ...uint64) {
		view(t, s, func(r management.Reader) error {
			got := []uint64{}
			for _, e := range must[[]us.Event](t)(r.Events(q)) {
				got = append(got, e.Seq)
			}
			same(t, what, got, append([]uint64{}, want...))
			return nil
		})
	}
	add := func(tx management.Tx) error {
		_, err := tx.Append(us.Event{At: aTime, Kind: us.EventCamera, Camera: "a", Sentence: "it was lost"})
		return err
	}
	for range 5 {
		update(t, s, add)
	}
	failed := errors.New("failed")
	err := s.Update(background, func(tx management.Tx) error { return errors.Join(add(tx), tx.ForgetEvents(4), add(tx), failed) })
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	numbers("after an update that failed", us.EventQuery{Limit: 9}, 1, 2, 3, 4, 5)
	update(t, s, func(tx management.Tx) error { return tx.ForgetEvents(3) })
	for _, q := range []us.EventQuery{{Limit: 9}, {After: 1, Limit: 9}, {After: 3, Limit: 9}, {Camera: "a", Limit: 9}} {
		numbers(fmt.Sprintf("%+v", q), q, 4, 5)
	}
	numbers("those that are gone", us.EventQuery{Before: 4, Limit: 9})
	update(t, s, func(tx management.Tx) error { return tx.ForgetEvents(9) })
	numbers("all gone", us.EventQuery{Limit: 9})
	update(t, s, add)
	numbers("numbers go on", us.EventQuery{Limit: 9}, 6)
}

func fold(t *testing.T, s management.Store) {
	camera := func(id us.CameraID, name string) us.Change {
		return us.Change{Camera: &us.Camera{ID: id, Name: name, Home: "r"}}
	}
	holder := func(id us.CameraID, holder us.ServerID, epoch uint64) us.Change {
		return us.Change{Lease: &us.Lease{Camera: id, Holder: holder, Epoch: epoch, Since: aTime}}
	}
	steps := [][]us.Change{
		{camera("b", "B"), holder("b", "r", 1)},
		{camera("a", "A"), holder("a", "r", 1)},
		{holder("a", "f", 2), holder("b", "f", 2)},
		{camera("a", "renamed")},
		{{RecordingServer: &us.RecordingServer{ID: "r"}}, {FailoverServer: &us.FailoverServer{ID: "f"}}, {Group: &us.FailoverGroup{ID: "g", Members: []us.ServerID{"f"}}}},
		{{GoneCamera: "b"}},
		{camera("b", "again"), holder("b", "r", 3)},
		{{GoneGroup: "g"}, {GoneServer: "f"}},
		{{GoneServer: "nobody"}},
	}
	var folded us.Site
	for _, changes := range steps {
		update(t, s, func(tx management.Tx) error {
			e, err := tx.Append(us.Event{At: aTime, Kind: us.EventConfig, Changes: changes})
			folded = folded.Apply(e)
			sameSite(t, must[us.Site](t)(tx.Site()), folded)
			return err
		})
		view(t, s, func(r management.Reader) error {
			sameSite(t, must[us.Site](t)(r.Site()), folded)
			return nil
		})
	}
}

// sameSite compares sites; lists that are empty are equal, nil or not.
func sameSite(t testing.TB, got, want us.Site) {
	t.Helper()
	for _, s := range []*us.Site{&got, &want} {
		if len(s.Cameras) == 0 {
			s.Cameras = nil
		}
		if len(s.RecordingServers) == 0 {
			s.RecordingServers = nil
		}
		if len(s.FailoverServers) == 0 {
			s.FailoverServers = nil
		}
		if len(s.Locks) == 0 {
			s.Locks = nil
		}
		if len(s.CameraGroups) == 0 {
			s.CameraGroups = nil
		}
		if len(s.Roles) == 0 {
			s.Roles = nil
		}
		if len(s.Moved) == 0 {
			s.Moved = nil
		}
		if len(s.Recalls) == 0 {
			s.Recalls = nil
		}
		if len(s.Revoked) == 0 {
			s.Revoked = nil
		}
		if len(s.Groups) == 0 {
			s.Groups = nil
		}
		if len(s.Leases) == 0 {
			s.Leases = nil
		}
	}
	same(t, "site", got, want)
}

func epochsGrow(t *testing.T, s management.Store) {
	grow := func(changes ...us.Change) error {
		return s.Update(background, func(tx management.Tx) error {
			_, err := tx.Append(us.Event{At: aTime, Kind: us.EventConfig, Changes: changes})
			return err
		})
	}
	holder := func(id us.CameraID, epoch uint64) us.Change {
		return us.Change{Lease: &us.Lease{Camera: id, Holder: "x", Epoch: epoch, Since: aTime}}
	}
	want(t, grow(holder("a", 5)), "")
	want(t, grow(holder("a", 5)), us.CodeConflict)
	want(t, grow(holder("a", 4)), us.CodeConflict)
	want(t, grow(holder("b", 1), holder("a", 5)), us.CodeConflict) // and b with it
	want(t, grow(us.Change{GoneCamera: "a"}), "")
	want(t, grow(holder("a", 5)), us.CodeConflict) // remembered beyond the camera
	want(t, grow(holder("a", 6)), "")
	view(t, s, func(r management.Reader) error {
		same(t, "epoch of a", must[uint64](t)(r.Epoch("a")), uint64(6))
		same(t, "epoch of b", must[uint64](t)(r.Epoch("b")), uint64(0))
		same(t, "highest epoch", must[uint64](t)(r.Epoch(us.AllCameras)), uint64(6))
		same(t, "number of the newest event", must[us.Site](t)(r.Site()).Seq, uint64(3))
		return nil
	})
}

func endedContext(t *testing.T, s management.Store) {
	ctx, cancel := context.WithCancel(background)
	cancel()
	err := s.Update(ctx, func(tx management.Tx) error {
		_, err := fill(tx)
		return err
	})
	if err == nil {
		t.Error("an update went through although its context had ended")
	}
	if err := s.View(ctx, func(management.Reader) error { return nil }); err == nil {
		t.Error("a view went through although its context had ended")
	}
	isEmpty(t, s)
}

func hostileText(t *testing.T, s management.Store) {
	for _, text := range []string{`'; DROP TABLE accounts; --`, `?`, `?0 ?name "x" \' \`, "new\nline", "emoji 🎥", `$1 %s {{.}}`} {
		a := management.Account{User: us.User{Name: text, Role: us.RoleViewer, Cameras: []us.CameraID{us.CameraID(text)}, Created: aTime}, Hash: text}
		update(t, s, func(tx management.Tx) error {
			_, err := tx.Append(us.Event{At: aTime, Kind: us.EventKind(text), Actor: text, Sentence: text})
			return errors.Join(err, tx.PutAccount(a))
		})
		view(t, s, func(r management.Reader) error {
			got, ok, err := r.Account(text)
			same(t, text, []any{got, ok, err}, []any{a, true, error(nil)})
			events := must[[]us.Event](t)(r.Events(us.EventQuery{Kind: us.EventKind(text), Limit: 2}))
			if len(events) != 1 || events[0].Sentence != text || events[0].Actor != text {
				t.Errorf("%q came back as %+v", text, events)
			}
			return nil
		})
	}
}
