package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/management"
)

func cameras(t *testing.T, s management.Store) {
	m := aSite(t, s)
	a := must[us.Camera](t)(m.Camera(background, "a"))
	if a.Name != "a" || a.Transport != us.TransportTCP || a.Failover != us.SupportFull {
		t.Errorf("defaults were not filled in: %+v", a)
	}
	if l := lease(t, m, "a"); l.Holder != "rec1" || l.Epoch != 1 {
		t.Errorf("a new camera's lease is %+v", l)
	}
	seq := must[us.Site](t)(m.Site(background)).Seq
	must[us.Camera](t)(m.PutCamera(background, a, nil))
	if again := must[us.Site](t)(m.Site(background)).Seq; again != seq {
		t.Error("a camera that was put as it is wrote an event")
	}
	ctx := us.WithAsker(background, us.Identity{User: "ada"})
	a.Name, a.Home = "Lobby", "rec2"
	must[us.Camera](t)(m.PutCamera(ctx, a, nil))
	if l := lease(t, m, "a"); l.Holder != "rec2" || l.Epoch != 2 {
		t.Errorf("the lease of a camera that moved is %+v", l)
	}
	newest := must[[]us.Event](t)(m.Events(background, us.EventQuery{Camera: "a", Limit: 1}))
	if len(newest) != 1 || newest[0].Actor != "user:ada" || !strings.Contains(newest[0].Sentence, "from rec1 to rec2") {
		t.Errorf("the log tells the move as %+v", newest)
	}
	movedFrom := func(homes ...us.ServerID) {
		t.Helper()
		site := must[us.Site](t)(m.Site(background))
		if len(site.Moved) != 1 || site.Moved[0].Camera != "a" || !slices.Equal(site.Moved[0].From, homes) {
			t.Errorf("camera a was moved, and the site tells %+v, want it from %v", site.Moved, homes)
		}
	}
	movedFrom("rec1")
	must[us.RecordingServer](t)(m.PutRecordingServer(background, us.RecordingServer{ID: "rec3", Addresses: addresses("rec3")}))
	a.Home = "rec3"
	must[us.Camera](t)(m.PutCamera(ctx, a, nil))
	movedFrom("rec1", "rec2")
	a.Home = "rec1"
	must[us.Camera](t)(m.PutCamera(ctx, a, nil))
	movedFrom("rec2", "rec3")
	want(t, m.DeleteCamera(background, "a"), "")
	want(t, m.DeleteCamera(background, "a"), us.CodeNotFound)
	if site := must[us.Site](t)(m.Site(background)); len(site.Moved) > 0 {
		t.Errorf("the camera is gone, and the site tells %+v of it", site.Moved)
	}
	_, err := m.Camera(background, "a")
	want(t, err, us.CodeNotFound)
	must[us.Camera](t)(m.PutCamera(background, us.Camera{ID: "a", Home: "rec1", URL: "rtsp://h/"}, nil))
	if l := lease(t, m, "a"); l.Epoch != 5 {
		t.Errorf("a camera that got the id again begins under epoch %d, want 5", l.Epoch)
	}
	if assigned := must[us.Assignment](t)(m.Assignment(background, "rec1")); assigned.Cameras[0].Credentials.Password != "" {
		t.Error("a camera that got the id again got the password of the one before")
	}
	ids := ""
	for _, c := range must[[]us.Camera](t)(m.Cameras(background)) {
		ids += string(c.ID)
	}
	if ids != "abcd" {
		t.Errorf("cameras are listed as %s", ids)
	}
	isFolded(t, m)
}

