package rtsp

import (
	"time"

	"understudy"
)

const (
	senseWindow = 4 * time.Second
	senseLeast  = 5 // NAL units in a window that make no sense before anything is said
)

// sense counts how much of what a camera sends can be no video at all. Lost
// packets do not show here: what they leave is left out before.
type sense struct {
	since     time.Time
	nonsense  int
	all       int
	condemned int // nonsense of the window in which there was too much of it, of that many
	of        int
}

// saw counts one NAL unit.
func (s *sense) saw(nonsense bool, now time.Time) {
	if s.since.IsZero() || now.Sub(s.since) >= senseWindow {
		s.since, s.nonsense, s.all = now, 0, 0
	}
	s.all++
	if nonsense {
		s.nonsense++
	}
	if s.nonsense >= senseLeast && 4*s.nonsense > s.all && now.Sub(s.since) >= senseWindow/2 {
		s.condemned, s.of = s.nonsense, s.all
	}
}

// makesSense reports whether a NAL unit's header is one that an encoder writes
// (H.264 §7.3.1, H.265 §7.3.1.2): the first bit is 0, and so on. Half of
// everything that is no NAL unit fails already at that.
func makesSense(codec understudy.Codec, nalu []byte) bool {
	if len(nalu) == 0 || nalu[0]&0x80 != 0 {
		return false
	}
	if codec == understudy.CodecH265 {
		return len(nalu) >= 2 && nalu[1]&7 != 0
	}
	kind := nalu[0] & 0x1f
	return kind != 0 && kind < 24
}
