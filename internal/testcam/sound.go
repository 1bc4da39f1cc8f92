package testcam

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/g711"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"
	"github.com/pion/rtp"
)

// packetTime is how much PCM goes into a packet, as cameras have it.
const packetTime = 20 * time.Millisecond

// sound is the audio of a file.
type sound struct {
	codec  codecs.Codec
	rate   int // of the RTP clock
	frames []heard
}

// heard is one unit of sound.
type heard struct {
	at      time.Duration
	payload []byte
}

// readSound reads the first audio track that a camera could send, up to where
// the pictures end; nil if there is none.
func readSound(p *pmp4.Presentation, length time.Duration) (*sound, error) {
	for _, track := range p.Tracks {
		s := &sound{codec: track.Codec}
		switch codec := track.Codec.(type) {
		case *codecs.MPEG4Audio:
			s.rate = codec.Config.SampleRate
		case *codecs.Opus:
			s.rate = 48000
		default:
			continue
		}
		return s, s.read(track, length)
	}
	return nil, nil
}

func (s *sound) read(track *pmp4.Track, length time.Duration) error {
	var ticks int64
	for _, sample := range track.Samples {
		payload, err := sample.GetPayload()
		if err != nil {
			return err
		}
		at := time.Duration(ticks) * time.Second / time.Duration(track.TimeScale)
		ticks += int64(sample.Duration)
		if end := time.Duration(ticks) * time.Second / time.Duration(track.TimeScale); end > length {
			break
		}
		s.frames = append(s.frames, heard{at, payload})
	}
	if len(s.frames) == 0 {
		return fmt.Errorf("its sound is empty")
	}
	return nil
}

// tone returns a sine of 400 Hz, as long as the pictures, as PCM of a telephone.
func tone(length time.Duration) *sound {
	const rate, pitch = 8000, 400
	s := &sound{codec: &codecs.LPCM{BitDepth: 16, SampleRate: rate, ChannelCount: 1}, rate: rate}
	n := 0
	for at := time.Duration(0); at+packetTime <= length; at += packetTime {
		var pcm []byte
		for range int(rate * packetTime / time.Second) {
			pcm = binary.BigEndian.AppendUint16(pcm, uint16(int16(8000*math.Sin(2*math.Pi*pitch*float64(n)/rate))))
			n++
		}
		s.frames = append(s.frames, heard{at, pcm})
	}
	return s
}

// openSound makes the media that sessions hear, and what makes its packets.
func (c *camera) openSound() error {
	var f format.Format
	switch codec := c.sound.codec.(type) {
	case *codecs.MPEG4Audio:
		aac := &format.MPEG4Audio{PayloadTyp: 97, Config: &codec.Config, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3} // RFC 3640 §3.3.6
		encoder, err := aac.CreateEncoder()
		if err != nil {
			return err
		}
		f, c.encodeSound = aac, func(b []byte) ([]*rtp.Packet, error) { return encoder.Encode([][]byte{b}) }
	case *codecs.Opus:
		opus := &format.Opus{PayloadTyp: 97, ChannelCount: codec.ChannelCount}
		encoder, err := opus.CreateEncoder()
		if err != nil {
			return err
		}
		f, c.encodeSound = opus, func(b []byte) ([]*rtp.Packet, error) {
			packet, err := encoder.Encode(b)
			return []*rtp.Packet{packet}, err
		}
	case *codecs.LPCM:
		law := &format.G711{PayloadTyp: 97, MULaw: c.settings.Tone == MuLaw, SampleRate: codec.SampleRate, ChannelCount: codec.ChannelCount}
		encoder, err := law.CreateEncoder()
		if err != nil {
			return err
		}
		f, c.encodeSound = law, func(b []byte) ([]*rtp.Packet, error) {
			coded, err := g711.Mulaw(b).Marshal()
			if c.settings.Tone == ALaw {
				coded, err = g711.Alaw(b).Marshal()
			}
			if err != nil {
				return nil, err
			}
			return encoder.Encode(coded)
		}
	}
	c.heard = &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{f}}
	return nil
}

// runSound plays the clip's sound beside its pictures.
func (c *camera) runSound(ctx context.Context, start time.Time) {
	random := rand.New(rand.NewPCG(2, uint64(c.first)))
	base := random.Uint32()
	timer := time.NewTimer(0)
	defer timer.Stop()
	s := c.sound
	begins := c.clip.units[c.first].at
	for n := 0; ; n++ {
		f := s.frames[n%len(s.frames)]
		played := time.Duration(n/len(s.frames))*c.clip.length + f.at - begins
		if played < 0 {
			continue
		}
		elapsed := time.Duration(float64(played) / c.speed)
		timer.Reset(time.Until(start.Add(elapsed)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if c.active.Load() == 0 || c.frozen(start.Add(elapsed)) {
			continue
		}
		packets, err := c.encodeSound(f.payload)
		if err != nil {
			continue
		}
		for _, packet := range packets {
			packet.Timestamp += base + uint32(int64(elapsed)*int64(s.rate)/int64(time.Second))
			_ = c.stream.WritePacketRTPWithNTP(c.heard, packet, start.Add(elapsed))
		}
	}
}