// revocations hold for certificates of before the next second, of servers that are in
// the site or were, and replace one another.
func revocations(t *testing.T, s management.Store) {
	m := aSite(t, s)
	for id, code := range map[us.ServerID]us.Code{"management": us.CodeInvalid, "No Such": us.CodeInvalid} {
		_, err := m.RevokeServer(background, id, "a test")
		want(t, err, code)
	}
	_, err := m.RevokeServer(background, "rec1", "a line\nand another")
	want(t, err, us.CodeInvalid)
	first := must[us.Revocation](t)(m.RevokeServer(background, "rec1", "it was stolen"))
	if ahead := time.Until(first.Before); ahead > time.Second || first.Before.Nanosecond() != 0 {
		t.Errorf("certificates from before %s are revoked", first.Before)
	}
	elsewhere := must[us.Revocation](t)(m.RevokeServer(background, "channel-7", "")) // in no site
	second := must[us.Revocation](t)(m.RevokeServer(background, "rec1", "it was stolen again"))
	if site := must[us.Site](t)(m.Site(background)); !slices.Equal(site.Revoked, []us.Revocation{elsewhere, second}) {
		t.Errorf("revoked are %+v", site.Revoked)
	}
	for range 2 {
		want(t, m.RevokedShown(background, "rec1", "10.1.2.3"), "")
		want(t, m.CopyFound(background, us.Identity{Server: "rec1", Role: us.RoleRecording}, "10.1.2.4", "10.0.0.1:11000"), "")
		want(t, m.CopyFound(background, us.Identity{Server: "rec1", Role: us.RoleChannel}, "10.1.2.5", "10.0.0.1"), "")
		want(t, m.NamelessCame(background, "rec1", "10.1.2.6"), "")
		want(t, m.TwoAnswer(background, "rec1", "10.0.0.2:11000"), "")
	}
	events := must[[]us.Event](t)(m.Events(background, us.EventQuery{Kind: us.EventIdentity, Limit: 100}))
	for i, told := range []string{"10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.2.6", "10.0.0.2:11000"} {
		if len(events) != 5 || events[i].Server != "rec1" || !strings.Contains(events[i].Sentence, told) {
			t.Fatalf("each is told once, and the log has %+v", events)
		}
	}
	isFolded(t, m)
}

func servers(t *testing.T, s management.Store) {
	m := aSite(t, s)
	for _, c := range []struct {
		delete us.ServerID
		code   us.Code
	}{{"rec1", us.CodeConflict}, {"fo1", us.CodeConflict}, {"fo3", us.CodeConflict}, {"nobody", us.CodeNotFound}} {
		want(t, m.DeleteServer(background, c.delete), c.code)
	}
	want(t, m.DeleteGroup(background, "east"), us.CodeConflict)
	want(t, m.DeleteGroup(background, "nobody"), us.CodeNotFound)
	want(t, m.DeleteGroup(background, "west"), "")
	want(t, m.DeleteServer(background, "fo3"), "")
	if _, ok := must[us.Site](t)(m.Site(background)).Revocation("fo3"); !ok {
		t.Error("a server that was removed keeps its certificate")
	}

	must[us.ClaimAnswer](t)(m.Claim(background, takeover("claim-0001", "fo1", "rec2", us.CameraEpoch{Camera: "d", Epoch: 1})))
	want(t, m.DeleteServer(background, "rec2"), us.CodeConflict) // home of d
	must[us.RecordingServer](t)(m.PutRecordingServer(background, us.RecordingServer{ID: "rec1", Addresses: addresses("rec1")}))
	must[us.FailoverGroup](t)(m.PutGroup(background, us.FailoverGroup{ID: "east", Members: []us.ServerID{"fo2"}}))
	want(t, m.DeleteServer(background, "fo1"), us.CodeConflict) // holds d
	want(t, m.DeleteCamera(background, "d"), "")
	want(t, m.DeleteServer(background, "fo1"), "")
	want(t, m.DeleteServer(background, "rec2"), "")
	site := must[us.Site](t)(m.Site(background))
	if site.Groups[0].Members == nil || len(site.RecordingServers) != 1 || len(site.FailoverServers) != 1 {
		t.Errorf("the site is %+v", site)
	}
	isFolded(t, m)
}

