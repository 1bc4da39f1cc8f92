package media

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"time"

	"github.com/coder/websocket"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/stream"
)

// liveQueue is how many bytes a live reader may lag before it loses GOPs.
const liveQueue = 16 << 20

// hello is the text message before each init segment of a socket.
type hello struct {
	Server understudy.ServerID `json:"server"`
	Epoch  uint64              `json:"epoch"`
	// Base is the capture time at which decode times of the fragments count 0.
	Base   time.Time          `json:"base"`
	MIME   string             `json:"mime"`
	Tracks []understudy.Track `json:"tracks"`
}

// serveSocket sends the live picture over a WebSocket: a hello, an init
// segment, and then a fragment for each access unit; hello and init again
// whenever the source begins a new session.
func (h *handler) serveSocket(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	hub, ok := h.Library.Live(camera)
	if !ok {
		if _, soon := h.soon(camera); !soon {
			return h.redirect(w, r, camera)
		}
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // no cookies: the origin proves nothing
	if err != nil {
		return nil // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }() // whatever ended it, it is over
	ctx := conn.CloseRead(r.Context())
	if !ok {
		if hub, ok = h.await(ctx, camera); !ok {
			_ = conn.Close(websocket.StatusTryAgainLater, "the camera is not served here; look elsewhere as well")
			return nil
		}
	}
	send := func(kind websocket.MessageType, message []byte) error {
		patient, cancel := context.WithTimeout(ctx, h.Patience)
		defer cancel()
		before := ctx.Err()
		err := conn.Write(patient, kind, message)
		if err != nil && before == nil && errors.Is(patient.Err(), context.DeadlineExceeded) {
			h.cutOff(r, camera)
		}
		return err
	}
	c := h.caster(camera, r)
	err = c.run(ctx, hub, func(tracks []understudy.Track, init []byte) error {
		text, err := json.Marshal(hello{Server: h.Server, Epoch: c.header.Segment.Epoch, Base: c.base, MIME: MIME(tracks), Tracks: tracks})
		if err != nil {
			return err
		}
		if err := send(websocket.MessageText, text); err != nil {
			return err
		}
		return send(websocket.MessageBinary, init)
	}, func(fragment []byte) error { return send(websocket.MessageBinary, fragment) })
	switch {
	case gone(ctx):
	case errors.Is(err, io.EOF):
		_ = conn.Close(websocket.StatusGoingAway, "the camera is no longer served here")
	case understudy.CodeOf(err) == understudy.CodeUnavailable:
		h.cutOff(r, camera)
		_ = conn.Close(websocket.StatusTryAgainLater, "you read too slowly; connect again")
	default:
		_ = conn.Close(websocket.StatusInternalError, "the live picture ended; connect again")
	}
	return nil
}

// serveLive sends the live picture as one MP4 that does not end. It does end
// when the source comes back with other parameters, which one MP4 cannot tell.
func (h *handler) serveLive(w http.ResponseWriter, r *http.Request, camera understudy.CameraID) error {
	hub, ok := h.Library.Live(camera)
	if !ok {
		return h.redirect(w, r, camera)
	}
	flusher := http.NewResponseController(w)
	var first []understudy.Track
	write := func(p []byte) error {
		if _, err := w.Write(p); err != nil {
			return err
		}
		return flusher.Flush()
	}
	c := h.caster(camera, r)
	c.steady = true
	err := c.run(r.Context(), hub, func(tracks []understudy.Track, init []byte) error {
		if first == nil {
			first = tracks
			w.Header().Set("Content-Type", "video/mp4")
			return write(init)
		}
		if !reflect.DeepEqual(first, tracks) {
			return io.EOF
		}
		return nil
	}, write)
	if errors.Is(err, io.EOF) || gone(r.Context()) {
		return nil
	}
	if understudy.CodeOf(err) == understudy.CodeUnavailable {
		h.cutOff(r, camera)
	}
	return err
}

// caster makes fragments of what a hub publishes.
type caster struct {
	header fmp4.Header
	audio  bool
	steady bool // one base for all sessions
	tracks []understudy.Track
	init   bool // this session's init was sent
	base   time.Time
	last   map[int]fmp4.TimedSample
	number uint32
}

// caster returns a caster for one reader. Audio comes only on request, since a
// player whose init promises audio shows no picture until some comes, and to who may hear it.
func (h *handler) caster(camera understudy.CameraID, r *http.Request) *caster {
	return &caster{
		header: fmp4.Header{Segment: understudy.SegmentID{Camera: camera, Epoch: h.Library.Epoch(camera), Holder: h.Server}},
		audio:  r.URL.Query().Get("audio") == "1" && h.hears(r, camera),
		last:   map[int]fmp4.TimedSample{},
	}
}

// run sends until the source or the reader ends.
func (c *caster) run(ctx context.Context, hub *stream.Hub, begin func([]understudy.Track, []byte) error, send func([]byte) error) error {
	reader := hub.Subscribe(liveQueue)
	defer reader.Close()
	for {
		item, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		if item.Tracks != nil {
			c.tracks, c.init = c.wanted(item.Tracks), false
			continue
		}
		if !c.init {
			if item.Sample.Track != understudy.VideoTrack || !item.Sample.Key {
				continue
			}
			init, err := c.begin(item.Sample)
			if err != nil {
				return err
			}
			if err := begin(c.tracks, init); err != nil {
				return err
			}
		}
		fragment, err := c.fragment(item.Sample)
		if err != nil {
			return err
		}
		if fragment == nil {
			continue
		}
		if err := send(fragment); err != nil {
			return err
		}
	}
}

func (c *caster) wanted(tracks []understudy.Track) []understudy.Track {
	var wanted []understudy.Track
	for _, t := range tracks {
		if t.ID == understudy.VideoTrack || c.audio {
			wanted = append(wanted, t)
		}
	}
	return wanted
}

// begin starts a session at a key sample. Decode times never go back within
// one response, whatever the clocks did.
func (c *caster) begin(s *understudy.Sample) ([]byte, error) {
	c.init = true
	last, ok := c.last[understudy.VideoTrack]
	switch {
	case !ok || !c.steady:
		c.base = s.At
	case s.At.Before(last.End()):
		c.base = c.base.Add(s.At.Sub(last.End()))
	}
	clear(c.last)
	c.header.Start = c.base
	return fmp4.MarshalHeader(c.header, c.tracks)
}

// usualDuration is told of the first sample of a track, whose successor is not
// there yet. Players correct it by the decode time of the next.
const usualDuration = 40 * time.Millisecond

// fragment returns a fragment of one sample, nil when it is not wanted. It does
// not wait for the next sample to learn the duration: that would show the
// picture one frame later.
func (c *caster) fragment(s *understudy.Sample) ([]byte, error) {
	if s.Track != understudy.VideoTrack && !c.audio || s.At.Before(c.base) {
		return nil, nil
	}
	last, ok := c.last[s.Track]
	timed := fmp4.TimedSample{Sample: s, Duration: usualDuration}
	if ok {
		timed.Duration = last.Duration
		if step := s.At.Sub(last.At); step > 0 && step < time.Second {
			timed.Duration = step
		}
	}
	c.last[s.Track] = timed
	c.number++
	return fmp4.MarshalFragment(c.tracks, c.number, c.base, []fmp4.TimedSample{timed})
}
