package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/url"
	"time"

	"understudy"
)

// How servers are asked what they hold. A server that is there answers within
// milliseconds; in a takeover half a second is what a viewer waits for most.
const (
	doubtAfter  = time.Second            // without a sample, a picture is doubted
	askPatience = time.Second            // for an answer
	askSoon     = 500 * time.Millisecond // between two questions to a server, at first
	askLater    = 2 * time.Second        // and when the picture stays away
	askReview   = 5 * time.Second        // while the picture is well and no management server tells who holds the camera
	wordHolds   = askReview + askPatience
	maxSaid     = 64 << 10 // bytes of an answer
)

// stated returns what a server says of its part in a camera, in its own words
// and to this very question.
func (c *Client) stated(ctx context.Context, server understudy.ServerID, address string, camera understudy.CameraID) (understudy.Statement, error) {
	token, err := c.MediaToken(ctx) // a management server that hangs costs its own time
	if err != nil {
		return understudy.Statement{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	place := c.askingPlaces(server)
	select {
	case place <- struct{}{}:
		defer func() { <-place }()
	case <-ctx.Done(): // those before it wait for the answer in vain
		return understudy.Statement{}, understudy.Errorf(understudy.CodeUnavailable, "server %s does not answer: %w", server, ctx.Err())
	}
	nonce := rand.Text()
	response, err := c.media(ctx, server, address, "/v1/cameras/"+url.PathEscape(string(camera))+"/statement?nonce="+nonce, token, 0)
	if err != nil {
		return understudy.Statement{}, err
	}
	defer response.Body.Close()
	var signed understudy.SignedStatement
	if err := json.NewDecoder(io.LimitReader(response.Body, maxSaid)).Decode(&signed); err != nil {
		return understudy.Statement{}, understudy.Errorf(understudy.CodeUnavailable, "the statement of server %s could not be read: %w", server, err)
	}
	said, err := c.config.Verify(signed)
	switch {
	case err != nil:
		return understudy.Statement{}, err
	case said.Server != server || said.Camera != camera || said.Nonce != nonce:
		return understudy.Statement{}, understudy.Errorf(understudy.CodeForbidden,
			"server %s was asked about camera %s, and what came is the word of %q about %q to another question", server, camera, string(said.Server), string(said.Camera))
	}
	return said, nil
}

// statedAtOnce bounds the questions to one server, of all views: hundreds at the
// moment of a takeover would be as many TLS handshakes, with the server that is
// taking over.
const statedAtOnce = 4

func (c *Client) askingPlaces(server understudy.ServerID) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.places[server] == nil {
		c.places[server] = make(chan struct{}, statedAtOnce)
	}
	return c.places[server]
}

// word is what a server last said of the view's camera.
type word struct {
	server  understudy.ServerID
	asked   time.Time // when the question was put that was answered last, or was not
	said    understudy.Statement
	refused error // why there is no answer; nil with the zero said: not asked yet
}

// known reports whether the server answered, or failed to, of late.
func (w word) known(now time.Time) bool { return !w.asked.IsZero() && now.Sub(w.asked) <= wordHolds }

// shows reports whether the server says that it has the picture.
func (w word) shows(now time.Time) bool { return w.known(now) && w.refused == nil && w.said.Receiving }

// words are what all servers that may hold the camera last said.
type words struct {
	last   map[understudy.ServerID]word
	asking map[understudy.ServerID]bool // an answer is awaited
	told   chan word
}

func newWords() words {
	return words{last: map[understudy.ServerID]word{}, asking: map[understudy.ServerID]bool{}, told: make(chan word)}
}

// inquire asks all servers that may hold the camera whose turn it is: when the
// picture stands still, and now and then while no management server is heard or
// the picture is not the holder's.
func (v *view) inquire(ctx context.Context, now time.Time) {
	every := askReview
	switch quiet := now.Sub(v.shown); {
	case v.client.config.Verify == nil:
		return
	case quiet >= doubtAfter:
		every = min(max(quiet/4, askSoon), askLater)
	case !v.client.unheard(now) && (v.current == nil || v.current.to(v.lease.Holder)):
		return
	}
	for _, server := range v.candidates() {
		address, ok := v.site.Addresses(server)
		if v.words.asking[server] || !ok || now.Sub(v.words.last[server].asked) < every {
			continue
		}
		v.words.asking[server] = true
		v.running.Go(func() {
			w := word{server: server, asked: now}
			w.said, w.refused = v.client.stated(ctx, server, address.Media, v.camera)
			select {
			case v.words.told <- w:
			case <-ctx.Done():
			}
		})
	}
}

// hear takes in what a server said, and connects to the one that has the
// picture where it is not the one that is shown.
func (v *view) hear(ctx context.Context, w word, now time.Time) {
	delete(v.words.asking, w.server)
	if w.asked.Before(v.since) {
		return // the site has told of another holder since
	}
	v.words.last[w.server] = w
	if w.refused != nil {
		v.client.log.Debug("a server did not say what it holds", "camera", string(v.camera), "server", string(w.server), "error", w.refused)
	}
	if server := v.better(now); server != "" && !v.next.to(server) {
		v.dial(ctx, server)
	}
}

// better returns the server to go to from the one that is shown, if any: of those
// that have the picture, the one of the highest epoch. A server whose picture stands
// still is left when it does not answer, serves the camera no more or receives
// nothing; one whose picture is well only for a higher epoch, and only while no
// management server tells who holds the camera. A mirror that stood in without a
// lease goes on showing the camera: it is left once it serves it no more.
func (v *view) better(now time.Time) understudy.ServerID {
	var best word
	for _, server := range v.candidates() {
		w := v.words.last[server]
		if !w.shows(now) {
			continue
		}
		if best.server == "" || w.said.Epoch > best.said.Epoch || w.said.Epoch == best.said.Epoch && v.current.to(server) {
			best = w
		}
	}
	switch {
	case v.current == nil:
		return best.server
	case best.server == "" || v.current.to(best.server):
		return ""
	}
	own := v.words.last[v.current.server]
	epoch := v.current.epoch
	if own.known(now) && own.refused == nil && own.said.Epoch == 0 && best.server == v.lease.Holder {
		return best.server
	}
	if now.Sub(v.shown) >= doubtAfter {
		switch {
		case !own.known(now):
			return "" // its answer is still awaited
		case !own.shows(now) || own.said.Epoch == 0:
			return best.server
		}
		epoch = own.said.Epoch
	}
	if best.said.Epoch > epoch && v.client.unheard(now) {
		return best.server
	}
	return ""
}

// unheard reports whether no management server tells who holds what.
func (c *Client) unheard(now time.Time) bool { return now.Sub(c.Heard()) > silence }
