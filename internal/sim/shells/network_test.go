package shells

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"understudy"
	"understudy/internal/failover"
	"understudy/internal/merge"
)

const (
	look    = 20 * time.Millisecond // how often whoever waits looks again
	latency = time.Millisecond
)

// link is a connection between two nodes.
type link struct {
	from, to understudy.ServerID
	boot     int // of the process at the other end
	broken   chan struct{}
	closed   bool
	pipe     func() // closes the merge connection under it
}

func (l *link) end() {
	if !l.closed {
		l.closed = true
		close(l.broken)
		if l.pipe != nil {
			l.pipe()
		}
	}
}

// breakLinks ends what reaches or leaves a killed process; where the wire is
// cut, the other end does not learn of it. w.mu is held.
func (w *world) breakLinks(id understudy.ServerID) {
	for l := range w.links {
		if l.from == id || l.to == id && !w.cut(string(l.from), string(l.to)) {
			l.end()
			delete(w.links, l)
		}
	}
}

// connect waits until the other end answers, refuses, or ctx ends.
func (w *world) connect(ctx context.Context, from, to understudy.ServerID) (*link, error) {
	for {
		w.mu.Lock()
		n := w.nodes[to]
		switch {
		case w.cut(string(from), string(to)) || n.hung: // silence
		case !n.up:
			w.mu.Unlock()
			return nil, fmt.Errorf("%s refuses: %w", to, syscall.ECONNREFUSED)
		default:
			l := &link{from: from, to: to, boot: n.boot, broken: make(chan struct{})}
			w.links[l] = true
			w.mu.Unlock()
			return l, nil
		}
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, understudy.Errorf(understudy.CodeUnavailable, "%s is silent: %w", to, ctx.Err())
		case <-time.After(look):
		}
	}
}

func (w *world) dialState(from understudy.ServerID) func(context.Context, understudy.ServerID, string) (failover.Conn, error) {
	return func(ctx context.Context, server understudy.ServerID, _ string) (failover.Conn, error) {
		l, err := w.connect(ctx, from, server)
		if err != nil {
			return nil, err
		}
		return &stateConn{w, l}, nil
	}
}

// stateConn implements failover.Conn.
type stateConn struct {
	w *world
	*link
}

func (c *stateConn) Broken() <-chan struct{} { return c.broken }

func (c *stateConn) Close() error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.end()
	delete(c.w.links, c.link)
	return nil
}

var errReset = errors.New("connection reset")

func (c *stateConn) Poll(ctx context.Context, p understudy.Poll) (understudy.State, error) {
	time.Sleep(latency)
	for {
		c.w.mu.Lock()
		n := c.w.nodes[c.to]
		whole := !c.closed && !c.w.cut(string(c.from), string(c.to))
		switch {
		case c.closed || whole && (!n.up || n.boot != c.boot):
			c.end()
			c.w.mu.Unlock()
			return understudy.State{}, errReset
		case whole && !n.hung:
			for _, camera := range p.Covered {
				n.covered[camera] = time.Now()
			}
			state := c.w.state(n)
			c.w.mu.Unlock()
			return state, nil
		}
		c.w.mu.Unlock()
		select {
		case <-ctx.Done():
			return understudy.State{}, ctx.Err()
		case <-c.broken:
		case <-time.After(look):
		}
	}
}