func references(t *testing.T, s management.Store) {
	m := aSite(t, s)
	password := us.Secret("long enough")
	long := strings.Repeat("x", 5000)
	for name, err := range map[string]error{
		"camera without home":                  second(m.PutCamera(background, us.Camera{ID: "x", URL: "rtsp://h/"}, nil)),
		"camera of a failover server":          second(m.PutCamera(background, us.Camera{ID: "x", Home: "fo1", URL: "rtsp://h/"}, nil)),
		"camera with a long URL":               second(m.PutCamera(background, us.Camera{ID: "x", Home: "rec1", URL: "rtsp://h/" + long}, nil)),
		"camera with a user name of two lines": second(m.PutCamera(background, us.Camera{ID: "x", Home: "rec1", URL: "rtsp://h/", Username: "a\x00b"}, nil)),
		"camera with a name of two lines":      second(m.PutCamera(background, us.Camera{ID: "x", Home: "rec1", URL: "rtsp://h/", Name: "a\nb"}, nil)),
		"server with a path for id":            second(m.PutFailoverServer(background, us.FailoverServer{ID: "../x", Addresses: addresses("h")})),
		"server without addresses":             second(m.PutFailoverServer(background, us.FailoverServer{ID: "x"})),
		"server with a long name":              second(m.PutFailoverServer(background, us.FailoverServer{ID: "x", Name: long, Addresses: addresses("h")})),
		"hot standby that is none":             second(m.PutRecordingServer(background, us.RecordingServer{ID: "x", Addresses: addresses("h"), HotStandby: "rec1"})),
		"merge that crawls":                    second(m.PutRecordingServer(background, us.RecordingServer{ID: "x", Addresses: addresses("h"), Merge: us.MergePolicy{BytesPerSecond: 1}})),
		"group that does not exist":            second(m.PutRecordingServer(background, us.RecordingServer{ID: "x", Addresses: addresses("h"), PrimaryGroup: "north"})),
		"one group twice":                      second(m.PutRecordingServer(background, us.RecordingServer{ID: "x", Addresses: addresses("h"), PrimaryGroup: "east", SecondaryGroup: "east"})),
		"member that is none":                  second(m.PutGroup(background, us.FailoverGroup{ID: "x", Members: []us.ServerID{"rec1"}})),
		"member twice":                         second(m.PutGroup(background, us.FailoverGroup{ID: "x", Members: []us.ServerID{"fo1", "fo1"}})),
		"user of a camera that does not exist": second(m.PutUser(background, us.User{Name: "x", Role: us.RoleViewer, Cameras: []us.CameraID{"nowhere"}}, &password)),
		"user without a role":                  second(m.PutUser(background, us.User{Name: "x"}, &password)),
		"user with a strange name":             second(m.PutUser(background, us.User{Name: "x y", Role: us.RoleViewer}, &password)),
		"user without a password":              second(m.PutUser(background, us.User{Name: "x", Role: us.RoleViewer}, nil)),
		"events in a lot of 1001":              second(m.Events(background, us.EventQuery{Limit: 1001})),
	} {
		if err == nil || us.CodeOf(err) != us.CodeInvalid {
			t.Errorf("%s: %v, want code invalid", name, err)
		}
	}
	want(t, second(m.PutRecordingServer(background, us.RecordingServer{ID: "fo1", Addresses: addresses("h")})), us.CodeConflict)
	want(t, second(m.PutFailoverServer(background, us.FailoverServer{ID: "rec1", Addresses: addresses("h")})), us.CodeConflict)
	for _, id := range []us.ServerID{"nobody"} {
		want(t, second(m.Assignment(background, id)), us.CodeNotFound)
		want(t, second(m.Duties(background, id)), us.CodeNotFound)
	}
	isFolded(t, m)
}

func second[T any](_ T, err error) error { return err }

