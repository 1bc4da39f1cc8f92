package testcam

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/conn"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"

	"understudy"
)

// Crowd is many well-behaved cameras that cost little, for benchmarks: H.264
// over RTSP and TCP only, from packets that were made once, a write a frame.
// Each access unit is stamped, and cameras have different phases.
type Crowd struct {
	listener net.Listener
	names    []string
	describe []byte
	clip     *clip
	frames   []frame
	every    time.Duration // from frame to frame
	began    time.Time
	log      *slog.Logger
}

// crowdWriteTimeout is how long a client may not read before it is left.
const crowdWriteTimeout = 10 * time.Second

// NewCrowd reads a file (an empty name is the embedded clip) and listens. Names
// are cam1, cam2, …; Run closes the listener.
func NewCrowd(listen, file string, count int, log *slog.Logger) (*Crowd, error) {
	loaded, err := loadClip(file)
	if err != nil {
		return nil, err
	}
	if loaded.codec != understudy.CodecH264 {
		return nil, understudy.Errorf(understudy.CodeInvalid, "a crowd of cameras plays H.264 only, and %s is %s", file, loaded.codec)
	}
	c := &Crowd{clip: loaded, every: loaded.length / time.Duration(len(loaded.units)), began: time.Now(), log: log}
	f := &format.H264{PayloadTyp: crowdPayloadType, SPS: loaded.sps, PPS: loaded.pps, PacketizationMode: 1}
	if c.frames, err = packetize(loaded, f); err != nil {
		return nil, err
	}
	session := description.Session{Title: "crowd", Medias: []*description.Media{{Type: description.MediaTypeVideo, Control: "video", Formats: []format.Format{f}}}}
	if c.describe, err = session.Marshal(); err != nil {
		return nil, err
	}
	var listening net.ListenConfig
	if c.listener, err = listening.Listen(context.Background(), "tcp", listen); err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "the test cameras cannot listen on %s: %w", listen, err)
	}
	for i := range count {
		c.names = append(c.names, fmt.Sprintf("cam%d", i+1))
	}
	return c, nil
}

// URLs returns where the cameras are pulled.
func (c *Crowd) URLs() []string {
	var urls []string
	for _, name := range c.names {
		urls = append(urls, "rtsp://"+c.listener.Addr().String()+"/"+name)
	}
	return urls
}

// Run serves until ctx ends; its error is ctx's, or why the listener failed.
func (c *Crowd) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { c.listener.Close() })()
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		nc, err := c.listener.Accept()
		if err != nil {
			cancel(err)
			return context.Cause(ctx)
		}
		serving.Go(func() {
			defer nc.Close()
			defer context.AfterFunc(ctx, func() { nc.Close() })()
			s := &crowdSession{crowd: c, conn: nc, id: newSessionID(), stop: make(chan struct{})}
			if err := s.serve(); err != nil {
				c.log.Debug("a session ended", "client", nc.RemoteAddr(), "why", err)
			}
		})
	}
}

func newSessionID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// crowdSession is one connection and its session.
type crowdSession struct {
	crowd *Crowd
	conn  net.Conn
	id    string
	stop  chan struct{}
	mu    sync.Mutex // of writes: a response never comes inside a frame
	plays sync.WaitGroup
}

var errTornDown = errors.New("torn down")

func (s *crowdSession) serve() error {
	defer s.plays.Wait()
	defer close(s.stop)
	reader := conn.NewConn(bufio.NewReader(s.conn), s.conn)
	playing := false
	for {
		what, err := reader.Read()
		if err != nil {
			return err
		}
		request, ok := what.(*base.Request)
		if !ok {
			continue // a receiver report
		}
		camera := s.find(request.URL)
		response := s.answer(request, camera)
		response.Header["CSeq"] = request.Header["CSeq"]
		content, err := response.Marshal()
		if err != nil {
			return err
		}
		if err := s.write(content); err != nil {
			return err
		}
		switch {
		case response.StatusCode != base.StatusOK:
		case request.Method == base.Teardown:
			return errTornDown
		case request.Method == base.Play && !playing:
			playing = true
			s.plays.Go(func() { s.play(camera) })
		}
	}
}

// find returns the number of the camera of a URL; -1 is none.
func (s *crowdSession) find(u *base.URL) int {
	if u == nil {
		return -1
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	var n int
	if _, err := fmt.Sscanf(name, "cam%d", &n); err != nil || n < 1 || n > len(s.crowd.names) {
		return -1
	}
	return n - 1
}

func (s *crowdSession) answer(request *base.Request, camera int) *base.Response {
	response := &base.Response{StatusCode: base.StatusOK, Header: base.Header{"Session": base.HeaderValue{s.id}}}
	switch request.Method {
	case base.Options:
		response.Header["Public"] = base.HeaderValue{"DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"}
		return response
	case base.Describe:
		if camera < 0 {
			break
		}
		response.Header["Content-Type"] = base.HeaderValue{"application/sdp"}
		response.Header["Content-Base"] = base.HeaderValue{request.URL.String() + "/"}
		response.Body = s.crowd.describe
		return response
	case base.Setup:
		transport := request.Header["Transport"]
		if len(transport) == 0 || !strings.Contains(transport[0], "TCP") {
			response.StatusCode = base.StatusUnsupportedTransport
			return response
		}
		response.Header["Transport"] = base.HeaderValue{"RTP/AVP/TCP;unicast;interleaved=0-1"}
		return response
	case base.GetParameter, base.Teardown:
		return response
	case base.Play:
		if camera >= 0 {
			return response
		}
	}
	response.StatusCode = base.StatusNotFound
	return response
}

func (s *crowdSession) write(content []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(crowdWriteTimeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(content)
	return err
}

// play sends a camera's frames at their times until the session ends. Frames
// are counted from when the crowd was made, whoever watches.
func (s *crowdSession) play(camera int) {
	c := s.crowd
	phase := c.every * time.Duration(camera) / time.Duration(len(c.names))
	first := camera * len(c.frames) / len(c.names) // in the clip
	var start [6]byte
	_, _ = rand.Read(start[:]) // never fails
	p := player{sequence: binary.BigEndian.Uint16(start[:]), base: binary.BigEndian.Uint32(start[2:])}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := uint64(time.Since(c.began)/c.every) + 1; ; n++ {
		at := c.began.Add(phase + time.Duration(n)*c.every)
		timer.Reset(time.Until(at))
		select {
		case <-timer.C:
		case <-s.stop:
			return
		}
		stamp := Stamp{Camera: c.names[camera], Frame: n, At: at}
		f := &c.frames[(uint64(first)+n)%uint64(len(c.frames))]
		if err := s.write(p.frame(f, stamp, uint32(n*uint64(c.every)*clockRate/uint64(time.Second)))); err != nil {
			s.conn.Close()
			return
		}
	}
}
