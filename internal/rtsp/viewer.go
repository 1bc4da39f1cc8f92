package rtsp

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/pion/rtcp"

	"understudy"
	"understudy/internal/listen"
	"understudy/internal/stream"
	"understudy/internal/usage"
)

// Patience with the other side.
const (
	pictureTimeout = 5 * time.Second       // of a viewer with a camera that sends nothing
	farewellTime   = 2 * time.Second       // between the end of recordings and the end of the connection
	queueTick      = 10 * time.Millisecond // between looks at a full packet queue
)

// viewer is one RTSP connection of a client. Its requests come one at a time;
// what it plays runs in a goroutine of its own.
type viewer struct {
	handler *handler
	conn    *gortsplib.ServerConn
	log     *slog.Logger

	path    string
	token   string
	who     understudy.Identity
	camera  understudy.CameraID
	span    span // of the URL, or of the last PLAY that named one
	stream  *gortsplib.ServerStream
	outlets []*outlet

	mu      sync.Mutex
	session *gortsplib.ServerSession
	cancel  context.CancelFunc // of what is playing; nil when nothing is
	done    chan struct{}
	resume  time.Time // capture time behind the last recorded sample that was sent
}

func (v *viewer) library() Library { return v.handler.server.config.Library }

func (v *viewer) secure() bool {
	_, ok := listen.TLSState(v.conn.NetConn())
	return ok
}

// describe decides whether the client gets what it asks for, and prepares it.
func (v *viewer) describe(request *base.Request, path, query string) error {
	if v.handler.server.viewers.Load() > maxViewers {
		return understudy.Errorf(understudy.CodeUnavailable, "%d viewers are connected, which is as many as are served: try again later", maxViewers)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "the URL's query cannot be read: %w", err)
	}
	camera := understudy.CameraID(strings.Trim(path, "/"))
	if understudy.ValidateID("camera", camera) != nil {
		return understudy.Errorf(understudy.CodeNotFound, "the URL is rtsp://host:port/CAMERA, and its path is %.100q", path)
	}
	asked, err := parseSpan(values)
	if err != nil {
		return err
	}
	action := understudy.ActionLive
	if !asked.live() {
		action = understudy.ActionPlayback
	}
	token := tokenOf(request, values, v.secure())
	who, err := v.authorize(token, action, camera)
	if err != nil {
		return err
	}
	tracks, err := v.tracks(request, camera, asked)
	if err != nil {
		return err
	}
	if _, err := v.library().Authorize(token, understudy.ActionAudio, camera); err != nil { // the picture comes without
		tracks = slices.DeleteFunc(slices.Clone(tracks), func(t understudy.Track) bool { return !t.Codec.Video() })
	}
	v.path, v.token, v.who, v.camera, v.span = path, token, who, camera, asked
	return v.open(tracks)
}

// tracks returns what the camera's stream consists of; a redirect if it is elsewhere.
func (v *viewer) tracks(request *base.Request, camera understudy.CameraID, asked span) ([]understudy.Track, error) {
	if !asked.live() {
		ctx, cancel := context.WithTimeout(v.handler.ctx, pictureTimeout)
		defer cancel()
		tracks, err := firstTracks(ctx, v.library(), camera, asked)
		if understudy.CodeOf(err) == understudy.CodeNotFound {
			return nil, v.elsewhere(request, camera, err)
		}
		return tracks, err
	}
	hub, ok := v.library().Live(camera)
	if !ok {
		return nil, v.elsewhere(request, camera, understudy.Errorf(understudy.CodeNotFound, "camera %s is not served here, nor is it known who serves it", camera))
	}
	reader := hub.Subscribe(sampleQueue)
	defer reader.Close()
	ctx, cancel := context.WithTimeout(v.handler.ctx, pictureTimeout)
	defer cancel()
	for {
		item, err := reader.Next(ctx)
		if err != nil {
			return nil, understudy.Errorf(understudy.CodeUnavailable, "camera %s sends no picture now: %w", camera, err)
		}
		if item.Tracks != nil {
			return item.Tracks, nil
		}
	}
}

// elsewhere redirects to the holder of a camera; otherwise if there is none.
func (v *viewer) elsewhere(request *base.Request, camera understudy.CameraID, otherwise error) error {
	address, ok := v.library().Redirect(camera)
	if !ok {
		return otherwise
	}
	to := url.URL{Scheme: "rtsp", Host: address, Path: request.URL.Path, RawQuery: request.URL.RawQuery}
	if v.secure() {
		to.Scheme = "rtsps"
	}
	return redirect{to.String()}
}

func (v *viewer) open(tracks []understudy.Track) error {
	outlets, err := newOutlets(tracks)
	if err != nil {
		return err
	}
	session := &description.Session{Title: string(v.camera)}
	for _, o := range outlets {
		session.Medias = append(session.Medias, o.media)
	}
	v.outlets = outlets
	v.stream = &gortsplib.ServerStream{Server: v.handler.rtsp, Desc: session}
	if err := v.stream.Initialize(); err != nil {
		return understudy.Errorf(understudy.CodeInternal, "the stream of camera %s cannot be described: %w", v.camera, err)
	}
	return nil
}

