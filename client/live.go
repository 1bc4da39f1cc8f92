package client

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"understudy"
	"understudy/internal/fmp4"
)

// LiveEvent is one step of a live picture; exactly one of Tracks and Sample is set.
type LiveEvent struct {
	Server understudy.ServerID // that it comes from
	Epoch  uint64              // under which that server serves the camera
	// Tracks begins a session of the source, on the same server or on another;
	// the next video sample is a key sample.
	Tracks []understudy.Track
	// Sample is shared: it must not be changed.
	Sample *understudy.Sample
}

// Bounds of live pictures. The first pause is short, since what usually breaks
// a connection is a server that another one stands in for already.
const (
	liveDial     = 2 * time.Second // connecting to one server
	liveToken    = 2 * time.Second // asking for a token
	liveStall    = 5 * time.Second // a connection that brings nothing for so long is tried anew
	liveMinPause = 20 * time.Millisecond
	liveMaxPause = time.Second
	liveMessage  = 64 << 20 // bytes of one message: a key frame at most
)

// Live calls f with the live picture of a camera until ctx ends or f returns an
// error, which it returns. It follows the camera from server to server: when
// the service channel says that another one holds it (Run must be running for
// that) the new picture replaces the old one as soon as its first sample is
// there; when the connection breaks or brings nothing, all servers that may
// stand in are asked what they hold, and are tried in turn. CodeNotFound if there is no such camera,
// CodeForbidden or CodeUnauthenticated if it may not be seen.
func (c *Client) Live(ctx context.Context, camera understudy.CameraID, f func(LiveEvent) error) error {
	ctx, cancel := context.WithCancel(ctx)
	v := &view{
		client: c, camera: camera, f: f,
		news: make(chan liveNews), sites: make(chan understudy.Site, 1), redial: time.NewTimer(0),
		shown: time.Now(), words: newWords(),
	}
	v.redial.Stop()
	stop := c.Subscribe(func(site understudy.Site, u understudy.Update) {
		if u.Site == nil && u.Event == nil {
			return
		}
		select {
		case <-v.sites: // only the newest counts
		default:
		}
		v.sites <- site
	})
	err := v.run(ctx)
	stop()
	cancel()
	v.running.Wait()
	return err
}

// view is a live picture with the connections that bring it: the one that is
// shown, and the one that shall replace it. One goroutine owns it.
type view struct {
	client  *Client
	camera  understudy.CameraID
	f       func(LiveEvent) error
	news    chan liveNews
	sites   chan understudy.Site
	redial  *time.Timer
	running sync.WaitGroup

	site    understudy.Site
	lease   understudy.Lease
	since   time.Time // that the lease is known
	current *session
	next    *session
	tries   int       // since a sample came
	shown   time.Time // when the last sample was, or the view began
	words   words
}

// session is one connection to one server.
type session struct {
	server understudy.ServerID
	cancel context.CancelFunc
	heard  time.Time
	epoch  uint64 // under which the server said that it serves the camera
}

// to reports whether there is such a session.
func (s *session) to(server understudy.ServerID) bool { return s != nil && s.server == server }

// liveNews is what a session brings: an event, or its end.
type liveNews struct {
	from  *session
	event LiveEvent
	err   error
}

func (v *view) run(ctx context.Context) error {
	tick := time.NewTicker(askSoon / 2)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case site := <-v.sites:
			err = v.moved(ctx, site)
		case m := <-v.news:
			err = v.take(ctx, m)
		case <-v.redial.C:
			v.dial(ctx, v.candidate())
		case w := <-v.words.told:
			v.hear(ctx, w, time.Now())
		case now := <-tick.C:
			v.unstall(ctx, now)
			v.inquire(ctx, now)
		}
		if err != nil {
			return err
		}
	}
}