func describeDuties(duties []us.Duty, describe func([]us.AssignedCamera) string) string {
	var all []string
	for _, d := range duties {
		var cameras []string
		for _, c := range d.Cameras {
			cameras = append(cameras, fmt.Sprintf("%s %d %s", c.Standby, c.Rank, describe([]us.AssignedCamera{c.AssignedCamera})))
		}
		all = append(all, string(d.Home.ID)+": "+strings.Join(cameras, ", "))
	}
	return strings.Join(all, "; ")
}

// mirrors stand by for single cameras or for all of a server, before all others.
func mirrors(t *testing.T, s management.Store) {
	m := aSite(t, s)
	describe := func(cameras []us.AssignedCamera) string {
		return string(cameras[0].Camera.ID) + " " + string(cameras[0].Credentials.Password)
	}
	site := must[us.Site](t)(m.Site(background))
	put := func(id us.CameraID, change func(*us.Camera)) error {
		c, _ := site.Camera(id)
		change(&c)
		return second(m.PutCamera(background, c, nil))
	}
	rec1, _ := site.RecordingServer("rec1")
	rec1.MirrorStandby = "fo2"
	must[us.RecordingServer](t)(m.PutRecordingServer(background, rec1))
	must[us.Camera](t)(m.PutCamera(background, us.Camera{ID: "e", Home: "rec1", URL: "rtsp://cam/e", Sessions: 1}, nil))
	for _, id := range []us.CameraID{"a", "d"} {
		if err := put(id, func(c *us.Camera) { c.Mirror = "fo3" }); err != nil {
			t.Fatal(err)
		}
	}
	for server, expected := range map[us.ServerID]string{
		"fo1": "rec1: hot 1 a password of a, hot 1 b password of b, hot 1 e ; rec2: cold 1 d ",
		"fo2": "rec1: cold 2 a , hot 0 b password of b, hot 0 e ; rec2: cold 2 d ",
		"fo3": "rec1: mirror 0 a password of a; rec2: mirror 0 d password of d",
	} {
		same(t, "duties of "+string(server), describeDuties(must[[]us.Duty](t)(m.Duties(background, server)), describe), expected)
	}
	answer := must[us.ClaimAnswer](t)(m.Claim(background, takeover("claim-0001", "fo3", "rec1", us.CameraEpoch{Camera: "a", Epoch: 1}, us.CameraEpoch{Camera: "b", Epoch: 1})))
	if len(answer.Granted) != 1 || answer.Granted[0].Camera != "a" || len(answer.Refused) != 1 {
		t.Errorf("a mirror of one camera was granted %v and refused %v", answer.Granted, answer.Refused)
	}
	want(t, put("e", func(c *us.Camera) { c.Mirror, c.Sessions = "fo3", 1 }), us.CodeInvalid)
	want(t, put("d", func(c *us.Camera) { c.Mirror = "rec1" }), us.CodeInvalid)
	want(t, m.DeleteServer(background, "fo3"), us.CodeConflict)
	isFolded(t, m)
}