// play begins to send, from where the request says.
func (v *viewer) play(session *gortsplib.ServerSession, request *base.Request) (*base.Response, error) {
	how, err := parseReplay(request.Header)
	if err != nil {
		return nil, err
	}
	asked, given, err := parseRange(request.Header["Range"], how.backwards())
	if err != nil {
		return nil, err
	}
	v.stop()
	if given {
		v.span, v.resume = asked, time.Time{}
	}
	asked = v.span
	resume := v.resume
	if !asked.live() && !resume.IsZero() {
		asked.from = resume
	}
	response := &base.Response{StatusCode: base.StatusOK, Header: base.Header{}}
	if asked.live() {
		hub, ok := v.library().Live(v.camera)
		if !ok {
			return nil, understudy.Errorf(understudy.CodeUnavailable, "camera %s has moved to another server: describe it again", v.camera)
		}
		v.start(session, func(ctx context.Context, out *sending) error { return out.live(ctx, hub) })
		return response, nil
	}
	if _, err := v.authorize(v.token, understudy.ActionPlayback, v.camera); err != nil {
		return nil, err
	}
	response.Header["Range"] = asked.header()
	response.Header["Scale"] = base.HeaderValue{strconv.FormatFloat(how.scale, 'f', -1, 64)}
	v.start(session, func(ctx context.Context, out *sending) error {
		out.use = v.use()
		defer out.use.End()
		return out.recorded(ctx, asked, resume, how)
	})
	return response, nil
}

// start runs send until it ends or is stopped, and says goodbye if it ended by itself.
func (v *viewer) start(session *gortsplib.ServerSession, send func(context.Context, *sending) error) {
	ctx, cancel := v.library().WhileGood(v.handler.ctx, v.who)
	done := make(chan struct{})
	v.mu.Lock()
	v.session, v.cancel, v.done = session, cancel, done
	v.mu.Unlock()
	out := &sending{viewer: v, session: session, ssrcs: map[*outlet]uint32{}}
	for _, media := range session.Medias() {
		i := slices.IndexFunc(v.outlets, func(o *outlet) bool { return o.media == media })
		if i >= 0 {
			out.outlets = append(out.outlets, v.outlets[i])
		}
	}
	go func() {
		defer close(done)
		err := send(ctx, out)
		recalled := understudy.CodeOf(context.Cause(ctx)) == understudy.CodeUnauthenticated
		switch {
		case recalled:
			err = context.Cause(ctx)
		case ctx.Err() != nil:
			return
		}
		v.log.Info("stream ended", "camera", v.camera, "why", err)
		out.farewell(ctx)
		session.Close()
	}()
}

// stop ends what is playing, and waits for it.
func (v *viewer) stop() {
	v.mu.Lock()
	cancel, done := v.cancel, v.done
	v.cancel = nil
	v.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}

func (v *viewer) close() {
	v.stop()
	if v.stream != nil {
		v.stream.Close()
	}
}

// sending is one PLAY of a viewer.
type sending struct {
	viewer  *viewer
	session *gortsplib.ServerSession
	outlets []*outlet // of the tracks that were set up
	ssrcs   map[*outlet]uint32
	origin  time.Time // capture time from which timestamps count
	how     replay    // of recordings
	use     *usage.Using
}

// live sends a hub's samples until the hub ends or the viewer is too slow.
func (s *sending) live(ctx context.Context, hub *stream.Hub) error {
	reader := hub.Subscribe(sampleQueue)
	defer reader.Close()
	for {
		item, err := reader.Next(ctx)
		if err != nil {
			if understudy.CodeOf(err) == understudy.CodeUnavailable {
				s.viewer.handler.server.cutOff(s.viewer)
			}
			return err
		}
		if item.Tracks != nil {
			if err := s.sameCodecs(item.Tracks); err != nil {
				return err
			}
			continue
		}
		if s.origin.IsZero() {
			s.origin = item.Sample.At
		}
		if err := s.sample(ctx, item.Sample, item.Sample.At.Add(item.Sample.Offset).Sub(s.origin), 0); err != nil {
			return err
		}
	}
}

// sameCodecs reports an error if tracks cannot go on where the viewer's began:
// parameter sets travel in band, another codec does not.
func (s *sending) sameCodecs(tracks []understudy.Track) error {
	for _, o := range s.outlets {
		i := slices.IndexFunc(tracks, func(t understudy.Track) bool { return t.ID == o.track.ID })
		if i < 0 || tracks[i].Codec != o.track.Codec || tracks[i].TimeScale != o.track.TimeScale {
			return understudy.Errorf(understudy.CodeConflict, "the stream of camera %s has changed its tracks: describe it again", s.viewer.camera)
		}
	}
	return nil
}

// sample sends one sample that is presented elapsed after the first one; sender
// reports tell when it really was taken. flags are those of ONVIF's header extension.
func (s *sending) sample(ctx context.Context, sample *understudy.Sample, elapsed time.Duration, flags byte) error {
	i := slices.IndexFunc(s.outlets, func(o *outlet) bool { return o.track.ID == sample.Track })
	if i < 0 {
		return nil
	}
	o := s.outlets[i]
	packets, err := o.packets(sample.Payload, elapsed)
	if err != nil {
		return nil //nolint:nilerr // one sample that RTP cannot carry is left out, the stream goes on
	}
	if s.how.onvif {
		if err := s.how.extend(packets, sample.At.Add(sample.Offset), flags); err != nil {
			return err
		}
	}
	for _, packet := range packets {
		for {
			err := s.session.WritePacketRTPWithNTP(o.media, packet, sample.At.Add(sample.Offset))
			if _, full := errors.AsType[liberrors.ErrServerWriteQueueFull](err); !full {
				if err != nil {
					return err
				}
				break
			}
			if err := wait(ctx, queueTick); err != nil {
				return err
			}
		}
		s.ssrcs[o] = packet.SSRC
	}
	return nil
}

// farewell tells the client that nothing follows (RFC 3550 §6.6), and gives it
// the time to read what is still in the queue.
func (s *sending) farewell(ctx context.Context) {
	for o, ssrc := range s.ssrcs {
		_ = s.session.WritePacketRTCP(o.media, &rtcp.Goodbye{Sources: []uint32{ssrc}})
	}
	_ = wait(ctx, farewellTime)
}
