package understudy

import (
	"encoding/hex"
	"time"
)

// Codec is how the samples of a track are coded.
type Codec string

// The codecs that are recorded. G.711 audio is stored as the linear PCM it decodes to.
const (
	CodecH264  Codec = "h264"
	CodecH265  Codec = "h265"
	CodecMJPEG Codec = "mjpeg"
	CodecAAC   Codec = "aac"
	CodecOpus  Codec = "opus"
	CodecLPCM  Codec = "lpcm" // 16 bit, big endian
)

// Video reports whether c codes pictures.
func (c Codec) Video() bool { return c == CodecH264 || c == CodecH265 || c == CodecMJPEG }

// Track describes one elementary stream of a camera. Track 1 is the video;
// audio, where there is any, is track 2.
type Track struct {
	ID    int   `json:"id"`
	Codec Codec `json:"codec"`
	// TimeScale is units a second, as the stream itself counts: 90000 for
	// video, the sample rate for audio.
	TimeScale uint32 `json:"time_scale"`
	// Parameter sets, raw NAL units without start codes (H.264 §7.3.2, H.265 §7.3.2).
	VPS []byte `json:"vps,omitempty"`
	SPS []byte `json:"sps,omitempty"`
	PPS []byte `json:"pps,omitempty"`
	// Config is the AudioSpecificConfig of AAC (ISO 14496-3 §1.6.2.1).
	Config     []byte `json:"config,omitempty"`
	SampleRate int    `json:"sample_rate,omitempty"`
	Channels   int    `json:"channels,omitempty"`
	Width      int    `json:"width,omitempty"`
	Height     int    `json:"height,omitempty"`
}

// VideoTrack is the id of the video track.
const VideoTrack = 1

// AudioTrack is the id of the audio track.
const AudioTrack = 2

// SampleHash names a sample by its coded bytes: XXH3-128 (canonical, so big
// endian) over the payload, for H.264 and H.265 over all NAL units but parameter
// sets and access unit delimiters, each with its 4-byte length. Two sessions of one
// camera carry the same bytes, so two servers' copies have the same hash. It is a
// name, and proves nothing to anybody who makes bytes to fit: what comes from
// another server is checked by the SHA-256 of its segment.
type SampleHash [16]byte

// String returns 32 hexadecimal digits.
func (h SampleHash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText returns 32 hexadecimal digits.
func (h SampleHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (h *SampleHash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return Errorf(CodeInvalid, "a sample hash is %d hexadecimal digits, found %d", 2*len(h), len(text))
	}
	_, err := hex.Decode(h[:], text)
	if err != nil {
		return Errorf(CodeInvalid, "a sample hash is hexadecimal: %w", err)
	}
	return nil
}

// Sample is one access unit of one track. Samples are shared between readers:
// nobody changes one after it was published. One that is lent (Lend) is looked
// at by its holders only; others get a Detached one.
type Sample struct {
	Track int
	// At is the capture time on the decode timeline: strictly increasing within a track of a session.
	At time.Time
	// Offset is presentation minus decode time; not negative; 0 without B-frames.
	Offset time.Duration
	// Key: decoding can begin here. Always true for audio and MJPEG.
	Key bool
	// Payload is the sample as an MP4 file has it: NAL units with 4-byte lengths
	// for H.264 and H.265 (key samples begin with their parameter sets), the raw frame else.
	Payload []byte
	Hash    SampleHash
	// Sum is the CRC-32C of Payload, made when it came; 0 where it is not known.
	Sum uint32

	loan *loan // of the payload; nil where it is kept for as long as anybody likes
}
