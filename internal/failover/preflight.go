package failover

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"time"

	"understudy"
	"understudy/internal/rtsp"
)

// The pace of pre-flights. Cameras are asked like a person would: a few at a
// time of one host, and none again soon that has refused a password.
const (
	preflightEvery  = 10 * time.Minute
	preflightFirst  = 15 * time.Second // after the start, for the watched servers to have answered
	preflightSettle = 5 * time.Second  // after a change of the configuration, for the next one
	probePatience   = 10 * time.Second // for one camera
	probesAtOnce    = 32
	probesOfHost    = 4
	probeSpread     = 200 * time.Millisecond // at most, before each probe
	refusedPause    = time.Hour              // before a password that was refused is shown again
)

// probed is what came of asking a camera.
type probed struct {
	asked [sha256.Size]byte // what the camera was asked with: no password is remembered for it
	login bool              // with credentials
	at    time.Time
	err   error // of the main stream
	sub   error // of the second one, which is asked only if the first answers
}

// fingerprint tells two ways of asking a camera apart.
func fingerprint(c understudy.AssignedCamera) [sha256.Size]byte {
	text, _ := json.Marshal(c) // plain data: it cannot fail
	return sha256.Sum256(text)
}

// prober proves on a schedule that this server could stand in.
type prober struct {
	server *Server
	last   map[understudy.CameraID]probed
	flown  *configuration // that was proven last
	load   machine
	wait   func(ctx context.Context, d time.Duration)
}

// preflight flies again and again until ctx ends.
func (s *Server) preflight(ctx context.Context) {
	p := &prober{server: s, last: map[understudy.CameraID]probed{}, load: newMachine(), wait: wait}
	for next := around(preflightFirst); ; next = around(s.config.PreflightEvery) {
		if !p.until(ctx, next) {
			return
		}
		state, ok := s.snapshot(ctx)
		if !ok {
			return
		}
		flight := p.fly(ctx, state)
		if ctx.Err() != nil {
			return
		}
		if err := s.config.Preflights.PutPreflight(ctx, flight); err != nil {
			s.log.WarnContext(ctx, "the management server does not take a pre-flight; the next one is told again", slog.Any("error", err))
		}
	}
}

// around spreads what many servers do at the same time.
func around(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5) }

// until waits until a pre-flight is due: some time has passed, or whom this
// server may have to play has changed. It returns false when ctx ends.
func (p *prober) until(ctx context.Context, d time.Duration) bool {
	due := time.NewTimer(d)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-due.C:
			return true
		case <-p.server.reconfigured:
		}
		p.wait(ctx, around(preflightSettle))
		if state, ok := p.server.snapshot(ctx); ok && p.flown != nil && !reflect.DeepEqual(*p.flown, configurationOf(state)) {
			return true
		}
	}
}

// snapshot is the state of the decision as it is now, for looking at.
func (s *Server) snapshot(ctx context.Context) (State, bool) {
	reply := make(chan State, 1)
	select {
	case s.snapshots <- reply:
		return <-reply, true
	case <-ctx.Done():
		return State{}, false
	}
}

// configuration is what a pre-flight depends on and people change.
type configuration struct {
	capacity understudy.Capacity
	duties   []understudy.Duty
}

// configurationOf is that of a state, without what changes with each takeover.
func configurationOf(s State) configuration {
	self, _ := s.site.FailoverServer(s.self)
	c := configuration{capacity: self.Capacity}
	for _, home := range sorted(s.duties) {
		d := s.duties[home]
		d.Cameras = slices.Clone(d.Cameras)
		for i := range d.Cameras {
			d.Cameras[i].Epoch = 0
		}
		c.duties = append(c.duties, d)
	}
	return c
}

// fly is one pre-flight.
func (p *prober) fly(ctx context.Context, state State) understudy.Preflight {
	began := time.Now()
	flown := configurationOf(state)
	p.flown = &flown
	p.load.look(p.server.config.Recorder.State())
	cameras := state.toProbe()
	p.server.unseal(ctx, cameras)
	p.ask(ctx, cameras)
	flight := state.judgeFlight(p.last, p.load)
	flight.At, flight.Took = time.Now(), time.Since(began)
	return flight
}

