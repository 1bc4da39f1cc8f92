package rtsp

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image/jpeg"
	mathbits "math/bits"
	"strings"
	"time"
	"unsafe"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/zeebo/xxh3"

	"understudy"
)

// video makes samples of a camera's access units. It is not safe for
// concurrent use.
type video struct {
	track  understudy.Track // parameter sets as last seen
	clock  clock
	dts    dtsExtractor
	stale  bool      // the track has changed, or was never complete
	keys   bool      // a key sample was made: what follows can be decoded
	memory *Payloads // of payloads; nil: the runtime's
	more   [][]byte  // further picture parameter sets, by other ids than the track's
	sifted [][]byte  // used again by each sift
}

type dtsExtractor interface {
	Extract(accessUnit [][]byte, pts int64) (int64, error)
}

func newVideo(track understudy.Track) *video {
	return &video{track: track, stale: true, clock: clock{rate: int64(track.TimeScale)}}
}

// sample makes the sample of an access unit: its NAL units, or one JPEG frame.
// begins reports that the track is new, so that a session begins with this
// sample; nil means that there is nothing to decode (yet).
func (v *video) sample(unit [][]byte, timestamp uint32, arrival, ntp time.Time) (s *understudy.Sample, begins bool) {
	pts := v.clock.unwrap(timestamp)
	if v.track.Codec == understudy.CodecMJPEG {
		return v.picture(unit[0], pts, arrival, ntp)
	}
	nalus, key := v.sift(unit)
	if len(nalus) == 0 {
		return nil, false
	}
	if key {
		if v.stale && !v.measure() {
			return nil, false
		}
		begins = v.stale
		v.stale, v.keys = false, true
		if begins || v.dts == nil {
			v.dts = v.newExtractor()
		}
	}
	if !v.keys {
		return nil, false
	}
	payload, coded, lent := v.payload(nalus, key)
	dts := v.decodeTime(nalus, key, pts)
	offset := v.clock.elapsed(pts) - v.clock.elapsed(dts)
	if !ntp.IsZero() {
		ntp = ntp.Add(-offset)
	}
	s = &understudy.Sample{
		Track: understudy.VideoTrack, At: v.clock.capture(dts, arrival, ntp), Offset: offset,
		Key: key, Payload: payload, Hash: hashOf(coded), Sum: crc32.Checksum(payload, castagnoli),
	}
	if lent {
		s.Lend(v.memory.give)
	}
	return s, begins
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// hashOf names the coded bytes of a sample. It is the only place where a
// SampleHash is made: all others compare it.
func hashOf(coded []byte) understudy.SampleHash { return xxh3.Hash128(coded).Bytes() }

// sift returns the NAL units of an access unit without parameter sets and
// delimiters, remembering the former, and whether decoding can begin there.
// What it returns is valid until the next call.
func (v *video) sift(unit [][]byte) (nalus [][]byte, key bool) {
	nalus = v.sifted[:0]
	for _, nalu := range unit {
		if len(nalu) == 0 || v.track.Codec == understudy.CodecH265 && len(nalu) < 2 {
			continue
		}
		var drop, random bool
		if v.track.Codec == understudy.CodecH264 {
			drop, random = v.sift264(nalu)
		} else {
			drop, random = v.sift265(nalu)
		}
		key = key || random
		if !drop {
			nalus = append(nalus, nalu)
		}
	}
	v.sifted = nalus
	return nalus, key
}

func (v *video) sift264(nalu []byte) (drop, random bool) {
	switch h264.NALUType(nalu[0] & 0x1f) {
	case h264.NALUTypeSPS:
		v.remember(&v.track.SPS, nalu)
	case h264.NALUTypePPS:
		v.rememberPPS(nalu, 1)
	case h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeSPSExtension, h264.NALUTypeSubsetSPS:
	case h264.NALUTypeIDR:
		return false, true
	default:
		return false, false
	}
	return true, false
}

func (v *video) sift265(nalu []byte) (drop, random bool) {
	switch h265.NALUType(nalu[0] >> 1 & 0x3f) {
	case h265.NALUType_VPS_NUT:
		v.remember(&v.track.VPS, nalu)
	case h265.NALUType_SPS_NUT:
		v.remember(&v.track.SPS, nalu)
	case h265.NALUType_PPS_NUT:
		v.rememberPPS(nalu, 2)
	case h265.NALUType_AUD_NUT:
	case h265.NALUType_IDR_W_RADL, h265.NALUType_IDR_N_LP, h265.NALUType_CRA_NUT:
		return false, true
	default:
		return false, false
	}
	return true, false
}

// remember keeps a parameter set; the track is copied on change, since the one
// that was announced is shared.
func (v *video) remember(set *[]byte, nalu []byte) {
	if !bytes.Equal(*set, nalu) {
		*set = bytes.Clone(nalu)
		v.stale = true
	}
}

// maxPPS is as many picture parameter sets as an encoder has use for.
const maxPPS = 16

// rememberPPS keeps a picture parameter set. An encoder may have several and
// say in each slice which: one replaces only that of the same id.
func (v *video) rememberPPS(nalu []byte, header int) {
	id := firstNumber(nalu, header)
	if len(v.track.PPS) == 0 || firstNumber(v.track.PPS, header) == id {
		v.remember(&v.track.PPS, nalu)
		return
	}
	for i := range v.more {
		if firstNumber(v.more[i], header) == id {
			v.remember(&v.more[i], nalu)
			return
		}
	}
	if len(v.more) < maxPPS-1 {
		v.more, v.stale = append(v.more, bytes.Clone(nalu)), true
	}
}

// firstNumber reads the Exp-Golomb number (H.264 §9.1) that a picture parameter
// set begins with behind its header: its id. -1 is none.
func firstNumber(nalu []byte, header int) int {
	var bits uint32
	for i := range 4 {
		bits <<= 8
		if header+i < len(nalu) {
			bits |= uint32(nalu[header+i])
		}
	}
	zeros := mathbits.LeadingZeros32(bits)
	if zeros > 8 { // an id has at most 8 bits
		return -1
	}
	return int(bits>>(31-2*zeros)) - 1
}

// measure completes the track from its parameter sets; false if they are
// missing or make no sense.
func (v *video) measure() bool {
	t := &v.track
	if len(t.SPS) == 0 || len(t.PPS) == 0 || t.Codec == understudy.CodecH265 && len(t.VPS) == 0 {
		return false
	}
	if t.Codec == understudy.CodecH264 {
		var sps h264.SPS
		if sps.Unmarshal(t.SPS) != nil {
			return false
		}
		t.Width, t.Height = sps.Width(), sps.Height()
	} else {
		var sps h265.SPS
		if sps.Unmarshal(t.SPS) != nil {
			return false
		}
		t.Width, t.Height = sps.Width(), sps.Height()
	}
	const most = 1 << 15 // a side of the largest picture of H.265 level 7.2, rounded up
	return t.Width > 0 && t.Height > 0 && t.Width <= most && t.Height <= most
}

func (v *video) newExtractor() dtsExtractor {
	if v.track.Codec == understudy.CodecH264 {
		d := &h264.DTSExtractor{}
		d.Initialize()
		return d
	}
	d := &h265.DTSExtractor{}
	d.Initialize()
	return d
}

// parameters returns the parameter sets in the order in which they are decoded.
func (v *video) parameters() [][]byte {
	if v.track.Codec == understudy.CodecH265 {
		return append([][]byte{v.track.VPS, v.track.SPS, v.track.PPS}, v.more...)
	}
	return append([][]byte{v.track.SPS, v.track.PPS}, v.more...)
}

// payload joins NAL units as an MP4 file has them; coded is the part that is hashed.
func (v *video) payload(nalus [][]byte, key bool) (payload, coded []byte, lent bool) {
	var sets [][]byte
	if key {
		sets = v.parameters()
	}
	setBytes := joinedSize(sets)
	size := setBytes + joinedSize(nalus)
	if payload = v.memory.take(size); payload != nil {
		for _, list := range [2][][]byte{sets, nalus} {
			for _, nalu := range list {
				payload = binary.BigEndian.AppendUint32(payload, uint32(len(nalu)))
				payload = append(payload, nalu...)
			}
		}
		return payload, payload[setBytes:], true
	}
	// A builder's memory is not cleared before it is written. Nobody changes a
	// payload, so that it may be a string's bytes.
	var joined strings.Builder
	joined.Grow(size)
	for _, list := range [2][][]byte{sets, nalus} {
		for _, nalu := range list {
			var size [4]byte
			binary.BigEndian.PutUint32(size[:], uint32(len(nalu)))
			joined.Write(size[:])
			joined.Write(nalu)
		}
	}
	payload = unsafe.Slice(unsafe.StringData(joined.String()), joined.Len()) //nolint:gosec // see above
	return payload, payload[setBytes:], false
}

func joinedSize(nalus [][]byte) (n int) {
	for _, nalu := range nalus {
		n += 4 + len(nalu)
	}
	return n
}

// decodeTime returns when the access unit is decoded, not after pts. Where the
// extractor cannot tell, which a lost packet is enough for, it is pts.
func (v *video) decodeTime(nalus [][]byte, key bool, pts int64) int64 {
	if v.dts == nil {
		return pts
	}
	if key {
		nalus = append(v.parameters(), nalus...)
	}
	dts, err := v.dts.Extract(nalus, pts)
	if err != nil {
		v.dts = nil // until the next key sample
		return pts
	}
	return min(dts, pts)
}

// picture makes the sample of a JPEG frame (RFC 2435).
func (v *video) picture(frame []byte, pts int64, arrival, ntp time.Time) (s *understudy.Sample, begins bool) {
	size, err := jpeg.DecodeConfig(bytes.NewReader(frame))
	if err != nil {
		return nil, false
	}
	begins = v.stale || size.Width != v.track.Width || size.Height != v.track.Height
	v.track.Width, v.track.Height, v.stale, v.keys = size.Width, size.Height, false, true
	return &understudy.Sample{
		Track: understudy.VideoTrack, At: v.clock.capture(pts, arrival, ntp), Key: true, Payload: frame, Hash: hashOf(frame),
	}, begins
}
