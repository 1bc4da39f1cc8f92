package declare

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/management"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newManagement is an authority over a store in memory, with servers that have joined.
func newManagement(t *testing.T, recording, failover []understudy.ServerID) *management.Management {
	t.Helper()
	authority, err := identity.OpenAuthority(t.TempDir())
	check(t, err)
	m, err := management.New(t.Context(), management.NewMemory(), management.Options{Sealer: authority, Hasher: identity.NewPasswords()})
	check(t, err)
	at := understudy.Addresses{Media: "10.0.0.1:7563", State: "10.0.0.1:11000", Merge: "10.0.0.1:5210"}
	for _, id := range failover {
		_, err := m.PutFailoverServer(t.Context(), understudy.FailoverServer{ID: id, Addresses: at})
		check(t, err)
	}
	for _, id := range recording {
		_, err := m.PutRecordingServer(t.Context(), understudy.RecordingServer{ID: id, Addresses: at})
		check(t, err)
	}
	return m
}

func siteOf(t *testing.T, m *management.Management) Now {
	t.Helper()
	site, err := m.Site(t.Context())
	check(t, err)
	users, err := m.Users(t.Context())
	check(t, err)
	return Now{site, users}
}

// apply reads a text and makes the site what it says; it returns what had to be done.
func apply(t *testing.T, m *management.Management, text string, o Options) Plan {
	t.Helper()
	d, err := Read(strings.NewReader(text), t.TempDir())
	check(t, err)
	plan, err := Make(siteOf(t, m), d, o)
	check(t, err)
	last := 0
	check(t, plan.Apply(t.Context(), m, func(done int) { last = done }))
	if last != len(plan) {
		t.Errorf("%d of %d steps were told of", last, len(plan))
	}
	return plan
}

func lines(p Plan) string {
	var all []string
	for _, s := range p {
		all = append(all, s.String())
	}
	return strings.Join(all, "\n")
}

func requirePlan(t *testing.T, p Plan, want string) {
	t.Helper()
	if got := lines(p); got != want {
		t.Errorf("planned\n%s\nwant\n%s", got, want)
	}
}

// TestTheExampleIsAppliedTwice, and the second time changes nothing; neither does
// what was exported from it.
func TestTheExampleIsAppliedTwice(t *testing.T) {
	m := newManagement(t, []understudy.ServerID{"vault", "hall-a", "hall-b", "yard"}, []understudy.ServerID{"fo1", "fo2", "spare1", "spare2"})
	text, err := os.ReadFile("../../docs/site-200.yaml")
	check(t, err)
	if plan := apply(t, m, string(text), Options{}); len(plan) != 4+1+4+200 {
		t.Errorf("%d steps", len(plan))
	}
	site := siteOf(t, m)
	c, _ := site.Camera("yard-07")
	want := understudy.Camera{ID: "yard-07", Name: "Yard 7", Home: "yard", URL: "rtsp://10.20.4.17/main", Sub: "rtsp://10.20.4.17/sub", Transport: "tcp", Username: "viewer",
		Failover: "full", KeepFor: 30 * 24 * time.Hour, Rule: understudy.RecordingRule{Mode: understudy.RecordBoth, Before: 10 * time.Second, After: 30 * time.Second, KeepEvents: 90 * 24 * time.Hour}}
	if c != want || len(site.Cameras) != 200 {
		t.Errorf("%d cameras, %+v", len(site.Cameras), c)
	}
	if plan := apply(t, m, string(text), Options{Prune: true}); plan != nil || siteOf(t, m).Seq != site.Seq {
		t.Errorf("the second time changed something:\n%s", lines(plan))
	}
	var exported strings.Builder
	check(t, Export(site).Write(&exported))
	if plan := apply(t, m, exported.String(), Options{Prune: true}); plan != nil || siteOf(t, m).Seq != site.Seq {
		t.Errorf("what was exported changed something:\n%s\n%s", lines(plan), exported.String())
	}
	plain := strings.NewReplacer(`"`, "", `'`, "") // however it is quoted
	if line := "  - {id: yard-07, name: Yard 7, home: yard, url: rtsp://10.20.4.17/main, sub: rtsp://10.20.4.17/sub, username: viewer, keep_for: 30d, " +
		"rule: {mode: both, before: 10s, after: 30s, keep_events: 90d}}\n"; !strings.Contains(plain.Replace(exported.String()), line) {
		t.Errorf("expected %s in\n%s", line, exported.String())
	}
}