// toProbe are the cameras that this server may have to record, with the
// credentials that it holds.
func (s *State) toProbe() []understudy.AssignedCamera {
	var cameras []understudy.AssignedCamera
	for _, home := range sorted(s.duties) {
		for _, c := range s.duties[home].Cameras {
			camera := c.AssignedCamera
			if m, ok := s.material[c.Camera.ID]; ok {
				camera.Credentials = m.Credentials
			}
			camera.Epoch = 0
			cameras = append(cameras, camera)
		}
	}
	return cameras
}

// unseal fills in the credentials of cold standby, which lie here sealed for
// the day. They are used for asking, and forgotten.
func (s *Server) unseal(ctx context.Context, cameras []understudy.AssignedCamera) {
	opened := map[understudy.ServerID][]understudy.AssignedCamera{}
	for i, c := range cameras {
		if c.Credentials != (understudy.Credentials{}) {
			continue
		}
		home := c.Camera.Home
		if _, ok := opened[home]; !ok {
			s.bundles.mu.Lock()
			kept := s.bundles.shelf.Of(home)
			s.bundles.mu.Unlock()
			content, err := kept.Content(home, s.config.Node.OpenBundle)
			if err != nil {
				s.log.InfoContext(ctx, "cameras are asked without a password", slog.String("home", string(home)), slog.Any("error", err))
			}
			opened[home] = content
		}
		if n := slices.IndexFunc(opened[home], func(o understudy.AssignedCamera) bool { return o.Camera.ID == c.Camera.ID }); n >= 0 {
			cameras[i].Credentials = opened[home][n].Credentials
		}
	}
}

// ask asks all cameras, those of one host a few at a time, and remembers what came of it.
func (p *prober) ask(ctx context.Context, cameras []understudy.AssignedCamera) {
	hosts := map[string][]understudy.AssignedCamera{}
	results := make(map[understudy.CameraID]probed, len(cameras))
	for _, c := range cameras {
		if old, ok := p.last[c.Camera.ID]; ok && old.asked == fingerprint(c) && refusedPassword(old) && time.Since(old.at) < refusedPause {
			results[c.Camera.ID] = old
			continue
		}
		u, err := url.Parse(c.URL())
		if err != nil {
			continue // a camera's URL was validated
		}
		hosts[u.Hostname()] = append(hosts[u.Hostname()], c)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	places := make(chan struct{}, probesAtOnce)
	for _, theirs := range hosts {
		queue := make(chan understudy.AssignedCamera, len(theirs))
		for _, c := range theirs {
			queue <- c
		}
		close(queue)
		for range min(probesOfHost, len(theirs)) {
			all.Go(func() {
				for c := range queue {
					p.wait(ctx, rand.N(probeSpread))
					places <- struct{}{}
					result := p.askOne(ctx, c)
					<-places
					mu.Lock()
					results[c.Camera.ID] = result
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	p.last = results
}

// refusedPassword reports whether a camera was shown a password and refused it.
func refusedPassword(p probed) bool {
	return understudy.CodeOf(p.err) == understudy.CodeUnauthenticated && p.err != nil && p.login
}

func (p *prober) askOne(ctx context.Context, c understudy.AssignedCamera) probed {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	result := probed{asked: fingerprint(c), login: c.Credentials.Password != "", at: time.Now(), err: p.server.config.Probe(ctx, c)}
	if result.err == nil && c.Camera.Sub != "" {
		c.Stream = understudy.StreamSub
		result.sub = p.server.config.Probe(ctx, c)
	}
	return result
}

// probe asks a camera over RTSP.
func probe(ctx context.Context, c understudy.AssignedCamera) error {
	user := c.Credentials.Username
	if user == "" && c.Credentials.Password != "" {
		user = c.Camera.Username
	}
	_, err := rtsp.Probe(ctx, rtsp.Config{URL: c.URL(), Transport: c.Camera.Transport, Username: user, Password: c.Credentials.Password})
	if err != nil && ctx.Err() != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "camera %s does not answer within %s: see whether it is on and can be reached from here", c.URL(), probePatience)
	}
	return err
}
