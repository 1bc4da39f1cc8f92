package failover

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/bundle"
	"understudy/internal/testcam"
)

// rings is the memory of a machine in these tests for what is mirrored.
const rings = 384 << 20

// flightState is fo-1, hot for the cameras of rec-1 and cold for those of rec-2, all of them well.
func flightState(t *testing.T, hot, cold []understudy.Camera, capacity understudy.Capacity) State {
	t.Helper()
	state, now := NewState("fo-1", "n", time.Second), time.Duration(0)
	step := func(o Observation) {
		now += 50 * time.Millisecond
		o.At = now
		state, _ = Step(state, o)
	}
	site := understudy.Site{Seq: 1, FailoverServers: []understudy.FailoverServer{{ID: "fo-1", Capacity: capacity}}}
	var duties []understudy.Duty
	for home, cameras := range map[understudy.ServerID][]understudy.Camera{"rec-1": hot, "rec-2": cold} {
		server := understudy.RecordingServer{ID: home, HotStandby: "fo-1", Addresses: understudy.Addresses{State: string(home) + ":11000"}}
		d := understudy.Duty{Home: server}
		for _, c := range cameras {
			c.Home = home
			standby := understudy.StandbyCamera{AssignedCamera: understudy.AssignedCamera{Camera: c, Epoch: 1, Record: true}, Standby: understudy.StandbyCold}
			if home == "rec-1" {
				standby.Standby, standby.Credentials = understudy.StandbyHot, understudy.Credentials{Username: c.Username, Password: "right"}
			}
			d.Cameras = append(d.Cameras, standby)
			site.Cameras = append(site.Cameras, c)
			site.Leases = append(site.Leases, &understudy.Lease{Camera: c.ID, Holder: home, Epoch: 1})
		}
		site.RecordingServers = append(site.RecordingServers, server)
		duties = append(duties, d)
	}
	slices.SortFunc(site.RecordingServers, func(a, b understudy.RecordingServer) int { return strings.Compare(string(a.ID), string(b.ID)) })
	step(Observation{Load: &understudy.State{Storage: understudy.StorageState{FreeBytes: 1e12}}})
	step(Observation{Duties: &duties})
	step(Observation{Site: &site})
	for _, d := range duties {
		answer := understudy.State{Server: d.Home.ID, Boot: "1", At: at(now), Storage: understudy.StorageState{Writable: true}}
		for _, c := range d.Cameras {
			answer.Cameras = append(answer.Cameras, understudy.CameraState{Camera: c.Camera.ID, BitsPerSecond: 10e6,
				Receiving: c.Camera.ID != "off", Watermark: understudy.Watermark{At: at(now)}})
		}
		step(Observation{Answer: &Answer{Server: d.Home.ID, Began: now, State: answer}})
	}
	return state
}

