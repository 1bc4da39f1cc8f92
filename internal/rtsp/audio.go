package rtsp

import (
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/g711"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/pion/rtp"

	"understudy"
)

// audio makes samples of a camera's audio packets.
type audio struct {
	track understudy.Track
	clock clock
	// decode returns the frames of a packet; units is how many units of the
	// clock one frame lasts.
	decode func(*rtp.Packet) ([][]byte, error)
	units  func(frame []byte) int64
}

// samples makes the samples of a packet.
func (a *audio) samples(packet *rtp.Packet, arrival, ntp time.Time) ([]*understudy.Sample, error) {
	frames, err := a.decode(packet)
	if err != nil || len(frames) == 0 {
		return nil, err
	}
	at := a.clock.unwrap(packet.Timestamp)
	first := at
	var samples []*understudy.Sample
	for _, frame := range frames {
		later := a.clock.elapsed(at - first)
		stamp := ntp
		if !ntp.IsZero() {
			stamp = ntp.Add(later)
		}
		samples = append(samples, &understudy.Sample{
			Track: understudy.AudioTrack, At: a.clock.capture(at, arrival.Add(later), stamp), Key: true,
			Payload: frame, Hash: hashOf(frame),
		})
		at += a.units(frame)
	}
	return samples, nil
}

// newAudio returns how f is recorded; nil for what is not.
func newAudio(f format.Format) (*audio, error) {
	a := &audio{track: understudy.Track{ID: understudy.AudioTrack}}
	var err error
	switch f := f.(type) {
	case *format.MPEG4Audio:
		err = a.aac(f)
	case *format.G711:
		err = a.g711(f)
	case *format.Opus:
		err = a.opus(f)
	case *format.LPCM:
		if f.BitDepth != 16 {
			return nil, nil
		}
		err = a.lpcm(f)
	default:
		return nil, nil
	}
	a.clock.rate = int64(a.track.TimeScale)
	if err != nil || a.clock.rate <= 0 {
		return nil, err
	}
	return a, nil
}

func (a *audio) aac(f *format.MPEG4Audio) error {
	decoder, err := f.CreateDecoder()
	if err != nil || f.Config == nil {
		return err
	}
	config, err := f.Config.Marshal()
	if err != nil {
		return err
	}
	a.track.Codec, a.track.Config = understudy.CodecAAC, config
	a.describe(f.Config.SampleRate, aacChannels(f.Config.ChannelConfig))
	a.decode = decoder.Decode
	a.units = func([]byte) int64 { return mpeg4audio.SamplesPerAccessUnit }
	return nil
}

// aacChannels returns the number of channels of a configuration (ISO 14496-3
// table 1.19); 0 means that it stands inside the stream, where stereo is usual.
func aacChannels(config uint8) int {
	switch config {
	case 0:
		return 2
	case 7:
		return 8
	}
	return int(config)
}

func (a *audio) g711(f *format.G711) error {
	decoder, err := f.CreateDecoder()
	if err != nil {
		return err
	}
	a.linear(f.SampleRate, f.ChannelCount)
	a.decode = func(packet *rtp.Packet) ([][]byte, error) {
		frame, err := decoder.Decode(packet)
		if err != nil {
			return nil, err
		}
		if f.MULaw {
			var linear g711.Mulaw
			linear.Unmarshal(frame)
			return [][]byte{linear}, nil
		}
		var linear g711.Alaw
		linear.Unmarshal(frame)
		return [][]byte{linear}, nil
	}
	return nil
}

func (a *audio) lpcm(f *format.LPCM) error {
	decoder, err := f.CreateDecoder()
	if err != nil {
		return err
	}
	a.linear(f.SampleRate, f.ChannelCount)
	a.decode = func(packet *rtp.Packet) ([][]byte, error) {
		frame, err := decoder.Decode(packet)
		return [][]byte{frame}, err
	}
	return nil
}

func (a *audio) opus(f *format.Opus) error {
	decoder, err := f.CreateDecoder()
	if err != nil {
		return err
	}
	a.track.Codec = understudy.CodecOpus
	a.describe(48000, f.ChannelCount) // the clock of Opus, whatever was sampled (RFC 7587 §4.1)
	a.decode = func(packet *rtp.Packet) ([][]byte, error) {
		frame, err := decoder.Decode(packet)
		return [][]byte{frame}, err
	}
	a.units = opus.PacketDuration2
	return nil
}

// linear describes 16-bit linear PCM.
func (a *audio) linear(rate, channels int) {
	a.track.Codec = understudy.CodecLPCM
	a.describe(rate, channels)
	a.units = func(frame []byte) int64 { return int64(len(frame) / (2 * max(1, channels))) }
}

func (a *audio) describe(rate, channels int) {
	a.track.TimeScale, a.track.SampleRate, a.track.Channels = uint32(rate), rate, channels
}
