package failover

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"understudy"
	"understudy/internal/identity"
	"understudy/internal/management"
	"understudy/internal/management/storetest"
	"understudy/internal/merge"
	"understudy/internal/poll"
)

// A recording server's state port is closed under a running failover server:
// over real TLS connections its end is noticed, the cameras are recorded under
// the next epoch, the leases move. Restarted with nobody to ask, the failover
// server goes on with what it had.
func TestTakesOverAndGoesOnAlone(t *testing.T) {
	defer goleak.VerifyNone(t)
	authority := newAuthority(t)
	home, standby := member(t, authority, "rec-1", understudy.RoleRecording), member(t, authority, "fo-1", understudy.RoleFailover)
	port := listen(t)
	site := newSite(t, port.Addr().String())

	serving, kill := context.WithCancel(t.Context())
	asked := make(chan struct{}, 1)
	served := make(chan error, 1)
	go func() {
		served <- poll.Serve(serving, port, home.PeerTLS(), func(observer understudy.Identity, _ understudy.Poll) understudy.State {
			if observer.Server == "fo-1" {
				signal(asked)
			}
			return understudy.State{Server: "rec-1", Boot: "1", At: time.Now(), Storage: understudy.StorageState{Writable: true}}
		})
	}()
	tape := &recorder{applied: make(chan understudy.Assignment, 16)}
	stop := run(t, standby, tape, site)
	for range 4 {
		within(t, asked, "rec-1 is polled")
	}
	kill()
	_ = within(t, served, "rec-1 ends") // its context has ended, which it says
	a := within(t, tape.applied, "fo-1 records")
	if len(a.Cameras) != 1 || a.Cameras[0].Camera.ID != "lobby" || a.Cameras[0].Epoch != 2 || a.Cameras[0].Credentials.Password != "secret" {
		t.Errorf("fo-1 records %+v", a)
	}
	lease := within(t, site.moved, "the lease moves")
	if lease.Holder != "fo-1" || lease.Epoch != 2 {
		t.Errorf("the lease is %+v", lease)
	}
	stop()

	tape = &recorder{applied: make(chan understudy.Assignment, 16)}
	stop = run(t, standby, tape, unreachable{})
	a = within(t, tape.applied, "fo-1 records after a restart with nobody to ask")
	if len(a.Cameras) != 1 || a.Cameras[0].Camera.ID != "lobby" || a.Cameras[0].Epoch != 2 || a.Cameras[0].Credentials.Password != "secret" {
		t.Errorf("after a restart fo-1 records %+v", a)
	}
	stop()
}

// within waits for something that will come, and gives up when the test's patience ends.
func within[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("waited in vain until %s", what)
		panic("unreachable")
	}
}