func assignments(t *testing.T, s management.Store) {
	m := aSite(t, s)
	credentials := func(c us.AssignedCamera) string { return c.Credentials.Username + "/" + string(c.Credentials.Password) }
	describe := func(cameras []us.AssignedCamera) string {
		var all []string
		for _, c := range cameras {
			text := string(c.Camera.ID) + " " + credentials(c)
			if !c.Record {
				text += " live only"
			}
			all = append(all, text)
		}
		return strings.Join(all, ", ")
	}
	home := must[us.Assignment](t)(m.Assignment(background, "rec1"))
	same(t, "rec1 at home", describe(home.Cameras), "a viewer/password of a, b viewer/password of b, c viewer/password of c")
	if home.Server != "rec1" || home.Seq != must[us.Site](t)(m.Site(background)).Seq || home.Cameras[0].Epoch != 1 {
		t.Errorf("assignment %+v", home)
	}
	for _, c := range []struct {
		server us.ServerID
		want   string
	}{
		{"fo1", "rec1: hot 0 a viewer/password of a, hot 0 b viewer/password of b live only; rec2: cold 0 d /"},
		{"fo2", "rec1: cold 1 a /, cold 1 b / live only; rec2: cold 1 d /"},
		{"fo3", ""},
	} {
		same(t, "duties of "+string(c.server), describeDuties(must[[]us.Duty](t)(m.Duties(background, c.server)), describe), c.want)
	}
	answer := must[us.ClaimAnswer](t)(m.Claim(background, takeover("claim-0001", "fo2", "rec1", us.CameraEpoch{Camera: "a", Epoch: 1}, us.CameraEpoch{Camera: "b", Epoch: 1})))
	same(t, "answer to a cold standby", describe(answer.Assignment.Cameras), "a viewer/password of a, b viewer/password of b live only")
	if answer.Assignment.Server != "fo2" || answer.Assignment.Cameras[0].Epoch != 2 || answer.Assignment.Seq == 0 {
		t.Errorf("answer %+v", answer.Assignment)
	}
	same(t, "what fo2 holds", must[us.Assignment](t)(m.Assignment(background, "fo2")).Cameras, answer.Assignment.Cameras)
	same(t, "rec1 at home, whoever holds the leases", describe(must[us.Assignment](t)(m.Assignment(background, "rec1")).Cameras), describe(home.Cameras))
	if c := must[us.Assignment](t)(m.Assignment(background, "rec1")).Cameras[0]; c.Epoch != 2 || !c.Record {
		t.Errorf("home is told %+v", c)
	}
}

func passwords(t *testing.T, s management.Store) {
	m := aSite(t, s)
	var first []byte
	view(t, s, func(r management.Reader) error {
		sealed := must[map[us.CameraID][]byte](t)(r.Passwords([]us.CameraID{"a"}))["a"]
		if len(sealed) == 0 || strings.Contains(string(sealed), "password of a") {
			t.Errorf("stored as %q", sealed)
		}
		first = sealed
		return nil
	})
	// Moved to another camera's row, a sealed password does not open.
	update(t, s, func(tx management.Tx) error { return tx.PutPassword("d", first) })
	_, err := m.Assignment(background, "rec2")
	want(t, err, us.CodeInternal)
	if strings.Contains(err.Error(), "password of") && strings.Contains(err.Error(), "password of a") {
		t.Errorf("the error tells a password: %v", err)
	}
	empty, changed := us.Secret(""), us.Secret("changed")
	must[us.Camera](t)(m.PutCamera(background, must[us.Camera](t)(m.Camera(background, "d")), &empty))
	must[us.Camera](t)(m.PutCamera(background, must[us.Camera](t)(m.Camera(background, "a")), &changed))
	must[us.Camera](t)(m.PutCamera(background, must[us.Camera](t)(m.Camera(background, "a")), nil))
	if c := must[us.Assignment](t)(m.Assignment(background, "rec2")).Cameras[0].Credentials; c.Password != "" || c.Username != "viewer" {
		t.Errorf("a password that was taken away is still %q", string(c.Password))
	}
	if c := must[us.Assignment](t)(m.Assignment(background, "rec1")).Cameras[0].Credentials; c.Password != "changed" {
		t.Errorf("the new password is %q", string(c.Password))
	}
	for _, e := range history(t, m) {
		for _, secret := range []string{"password of a", "changed "} {
			if strings.Contains(e.Sentence, secret) {
				t.Errorf("the log tells %q", e.Sentence)
			}
		}
	}
}

