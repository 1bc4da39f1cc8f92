// Package site brings up a whole installation on one machine: management,
// recording and failover servers and test cameras, each a process of its own
// that can really be killed. The demo shows it, drills rehearse on it, and the
// browser test looks at it.
package site

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"understudy"
	"understudy/client"
)

// Layout is who is to be there. Addresses are filled in.
type Layout struct {
	Recording []understudy.RecordingServer
	Failover  []understudy.FailoverServer
	Groups    []understudy.FailoverGroup
	// Cameras without a URL become test cameras.
	Cameras   []understudy.Camera
	Passwords map[understudy.CameraID]understudy.Secret
}

// Options say how a site is brought up.
type Options struct {
	Dir     string // folder for everything: configuration, stores, logs
	Binary  string // the understudy program; empty is this one
	Layout  Layout
	Network string // loopback network of the servers, such as "127.0.0."
	Ports   [2]int // HTTP and HTTPS of the management servers; free ones where they are taken
	// Managements is how many management servers there are, 0 for one; several need a Store that
	// all of them reach. Store is its DSN; empty is the file of each.
	Managements int
	Store       string
	GOP         time.Duration // of the test cameras; 0 as the clip has it
	HoldDown    time.Duration // before a failback; 0 is the default
	// KeyOnPlay lets the test cameras send a key frame as soon as a session begins to play.
	KeyOnPlay bool
	Plain     bool // also serve media without TLS
	Metrics   int  // port at which each server's metrics are read on its own address; 0: they are not
	// Settings are added to the files of all recording and failover servers.
	Settings map[string]any
	// Place puts each process on a machine of its own; nil is this one for all.
	Place func(name string) Place
	Demo  string       // address of the demo's control, for the page's button
	Say   func(string) // progress, a sentence each
}

// Site is a running installation.
type Site struct {
	URL      string // of the page
	HTTP     string // host:port of the management server's port for servers, 80 where that is free
	User     string
	Password understudy.Secret
	CA       []byte // PEM
	Client   *client.Client
	Layout   Layout // with addresses

	options       Options
	testCameras   string // host:port; empty when there are none
	cameraControl string // path of their socket

	mu        sync.Mutex
	processes map[string]*Process
	cancel    context.CancelFunc
	following sync.WaitGroup
}

// The names of the processes that are no recording or failover servers.
const (
	Management  = "management"
	TestCameras = "testcam"
)

// Up brings a site up: every server runs and has joined, and every camera is
// configured. It takes itself down again when that fails.
func Up(ctx context.Context, o Options) (_ *Site, err error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if o.Binary == "" {
		if o.Binary, err = os.Executable(); err != nil {
			return nil, understudy.Errorf(understudy.CodeInternal, "the path of this program is not known: %w", err)
		}
	}
	o.Layout.Cameras = slices.Clone(o.Layout.Cameras) // their addresses are filled in here, not in the caller's
	o.Layout.Recording, o.Layout.Failover = slices.Clone(o.Layout.Recording), slices.Clone(o.Layout.Failover)
	s := &Site{options: o, Layout: o.Layout, User: "admin", Password: understudy.Secret(rand.Text()[:16]), processes: map[string]*Process{}}
	defer func() {
		if err != nil {
			s.Down()
		}
	}()
	if _, err := os.Stat(s.Folder(Management)); err == nil { // it would wait for a setup code that is never printed again
		return nil, understudy.Errorf(understudy.CodeConflict, "%s holds a site already; name another folder, or remove this one", o.Dir)
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, "logs"), 0o700); err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "the folder of the site could not be made: %w", err)
	}
	hosts := &addresses{network: o.Network, next: 1, place: o.Place}
	for _, step := range []func(context.Context, *addresses) error{s.startManagements, s.startServers, s.startCameras} {
		if err := step(ctx, hosts); err != nil {
			return nil, err
		}
	}
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	s.following.Go(func() { _ = s.Client.Run(following) }) // ends with Down only
	process, _ := s.Process(Management)
	err = until(ctx, "the service channel to tell of every camera", process, func(context.Context) bool {
		now, _ := s.Client.Current()
		return len(now.Cameras) == len(s.Layout.Cameras)
	})
	return s, err
}

// Process returns a process by the id of its server, or Management or TestCameras.
func (s *Site) Process(name string) (*Process, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.processes[name]
	return p, ok
}