func TestAPlanSaysWhatChanges(t *testing.T) {
	m := newManagement(t, []understudy.ServerID{"rec1", "rec2"}, []understudy.ServerID{"fo1", "fo2"})
	requirePlan(t, apply(t, m, `
groups: [{id: spares, members: [fo1]}]
recording_servers: [{id: rec1, primary_group: spares}]
cameras:
  - {id: lobby, home: rec1, url: rtsp://10.0.0.8/1, password: secret}
  - {id: yard, home: rec1, url: rtsp://10.0.0.9/1}
`, Options{}), "add    group spares\nchange recording server rec1  (primary_group: none → spares)\nadd    camera lobby\nadd    camera yard")
	_, err := m.Maintain(t.Context(), "rec1", understudy.Maintenance{Until: time.Now().Add(time.Hour), Reason: "new disks"}) // an order stands
	check(t, err)
	requirePlan(t, apply(t, m, `
groups: [{id: spares, members: [fo2, fo1]}]
recording_servers: [{id: rec1, primary_group: spares}]
defaults: {keep_for: 36h}
cameras:
  - {id: lobby, home: rec2, url: rtsp://10.0.0.8/1, password: secret, rule: {mode: events, keep_bytes: 2GB}}
`, Options{Prune: true}), "change group spares  (members: [fo1] → [fo2 fo1])\n"+
		"change camera lobby  (home: rec1 → rec2; keep_for: none → 36h; rule.mode: none → events; rule.keep_bytes: none → 2000000000)\n"+
		"remove camera yard  (its footage stays until retention takes it)")
	if r, _ := siteOf(t, m).RecordingServer("rec1"); !r.Maintenance.Stands(time.Now()) {
		t.Error("the maintenance ended with an apply")
	}
	requirePlan(t, apply(t, m, "cameras: [{id: lobby, home: rec2, url: 'rtsp://10.0.0.8/1', keep_for: 36h, password: other, rule: {mode: events, keep_bytes: 2GB}}]", Options{Passwords: true}),
		"change camera lobby  (password: set anew)")
	requirePlan(t, apply(t, m, "", Options{}), "")
}

