package rtsp

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"understudy"
)

// payloadMax is what of a packet is payload: beside ONVIF's header extension it
// still fits into what the library sends at once.
const payloadMax = 1420

// outlet makes packets of one track's samples.
type outlet struct {
	track  understudy.Track
	media  *description.Media
	encode func(payload []byte) ([]*rtp.Packet, error)
	rate   int64
	base   uint32 // RTP timestamps begin anywhere (RFC 3550 §5.1)
}

// newOutlets returns the outlets of tracks; a track that RTP cannot carry has none.
func newOutlets(tracks []understudy.Track) ([]*outlet, error) {
	var outlets []*outlet
	for i, track := range tracks {
		o := &outlet{track: track, rate: int64(track.TimeScale)}
		if err := o.open(uint8(96 + i)); err != nil {
			return nil, understudy.Errorf(understudy.CodeInternal, "%s cannot be sent over RTP: %w", track.Codec, err)
		}
		if o.media == nil || o.rate <= 0 {
			continue
		}
		var random [4]byte
		_, _ = rand.Read(random[:])
		o.base = binary.BigEndian.Uint32(random[:])
		outlets = append(outlets, o)
	}
	return outlets, nil
}

func (o *outlet) open(payloadType uint8) error {
	t := o.track
	switch t.Codec {
	case understudy.CodecH264:
		f := &format.H264{PayloadTyp: payloadType, SPS: t.SPS, PPS: t.PPS, PacketizationMode: 1}
		encoder, err := f.CreateEncoder()
		if err != nil {
			return err
		}
		encoder.PayloadMaxSize = payloadMax
		o.describe(f)
		o.encode = func(payload []byte) ([]*rtp.Packet, error) { return encoder.Encode(nalusOf(payload)) }
	case understudy.CodecH265:
		f := &format.H265{PayloadTyp: payloadType, VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}
		encoder, err := f.CreateEncoder()
		if err != nil {
			return err
		}
		encoder.PayloadMaxSize = payloadMax
		o.describe(f)
		o.encode = func(payload []byte) ([]*rtp.Packet, error) { return encoder.Encode(nalusOf(payload)) }
	case understudy.CodecMJPEG:
		f := &format.MJPEG{}
		encoder, err := f.CreateEncoder()
		if err != nil {
			return err
		}
		encoder.PayloadMaxSize = payloadMax
		o.describe(f)
		o.encode, o.rate = encoder.Encode, int64(f.ClockRate())
	default:
		return o.openAudio(payloadType)
	}
	return nil
}

func (o *outlet) openAudio(payloadType uint8) error {
	t := o.track
	switch t.Codec {
	case understudy.CodecAAC:
		var config mpeg4audio.AudioSpecificConfig
		if err := config.Unmarshal(t.Config); err != nil {
			return err
		}
		f := &format.MPEG4Audio{PayloadTyp: payloadType, Config: &config, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3} // RFC 3640 §3.3.6
		encoder, err := f.CreateEncoder()
		if err != nil {
			return err
		}
		o.describe(f)
		o.encode = func(payload []byte) ([]*rtp.Packet, error) { return encoder.Encode([][]byte{payload}) }
	case understudy.CodecOpus:
		f := &format.Opus{PayloadTyp: payloadType, ChannelCount: t.Channels}
		encoder, err := f.CreateEncoder()
		if err != nil {
			return err
		}
		o.describe(f)
		o.encode = func(payload []byte) ([]*rtp.Packet, error) {
			packet, err := encoder.Encode(payload)
			return []*rtp.Packet{packet}, err
		}
	case understudy.CodecLPCM:
		f := &format.LPCM{PayloadTyp: payloadType, BitDepth: 16, SampleRate: t.SampleRate, ChannelCount: t.Channels}
		encoder, err := f.CreateEncoder()
		if err != nil {
			return err
		}
		o.describe(f)
		o.encode = encoder.Encode
	}
	return nil
}

func (o *outlet) describe(f format.Format) {
	kind := description.MediaTypeAudio
	if o.track.Codec.Video() {
		kind = description.MediaTypeVideo
	}
	o.media = &description.Media{Type: kind, Formats: []format.Format{f}}
}

// packets makes the packets of a sample that is presented elapsed after the
// time from which the viewer's timestamps count.
func (o *outlet) packets(payload []byte, elapsed time.Duration) ([]*rtp.Packet, error) {
	if len(payload) == 0 {
		return nil, nil
	}
	packets, err := o.encode(payload)
	if err != nil {
		return nil, err
	}
	ticks := int64(elapsed/time.Second)*o.rate + int64(elapsed%time.Second)*o.rate/int64(time.Second)
	for _, packet := range packets {
		packet.Timestamp += o.base + uint32(ticks)
	}
	return packets, nil
}

// nalusOf splits a payload into its NAL units; what is torn at the end is left out.
func nalusOf(payload []byte) [][]byte {
	var nalus [][]byte
	for len(payload) >= 4 {
		size := binary.BigEndian.Uint32(payload)
		payload = payload[4:]
		if uint64(size) > uint64(len(payload)) {
			break
		}
		if size > 0 {
			nalus = append(nalus, payload[:size])
		}
		payload = payload[size:]
	}
	return nalus
}
