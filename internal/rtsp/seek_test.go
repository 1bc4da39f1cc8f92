package rtsp_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"
	"github.com/pion/rtp"

	us "understudy"
	"understudy/internal/rtsp"
	"understudy/internal/stream"
	"understudy/internal/testcam"
)

// player is a client that knows Range and PAUSE.
type player struct {
	*gortsplib.Client
	frames chan uint64 // of the stamps that come
}

func newPlayer(t *testing.T, url string) player {
	t.Helper()
	u, err := base.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	tcp := gortsplib.ProtocolTCP
	p := player{&gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Protocol: &tcp}, make(chan uint64, 1000)}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	session, _, err := p.Describe(u)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetupAll(session.BaseURL, session.Medias); err != nil {
		t.Fatal(err)
	}
	h264 := session.Medias[0].Formats[0].(*format.H264)
	decoder, err := h264.CreateDecoder()
	if err != nil {
		t.Fatal(err)
	}
	p.OnPacketRTP(session.Medias[0], h264, func(packet *rtp.Packet) {
		unit, err := decoder.Decode(packet)
		if err != nil {
			return
		}
		var payload []byte
		for _, nalu := range unit {
			payload = append(binary.BigEndian.AppendUint32(payload, uint32(len(nalu))), nalu...)
		}
		if stamp, ok := testcam.ParseStamp(payload); ok {
			p.frames <- stamp.Frame
		}
	})
	return p
}

func (p player) from(t *testing.T, at time.Time) {
	t.Helper()
	if _, err := p.Play(&headers.Range{Value: &headers.RangeUTC{Start: at.UTC()}}); err != nil {
		t.Fatal(err)
	}
}

// pause returns the frames that came before it took effect.
func (p player) pause(t *testing.T) (frames []uint64) {
	t.Helper()
	if _, err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case f := <-p.frames:
			frames = append(frames, f)
		default:
			return frames
		}
	}
}

func TestPlaybackPausesAndSeeks(t *testing.T) {
	t.Parallel()
	cameras := serve(t, testcam.Camera{Name: "lobby", GOP: 500 * time.Millisecond})
	taped := pull(t, rtsp.Config{URL: cameras.URL("lobby")})
	samples := taped.wait(t, 201)
	l := &library{hub: stream.NewHub()}
	l.hub.Tracks(taped.tracks[0])
	l.record(t, "lobby", taped.tracks[0], samples)
	p := newPlayer(t, "rtsp://"+serveLibrary(t, l, nil)+"/lobby?token=all")

	// gortsplib writes whole seconds only.
	early := samples[0].At.Truncate(time.Second).Add(time.Second)
	late := early.Add(2 * time.Second)
	p.from(t, early)
	first := <-p.frames
	if want := keyFrameAt(t, samples, early); first != want {
		t.Errorf("frame %d comes first, expected %d", first, want)
	}
	rest := append([]uint64{first}, p.pause(t)...)
	if _, err := p.Play(nil); err != nil {
		t.Fatal(err)
	}
	if next := <-p.frames; next != rest[len(rest)-1]+1 {
		t.Errorf("after the pause comes frame %d, and frame %d came before", next, rest[len(rest)-1])
	}
	p.pause(t)
	p.from(t, late)
	if next, want := <-p.frames, keyFrameAt(t, samples, late); next != want {
		t.Errorf("from %s on, frame %d comes first, expected %d", late, next, want)
	}
	for last, _ := testcam.ParseStamp(samples[199].Payload); <-p.frames != last.Frame; {
	}
}

// keyFrameAt returns the frame of the last key sample that is not after at.
func keyFrameAt(t *testing.T, samples []*us.Sample, at time.Time) uint64 {
	t.Helper()
	var frame uint64
	for _, s := range samples {
		if stamp, ok := testcam.ParseStamp(s.Payload); ok && s.Key && !s.At.After(at) {
			frame = stamp.Frame
		}
	}
	return frame
}