// dialMerge is a real merge session over a pipe. It does not survive a cut or a hang.
// reach asks a camera, which answers if it is on and the wire is whole.
func (w *world) reach(from understudy.ServerID) func(context.Context, understudy.Camera) error {
	return func(ctx context.Context, c understudy.Camera) error {
		time.Sleep(latency)
		w.mu.Lock()
		answers := w.cameras[c.ID].on && !w.cut(string(from), "camera "+string(c.ID))
		w.mu.Unlock()
		if answers {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

func (w *world) dialMerge(from understudy.ServerID) func(context.Context, understudy.ServerID, string) (net.Conn, error) {
	return func(ctx context.Context, home understudy.ServerID, _ string) (net.Conn, error) {
		l, err := w.connect(ctx, from, home)
		if err != nil {
			return nil, err
		}
		here, there := net.Pipe()
		receiving, cancel := context.WithCancel(context.Background())
		w.mu.Lock()
		l.pipe = func() {
			cancel()
			here.Close()
		}
		if l.closed {
			l.pipe()
		}
		w.mu.Unlock()
		w.sessions.Go(func() {
			defer cancel()
			_, _ = (&merge.Receiver{Self: home, Sink: w.nodes[home].disk}).Receive(receiving, there, from) // the sender is told, and tells
		})
		w.sessions.Go(func() {
			for receiving.Err() == nil {
				w.mu.Lock()
				if n := w.nodes[home]; w.cut(string(from), string(home)) || n.hung {
					l.end()
				}
				w.mu.Unlock()
				select {
				case <-receiving.Done():
				case <-time.After(look):
				}
			}
		})
		return here, nil
	}
}

// siteClient is the management server as one failover server reaches it.
type siteClient struct {
	w           *world
	from        *node
	subscribers []func(understudy.Site, understudy.Update)
}

// call reaches the management server, or does not. Now and then the answer is
// lost after the deed is done.
func (c *siteClient) call(ctx context.Context, f func() error) error {
	for {
		select {
		case <-ctx.Done():
			return understudy.Errorf(understudy.CodeUnavailable, "the management server is silent: %w", ctx.Err())
		case <-time.After(latency):
		}
		c.w.mu.Lock()
		answers, cut := c.w.answers, c.w.cut(string(c.from.id), "management")
		c.w.calls++
		lost := c.w.calls%11 == 0
		c.w.mu.Unlock()
		switch {
		case cut:
		case !answers:
			return understudy.Errorf(understudy.CodeUnavailable, "the management server is down")
		default:
			err := f()
			if lost {
				return understudy.Errorf(understudy.CodeUnavailable, "the answer was lost")
			}
			return err
		}
	}
}

func (c *siteClient) Claim(ctx context.Context, claim understudy.Claim) (answer understudy.ClaimAnswer, err error) {
	err = c.call(ctx, func() error {
		var err error
		before, _ := c.w.management.Site(ctx)
		if answer, err = c.w.management.Claim(ctx, claim); err == nil {
			c.w.judgeTakeover(before, claim, answer)
		}
		return err
	})
	if err != nil {
		return understudy.ClaimAnswer{}, err
	}
	return answer, nil
}

func (c *siteClient) Duties(ctx context.Context, server understudy.ServerID) (duties []understudy.Duty, err error) {
	err = c.call(ctx, func() error {
		duties, err = c.w.management.Duties(ctx, server)
		return err
	})
	return duties, err
}

func (c *siteClient) Bundles(ctx context.Context, server understudy.ServerID, key []byte) (bundles []understudy.Bundle, err error) {
	err = c.call(ctx, func() error {
		bundles, err = c.w.management.Bundles(ctx, server, key)
		return err
	})
	return bundles, err
}

func (c *siteClient) Assignment(ctx context.Context, server understudy.ServerID) (a understudy.Assignment, err error) {
	err = c.call(ctx, func() error {
		a, err = c.w.management.Assignment(ctx, server)
		return err
	})
	return a, err
}

func (c *siteClient) Report(ctx context.Context, server understudy.ServerID, r understudy.Report) error {
	return c.call(ctx, func() error { return c.w.management.Report(ctx, server, r) })
}

func (c *siteClient) Events(ctx context.Context, q understudy.EventQuery) (events []understudy.Event, err error) {
	err = c.call(ctx, func() (err error) {
		events, err = c.w.management.Events(ctx, q)
		return err
	})
	return events, err
}

func (c *siteClient) Subscribe(f func(understudy.Site, understudy.Update)) (stop func()) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.subscribers = append(c.subscribers, f)
	return func() {}
}

// Run tells the subscribers of changes at once, and of everybody's status each second.
func (c *siteClient) Run(ctx context.Context) error {
	var told understudy.Site
	shown := 0
	for ctx.Err() == nil {
		c.w.mu.Lock()
		reached := c.w.answers && !c.w.cut(string(c.from.id), "management")
		status, looks, subscribers := c.w.status, c.w.looks, c.subscribers
		c.w.mu.Unlock()
		site, err := c.w.management.Site(context.Background())
		if err != nil {
			return err
		}
		for _, f := range subscribers {
			if reached && site.Seq > told.Seq {
				f(site, understudy.Update{Site: &site})
			}
			if reached && looks > shown {
				f(site, understudy.Update{Status: status})
			}
		}
		if reached && len(subscribers) > 0 {
			told, shown = site, looks
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// recorder is the recording server inside a failover server.
type recorder struct {
	w *world
	n *node
}

func (r recorder) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (r recorder) SetSite(understudy.Site) {}

func (r recorder) Apply(a understudy.Assignment) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	wanted := map[understudy.CameraID]bool{}
	for _, c := range a.Cameras {
		wanted[c.Camera.ID] = true
		s, ok := r.n.recording[c.Camera.ID]
		if !ok {
			s = &session{ready: time.Now().Add(connecting)}
			r.n.recording[c.Camera.ID] = s
		}
		s.epoch = c.Epoch
	}
	for id, s := range r.n.recording {
		if !wanted[id] {
			r.n.disk.close(s.open)
			delete(r.n.recording, id)
		}
	}
}

func (recorder) Busy() []understudy.CameraID                             { return nil }
func (recorder) Crowded() []understudy.CameraID                          { return nil }
func (recorder) Recorded(understudy.CameraID) time.Time                  { return time.Time{} }
func (recorder) Expect([]understudy.ServerID)                            {}
func (recorder) Passed(understudy.CameraID, understudy.Watermark)        {}
func (recorder) Buffers(understudy.CameraID, understudy.SampleHash) bool { return false }
func (recorder) Trigger(understudy.Trigger) error                        { return nil }

func (r recorder) Covered() []understudy.CameraID {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	var covered []understudy.CameraID
	for _, id := range cameraIDs() {
		if s, ok := r.n.recording[id]; ok && s.covered {
			covered = append(covered, id)
		}
	}
	return covered
}

// State says what there is to know of a disk that never lags.
func (r recorder) State() understudy.State {
	return understudy.State{At: time.Now(), Storage: r.n.disk.State()}
}

func (r recorder) Watched() []merge.Watched                   { return nil }
func (r recorder) ShowTransfers(func() []understudy.Transfer) {}
func (r recorder) ShowSightings(func() []understudy.Sighting) {}

// identity implements failover.Node.
type identity struct{ n *node }

func (i identity) ID() understudy.ServerID                   { return i.n.id }
func (i identity) ClientTLS(understudy.ServerID) *tls.Config { return nil }

// Bundles are sealed by storetest.New, to nobody: what a key is good for is tested elsewhere.
func (i identity) BundleKey() []byte                              { return nil }
func (i identity) VerifyBundle(understudy.Bundle) error           { return nil }
func (i identity) OpenBundle(b understudy.Bundle) ([]byte, error) { return b.Sealed, nil }

func (i identity) SealFile(name string, plain []byte) error {
	i.n.filesMu.Lock()
	defer i.n.filesMu.Unlock()
	i.n.files[name] = plain
	return nil
}

func (i identity) OpenFile(name string) ([]byte, error) {
	i.n.filesMu.Lock()
	defer i.n.filesMu.Unlock()
	if plain, ok := i.n.files[name]; ok {
		return plain, nil
	}
	return nil, understudy.Errorf(understudy.CodeNotFound, "no file %s", name)
}
