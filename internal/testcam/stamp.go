package testcam

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"
)

// Stamp is what each access unit of a test camera carries, in an SEI message
// "user data unregistered" (H.264 §D.1.7, H.265 §D.2.7).
type Stamp struct {
	Camera string
	Frame  uint64    // grows by one with each frame
	At     time.Time // capture time
}

// stampUUID tells our SEI messages from others. It and the text behind it hold
// no zero bytes, so that a stamp never needs emulation prevention.
const stampUUID = "understudy-stamp"

// The NAL unit types that carry SEI, and the SEI payload type of user data.
const (
	seiH264      = 6  // H.264 table 7-1
	seiH265      = 39 // H.265 table 7-1, prefix SEI
	seiUserData  = 5
	maxStampText = 254 - len(stampUUID)
)

// nalu returns the stamp as a NAL unit whose header is given.
func (s Stamp) nalu(header []byte) []byte {
	text := s.Camera + " " + strconv.FormatUint(s.Frame, 10) + " " + strconv.FormatInt(s.At.UnixNano(), 10)
	out := make([]byte, 0, len(header)+len(stampUUID)+len(text)+3)
	out = append(out, header...)
	out = append(out, seiUserData, byte(len(stampUUID)+len(text)))
	out = append(out, stampUUID...)
	out = append(out, text...)
	return append(out, 0x80) // rbsp_trailing_bits
}

// ParseStamp finds the stamp in a sample's payload: NAL units of H.264 or
// H.265, each with its 4-byte length.
func ParseStamp(payload []byte) (Stamp, bool) {
	for len(payload) >= 4 {
		size := binary.BigEndian.Uint32(payload)
		payload = payload[4:]
		if uint64(size) > uint64(len(payload)) {
			return Stamp{}, false
		}
		if s, ok := parseStampNALU(payload[:size]); ok {
			return s, true
		}
		payload = payload[size:]
	}
	return Stamp{}, false
}

func parseStampNALU(nalu []byte) (Stamp, bool) {
	if len(nalu) < 2 {
		return Stamp{}, false
	}
	switch {
	case nalu[0]&0x1f == seiH264 && nalu[1] == seiUserData:
		nalu = nalu[1:]
	case nalu[0]>>1&0x3f == seiH265:
		nalu = nalu[2:]
	default:
		return Stamp{}, false
	}
	if len(nalu) < 2 || nalu[0] != seiUserData || len(nalu)-2 < int(nalu[1]) {
		return Stamp{}, false
	}
	text, ok := strings.CutPrefix(string(nalu[2:2+int(nalu[1])]), stampUUID)
	if !ok {
		return Stamp{}, false
	}
	parts := strings.Split(text, " ")
	if len(parts) != 3 {
		return Stamp{}, false
	}
	frame, err1 := strconv.ParseUint(parts[1], 10, 64)
	at, err2 := strconv.ParseInt(parts[2], 10, 64)
	if err1 != nil || err2 != nil {
		return Stamp{}, false
	}
	return Stamp{Camera: parts[0], Frame: frame, At: time.Unix(0, at)}, true
}
