package failover

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/management"
	"understudy/internal/poll"
)

// coldPair is a home that answers polls until it dies, and a cold standby for it.
type coldPair struct {
	standby sealing
	site    *site
	asked   chan struct{} // holds one token when the home was polled
	kill    func()
	dead    chan error
}

func newColdPair(t *testing.T) *coldPair {
	t.Helper()
	authority, err := identity.OpenAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	home, port := member(t, authority, "rec-1", understudy.RoleRecording), listen(t)
	serving, kill := context.WithCancel(t.Context())
	p := &coldPair{standby: sealing{Node: member(t, authority, "fo-1", understudy.RoleFailover), files: make(chan string, 64)},
		asked: make(chan struct{}, 1), kill: kill, dead: make(chan error, 1)}
	go func() {
		p.dead <- poll.Serve(serving, port, home.PeerTLS(), func(understudy.Identity, understudy.Poll) understudy.State {
			signal(p.asked)
			return understudy.State{Server: "rec-1", Boot: "1", At: time.Now(), Storage: understudy.StorageState{Writable: true}}
		})
	}()
	p.site = coldSite(t, authority, port.Addr().String())
	return p
}

// ready waits until the standby has on its disk what it needs with nobody to ask.
func (p *coldPair) ready(t *testing.T) {
	t.Helper()
	for needed := map[string]bool{bundlesFile: true, keptFile: true}; len(needed) > 0; {
		delete(needed, within(t, p.standby.files, "fo-1 keeps its bundles and duties"))
	}
}

// homeDies lets the standby poll its home a few times, and then no more.
func (p *coldPair) homeDies(t *testing.T) {
	t.Helper()
	for range 4 {
		within(t, p.asked, "rec-1 is polled")
	}
	p.kill()
	_ = within(t, p.dead, "rec-1 ends") // its context has ended, which it says
}

// records checks what is recorded instead: the camera with its password, under epoch 2.
func records(t *testing.T, tape *recorder, provisional bool) {
	t.Helper()
	a := within(t, tape.applied, "fo-1 records")
	if len(a.Cameras) != 1 || a.Cameras[0].Credentials.Password != "secret" || a.Cameras[0].Provisional != provisional || a.Cameras[0].Epoch != 2 {
		t.Errorf("fo-1 records %+v", a)
	}
}

// A cold standby that was restarted with nobody to ask, and then loses its home,
// records with what it kept sealed, password included.
func TestColdStandbyTakesOverFromWhatItKept(t *testing.T) {
	p := newColdPair(t)
	stop := run(t, p.standby, &recorder{applied: make(chan understudy.Assignment, 16)}, p.site)
	p.ready(t)
	stop()

	tape := &recorder{applied: make(chan understudy.Assignment, 16)}
	stop = run(t, p.standby.Node, tape, unreachable{})
	p.homeDies(t)
	records(t, tape, true)
	stop()
}

// A cold standby is granted the lease, and every answer that would tell it how to
// record the camera is lost: it goes on with what it has sealed.
func TestColdStandbyWhoseAnswersAreLost(t *testing.T) {
	p := newColdPair(t)
	tape := &recorder{applied: make(chan understudy.Assignment, 16)}
	stop := run(t, p.standby, tape, muffled{p.site})
	p.ready(t)
	p.homeDies(t)
	records(t, tape, false)
	stop()
}

// A claim that is given up says nothing of whether the management server answers.
func TestClaimThatIsGivenUp(t *testing.T) {
	for range 30 { // an observation of a context that has ended is a matter of chance
		ctx, cancel := context.WithCancel(t.Context())
		s := &Server{config: Config{Management: givenUp{cancel: cancel}}, seen: make(chan Observation, 1), log: slog.New(slog.DiscardHandler)}
		s.askFor(ctx, understudy.Claim{ID: "n-fo-1-rec-1-1", Claimant: "fo-1", Home: "rec-1"})
		if len(s.seen) > 0 {
			t.Fatalf("it was observed that %+v", <-s.seen)
		}
	}
}

// givenUp is a site whose claims are given up while they wait for an answer.
type givenUp struct {
	unreachable
	cancel context.CancelFunc
}

