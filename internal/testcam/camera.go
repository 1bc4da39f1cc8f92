package testcam

import (
	"cmp"
	"context"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"understudy"
)

// clockRate is that of RTP video (RFC 6184 §8.2.1, RFC 7798 §7.1).
const clockRate = 90000

// freezeAfter is how long a freezing camera sends before it stops.
const freezeAfter = 3 * time.Second

// camera is one camera that plays its clip for all its sessions at once, so
// that each session carries the same bytes.
type camera struct {
	settings Camera
	clip     *clip
	speed    float64 // of the clock against the clip's
	sound    *sound  // nil is silence
	first    int     // unit with which it begins, so that each camera has its own phase

	// What was left out of the clip so that a key frame came sooner; of run only.
	skipped     uint64        // units
	skippedTime time.Duration // by the clip's clock
	wantsKey    atomic.Bool   // a session has just begun to play

	media       *description.Media
	heard       *description.Media // the sound; nil if there is none
	stream      *gortsplib.ServerStream
	encode      func(nalus [][]byte) ([]*rtp.Packet, error)
	encodeSound func(frame []byte) ([]*rtp.Packet, error)

	sessions int    // playing or set up; guarded by Cameras.mu
	slots    *slots // that they take; guarded by Cameras.mu
	active   atomic.Int64
	played   atomic.Int64 // when a session began to play last, UnixNano
}

// slots are how many sessions a camera has at a time.
type slots struct {
	most     int // 0: no limit
	taken    int
	expiring []time.Time // when those of lost sessions become free
}

func (s *slots) full(now time.Time) bool {
	s.expiring = slices.DeleteFunc(s.expiring, func(free time.Time) bool { return free.Before(now) })
	return s.most > 0 && s.taken+len(s.expiring) >= s.most
}

func newCamera(settings Camera, c *clip) *camera {
	h := fnv.New32a()
	_, _ = h.Write([]byte(settings.Name))
	cam := &camera{settings: settings, clip: c, speed: 1, slots: &slots{most: settings.MaxSessions}, first: int(h.Sum32() % uint32(len(c.units)))}
	if cam.sound = c.sound; settings.Tone != "" {
		cam.sound = tone(c.length)
	}
	if settings.GOP > 0 {
		cam.speed = float64(c.gop) / float64(settings.GOP)
	}
	return cam
}

// open makes the stream that sessions attach to.
func (c *camera) open(server *gortsplib.Server) error {
	video, err := c.openVideo()
	if err != nil {
		return err
	}
	c.media = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{video}}
	medias := []*description.Media{c.media}
	if c.sound != nil {
		if err := c.openSound(); err != nil {
			return err
		}
		medias = append(medias, c.heard)
	}
	c.stream = &gortsplib.ServerStream{Server: server, Desc: &description.Session{Title: c.settings.Name, Medias: medias}}
	return c.stream.Initialize()
}

// openVideo returns how the pictures are described, and makes what makes their packets.
func (c *camera) openVideo() (format.Format, error) {
	switch c.clip.codec {
	case understudy.CodecMJPEG:
		f := &format.MJPEG{}
		encoder, err := f.CreateEncoder()
		c.encode = func(pictures [][]byte) ([]*rtp.Packet, error) { return encoder.Encode(pictures[0]) }
		return f, err
	case understudy.CodecH265:
		f := &format.H265{PayloadTyp: 96, VPS: c.clip.vps, SPS: c.clip.sps, PPS: c.clip.pps}
		encoder, err := f.CreateEncoder()
		c.encode = func(nalus [][]byte) ([]*rtp.Packet, error) { return encoder.Encode(nalus) }
		return f, err
	default:
		f := &format.H264{PayloadTyp: 96, SPS: c.clip.sps, PPS: c.clip.pps, PacketizationMode: 1}
		encoder, err := f.CreateEncoder()
		c.encode = func(nalus [][]byte) ([]*rtp.Packet, error) { return encoder.Encode(nalus) }
		return f, err
	}
}

// run plays the clip in a loop, in real time, whether anybody watches or not:
// the frame counter grows with the time.
func (c *camera) run(ctx context.Context, start time.Time) {
	random := rand.New(rand.NewPCG(1, uint64(c.first)))
	base := random.Uint32() // RTP timestamps begin anywhere (RFC 3550 §5.1)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for frame := uint64(0); ; frame++ {
		if c.wantsKey.Swap(false) {
			c.skipToKey(frame)
		}
		index, elapsed := c.position(frame)
		u := &c.clip.units[index]
		at := start.Add(elapsed)
		timer.Reset(time.Until(at))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if c.active.Load() == 0 || c.frozen(at) {
			continue
		}
		offset := time.Duration(float64(u.offset) / c.speed)
		packets, err := c.encode(c.accessUnit(u, frame, at.Add(offset)))
		if err != nil {
			continue // an empty access unit, which a file may hold
		}
		for _, packet := range packets {
			packet.Timestamp = base + uint32((elapsed+offset)*clockRate/time.Second)
			if c.settings.Misbehave == GarbagePackets {
				scramble(packet.Payload, random)
			}
			// A session that cannot follow is closed by the handler.
			_ = c.stream.WritePacketRTPWithNTP(c.media, packet, at.Add(offset))
		}
	}
}

// position returns which unit is played as the camera's n-th frame, and how
// long after the first.
func (c *camera) position(frame uint64) (index int, elapsed time.Duration) {
	index, at := c.clipTime(frame)
	return index, time.Duration(float64(at-c.skippedTime) / c.speed)
}

// clipTime is position by the clip's own clock, what was left out included.
func (c *camera) clipTime(frame uint64) (index int, at time.Duration) {
	n := uint64(c.first) + frame + c.skipped
	loops := n / uint64(len(c.clip.units))
	index = int(n % uint64(len(c.clip.units)))
	return index, time.Duration(loops)*c.clip.length + c.clip.units[index].at - c.clip.units[c.first].at
}

// skipToKey makes the n-th frame a key frame, at its time: what the clip has
// before the next one is left out, for all sessions alike, as a camera that
// encodes a key frame on request does it.
func (c *camera) skipToKey(frame uint64) {
	index, before := c.clipTime(frame)
	for !c.clip.units[index].key { // the first unit of a clip is one
		c.skipped++
		index, _ = c.clipTime(frame)
	}
	_, after := c.clipTime(frame)
	c.skippedTime += after - before
}

func (c *camera) frozen(at time.Time) bool {
	return c.settings.Misbehave == Freeze && at.UnixNano()-c.played.Load() > int64(freezeAfter)
}

func (c *camera) accessUnit(u *unit, frame uint64, at time.Time) [][]byte {
	if c.clip.codec == understudy.CodecMJPEG {
		return u.nalus
	}
	var nalus [][]byte
	if u.key {
		nalus = append(nalus, c.clip.parameters()...)
	}
	if !c.settings.NoStamps {
		nalus = append(nalus, Stamp{Camera: cmp.Or(c.settings.Of, c.settings.Name), Frame: frame, At: at}.nalu(c.clip.seiHeader()))
	}
	return append(nalus, u.nalus...)
}

func scramble(payload []byte, random *rand.Rand) {
	for i := range payload {
		payload[i] = byte(random.Uint32())
	}
}
