package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/site"
)

// order is what a run is told: which kind of fault, and where things are.
type order struct {
	Kind   string             `json:"kind"`
	Mode   understudy.Standby `json:"mode"`
	Seed   uint64             `json:"seed"`
	Dir    string             `json:"dir"`    // of the run; exists
	Binary string             `json:"binary"` // the understudy program
	Disk   string             `json:"disk"`   // the program that mounts disks
}

// outcome is what became of a run.
type outcome struct {
	Kind     string             `json:"kind"`
	Mode     understudy.Standby `json:"mode"`
	Seed     uint64             `json:"seed"`
	Passed   bool               `json:"passed"`
	Why      string             `json:"why"`
	Decided  bool               `json:"decided"`     // somebody decided to take over
	Decision int64              `json:"decision_ms"` // from the fault until then
	Gap      int64              `json:"gap_ms"`      // the longest hole in a camera's footage
	Lost     int                `json:"lost"`        // frames that nobody has, of all cameras, each explained
	Doubled  int                `json:"doubled"`     // frames that stand twice in an export
	Left     int                `json:"left"`        // segments left on failover servers in the end
	Frames   int                `json:"frames"`      // exported
	Seconds  float64            `json:"seconds"`     // that the run took
	Causes   []string           `json:"causes,omitempty"`
	Kept     string             `json:"kept,omitempty"` // folder with logs, stores and exports
}

// What the runs have in common.
const (
	gop      = time.Second
	holdDown = 2 * time.Second // before a failback
	grace    = 500 * time.Millisecond
	upTime   = 60 * time.Second // for a site to come up and record
	mending  = 60 * time.Second // from the last cure until all is well again
	patience = 30 * time.Second // for one thing to happen
	settled  = time.Second      // that all is well
	lookEach = 25 * time.Millisecond

	cameraUser     = "viewer"
	cameraPassword = "test-camera"
)

// run is one site, one fault, and the account of it.
type run struct {
	order
	kind    kind
	random  *rand.Rand
	net     *network
	site    *site.Site
	cameras map[string]*site.Process
	disks   map[string]*disk
	view    *viewer

	from    time.Time // since when every camera is recorded
	played  time.Time // when the kind's acts began
	struck  time.Time // the first fault that may cost frames; zero if there was none
	windows []window
	reborn  map[understudy.CameraID][]time.Time // when a camera was started again
	log     *os.File
}

// rehearse plays one run in the namespaces of this process.
func rehearse(ctx context.Context, o order) (result outcome) {
	begun := time.Now()
	result = outcome{Kind: o.Kind, Mode: o.Mode, Seed: o.Seed}
	defer func() { result.Seconds = time.Since(begun).Seconds() }()
	k, ok := kindNamed(o.Kind)
	if !ok {
		result.Why = fmt.Sprintf("there is no kind of fault %q", o.Kind)
		return result
	}
	r := &run{
		order: o, kind: k, random: rand.New(rand.NewPCG(o.Seed, 1)), cameras: map[string]*site.Process{}, disks: map[string]*disk{},
		reborn: map[understudy.CameraID][]time.Time{},
	}
	defer r.down()
	for _, step := range []struct {
		say string
		do  func(context.Context) error
	}{
		{"bringing up the site", r.up},
		{"recording until all is durable", r.begin},
		{k.does, r.play},
		{"waiting until all is well again", r.converge},
	} {
		r.say("%s", step.say)
		if err := step.do(ctx); err != nil {
			r.measure(ctx, &result)
			result.Why = fmt.Sprintf("while %s: %v", step.say, err)
			r.keepStores()
			return result
		}
	}
	r.measure(ctx, &result)
	r.judge(ctx, &result)
	if !result.Passed {
		r.keepStores()
	}
	return result
}

func (r *run) say(format string, args ...any) {
	if r.log != nil {
		fmt.Fprintf(r.log, time.Now().UTC().Format("15:04:05.000 ")+format+"\n", args...)
	}
}