func newAuthority(t *testing.T) *identity.Authority {
	t.Helper()
	authority, err := identity.OpenAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func member(t *testing.T, authority *identity.Authority, id understudy.ServerID, role understudy.Role) *identity.Node {
	t.Helper()
	dir := filepath.Join(t.TempDir(), string(id))
	csr, err := identity.NewJoinRequest(dir)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := authority.Sign(csr, id, role, []string{"127.0.0.1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	node, err := identity.SaveNode(dir, certificate, authority.Trust())
	if err != nil {
		t.Fatal(err)
	}
	return node
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// run runs a failover server until stop is called, which waits for its end.
func run(t *testing.T, node Node, r Recorder, m Management) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	server := New(Config{Node: node, Recorder: r, Management: m, Store: emptyDisk{}, Log: slog.New(slog.DiscardHandler)})
	go func() { done <- server.Run(ctx) }()
	return func() {
		cancel()
		if err := within(t, done, "fo-1 ends"); err != nil {
			t.Errorf("fo-1 failed: %v", err)
		}
	}
}

// recorder hands out what is applied to it.
type recorder struct {
	applied chan understudy.Assignment
	told    chan understudy.Trigger // nil: nobody asks
}

func (r *recorder) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}
func (r *recorder) Apply(a understudy.Assignment)          { r.applied <- a }
func (r *recorder) SetSite(understudy.Site)                {}
func (r *recorder) Covered() []understudy.CameraID         { return nil }
func (r *recorder) Recorded(understudy.CameraID) time.Time { return time.Time{} }
func (r *recorder) State() understudy.State {
	return understudy.State{At: time.Now(), Storage: understudy.StorageState{Writable: true}}
}
func (r *recorder) Watched() []merge.Watched                   { return nil }
func (r *recorder) ShowTransfers(func() []understudy.Transfer) {}
func (r *recorder) ShowSightings(func() []understudy.Sighting) {}
func (r *recorder) Busy() []understudy.CameraID                { return nil }
func (r *recorder) Crowded() []understudy.CameraID             { return nil }
func (r *recorder) Expect([]understudy.ServerID)               {}

func (r *recorder) Passed(understudy.CameraID, understudy.Watermark) {}

func (r *recorder) Trigger(t understudy.Trigger) error {
	if r.told != nil {
		r.told <- t
	}
	return nil
}
func (r *recorder) Buffers(understudy.CameraID, understudy.SampleHash) bool { return false }

type emptyDisk struct{ merge.Source }

func (emptyDisk) Segments(context.Context, understudy.CameraID, time.Time, time.Time, bool) ([]understudy.Segment, error) {
	return nil, nil
}
func (emptyDisk) Prepare([]understudy.CameraID) error { return nil }

func (emptyDisk) Foreign() []understudy.Segment   { return nil }
func (emptyDisk) ForeignNotes() []understudy.Note { return nil }
func (emptyDisk) State() understudy.StorageState  { return understudy.StorageState{Writable: true} }

// site is the authority in this process, with its channel.
type site struct {
	*management.Management
	moved chan understudy.Lease
	mu    sync.Mutex
	tell  func(understudy.Site, understudy.Update)
}

func newSite(t *testing.T, state string) *site {
	t.Helper()
	s := &site{Management: storetest.New(t, management.NewMemory()), moved: make(chan understudy.Lease, 1)}
	password := understudy.Secret("secret")
	_, err := s.PutFailoverServer(t.Context(), understudy.FailoverServer{ID: "fo-1", Name: "fo-1",
		Addresses: understudy.Addresses{Media: "127.0.0.1:1", State: "127.0.0.1:1"}})
	if err == nil {
		_, err = s.PutRecordingServer(t.Context(), understudy.RecordingServer{ID: "rec-1", Name: "rec-1", HotStandby: "fo-1",
			Addresses: understudy.Addresses{Media: "127.0.0.1:1", State: state}})
	}
	if err == nil {
		_, err = s.PutCamera(t.Context(), understudy.Camera{ID: "lobby", Home: "rec-1", URL: "rtsp://127.0.0.1/"}, &password)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) Subscribe(f func(understudy.Site, understudy.Update)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tell = nil
	}
}

func (s *site) Run(ctx context.Context) error {
	var told uint64
	for s.Wait(ctx, told) == nil {
		now, err := s.Site(ctx)
		if err != nil {
			return err
		}
		s.mu.Lock()
		if s.tell != nil {
			told = now.Seq
			s.tell(now, understudy.Update{Site: &now})
		}
		s.mu.Unlock()
		if lease, _ := now.Lease("lobby"); lease.Epoch > 1 {
			s.moved <- lease
		}
	}
	return ctx.Err()
}

// unreachable is a site that nobody answers for.
type unreachable struct{}

var errUnreachable = understudy.Errorf(understudy.CodeUnavailable, "nobody answers")

func (unreachable) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (unreachable) Events(context.Context, understudy.EventQuery) ([]understudy.Event, error) {
	return nil, errUnreachable
}

func (unreachable) Subscribe(func(understudy.Site, understudy.Update)) (stop func()) {
	return func() {}
}

func (unreachable) Claim(context.Context, understudy.Claim) (understudy.ClaimAnswer, error) {
	return understudy.ClaimAnswer{}, errUnreachable
}

func (unreachable) Assignment(context.Context, understudy.ServerID) (understudy.Assignment, error) {
	return understudy.Assignment{}, errUnreachable
}

func (unreachable) Duties(context.Context, understudy.ServerID) ([]understudy.Duty, error) {
	return nil, errUnreachable
}

func (unreachable) Bundles(context.Context, understudy.ServerID, []byte) ([]understudy.Bundle, error) {
	return nil, errUnreachable
}