// TestRights: roles, camera groups and users are what the file says; nobody gets
// a password by it, and nobody goes.
func TestRights(t *testing.T) {
	m := newManagement(t, []understudy.ServerID{"rec1"}, nil)
	const password = understudy.Secret("correct horse")
	for _, name := range []string{"ada", "bob"} {
		_, err := m.PutUser(t.Context(), understudy.User{Name: name, Role: understudy.RoleAdministrator, Cameras: []understudy.CameraID{understudy.AllCameras}}, new(password))
		check(t, err)
	}
	text := `
cameras: [{id: lobby, home: rec1, url: 'rtsp://10.0.0.8/1'}, {id: gate, home: rec1, url: 'rtsp://10.0.0.9/1'}]
camera_groups: [{id: doors, cameras: [lobby, gate]}]
roles: [{name: guard, actions: [playback, status, live]}]
users:
  - {name: bob, role: viewer, cameras: ["*"], also: [{role: guard, camera_groups: [doors]}]}
`
	requirePlan(t, apply(t, m, text, Options{}), "add    camera lobby\nadd    camera gate\nadd    camera group doors\nadd    role guard\n"+
		"change user bob  (role: administrator → viewer; also: [] → [guard:@doors])")
	site := siteOf(t, m)
	bob := site.Identity("bob", site.Users[1].Grants())
	if bob.May(understudy.ActionPlayback, "gate") != nil || bob.May(understudy.ActionExport, "gate") == nil || bob.May(understudy.ActionAdminister, "") == nil {
		t.Errorf("bob is %+v", bob)
	}
	if _, err := m.SignIn(t.Context(), "bob", password); err != nil {
		t.Errorf("bob's password is another: %v", err)
	}
	requirePlan(t, apply(t, m, text, Options{Prune: true}), "")
	var exported strings.Builder
	check(t, Export(siteOf(t, m)).Write(&exported))
	requirePlan(t, apply(t, m, exported.String(), Options{Prune: true}), "")
	if !strings.Contains(strings.ReplaceAll(exported.String(), `"`, ""), "- {name: bob, role: viewer, cameras: ['*'], also: [{role: guard, camera_groups: [doors]}]}") &&
		!strings.Contains(exported.String(), `- {name: bob, role: viewer, cameras: ["*"], also: [{role: guard, camera_groups: [doors]}]}`) {
		t.Errorf("exported as\n%s", exported.String())
	}
	requirePlan(t, apply(t, m, "cameras: [{id: lobby, home: rec1, url: 'rtsp://10.0.0.8/1'}, {id: gate, home: rec1, url: 'rtsp://10.0.0.9/1'}]", Options{Prune: true}), "")
	requirePlan(t, apply(t, m, `
cameras: [{id: lobby, home: rec1, url: 'rtsp://10.0.0.8/1'}, {id: gate, home: rec1, url: 'rtsp://10.0.0.9/1'}]
camera_groups: []
roles: []
users: [{name: bob, role: viewer, cameras: [lobby]}]
`, Options{Prune: true}), "change user bob  (cameras: [*] → [lobby]; also: [guard:@doors] → [])\nremove camera group doors\nremove role guard")
}

func TestAPasswordInAFileOfItsOwn(t *testing.T) {
	folder := t.TempDir()
	check(t, os.WriteFile(filepath.Join(folder, "secret"), []byte("hunter2\n"), 0o600))
	d, err := Read(strings.NewReader("cameras: [{id: lobby, home: rec1, url: 'rtsp://h/1', password_file: secret}]"), folder)
	if err != nil || d.Cameras[0].Password != "hunter2" {
		t.Errorf("%v", err)
	}
}

