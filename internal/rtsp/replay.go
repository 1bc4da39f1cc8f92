package rtsp

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/pion/rtp"

	"understudy"
)

// Bounds of Scale.
const (
	maxScale  = 256
	minScale  = 1.0 / 16
	fullScale = 2                      // up to which all frames are sent
	keyPause  = 100 * time.Millisecond // least between two key frames that are paced
)

// replay is how recordings are played: what PLAY says besides the range.
type replay struct {
	scale    float64       // RFC 2326 §12.34; below 0 is backwards
	paced    bool          // in time; else as fast as the viewer reads ("Rate-Control: no")
	intra    bool          // key frames only ("Frames: intra")
	interval time.Duration // of captures, at least between two key frames ("Frames: intra/4000")
	onvif    bool          // with the header extension ("Require: onvif-replay")
	cseq     byte          // of PLAY, which the extension repeats
}

// parseReplay reads the headers of PLAY (RFC 2326 §12.34; ONVIF Streaming
// Specification §6: replay).
func parseReplay(header base.Header) (replay, error) {
	how := replay{scale: 1, paced: true}
	first := func(name string) string {
		if values := header[name]; len(values) > 0 {
			return strings.TrimSpace(values[0])
		}
		return ""
	}
	if text := first("Scale"); text != "" {
		scale, err := strconv.ParseFloat(text, 64)
		if size := math.Abs(scale); err != nil || !(size >= minScale && size <= maxScale) {
			return how, understudy.Errorf(understudy.CodeInvalid, "Scale is from %v to %d, or below 0 to play backwards, and is %.40q", minScale, maxScale, text)
		}
		how.scale = scale
	}
	switch text := strings.ToLower(first("Rate-Control")); text {
	case "", "yes":
	case "no":
		how.paced = false
	default:
		return how, understudy.Errorf(understudy.CodeInvalid, "Rate-Control is yes or no, and is %.40q", text)
	}
	if err := how.frames(strings.ToLower(first("Frames"))); err != nil {
		return how, err
	}
	how.onvif = slices.ContainsFunc(header["Require"], func(v string) bool { return strings.Contains(v, "onvif-replay") })
	cseq, _ := strconv.Atoi(first("CSeq")) // the library has checked it
	how.cseq = byte(cseq)
	return how, nil
}

func (r *replay) frames(text string) error {
	kind, interval, given := strings.Cut(text, "/")
	switch {
	case text == "" || text == "all" || text == "predicted":
		return nil // no track that is recorded tells which frames nothing depends on
	case kind == "intra":
		r.intra = true
		if !given {
			return nil
		}
		if ms, err := strconv.ParseUint(interval, 10, 31); err == nil {
			r.interval = time.Duration(ms) * time.Millisecond
			return nil
		}
	}
	return understudy.Errorf(understudy.CodeInvalid, "Frames is all, intra, or intra/ with milliseconds, and is %.40q", text)
}

func (r replay) backwards() bool { return r.scale < 0 }

// keysOnly reports whether only key frames are sent.
func (r replay) keysOnly() bool { return r.intra || r.scale > fullScale || r.backwards() }

// scaled returns how long something that took d is shown. What is not paced
// keeps its own time, as ONVIF has it.
func (r replay) scaled(d time.Duration) time.Duration {
	if !r.paced {
		return d
	}
	return time.Duration(float64(d) / r.scale)
}

// step is the least time between two key frames that are sent.
func (r replay) step() time.Duration {
	if !r.paced {
		return r.interval
	}
	return max(r.interval, time.Duration(math.Abs(r.scale)*float64(keyPause)))
}

// The flags of ONVIF's header extension, in its second 64 bits (Streaming
// Specification §6.3).
const (
	flagClean         = 0x80 // decoding can begin here
	flagEnd           = 0x40 // the footage has a hole behind it
	flagDiscontinuity = 0x20 // it does not follow what was sent before
	extensionProfile  = 0xabac
)

func flagsOf(sample *understudy.Sample, ends bool) (flags byte) {
	if sample.Key {
		flags |= flagClean
	}
	if ends {
		flags |= flagEnd
	}
	return flags
}

// extend gives the packets of one sample ONVIF's header extension: when it was
// taken, and what it is. The end is on the last packet, a discontinuity on the first.
func (r replay) extend(packets []*rtp.Packet, at time.Time, flags byte) error {
	for i, packet := range packets {
		here := flags
		if i > 0 {
			here &^= flagDiscontinuity
		}
		if i < len(packets)-1 {
			here &^= flagEnd
		}
		extension := binary.BigEndian.AppendUint64(make([]byte, 0, 12), ntp(at))
		packet.Extension, packet.ExtensionProfile = true, extensionProfile
		if err := packet.SetExtension(0, append(extension, here, r.cseq, 0, 0)); err != nil {
			return understudy.Errorf(understudy.CodeInternal, "a packet takes no header extension: %w", err)
		}
	}
	return nil
}

// ntp returns a time as RFC 3550 §4 has it: seconds since 1900 and their fraction.
func ntp(at time.Time) uint64 {
	const since1900 = 2208988800
	seconds := uint64(at.Unix() + since1900)
	return seconds<<32 | uint64(at.Nanosecond())<<32/uint64(time.Second)
}