// Real cameras, each with something else in the way.
func TestPreflightFindsWhatIsInTheWay(t *testing.T) {
	cameras, err := testcam.New(testcam.Config{Listen: "127.0.0.1:0", Cameras: []testcam.Camera{
		{Name: "well", Username: "viewer", Password: "right"},
		{Name: "locked", Username: "viewer", Password: "another"},
		{Name: "nonsense", Misbehave: testcam.GarbageSDP},
		{Name: "cold", Username: "viewer", Password: "secret"},
		{Name: "few"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() { defer close(served); _ = cameras.Run(ctx) }()
	defer func() { cancel(); <-served }()
	gone, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "rtsp://" + gone.Addr().String() + "/x"
	gone.Close()
	camera := func(name string) understudy.Camera {
		return understudy.Camera{ID: understudy.CameraID(name), URL: cameras.URL(name), Username: "viewer"}
	}
	sub, few := camera("well"), camera("few")
	sub.ID, sub.Sub, few.Sessions = "sub", nobody, 1
	state := flightState(t, []understudy.Camera{camera("well"), camera("locked"), camera("nonsense"), few, sub,
		{ID: "dead", URL: nobody}, {ID: "off", URL: nobody}}, []understudy.Camera{camera("cold")}, understudy.Capacity{})

	p := &prober{server: &Server{config: Config{Probe: probe}}, wait: func(context.Context, time.Duration) {}}
	p.ask(t.Context(), state.toProbe())
	flight := state.judgeFlight(p.last, machine{rings: rings, cores: 8, free: 8, cost: assumedCost})
	if flight.Cameras != 8 || flight.Reached != 4 || !flight.Red("rec-1") || flight.Red("rec-2") {
		t.Errorf("of 8 cameras %d, and %d of them reached, red for rec-1: %t, for rec-2: %t", flight.Cameras, flight.Reached, flight.Red("rec-1"), flight.Red("rec-2"))
	}
	for _, want := range []struct {
		camera understudy.CameraID
		about  understudy.Concern
		red    bool
		says   string
	}{
		{"locked", understudy.AboutCredentials, true, `refuses user "viewer"`},
		{"nonsense", understudy.AboutCodec, true, "description of a stream"},
		{"dead", understudy.AboutCamera, true, "connection refused"},
		{"off", understudy.AboutCamera, false, "rec-1 gets nothing of it either"},
		{"sub", understudy.AboutCamera, false, "the second stream of camera sub"},
		{"", understudy.AboutCredentials, false, "camera cold of rec-2 answers when fo-1 asks, but want"},
		{"", understudy.AboutSessions, false, "camera few of rec-1"},
	} {
		i := slices.IndexFunc(flight.Findings, func(f understudy.Finding) bool { return f.Camera == want.camera && f.About == want.about })
		if i < 0 || flight.Findings[i].Red != want.red || !strings.Contains(flight.Findings[i].Sentence, want.says) {
			t.Errorf("want of camera %q a finding about %s, red: %t, %q; found %+v", want.camera, want.about, want.red, want.says, flight.Findings)
		}
	}
	if len(flight.Findings) != 7 {
		t.Errorf("there are %d findings, want 7: %+v", len(flight.Findings), flight.Findings)
	}
}

// What one failure and two would take is held against what there is.
func TestPreflightLoads(t *testing.T) {
	cameras := func(prefix string, n int, sub bool) []understudy.Camera {
		var all []understudy.Camera
		for i := range n {
			c := understudy.Camera{ID: understudy.CameraID(prefix + string(rune('a'+i)))}
			if sub {
				c.Sub = "rtsp://sub/"
			}
			all = append(all, c)
		}
		return all
	}
	roomy := machine{rings: rings, cores: 8, free: 8, cost: assumedCost}
	for _, c := range []struct {
		name     string
		capacity understudy.Capacity
		sub      bool
		machine  machine
		want     []string // about, home or *, red or note
	}{
		{"no bounds", understudy.Capacity{}, false, roomy, nil},
		{"room for all", understudy.Capacity{Cameras: 5, BitRate: 50e6, DiskFor: time.Hour}, false, roomy, nil},
		{"room for one failure", understudy.Capacity{Cameras: 3}, false, roomy, []string{"capacity * red"}},
		{"room for none of the larger", understudy.Capacity{Cameras: 2}, false, roomy, []string{"capacity rec-1 red", "capacity * red"}},
		{"room for two by second streams", understudy.Capacity{BitRate: 30e6}, true, roomy, []string{"capacity * note"}},
		{"a small disk", understudy.Capacity{DiskFor: 1000 * time.Hour}, false, roomy, // 1 TB
			[]string{"disk rec-1 note", "disk rec-2 note", "disk * note"}}, // live only
		{"busy processors", understudy.Capacity{}, false, machine{rings: rings, cores: 2, free: 0.02, cost: 0.001}, []string{"processor rec-1 red", "processor * red"}},
	} {
		state := flightState(t, cameras("a", 3, c.sub), cameras("b", 2, c.sub), c.capacity)
		var got []string
		for _, f := range state.judgeLoads(c.machine) {
			home, red := string(f.Home), "note"
			if home == "" {
				home = "*"
			}
			if f.Red {
				red = "red"
			}
			got = append(got, string(f.About)+" "+home+" "+red)
			if !strings.HasPrefix(f.Sentence, "if rec-") || len(f.Sentence) > 500 {
				t.Errorf("%s: %s", c.name, f.Sentence)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
}

// What a mirror keeps open is held against capacity before anything fails: what
// finds no room, or no session, is red; what would have to be closed is noted.
func TestPreflightMirrors(t *testing.T) {
	cameras := func(names ...understudy.CameraID) []understudy.Camera {
		var all []understudy.Camera
		for _, name := range names {
			all = append(all, understudy.Camera{ID: name})
		}
		return all
	}
	many := make([]understudy.CameraID, 60) // of 10 Mbit/s: 450 MB in 6 s
	for i := range many {
		many[i] = understudy.CameraID(fmt.Sprintf("c%02d", i))
	}
	for _, c := range []struct {
		name     string
		mirrored []understudy.Camera // of rec-1, beside two of rec-2 that are stood by for cold
		capacity understudy.Capacity
		crowded  []understudy.CameraID
		want     []string // about, home or *, red or note; and what it says
	}{
		{"room for all", cameras("a", "b", "c"), understudy.Capacity{BitRate: 50e6}, nil, nil},
		{"no bounds", cameras("a", "b", "c"), understudy.Capacity{}, nil, nil},
		{"room for the streams alone", cameras("a", "b", "c"), understudy.Capacity{BitRate: 30e6}, nil, []string{
			"capacity rec-2 note: if rec-2 fails, fo-1 would carry 50 Mbit/s, of at most 30 Mbit/s, with the streams that it mirrors",
			"capacity * red"}},
		{"no room for one of the streams", cameras("a", "b", "c"), understudy.Capacity{Cameras: 2}, nil, []string{
			"capacity rec-1 red: if rec-1 fails, frames of camera c are lost: fo-1 is to mirror it, and stands by hot, because all that it carries and mirrors takes 3 cameras, of at most 2",
			"capacity rec-1 red", "capacity rec-2 note", "capacity * red"}},
		{"no session left", cameras("a", "b"), understudy.Capacity{}, []understudy.CameraID{"b"}, []string{
			"sessions rec-1 red: if rec-1 fails, frames of camera b are lost: fo-1 is to mirror it, and stands by hot, because no session was left there"}},
		{"no memory for all", cameras(many...), understudy.Capacity{}, nil, []string{
			"memory * note: of the 60 cameras that fo-1 mirrors, 429 MB wait in memory"}},
	} {
		state := flightState(t, c.mirrored, cameras("x", "y"), c.capacity)
		duties := []understudy.Duty{state.duties["rec-1"], state.duties["rec-2"]}
		duties[0].Cameras = slices.Clone(duties[0].Cameras)
		for i := range duties[0].Cameras {
			duties[0].Cameras[i].Standby = understudy.StandbyMirror
		}
		state, _ = Step(state, Observation{At: time.Second, Duties: &duties})
		state, _ = Step(state, Observation{At: time.Second, Own: &Own{Writable: true, Crowded: c.crowded}})
		var got []string
		for _, f := range state.judgeFlight(nil, machine{rings: rings, cores: 8, free: 8, cost: assumedCost}).Findings {
			got = append(got, fmt.Sprintf("%s %s %s: %s", f.About, cmp.Or(string(f.Home), "*"), map[bool]string{true: "red", false: "note"}[f.Red], f.Sentence))
		}
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s: found\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// asked counts how often each password was shown to a camera, and refuses the wrong ones.
type asked struct {
	mu       sync.Mutex
	shown    map[understudy.Secret]int
	most     int // at a time
	running  int
	accepted understudy.Secret
}

func (a *asked) probe(ctx context.Context, c understudy.AssignedCamera) error {
	a.mu.Lock()
	a.shown[c.Credentials.Password]++
	a.running++
	a.most = max(a.most, a.running)
	accepted := a.accepted
	a.mu.Unlock()
	wait(ctx, time.Second)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running--
	if c.Credentials.Password != accepted {
		return understudy.Errorf(understudy.CodeUnauthenticated, "wrong password")
	}
	return nil
}

func (a *asked) times(password understudy.Secret) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.shown[password]
}

// A pre-flight comes soon after the start, each ten minutes, and when something
// was changed; a password that was refused is not shown again for an hour, and
// one host is asked by four at most.
func TestPreflightSchedule(t *testing.T) {
	authority := newAuthority(t)
	node := member(t, authority, "fo-1", understudy.RoleFailover)
	synctest.Test(t, func(t *testing.T) {
		site := newSite(t, "rec-1:11000")
		camera := &asked{shown: map[understudy.Secret]int{}, accepted: "new secret"}
		ctx, cancel := context.WithCancel(t.Context())
		server := New(Config{Node: node, Recorder: &recorder{applied: make(chan understudy.Assignment, 16)}, Management: site, Store: emptyDisk{},
			Preflights: site, Probe: camera.probe, Log: slog.New(slog.DiscardHandler),
			DialState: func(context.Context, understudy.ServerID, string) (Conn, error) { return wellConn{}, nil }})
		done := make(chan error, 1)
		go func() { done <- server.Run(ctx) }()
		latest := func() understudy.Preflight {
			all, err := site.Preflights(t.Context())
			if err != nil || len(all) == 0 {
				return understudy.Preflight{}
			}
			return all[0]
		}

		time.Sleep(time.Minute)
		first := latest()
		if first.At.IsZero() || !refusedLobby(first) || first.Cameras != 1 {
			t.Errorf("a minute after the start, the pre-flight is %+v", first)
		}
		time.Sleep(30 * time.Minute)
		if second := latest(); time.Since(second.At) > 12*time.Minute || !refusedLobby(second) {
			t.Errorf("half an hour later, the latest pre-flight is %+v", second)
		}
		if n := camera.times("secret"); n != 1 {
			t.Errorf("a password that is refused was shown %d times in half an hour", n)
		}
		time.Sleep(70 * time.Minute)
		if n := camera.times("secret"); n != 2 {
			t.Errorf("a password that is refused was shown %d times in more than an hour and a half", n)
		}
		password := understudy.Secret("new secret")
		for _, id := range []understudy.CameraID{"lobby", "b", "c", "d", "e", "f"} {
			if _, err := site.PutCamera(t.Context(), understudy.Camera{ID: id, Home: "rec-1", URL: "rtsp://127.0.0.1/"}, &password); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute) // duties are fetched each 30 s at least
		if changed := latest(); refusedLobby(changed) || changed.Cameras != 6 || changed.Reached != 6 {
			t.Errorf("a minute after the password was corrected, the pre-flight is %+v", changed)
		}
		if _, err := site.PutFailoverServer(t.Context(), understudy.FailoverServer{ID: "fo-1", Capacity: understudy.Capacity{Cameras: 5},
			Addresses: understudy.Addresses{Media: "127.0.0.1:1", State: "127.0.0.1:1"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if bounded := latest(); !slices.ContainsFunc(bounded.Findings, func(f understudy.Finding) bool { return f.About == understudy.AboutCapacity && f.Red }) {
			t.Errorf("a minute after the capacity was set below the need, the pre-flight is %+v", bounded)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if camera.most != probesOfHost {
			t.Errorf("%d were asked at a time at one host, want %d", camera.most, probesOfHost)
		}
	})
}

// refusedLobby reports whether a pre-flight tells of the password that is refused.
func refusedLobby(p understudy.Preflight) bool {
	return slices.ContainsFunc(p.Findings, func(f understudy.Finding) bool {
		return f.Camera == "lobby" && f.About == understudy.AboutCredentials && f.Red
	})
}

// wellConn is a state port at which all is well.
type wellConn struct{}

func (wellConn) Poll(context.Context, understudy.Poll) (understudy.State, error) {
	state := understudy.State{Server: "rec-1", Boot: "1", At: time.Now(), Storage: understudy.StorageState{Writable: true}}
	for _, id := range []understudy.CameraID{"lobby", "b", "c", "d", "e", "f"} {
		state.Cameras = append(state.Cameras, understudy.CameraState{Camera: id, Receiving: true, Watermark: understudy.Watermark{At: time.Now()}})
	}
	return state, nil
}
func (wellConn) Broken() <-chan struct{} { return nil }
func (wellConn) Close() error            { return nil }

// openNode opens every bundle as it is.
type openNode struct{ Node }

func (openNode) OpenBundle(b understudy.Bundle) ([]byte, error) { return b.Sealed, nil }

// In cold standby, cameras are asked with the passwords that lie here sealed,
// and nothing else learns them.
func TestPreflightUnsealsForAskingOnly(t *testing.T) {
	state := flightState(t, nil, []understudy.Camera{{ID: "cold", URL: "rtsp://127.0.0.1/"}, {ID: "new", URL: "rtsp://127.0.0.1/"}}, understudy.Capacity{})
	content, err := json.Marshal([]understudy.AssignedCamera{{Camera: understudy.Camera{ID: "cold"}, Credentials: understudy.Credentials{Username: "viewer", Password: "sealed"}}})
	if err != nil {
		t.Fatal(err)
	}
	camera := &asked{shown: map[understudy.Secret]int{}, accepted: "sealed"}
	s := &Server{config: Config{Node: openNode{}, Probe: camera.probe}, log: slog.New(slog.DiscardHandler),
		bundles: bundles{shelf: bundle.NewShelf([]bundle.Kept{{Bundle: understudy.Bundle{Home: "rec-2", Sealed: content}}})}}
	p := &prober{server: s, wait: func(context.Context, time.Duration) {}}
	cameras := state.toProbe()
	s.unseal(t.Context(), cameras)
	synctest.Test(t, func(t *testing.T) { p.ask(t.Context(), cameras) })
	if camera.times("sealed") != 1 || camera.times("") != 1 {
		t.Errorf("the cameras were shown %v", camera.shown)
	}
	flight := state.judgeFlight(p.last, machine{rings: rings, cores: 8, free: 8, cost: assumedCost})
	if flight.Reached != 2 || flight.Red("") || len(flight.Findings) != 1 || !strings.Contains(flight.Findings[0].Sentence, "camera new of rec-2 answers") {
		t.Errorf("the pre-flight is %+v", flight)
	}
	for _, c := range state.toProbe() {
		if c.Credentials != (understudy.Credentials{}) {
			t.Errorf("the decision has learnt the password of %s", c.Camera.ID)
		}
	}
}