func TestMistakesAreSentences(t *testing.T) {
	for text, want := range map[string]string{
		"cameras: [{id: a, hme: rec1}]":                                 `line 1: there is no key "hme"; the keys are id, name, home, url`,
		"camera: []":                                                    `there is no key "camera"; the keys are failover_servers, groups`,
		"\n\ncameras: [{id: a, keep_for: long}]":                        `line 3: expected a duration, such as 10s, 36h or 30d, found "long"`,
		"cameras: {id: a}":                                              "expected a list",
		"groups: &g [*g]":                                               "expected no alias",
		"cameras: [a]":                                                  "expected settings, as `key: value`",
		"cameras: [{id: [a]}]":                                          "expected one value",
		"cameras: [{id: a, rule: {keep_bytes: much}}]":                  "a number, or a size such as 200GB",
		"recording_servers: [{id: a, maintenance: {}}]":                 `there is no key "maintenance"`,
		"recording_servers: [{id: rec9}]":                               "server rec9 has not joined yet; run `understudy server add rec9 --role recording`",
		"cameras: [{id: a, home: r, url: x}]":                           "camera a needs a URL such as rtsp://",
		"cameras: [{id: a, password: x, password_file: y}]":             "one of them is enough",
		"cameras: [{id: a, password_file: no-such}]":                    "password_file of camera a cannot be read",
		"cameras: [":                                                    "the file is not YAML",
		"users: [{name: bob, role: viewer}]":                            `there is no user "bob" yet, and a file gives nobody a password; run ` + "`understudy user add bob --cameras ''`",
		"users: [{name: bob, password: x}]":                             `there is no key "password"; the keys are name, role, cameras, camera_groups, also`,
		"roles: [{name: a, built_in: true}]":                            `there is no key "built_in"`,
		"cameras: [{id: a, url: 'rtsp://h'}, {id: a, url: 'rtsp://h'}]": "camera a is there twice",
	} {
		d, err := Read(strings.NewReader(text), t.TempDir())
		if err == nil {
			_, err = Make(Now{}, d, Options{})
		}
		if understudy.CodeOf(err) != understudy.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestATable(t *testing.T) {
	m := newManagement(t, []understudy.ServerID{"rec1"}, nil)
	table := func(text string) (Plan, error) {
		d, err := ReadTable(strings.NewReader(text), siteOf(t, m).Site)
		if err != nil {
			return nil, err
		}
		return Make(siteOf(t, m), d, Options{})
	}
	plan, err := table("\ufeffID, Name,home,url,password,rule.keep_events,keep_for\nlobby,\"Lobby, north\",rec1,rtsp://10.0.0.8/1,secret,90d,\nyard,,rec1,rtsp://10.0.0.9/1,,,24h\n")
	check(t, err)
	requirePlan(t, plan, "add    camera lobby\nadd    camera yard")
	check(t, plan.Apply(t.Context(), m, func(int) {}))
	if c, _ := siteOf(t, m).Camera("lobby"); c.Name != "Lobby, north" || c.Rule.KeepEvents != 90*24*time.Hour {
		t.Errorf("%+v", c)
	}
	plan, err = table("id,url,keep_for\nlobby,rtsp://10.0.0.8/1,12h\nyard,rtsp://10.0.0.9/2,24h\n") // other settings stay
	check(t, err)
	requirePlan(t, plan, "change camera lobby  (keep_for: none → 12h)\nchange camera yard  (url: rtsp://10.0.0.9/1 → rtsp://10.0.0.9/2)")
	for text, want := range map[string]string{
		"":                                 "a first row that names the columns",
		"id,adress\na,b\n":                 `no column "adress", or it is there twice; the columns are id, name, home, url`,
		"id,id\na,b\n":                     "or it is there twice",
		"name\na\n":                        "needs a column id",
		"id,sessions\na,many\n":            "line 2: sessions: expected a number",
		"id,name\na\n":                     "wrong number of fields",
		"id,home,url\nlobby,rec1,http://x": "camera lobby needs a URL",
	} {
		if _, err := table(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What cannot be done stops the plan with what it was about.
func TestAPlanStopsAtTheFirstThatFails(t *testing.T) {
	m := newManagement(t, []understudy.ServerID{"rec1"}, []understudy.ServerID{"fo1"})
	d, err := Read(strings.NewReader("groups: [{id: spares, members: [fo9]}]"), "")
	check(t, err)
	plan, err := Make(siteOf(t, m), d, Options{})
	check(t, err)
	if err := plan.Apply(context.Background(), m, func(int) {}); err == nil || !strings.HasPrefix(err.Error(), "group spares: ") {
		t.Errorf("%v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("cameras: [{id: a, home: r, url: 'rtsp://h/1', rule: {before: 5s}}]")
	f.Add("a: &a [*a]")
	f.Add("defaults: {keep_for: 1d}\ncameras: [{id: a}]")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "password_file") {
			return // it would read files
		}
		d, err := Read(strings.NewReader(text), "/none")
		if err != nil {
			return
		}
		var written strings.Builder
		check(t, d.Write(&written))
		if _, err := Read(strings.NewReader(written.String()), "/none"); err != nil {
			t.Errorf("what was written of %q cannot be read: %v\n%s", text, err, written.String())
		}
	})
}

func FuzzReadTable(f *testing.F) {
	f.Add("id,name,home,url\nlobby,\"Lobby, north\",rec1,rtsp://10.0.0.8/1\n")
	f.Fuzz(func(_ *testing.T, text string) {
		if !strings.Contains(text, "password_file") {
			_, _ = ReadTable(strings.NewReader(text), understudy.Site{})
		}
	})
}