func users(t *testing.T, s management.Store) {
	m := aSite(t, s)
	password, other, short := us.Secret("correct horse"), us.Secret("battery staple"), us.Secret("äöü")
	want(t, second(m.PutUser(background, us.User{Name: "ada", Role: us.RoleAdministrator}, &short)), us.CodeInvalid)
	ada := must[us.User](t)(m.PutUser(background, us.User{Name: "ada", Role: us.RoleAdministrator, Cameras: []us.CameraID{us.AllCameras}}, &password))
	bob := must[us.User](t)(m.PutUser(background, us.User{Name: "bob", Role: us.RoleViewer, Cameras: []us.CameraID{"b", "a", "a"}}, &other))
	same(t, "users", must[[]us.User](t)(m.Users(background)), []us.User{ada, bob})
	same(t, "cameras of bob", bob.Cameras, []us.CameraID{"a", "b"})

	for name, tried := range map[string]us.Secret{"ada": other, "bob": "", "nobody": password, "x\x00'": password} {
		want(t, second(m.SignIn(background, name, tried)), us.CodeUnauthenticated)
	}
	session := must[us.Session](t)(m.SignIn(us.WithAsker(background, us.Identity{Address: "10.0.0.9:1234"}), "bob", other))
	identity := must[us.Identity](t)(m.Identify(background, session.Token))
	if identity.User != "bob" || identity.May(us.ActionLive, "a") != nil || identity.May(us.ActionLive, "c") == nil || identity.May(us.ActionExport, "a") == nil {
		t.Errorf("bob is %+v", identity)
	}
	want(t, second(m.Identify(background, session.Token+"x")), us.CodeUnauthenticated)
	want(t, second(m.Identify(background, "")), us.CodeUnauthenticated)

	bob.Role = us.RoleOperator // holds at once, in a session that goes on
	must[us.User](t)(m.PutUser(background, bob, nil))
	want(t, must[us.Identity](t)(m.Identify(background, session.Token)).May(us.ActionExport, "a"), "")
	want(t, m.DeleteCamera(background, "a"), "")
	must[us.Camera](t)(m.PutCamera(background, us.Camera{ID: "a", Home: "rec1", URL: "rtsp://h/"}, nil))
	want(t, must[us.Identity](t)(m.Identify(background, session.Token)).May(us.ActionLive, "a"), us.CodeForbidden)

	must[us.User](t)(m.PutUser(background, bob, &password)) // ends sessions
	want(t, second(m.Identify(background, session.Token)), us.CodeUnauthenticated)
	session = must[us.Session](t)(m.SignIn(background, "bob", password))
	want(t, m.SignOut(background, session.Token), "")
	want(t, m.SignOut(background, session.Token), "")
	want(t, second(m.Identify(background, session.Token)), us.CodeUnauthenticated)

	session = must[us.Session](t)(m.SignIn(background, "ada", password))
	want(t, m.DeleteUser(background, "ada"), us.CodeConflict)
	want(t, second(m.PutUser(background, us.User{Name: "ada", Role: us.RoleOperator}, nil)), us.CodeConflict)
	must[us.User](t)(m.PutUser(background, us.User{Name: "eve", Role: us.RoleAdministrator}, &password))
	want(t, m.DeleteUser(background, "ada"), "")
	want(t, m.DeleteUser(background, "ada"), us.CodeNotFound)
	want(t, second(m.Identify(background, session.Token)), us.CodeUnauthenticated)
	visitors(t, m)
	sessions(t, m)
	accessEvents(t, m)
	isFolded(t, m)
}