// up brings up the network, the disks, the cameras and the site.
func (r *run) up(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	if err := os.MkdirAll(filepath.Join(r.Dir, "logs"), 0o700); err != nil {
		return err
	}
	if r.log, err = os.Create(filepath.Join(r.Dir, "logs", "run.log")); err != nil {
		return err
	}
	layout, machines := r.layout()
	if r.net, err = newNetwork(machines); err != nil {
		return err
	}
	for _, server := range r.kind.disks {
		if r.disks[server], err = mountDisk(r.Disk, filepath.Join(r.Dir, server, "footage")); err != nil {
			return err
		}
	}
	if r.kind.mounted {
		if err := os.MkdirAll(r.mountPoint(), 0o700); err != nil {
			return err
		}
		if err := mounted(true)(ctx, r); err != nil {
			return err
		}
	}
	if r.kind.crowd > 0 {
		if err := r.startCameras(ctx, crowd, r.kind.crowd); err != nil {
			return err
		}
	} else {
		for i, c := range layout.Cameras {
			if err := r.startCameras(ctx, string(c.ID), i+1); err != nil {
				return err
			}
		}
	}
	settings := map[string]any{}
	if r.kind.segment != "" {
		settings["storage"] = map[string]string{"min_free": "64MB", "segment": r.kind.segment}
	}
	r.site, err = site.Up(ctx, site.Options{
		Dir: r.Dir, Binary: r.Binary, Layout: layout, Ports: [2]int{80, 443}, HoldDown: holdDown, Settings: settings,
		Place: func(name string) site.Place {
			return site.Place{Address: r.net.addresses[name], Enter: enter(name)}
		},
	})
	if err != nil {
		return err
	}
	r.view = watch(r.site.Client, layout.Cameras[0].ID)
	return nil
}

// layout is the site of a kind in a mode, and its machines.
func (r *run) layout() (l site.Layout, machines []string) {
	l.Passwords = map[understudy.CameraID]understudy.Secret{}
	machines = []string{site.Management}
	l.Failover = []understudy.FailoverServer{{ID: "fo1"}}
	group := []understudy.ServerID{"fo1"}
	if r.kind.spare {
		l.Failover = append(l.Failover, understudy.FailoverServer{ID: "fo2"})
		group = append(group, "fo2")
	}
	l.Groups = []understudy.FailoverGroup{{ID: "spares", Members: group}}
	homes := []understudy.ServerID{"rec1"}
	if r.kind.neighbour {
		homes = append(homes, "rec2")
	}
	for _, home := range homes {
		s := understudy.RecordingServer{ID: home, PrimaryGroup: "spares", Merge: understudy.MergePolicy{Grace: grace, BytesPerSecond: r.kind.mergeRate}}
		switch r.Mode {
		case understudy.StandbyHot:
			s.HotStandby = "fo1"
		case understudy.StandbyMirror:
			s.MirrorStandby = "fo1"
		}
		l.Recording = append(l.Recording, s)
		machines = append(machines, string(home))
	}
	for _, f := range l.Failover {
		machines = append(machines, string(f.ID))
	}
	if r.kind.crowd > 0 {
		machines = append(machines, crowd)
	}
	for i := range cmp.Or(r.kind.crowd, camerasEach) * len(homes) {
		id := understudy.CameraID(fmt.Sprintf("cam%d", i+1))
		if r.kind.crowd == 0 {
			machines = append(machines, string(id))
		}
		l.Cameras = append(l.Cameras, understudy.Camera{
			ID: id, Home: homes[i%len(homes)], Username: cameraUser, Sessions: r.kind.sessions,
			URL: fmt.Sprintf("rtsp://10.77.0.%d:8554/%s", len(machines), id),
		})
		l.Passwords[id] = cameraPassword
	}
	return l, machines
}

// camerasEach is how many cameras a recording server has.
const camerasEach = 2