// Down ends every process: failover servers last, they would take over.
func (s *Site) Down() {
	if s.cancel != nil {
		s.cancel()
		s.following.Wait()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.processes {
		// Nobody records after this: a planned stop would wait for a standby in vain.
		_ = p.Signal(killSignal) // it may be gone already
	}
	for _, p := range s.processes {
		<-p.Gone()
	}
	if s.cameraControl != "" {
		_ = os.RemoveAll(filepath.Dir(s.cameraControl)) // the system clears temporary folders
	}
}

// start starts a subcommand as a process with a log of its own.
func (s *Site) start(name string, args ...string) (*Process, error) {
	command := append([]string{s.options.Binary}, args...)
	if s.options.Place != nil {
		command = append(slices.Clone(s.options.Place(name).Enter), command...)
	}
	p := NewProcess(name, filepath.Join(s.options.Dir, "logs", name+".log"), command...)
	s.mu.Lock()
	s.processes[name] = p
	s.mu.Unlock()
	return p, p.Start()
}

// Folder returns the data folder of a server.
func (s *Site) Folder(name string) string { return filepath.Join(s.options.Dir, name) }

func (s *Site) metricsAt(host string) map[string]string {
	if s.options.Metrics == 0 {
		return nil
	}
	return map[string]string{"listen": join(host, s.options.Metrics)}
}

func (s *Site) startServers(ctx context.Context, hosts *addresses) error {
	for i, f := range s.Layout.Failover {
		if err := s.startServer(ctx, hosts, understudy.RoleFailover, f.ID, &s.Layout.Failover[i].Addresses); err != nil {
			return err
		}
	}
	for i, r := range s.Layout.Recording {
		if err := s.startServer(ctx, hosts, understudy.RoleRecording, r.ID, &s.Layout.Recording[i].Addresses); err != nil {
			return err
		}
	}
	for _, f := range s.Layout.Failover {
		if _, err := s.Client.PutFailoverServer(ctx, f); err != nil {
			return err
		}
	}
	for _, g := range s.Layout.Groups {
		if _, err := s.Client.PutGroup(ctx, g); err != nil {
			return err
		}
	}
	for _, r := range s.Layout.Recording {
		if _, err := s.Client.PutRecordingServer(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// startServer starts a recording or failover server and waits until it has joined.
func (s *Site) startServer(ctx context.Context, hosts *addresses, role understudy.Role, id understudy.ServerID, into *understudy.Addresses) error {
	s.options.Say(fmt.Sprintf("starting %s server %s", role, id))
	host, ports, err := hosts.host(ctx, string(id), understudy.PortMedia, understudy.PortState, understudy.PortMerge)
	if err != nil {
		return err
	}
	*into = understudy.Addresses{Media: join(host, ports[0]), State: join(host, ports[1]), Merge: join(host, ports[2])}
	settings := map[string]any{
		"data": s.Folder(string(id)), "hosts": []string{host}, "plain_media": s.options.Plain,
		"listen":  map[string]string{"media": into.Media, "state": into.State, "merge": into.Merge},
		"storage": map[string]string{"min_free": "64MB"},
		"metrics": s.metricsAt(host),
	}
	if role == understudy.RoleFailover {
		into.Merge = "" // no footage comes home to it
	}
	if s.options.HoldDown > 0 {
		settings["hold_down"] = s.options.HoldDown.String()
	}
	maps.Copy(settings, s.options.Settings)
	file, err := s.write(string(id), settings)
	if err != nil {
		return err
	}
	token, err := s.Client.CreateJoinToken(ctx, role, id, 10*time.Minute)
	if err != nil {
		return err
	}
	// In a file: the arguments of a process are there for everybody to read.
	secret := filepath.Join(s.Folder(string(id)), "join-token")
	if err := os.WriteFile(secret, []byte(token), 0o600); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the join token of %s could not be written: %w", id, err)
	}
	process, err := s.start(string(id), string(role), "--config", file, "--join", "@"+secret)
	if err != nil {
		return err
	}
	return until(ctx, string(id)+" to join", process, func(ctx context.Context) bool {
		now, err := s.Client.Site(ctx)
		_, joined := now.Addresses(id)
		return err == nil && joined
	})
}