// moved connects to the new holder when there is one. Other news change nothing:
// a picture that comes from a server which does not hold the camera came because
// the holder did not answer.
func (v *view) moved(ctx context.Context, site understudy.Site) error {
	v.site = site
	if _, ok := site.Camera(v.camera); !ok {
		return understudy.Errorf(understudy.CodeNotFound, "there is no camera %s that you may see", v.camera)
	}
	lease, ok := site.Lease(v.camera)
	if !ok || lease.Holder == v.lease.Holder && lease.Epoch == v.lease.Epoch {
		return nil
	}
	v.lease, v.tries, v.since = lease, 0, time.Now()
	clear(v.words.last)
	if !v.current.to(lease.Holder) && !v.next.to(lease.Holder) {
		v.dial(ctx, lease.Holder)
	}
	return nil
}

// take handles what a session brought.
func (v *view) take(ctx context.Context, m liveNews) error {
	switch {
	case m.from != v.current && m.from != v.next:
		return nil // it was replaced
	case m.err != nil:
		return v.ended(m)
	}
	m.from.heard, m.from.epoch = time.Now(), m.event.Epoch
	if m.from == v.next {
		if v.current != nil {
			v.current.cancel()
		}
		v.current, v.next, v.tries = v.next, nil, 0
	}
	v.shown = m.from.heard
	return v.f(m.event)
}

func (v *view) ended(m liveNews) error {
	m.from.cancel()
	if code := understudy.CodeOf(m.err); code == understudy.CodeForbidden || code == understudy.CodeUnauthenticated {
		return m.err
	}
	v.client.log.Debug("a live picture is looked for again", "camera", string(v.camera), "server", string(m.from.server), "error", m.err)
	if m.from == v.current {
		v.current = nil
	} else {
		v.next = nil
	}
	if v.next == nil && !v.current.to(v.lease.Holder) {
		v.redial.Reset(v.pause())
	}
	return nil
}

// unstall replaces connections that bring nothing. The old one stays until the
// new one is better: perhaps it is the camera that is silent.
func (v *view) unstall(ctx context.Context, now time.Time) {
	if v.next != nil && now.Sub(v.next.heard) > liveStall {
		v.next.cancel()
		v.next = nil
		v.redial.Reset(v.pause())
	}
	if v.next == nil && v.current != nil && now.Sub(v.current.heard) > liveStall {
		v.current.heard = now
		v.dial(ctx, v.candidate())
	}
}

// candidate returns the server to try now and moves on to the one after it: the
// holder first, then whoever stands in for the camera's home, and home itself.
// While an older picture is shown only the holder is wanted.
func (v *view) candidate() understudy.ServerID {
	candidates := v.candidates()
	n := v.tries % len(candidates)
	v.tries++
	return candidates[n]
}

func (v *view) candidates() []understudy.ServerID {
	candidates := []understudy.ServerID{v.lease.Holder}
	add := func(server understudy.ServerID) {
		if server != "" && !slices.Contains(candidates, server) {
			candidates = append(candidates, server)
		}
	}
	camera, _ := v.site.Camera(v.camera)
	for _, standby := range v.site.Standbys(camera) {
		add(standby)
	}
	add(camera.Home)
	return candidates
}

// pause returns how long to wait before the next try: not at all until all
// candidates were asked, then longer from round to round, half of it by chance.
func (v *view) pause() time.Duration {
	n := len(v.candidates())
	if v.tries%n != 0 || v.tries == 0 {
		return 0
	}
	pause := min(liveMinPause<<min(v.tries/n-1, 10), liveMaxPause)
	return pause/2 + rand.N(pause/2) //nolint:gosec // not a secret
}

