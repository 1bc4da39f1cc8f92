package fmp4

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"understudy"
)

// headerUUID marks the private box of a segment: bb1f7a5e-6a41-4c62-9d0e-75736567ed01.
var headerUUID = [16]byte{0xbb, 0x1f, 0x7a, 0x5e, 0x6a, 0x41, 0x4c, 0x62, 0x9d, 0x0e, 'u', 's', 'e', 'g', 0xed, 0x01}

// boxVersion is the version of both private boxes; a reader refuses others.
const boxVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// MarshalInit returns ftyp and moov of the tracks. CodeInvalid if a track lacks
// what its sample entry needs.
func MarshalInit(tracks []understudy.Track) ([]byte, error) {
	if err := validateTracks(tracks); err != nil {
		return nil, err
	}
	var init fmp4.Init
	for _, t := range tracks {
		codec, err := codecOf(t)
		if err != nil {
			return nil, err
		}
		init.Tracks = append(init.Tracks, &fmp4.InitTrack{ID: t.ID, TimeScale: t.TimeScale, Codec: codec})
	}
	var buffer seekablebuffer.Buffer
	if err := init.Marshal(&buffer); err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the stream's parameters do not make a file header: %w", err)
	}
	// Parameter sets are both in the sample entry and in band. Players of Apple's
	// take hvc1 only, and no player minds the repetition.
	return bytes.Replace(buffer.Bytes(), []byte("hev1"), []byte("hvc1"), 1), nil
}

func validateTracks(tracks []understudy.Track) error {
	if len(tracks) < 1 || len(tracks) > 2 {
		return understudy.Errorf(understudy.CodeInvalid, "a segment has a video track and at most one audio track, found %d tracks", len(tracks))
	}
	for i, t := range tracks {
		switch {
		case t.ID != i+1 || t.Codec.Video() != (t.ID == understudy.VideoTrack):
			return understudy.Errorf(understudy.CodeInvalid, "track 1 is video and track 2 audio, found track %d of codec %.20q in place %d", t.ID, t.Codec, i+1)
		case t.TimeScale == 0:
			return understudy.Errorf(understudy.CodeInvalid, "track %d has no time scale", t.ID)
		}
	}
	return nil
}

func codecOf(t understudy.Track) (codecs.Codec, error) {
	switch t.Codec {
	case understudy.CodecH264:
		return &codecs.H264{SPS: t.SPS, PPS: t.PPS}, nil
	case understudy.CodecH265:
		return &codecs.H265{VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}, nil
	case understudy.CodecMJPEG:
		return &codecs.MJPEG{Width: t.Width, Height: t.Height}, nil
	case understudy.CodecOpus:
		return &codecs.Opus{ChannelCount: t.Channels}, nil
	case understudy.CodecLPCM:
		return &codecs.LPCM{BitDepth: 16, SampleRate: t.SampleRate, ChannelCount: t.Channels}, nil
	case understudy.CodecAAC:
		var config mpeg4audio.AudioSpecificConfig
		if err := config.Unmarshal(t.Config); err != nil {
			return nil, understudy.Errorf(understudy.CodeInvalid, "the AAC track's AudioSpecificConfig cannot be read: %w", err)
		}
		return &codecs.MPEG4Audio{Config: config}, nil
	}
	return nil, understudy.Errorf(understudy.CodeInvalid, "codec %.20q cannot be stored", t.Codec)
}

// headerJSON is the content of a segment's private box.
type headerJSON struct {
	Segment understudy.SegmentID `json:"segment"`
	Start   time.Time            `json:"start"`
	Tracks  []understudy.Track   `json:"tracks"`
}

// MarshalHeader returns what a segment begins with: MarshalInit and the private box of h.
func MarshalHeader(h Header, tracks []understudy.Track) ([]byte, error) {
	init, err := MarshalInit(tracks)
	if err != nil {
		return nil, err
	}
	return h.AppendTo(init, tracks)
}

// AppendTo is MarshalHeader with what MarshalInit returned for the same tracks: the
// segments of a session differ in the private box only.
func (h Header) AppendTo(init []byte, tracks []understudy.Track) ([]byte, error) {
	content, err := json.Marshal(headerJSON{h.Segment, h.Start.UTC(), tracks})
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the header of segment %s cannot be written: %w", h.Segment, err)
	}
	b := appendBox(init, 8+16+8+len(content), "uuid")
	b = append(b, headerUUID[:]...)
	b = binary.BigEndian.AppendUint32(b, boxVersion<<24)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(content, castagnoli))
	return append(b, content...), nil
}

// parseHeader reads the content of a segment's private box, after its UUID.
func parseHeader(b []byte) (Header, []understudy.Track, error) {
	if len(b) < 8 || b[0] != boxVersion {
		return Header{}, nil, understudy.Errorf(understudy.CodeInvalid, "the segment's header is of a version that this program does not know")
	}
	content := b[8:]
	if crc32.Checksum(content, castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return Header{}, nil, understudy.Errorf(understudy.CodeInvalid, "the segment's header is damaged: its checksum is wrong")
	}
	var h headerJSON
	if err := json.Unmarshal(content, &h); err != nil {
		return Header{}, nil, understudy.Errorf(understudy.CodeInvalid, "the segment's header cannot be read: %w", err)
	}
	if err := h.Segment.Validate(); err != nil {
		return Header{}, nil, err
	}
	if err := validateTracks(h.Tracks); err != nil {
		return Header{}, nil, err
	}
	return Header{h.Segment, h.Start}, h.Tracks, nil
}

func appendBox(b []byte, size int, kind string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(size)), kind...)
}