func (g givenUp) Claim(ctx context.Context, _ understudy.Claim) (understudy.ClaimAnswer, error) {
	g.cancel()
	return understudy.ClaimAnswer{}, ctx.Err()
}

// muffled is a site that does what it is asked to, and whose answers about leases are lost.
type muffled struct{ *site }

func (m muffled) Claim(ctx context.Context, c understudy.Claim) (understudy.ClaimAnswer, error) {
	if _, err := m.Management.Claim(ctx, c); err != nil {
		return understudy.ClaimAnswer{}, err
	}
	<-ctx.Done()
	return understudy.ClaimAnswer{}, ctx.Err()
}

func (m muffled) Assignment(ctx context.Context, server understudy.ServerID) (understudy.Assignment, error) {
	a, err := m.Management.Assignment(ctx, server)
	if err != nil || len(a.Cameras) == 0 {
		return a, err
	}
	<-ctx.Done()
	return understudy.Assignment{}, ctx.Err()
}

// sealing tells which files a node was given to keep.
type sealing struct {
	Node
	files chan string
}

func (s sealing) SealFile(name string, plain []byte) error {
	err := s.Node.SealFile(name, plain)
	s.files <- name
	return err
}

// coldSite is a site whose bundles are sealed by its authority, with fo-1 in a group of rec-1.
func coldSite(t *testing.T, authority *identity.Authority, state string) *site {
	t.Helper()
	m, err := management.New(t.Context(), management.NewMemory(), management.Options{Sealer: authority, Bundles: authority, Hasher: identity.NewPasswords()})
	if err != nil {
		t.Fatal(err)
	}
	password := understudy.Secret("secret")
	_, err = m.PutFailoverServer(t.Context(), understudy.FailoverServer{ID: "fo-1", Addresses: understudy.Addresses{Media: "127.0.0.1:1", State: "127.0.0.1:1"}})
	if err == nil {
		_, err = m.PutGroup(t.Context(), understudy.FailoverGroup{ID: "spares", Members: []understudy.ServerID{"fo-1"}})
	}
	if err == nil {
		_, err = m.PutRecordingServer(t.Context(), understudy.RecordingServer{ID: "rec-1", PrimaryGroup: "spares", Addresses: understudy.Addresses{Media: "127.0.0.1:1", State: state}})
	}
	if err == nil {
		_, err = m.PutCamera(t.Context(), understudy.Camera{ID: "lobby", Home: "rec-1", URL: "rtsp://127.0.0.1/"}, &password)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &site{Management: m, moved: make(chan understudy.Lease, 16)} // which nobody waits for
}

// remembering is a node that has kept one thing before.
type remembering struct {
	nobody
	text []byte
}

func (r remembering) OpenFile(name string) ([]byte, error) {
	if name != keptFile {
		return nil, understudy.Errorf(understudy.CodeNotFound, "nothing is kept")
	}
	return r.text, nil
}

// A standby that stopped after it had heard its duties and before it had heard of
// the site starts with the epochs of the duties.
func TestStartsFromDutiesWithoutASite(t *testing.T) {
	text, err := json.Marshal(kept{Duties: []understudy.Duty{{Home: understudy.RecordingServer{ID: "rec-1"}, Cameras: []understudy.StandbyCamera{
		{AssignedCamera: understudy.AssignedCamera{Camera: understudy.Camera{ID: "lobby", Home: "rec-1"}, Epoch: 7}, Standby: understudy.StandbyCold}}}}})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Node: remembering{text: text}, Recorder: &recorder{}, Store: laden{}, Log: slog.New(slog.DiscardHandler),
		DialState: func(context.Context, understudy.ServerID, string) (Conn, error) { return nil, errors.New("not here") }})
	ctx, cancel := context.WithCancel(t.Context())
	s.restore(ctx)
	cancel()
	s.children.Wait()
	if l := s.state.lease("lobby", "rec-1"); l.Epoch != 7 || l.Holder != "rec-1" {
		t.Errorf("the lease is %+v, want epoch 7 of rec-1", l)
	}
}