// sessions are seen and ended by their owner and by whoever may see all.
func sessions(t *testing.T, m *management.Management) {
	begin := func(user, address string) us.Session {
		i := us.Identity{User: user, Address: address}.With(us.RoleViewer.Actions(), []us.CameraID{us.AllCameras})
		return must[us.Session](t)(m.BeginSession(background, i, time.Now().Add(time.Hour)))
	}
	first, next, other := begin("dave@EXAMPLE.COM", "10.0.0.1"), begin("dave@EXAMPLE.COM", "10.0.0.2"), begin("erin@EXAMPLE.COM", "10.0.0.3")
	shown := func(sessions ...us.Session) []us.Session {
		for i := range sessions {
			sessions[i].Token = ""
		}
		return sessions
	}
	same(t, "dave's sessions", must[[]us.Session](t)(m.Sessions(background, "dave@EXAMPLE.COM")), shown(next, first))
	if all := must[[]us.Session](t)(m.Sessions(background, "")); len(all) < 3 || all[0].ID != other.ID {
		t.Errorf("everyone's sessions are %+v", all)
	}
	want(t, m.EndSession(background, "erin@EXAMPLE.COM", first.ID), us.CodeNotFound)
	want(t, m.EndSession(background, "", string(first.Token)), us.CodeNotFound)
	want(t, second(m.Identify(background, first.Token)), "")
	want(t, m.EndSession(background, "dave@EXAMPLE.COM", first.ID), "")
	want(t, second(m.Identify(background, first.Token)), us.CodeUnauthenticated)
	want(t, second(m.Identify(background, us.Secret(next.ID))), us.CodeUnauthenticated)
	want(t, m.EndSession(background, "", other.ID), "")
	want(t, second(m.Identify(background, other.Token)), us.CodeUnauthenticated)
	same(t, "what goes on", must[[]us.Session](t)(m.Sessions(background, "dave@EXAMPLE.COM")), shown(next))
}

// visitors have a session and no account.
func visitors(t *testing.T, m *management.Management) {
	carol := us.Identity{User: "carol@EXAMPLE.COM", Address: "10.0.0.9"}.With(us.RoleViewer.Actions(), []us.CameraID{us.AllCameras}).With(us.RoleOperator.Actions(), []us.CameraID{"b"})
	want(t, second(m.BeginSession(background, us.Identity{User: "carol@EXAMPLE.COM"}, time.Now().Add(time.Hour))), us.CodeInvalid)
	want(t, second(m.BeginSession(background, us.Identity{Server: "rec1", Role: us.RoleRecording}, time.Now().Add(time.Hour))), us.CodeInvalid)
	session := must[us.Session](t)(m.BeginSession(background, carol, time.Now().Add(time.Hour)))
	if left := time.Until(session.Expires); left > time.Hour || left < 59*time.Minute || session.User.Role != us.RoleOperator {
		t.Errorf("a visitor's session ends when it was said, in %s, of an %s", left, session.User.Role)
	}
	identity := must[us.Identity](t)(m.Identify(us.WithAsker(background, us.Identity{Address: "10.0.0.10"}), session.Token))
	carol.Address = "10.0.0.10"
	same(t, "a visitor", identity, carol)
	want(t, m.SignOut(background, session.Token), "")
	want(t, second(m.Identify(background, session.Token)), us.CodeUnauthenticated)
	session = must[us.Session](t)(m.BeginSession(background, carol, time.Now().Add(-time.Second)))
	want(t, second(m.Identify(background, session.Token)), us.CodeUnauthenticated)
	session = must[us.Session](t)(m.BeginSession(background, carol, time.Now().Add(24*time.Hour)))
	if left := time.Until(session.Expires); left > 12*time.Hour {
		t.Errorf("a visitor's session lasts no longer than others, not %s", left)
	}
}

// accessEvents checks that the log has every act and no secret.
func accessEvents(t *testing.T, m *management.Management) {
	var all strings.Builder
	for _, e := range history(t, m) {
		all.WriteString(e.Actor + ": " + e.Sentence + "\n")
		if strings.Contains(e.Sentence, "bob") && e.Kind != us.EventAccess {
			t.Errorf("%q is of kind %s, which others than administrators see", e.Sentence, e.Kind)
		}
	}
	log := all.String()
	for _, line := range []string{"user:bob: bob signed in from 10.0.0.9:1234.", "A sign-in as ada was refused.", "A sign-in as an unknown name was refused.", "bob signed out.", "User ada was deleted, who was administrator of all cameras."} {
		if !strings.Contains(log, line) {
			t.Errorf("the log lacks %q:\n%s", line, log)
		}
	}
	for _, secret := range []string{"correct horse", "battery staple"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log tells a password:\n%s", log)
		}
	}
}

