package rtsp

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"understudy"
)

// maxWallStep is how far the wall clock may move away from a session's own
// clock before the session begins anew.
const maxWallStep = time.Second

// inlet turns a session's packets into samples. Over UDP each track has a
// goroutine of its own; mu brings them together.
type inlet struct {
	videoMedia, audioMedia   *description.Media
	videoFormat, audioFormat format.Format
	decodeVideo              func(*rtp.Packet) ([][]byte, error)
	direct                   *depacketizer // for packets that do not come through the library; nil for MJPEG

	mu       sync.Mutex
	video    *video
	audio    *audio
	began    time.Time     // PLAY was sent
	arrived  time.Time     // last access unit
	keyed    time.Time     // last key sample
	gop      time.Duration // longest seen
	pictures int
	sense    sense
}

// take reports whether a media is recorded: the first video and the first
// audio that we know.
func (in *inlet) take(media *description.Media) bool {
	if media.IsBackChannel {
		return false
	}
	for _, f := range media.Formats {
		if in.video == nil && media.Type == description.MediaTypeVideo && in.takeVideo(f) {
			in.videoMedia, in.videoFormat = media, f
			return true
		}
		if in.audio == nil && media.Type == description.MediaTypeAudio {
			if a, err := newAudio(f); err == nil && a != nil {
				in.audio, in.audioMedia, in.audioFormat = a, media, f
				return true
			}
		}
	}
	return false
}

func (in *inlet) takeVideo(f format.Format) bool {
	track := understudy.Track{ID: understudy.VideoTrack, TimeScale: uint32(f.ClockRate())}
	switch f := f.(type) {
	case *format.H264:
		decoder, err := f.CreateDecoder()
		if err != nil {
			return false
		}
		track.Codec, in.decodeVideo = understudy.CodecH264, decoder.Decode
		track.SPS, track.PPS = f.SPS, f.PPS
		in.direct = newDepacketizer(track.Codec)
	case *format.H265:
		decoder, err := f.CreateDecoder()
		if err != nil {
			return false
		}
		track.Codec, in.decodeVideo = understudy.CodecH265, decoder.Decode
		track.VPS, track.SPS, track.PPS = f.VPS, f.SPS, f.PPS
		in.direct = newDepacketizer(track.Codec)
	case *format.MJPEG:
		decoder, err := f.CreateDecoder()
		if err != nil {
			return false
		}
		track.Codec = understudy.CodecMJPEG
		in.decodeVideo = func(packet *rtp.Packet) ([][]byte, error) {
			frame, err := decoder.Decode(packet)
			return [][]byte{frame}, err
		}
	default:
		return false
	}
	in.video = newVideo(track)
	return true
}

// formatsOf lists what a camera offers, for people.
func formatsOf(session *description.Session) string {
	var names []string
	for _, media := range session.Medias {
		for _, f := range media.Formats {
			names = append(names, strings.TrimPrefix(fmt.Sprintf("%T", f), "*format."))
		}
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names[:min(len(names), 10)], ", ")
}

// connect attaches the inlet to a client whose tracks are set up.
func (p *pull) connect() {
	p.client.OnPacketRTP(p.videoMedia, p.videoFormat, p.videoPacket)
	if p.audio != nil {
		p.client.OnPacketRTP(p.audioMedia, p.audioFormat, p.audioPacket)
	}
}

func (p *pull) videoPacket(packet *rtp.Packet) {
	unit, err := p.decodeVideo(packet)
	if err != nil {
		return // more packets are needed, or one was lost; the sequence shows in the samples' times
	}
	ntp, _ := p.client.PacketNTP(p.videoMedia, packet)
	p.videoUnit(unit, packet.Timestamp, ntp)
}

// videoUnit takes an access unit. It keeps nothing of it.
func (p *pull) videoUnit(unit [][]byte, timestamp uint32, ntp time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.arrived = now
	p.pictures++
	p.look(unit, now)
	sample, begins := p.video.sample(unit, timestamp, p.now(), ntp)
	if sample == nil {
		return
	}
	if sample.Key {
		p.keyFrame(now)
		if p.wallStepped(now) {
			begins = true
			p.restart(now, timestamp, sample)
		}
	}
	if begins {
		p.sink.Tracks(p.tracks())
	}
	p.sink.Sample(sample)
	sample.Release()
}

// look sees whether what came can be video. It is recorded as it is.
func (in *inlet) look(unit [][]byte, now time.Time) {
	if codec := in.video.track.Codec; codec != understudy.CodecMJPEG {
		for _, nalu := range unit {
			in.sense.saw(!makesSense(codec, nalu), now)
		}
	}
}

// now is the session's clock: wall time at its beginning, monotonic from there.
func (p *pull) now() time.Time { return p.anchor.Add(time.Since(p.anchor)) }

// wallStepped reports whether the wall clock was set since the session began.
func (p *pull) wallStepped(now time.Time) bool {
	return now.Round(0).Sub(p.now().Round(0)).Abs() > maxWallStep
}

// restart begins a new session with a key sample, on the wall clock as it is now.
func (p *pull) restart(now time.Time, timestamp uint32, key *understudy.Sample) {
	p.anchor = now
	p.video.clock = clock{rate: p.video.clock.rate}
	p.video.dts = nil
	key.At, key.Offset = p.video.clock.capture(p.video.clock.unwrap(timestamp), now, time.Time{}), 0
	if p.audio != nil {
		p.audio.clock = clock{rate: p.audio.clock.rate}
	}
}

func (p *pull) keyFrame(now time.Time) {
	if !p.keyed.IsZero() {
		p.gop = max(p.gop, now.Sub(p.keyed))
	}
	p.keyed = now
}

// tracks returns what the session consists of, for readers that keep it.
func (p *pull) tracks() []understudy.Track {
	tracks := []understudy.Track{p.video.track}
	if p.audio != nil {
		tracks = append(tracks, p.audio.track)
	}
	return slices.Clone(tracks)
}

func (p *pull) audioPacket(packet *rtp.Packet) {
	ntp, _ := p.client.PacketNTP(p.audioMedia, packet)
	p.audioFrames(packet, ntp)
}

func (p *pull) audioFrames(packet *rtp.Packet, ntp time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	samples, err := p.audio.samples(packet, p.now(), ntp)
	if err != nil || p.keyed.IsZero() {
		return // before the first picture there is no session to belong to
	}
	for _, s := range samples {
		p.sink.Sample(s)
	}
}
