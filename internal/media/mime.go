package media

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"understudy"
)

// MIME returns the media type of fMP4 with the tracks, as MediaSource wants it
// (RFC 6381 §3.3; H.265: ISO/IEC 14496-15 annex E.3).
func MIME(tracks []understudy.Track) string {
	return fmt.Sprintf("video/mp4; codecs=%q", codecs(tracks))
}

func codecs(tracks []understudy.Track) string {
	var all []string
	for _, t := range tracks {
		all = append(all, codec(t))
	}
	return strings.Join(all, ",")
}

func codec(t understudy.Track) string {
	switch t.Codec {
	case understudy.CodecH264:
		if len(t.SPS) < 4 {
			return "avc1"
		}
		return fmt.Sprintf("avc1.%02X%02X%02X", t.SPS[1], t.SPS[2], t.SPS[3])
	case understudy.CodecH265:
		return codecH265(t.SPS)
	case understudy.CodecMJPEG:
		return "mp4v.6C"
	case understudy.CodecAAC:
		if len(t.Config) == 0 {
			return "mp4a.40.2"
		}
		return fmt.Sprintf("mp4a.40.%d", t.Config[0]>>3) // audioObjectType, ISO 14496-3 §1.6.2.1
	case understudy.CodecOpus:
		return "opus"
	default:
		return "ipcm"
	}
}

// codecH265 reads profile_tier_level, which stands at a fixed place behind the
// two bytes of the NAL header and one of identifiers (H.265 §7.3.2.2, §7.3.3).
func codecH265(sps []byte) string {
	const profile, level = 3, 14
	if len(sps) > 64 {
		sps = sps[:64]
	}
	rbsp := h264.EmulationPreventionRemove(sps)
	if len(rbsp) <= level {
		return "hvc1"
	}
	space := []string{"", "A", "B", "C"}[rbsp[profile]>>6]
	tier := "L"
	if rbsp[profile]&0x20 != 0 {
		tier = "H"
	}
	compatible := uint32(rbsp[4])<<24 | uint32(rbsp[5])<<16 | uint32(rbsp[6])<<8 | uint32(rbsp[7])
	constraints := rbsp[8:level]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	text := fmt.Sprintf("hvc1.%s%d.%X.%s%d", space, rbsp[profile]&0x1f, bits.Reverse32(compatible), tier, rbsp[level])
	for _, c := range constraints {
		text += fmt.Sprintf(".%X", c)
	}
	return text
}