func joining(t *testing.T, s management.Store) {
	m := New(t, s)
	old := must[us.Secret](t)(m.SetupCode(background))
	code := must[us.Secret](t)(m.SetupCode(background))
	want(t, second(m.Setup(background, old, "ada", "correct horse")), us.CodeUnauthenticated)
	want(t, second(m.Setup(background, code, "ada", "short")), us.CodeInvalid)
	want(t, second(m.Setup(background, code, "a b", "correct horse")), us.CodeInvalid)
	typed := us.Secret(" " + strings.ToLower(strings.ReplaceAll(string(code), "-", " ")))
	ada := must[us.User](t)(m.Setup(background, typed, "ada", "correct horse"))
	if ada.Role != us.RoleAdministrator {
		t.Errorf("the first user is %+v", ada)
	}
	want(t, second(m.Setup(background, code, "eve", "correct horse")), us.CodeConflict)
	if code := must[us.Secret](t)(m.SetupCode(background)); code != "" {
		t.Error("a site that is set up gives out a setup code")
	}
	must[us.Session](t)(m.SignIn(background, "ada", "correct horse"))

	want(t, second(m.CreateJoinToken(background, us.RoleManagement, "x", 0)), us.CodeInvalid)
	want(t, second(m.CreateJoinToken(background, us.RoleRecording, "../x", 0)), us.CodeInvalid)
	want(t, second(m.CreateJoinToken(background, us.RoleRecording, "management", 0)), us.CodeInvalid)
	want(t, second(m.CreateJoinToken(background, us.RoleRecording, "x", 1<<62)), us.CodeInvalid)
	must[us.FailoverServer](t)(m.PutFailoverServer(background, us.FailoverServer{ID: "fo1", Addresses: addresses("h")}))
	want(t, second(m.CreateJoinToken(background, us.RoleRecording, "fo1", 0)), us.CodeConflict)
	secret := must[us.Secret](t)(m.CreateJoinToken(background, us.RoleFailover, "fo1", 0))
	_, _, err := m.UseJoinToken(background, secret, [32]byte{3}, us.RoleRecording)
	want(t, err, us.CodeInvalid) // and the token stays good
	role, id, err := m.UseJoinToken(background, secret, [32]byte{1}, us.RoleFailover)
	if err != nil || role != us.RoleFailover || id != "fo1" {
		t.Fatalf("joined as %s %s, %v", role, id, err)
	}
	before := len(history(t, m))
	if role, id, err := m.UseJoinToken(background, secret, [32]byte{1}, ""); err != nil || role != us.RoleFailover || id != "fo1" {
		t.Errorf("the same key again joined as %s %s, %v", role, id, err)
	}
	if told := len(history(t, m)) - before; told != 0 {
		t.Errorf("joining again was told %d times", told)
	}
	_, _, err = m.UseJoinToken(background, secret, [32]byte{2}, "")
	want(t, err, us.CodeUnauthenticated)
	if !strings.Contains(err.Error(), "was used at") {
		t.Errorf("a token used twice is refused with %q", err)
	}
	for _, unknown := range []us.Secret{"", "x", code, us.Secret(strings.Repeat("x", 1000))} {
		_, _, err = m.UseJoinToken(background, unknown, [32]byte{1}, "")
		want(t, err, us.CodeUnauthenticated)
	}
	session := must[us.Session](t)(m.SignIn(background, "ada", "correct horse"))
	_, _, err = m.UseJoinToken(background, session.Token, [32]byte{1}, "") // a token is good for one thing
	want(t, err, us.CodeUnauthenticated)
	want(t, second(m.Identify(background, secret)), us.CodeUnauthenticated)
}