// startCameras starts the test cameras of a machine, which is named after its
// only one, or is the crowd's. Cameras are named by their number in a process,
// and stamp their frames with that name; so the only one is the last of its process.
func (r *run) startCameras(ctx context.Context, name string, number int) error {
	address := r.net.addresses[name] + ":8554"
	command := append(enter(name), r.Binary, "testcam", "--listen", address, "--cameras", fmt.Sprint(number),
		"--gop", gop.String(), "--user", cameraUser, "--password", cameraPassword)
	if r.kind.sessions > 0 {
		command = append(command, "--max-sessions", fmt.Sprint(r.kind.sessions), "--session-expiry", sessionExpiry.String())
	}
	p := site.NewProcess(name, filepath.Join(r.Dir, "logs", name+".log"), command...)
	r.cameras[name] = p
	if err := p.Start(); err != nil {
		return err
	}
	return reachable(ctx, address)
}

// begin waits until every camera is durable at home and seen by the client.
func (r *run) begin(ctx context.Context) error {
	err := r.wait(ctx, upTime, "every camera to be durable at home and seen", func(ctx context.Context) bool {
		for _, c := range r.site.Layout.Cameras {
			if r.length(ctx, c.Home, c.ID) < 2*gop {
				return false
			}
		}
		return r.view.sees(r.site.Layout.Cameras[0].Home)
	})
	r.from = time.Now().Add(-gop)
	return err
}

// play does what the kind does.
func (r *run) play(ctx context.Context) error {
	r.played = time.Now()
	return all(r.kind.acts...)(ctx, r)
}

// converge waits until the site is as it was: every lease and every camera at
// home, nothing on the failover servers, the client where the picture is.
func (r *run) converge(ctx context.Context) error {
	since := time.Now()
	missing, well := "", time.Time{}
	err := r.wait(ctx, mending, "the site to be as it was", func(ctx context.Context) bool {
		if amiss := r.amiss(ctx, since); amiss != "" {
			if ctx.Err() == nil { // else it says only that the time was up
				missing = amiss
			}
			well = time.Time{}
			return false
		}
		missing = ""
		if well.IsZero() {
			well = time.Now()
		}
		return time.Since(well) > settled
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, missing)
	}
	for i := range r.windows {
		r.windows[i].close(time.Now())
	}
	return r.pause(ctx, gop) // so that the end of the export is durable
}

// amiss says what is not as it was; empty if nothing.
func (r *run) amiss(ctx context.Context, since time.Time) string {
	now, err := r.site.Client.Site(ctx)
	if err != nil {
		return err.Error()
	}
	for _, c := range r.site.Layout.Cameras {
		if l, _ := now.Lease(c.ID); l.Holder != c.Home {
			return fmt.Sprintf("%s holds camera %s, whose home is %s", l.Holder, c.ID, c.Home)
		}
		if newest, err := r.newest(ctx, c.Home, c.ID); err != nil || newest.Before(since) {
			return fmt.Sprintf("%s has not recorded camera %s since (%v)", c.Home, c.ID, err)
		}
	}
	if who, err := r.standsIn(ctx, since); err != nil || who != "" {
		return fmt.Sprintf("%s still records (%v)", who, err)
	}
	left, err := r.left(ctx)
	if err != nil || left > 0 {
		return fmt.Sprintf("%d segments are left on the failover servers (%v)", left, err)
	}
	if home := r.site.Layout.Cameras[0].Home; !r.view.sees(home) {
		return fmt.Sprintf("the client sees no picture from %s", home)
	}
	return ""
}

// standsIn names a failover server that records cameras, or of which nothing was
// heard since a moment; empty if there is none. One that was cut off begins when
// it reaches the cameras again, and ends when it has seen that home records.
func (r *run) standsIn(ctx context.Context, since time.Time) (who understudy.ServerID, err error) {
	list, err := r.site.Client.Status(ctx)
	if err != nil {
		return "", err
	}
	for _, f := range r.site.Layout.Failover {
		i := slices.IndexFunc(list, func(s understudy.ServerStatus) bool { return s.Server == f.ID })
		if i < 0 || !list[i].Reachable || list[i].State == nil || list[i].State.At.Before(since) {
			return f.ID, nil
		}
		for _, c := range list[i].State.Cameras {
			if c.Recording || r.Mode != understudy.StandbyMirror { // a mirror receives, and does not record
				return f.ID, nil
			}
		}
	}
	return "", nil
}