// dial begins a session that replaces the current one when its first sample is there.
func (v *view) dial(ctx context.Context, server understudy.ServerID) {
	address, ok := v.site.Addresses(server)
	if !ok {
		v.redial.Reset(liveMaxPause)
		return
	}
	if v.next != nil {
		v.next.cancel()
	}
	v.redial.Stop()
	ctx, cancel := context.WithCancel(ctx)
	s := &session{server: server, cancel: cancel, heard: time.Now()}
	v.next = s
	send := func(m liveNews) error {
		select {
		case v.news <- m:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	v.running.Go(func() {
		err := v.client.watch(ctx, server, address.Media, v.camera, func(e LiveEvent) error {
			return send(liveNews{from: s, event: e})
		})
		_ = send(liveNews{from: s, err: err}) // nobody asks for it any more
	})
}

// watch is one session, straight through: connect, read, until something breaks.
func (c *Client) watch(ctx context.Context, server understudy.ServerID, address string, camera understudy.CameraID, f func(LiveEvent) error) error {
	conn, err := c.dialLive(ctx, server, address, camera)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }() // whatever ended it, it is over
	conn.SetReadLimit(liveMessage)
	r := &socket{ctx: ctx, conn: conn}
	for {
		if err := r.hello(); err != nil {
			return err
		}
		event := LiveEvent{Server: server, Epoch: r.epoch}
		reader := fmp4.NewReader(r)
		_, tracks, err := reader.Header()
		if err != nil {
			return r.reason(err)
		}
		event.Tracks = tracks
		if err := f(event); err != nil {
			return err
		}
		event.Tracks = nil
		for {
			fragment, err := reader.Next()
			if err != nil {
				if r.text != nil {
					break // another session of the source
				}
				return r.reason(err)
			}
			for _, sample := range fragment.Samples {
				event.Sample = sample.Sample
				if err := f(event); err != nil {
					return err
				}
			}
		}
	}
}

func (c *Client) dialLive(ctx context.Context, server understudy.ServerID, address string, camera understudy.CameraID) (*websocket.Conn, error) {
	// A management server that hangs costs its own time, not the dial's: there may be a token still.
	asking, cancel := context.WithTimeout(ctx, liveToken)
	defer cancel()
	token, err := c.MediaToken(asking)
	if err != nil {
		return nil, err
	}
	for tries := 0; ; tries++ {
		conn, err := c.dialLiveBy(ctx, token, server, address, camera)
		if err == nil || understudy.CodeOf(err) != understudy.CodeUnauthenticated || !c.anew(ctx, &token, tries) {
			return conn, err
		}
	}
}

func (c *Client) dialLiveBy(ctx context.Context, token understudy.Secret, server understudy.ServerID, address string, camera understudy.CameraID) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, liveDial)
	defer cancel()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+string(token))
	}
	conn, response, err := websocket.Dial(ctx, "https://"+address+"/v1/cameras/"+string(camera)+"/live?audio=1",
		&websocket.DialOptions{HTTPClient: c.HTTP(server), HTTPHeader: header})
	switch {
	case err == nil:
		return conn, nil
	case response != nil && response.StatusCode >= http.StatusBadRequest:
		defer response.Body.Close()
		return nil, refusal(response)
	}
	return nil, understudy.Errorf(understudy.CodeUnavailable, "server %s at %s shows no live picture of camera %s: %w", server, address, camera, err)
}

// socket is the binary messages of a WebSocket as one stream, which ends at a
// text message: there another session of the source begins.
type socket struct {
	ctx   context.Context
	conn  *websocket.Conn
	left  []byte
	text  []byte
	epoch uint64
	err   error
}

// Read implements io.Reader.
func (s *socket) Read(p []byte) (int, error) {
	for len(s.left) == 0 {
		if s.text != nil || s.err != nil {
			return 0, io.EOF
		}
		kind, data, err := s.conn.Read(s.ctx)
		switch {
		case err != nil:
			s.err = err
		case kind == websocket.MessageText:
			s.text = data
		default:
			s.left = data
		}
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

// hello reads the text message before a session.
func (s *socket) hello() error {
	for s.text == nil {
		if s.err != nil {
			return s.reason(s.err)
		}
		s.left = nil
		if _, err := s.Read(nil); err != nil && s.text == nil {
			return s.reason(err)
		}
	}
	var h struct {
		Epoch uint64 `json:"epoch"`
	}
	if err := json.Unmarshal(s.text, &h); err != nil {
		return understudy.Errorf(understudy.CodeUnavailable, "the server's first words were no JSON: %w", err)
	}
	s.text, s.epoch = nil, h.Epoch
	return nil
}

func (s *socket) reason(err error) error {
	if s.err != nil {
		err = s.err
	}
	return understudy.Errorf(understudy.CodeUnavailable, "the live picture broke off: %w", err)
}