// left counts the segments on failover servers, as they tell and as they lie on the disk.
func (r *run) left(ctx context.Context) (count int, err error) {
	for _, f := range r.site.Layout.Failover {
		told := 0
		for _, c := range r.site.Layout.Cameras {
			segments, err := r.segments(ctx, f.ID, c.ID)
			if err != nil {
				return count, err
			}
			told += len(segments)
		}
		lie := 0
		err := filepath.WalkDir(r.site.Folder(string(f.ID)), func(path string, _ os.DirEntry, err error) error {
			if errors.Is(err, os.ErrNotExist) {
				return nil // deleted meanwhile
			}
			if err == nil && strings.HasSuffix(path, ".mp4") {
				lie++
			}
			return err
		})
		if err != nil {
			return count, err
		}
		count += max(told, lie)
	}
	return count, nil
}

// process returns a server or a camera.
func (r *run) process(name string) (*site.Process, error) {
	if p, ok := r.cameras[name]; ok {
		return p, nil
	}
	p, ok := r.site.Process(name)
	if !ok {
		return nil, fmt.Errorf("this run has no %q", name)
	}
	return p, nil
}

func (r *run) segments(ctx context.Context, server understudy.ServerID, camera understudy.CameraID) ([]understudy.Segment, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return r.site.Client.Segments(ctx, server, camera, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), false)
}

// newest is the end of what a server has durably of a camera; zero if it has nothing.
func (r *run) newest(ctx context.Context, server understudy.ServerID, camera understudy.CameraID) (newest time.Time, err error) {
	segments, err := r.segments(ctx, server, camera)
	for _, s := range segments {
		if s.End.After(newest) {
			newest = s.End
		}
	}
	return newest, err
}

// length is how much of a camera a server has; 0 while it does not answer.
func (r *run) length(ctx context.Context, server understudy.ServerID, camera understudy.CameraID) (length time.Duration) {
	segments, err := r.segments(ctx, server, camera)
	if err != nil {
		return 0
	}
	for _, s := range segments {
		length += s.End.Sub(s.Start)
	}
	return length
}

func (r *run) wait(ctx context.Context, limit time.Duration, what string, done func(context.Context) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s did not come within %s", what, limit))
	defer cancel()
	for ticker := time.NewTicker(lookEach); !done(ctx); {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
	return nil
}

func (r *run) pause(ctx context.Context, length time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(length):
		return nil
	}
}

// down ends everything, and keeps nothing but logs and exports.
func (r *run) down() {
	if r.view != nil {
		r.view.stop()
	}
	if r.site != nil {
		r.site.Down()
	}
	for _, name := range slices.Sorted(maps.Keys(r.cameras)) {
		_ = r.cameras[name].Signal(os.Kill) // it may be gone already
		<-r.cameras[name].Gone()
	}
	for _, d := range r.disks {
		if err := d.close(); err != nil {
			r.say("%v", err)
		}
	}
	if r.log != nil {
		r.log.Close()
	}
}

// keepStores copies what lies on disks in memory, which are gone with the run.
func (r *run) keepStores() {
	for server, d := range r.disks {
		if err := errors.Join(d.do("heal"), d.save(filepath.Join(r.Dir, "footage-of-"+server))); err != nil {
			r.say("%v", err)
		}
	}
}

// viewer looks at one camera all the time, as an operator does.
type viewer struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	server understudy.ServerID
	last   time.Time
}

// fresh is how old the last picture of a viewer may be who sees something.
const fresh = time.Second

func watch(c *client.Client, camera understudy.CameraID) *viewer {
	ctx, cancel := context.WithCancel(context.Background())
	v := &viewer{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		_ = c.Live(ctx, camera, func(e client.LiveEvent) error { // ends with stop
			if e.Sample != nil {
				v.mu.Lock()
				v.server, v.last = e.Server, time.Now()
				v.mu.Unlock()
			}
			return nil
		})
	}()
	return v
}

func (v *viewer) sees(server understudy.ServerID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.server == server && time.Since(v.last) < fresh
}

func (v *viewer) stop() {
	v.cancel()
	<-v.done
}
