package rtsp

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"understudy"
)

// depacketizer makes access units of RTP packets (RFC 6184, RFC 7798), without
// an allocation a packet. What it makes of which packets is what the library
// makes of them, the oddities of cameras that it knows included.
type depacketizer struct {
	assembler
	take      func(p packet) bool // adds a packet's units; false: it completes none, or makes no sense
	byTime    bool                // another timestamp ends an access unit
	timestamp uint32              // of the access unit that grows
	annexB    bool                // the camera puts start codes before its units
}

func newDepacketizer(codec understudy.Codec) *depacketizer {
	d := &depacketizer{}
	if codec == understudy.CodecH265 {
		d.take, d.maxBytes, d.maxUnits = d.take265, h265.MaxAccessUnitSize, h265.MaxNALUsPerAccessUnit
		return d
	}
	d.take, d.maxBytes, d.maxUnits = d.take264, h264.MaxAccessUnitSize, h264.MaxNALUsPerAccessUnit
	d.byTime = true // some cameras of that codec do not mark the last packet
	return d
}

// push takes a packet and calls whole with the access unit that it completes,
// if it does. The NAL units are valid during the call only.
func (d *depacketizer) push(p packet, whole func(unit [][]byte, timestamp uint32)) {
	defer d.release()
	before := len(d.ends)
	if !d.take(p) {
		return
	}
	if d.byTime && before > 0 && p.timestamp != d.timestamp {
		timestamp := d.timestamp
		d.timestamp = p.timestamp
		if !d.fits(before) {
			d.forget(len(d.ends))
			return
		}
		whole(d.units(before), timestamp)
		d.forget(before)
		return
	}
	d.timestamp = p.timestamp
	if !d.fits(0) {
		d.forget(len(d.ends))
		return
	}
	if p.marker {
		whole(d.units(len(d.ends)), p.timestamp)
		d.forget(len(d.ends))
	}
}

// The kinds of packets that are no NAL units (RFC 6184 table 1, RFC 7798 §4.4).
const (
	stapA264 = 24
	fuA264   = 28
	fuB264   = 29
	ap265    = 48
	fu265    = 49
	paci265  = 50
)

func (d *depacketizer) take264(p packet) bool {
	b := p.payload
	if len(b) == 0 {
		d.dropFragment()
		return false
	}
	switch kind := b[0] & 0x1f; {
	case kind == fuA264:
		return d.takeFuA(p)
	case kind == stapA264:
		d.dropFragment()
		n, ok := d.addAggregated(b[1:], true)
		return ok && d.plain(n)
	case kind > stapA264 && kind <= fuB264:
		d.dropFragment()
		return false
	default:
		d.dropFragment()
		d.add(b)
		return d.plain(1)
	}
}

func (d *depacketizer) takeFuA(p packet) bool {
	b := p.payload
	if len(b) < 2 {
		return false
	}
	begins, ends := b[1]&0x80 != 0, b[1]&0x40 != 0
	if begins {
		d.dropFragment()
		d.beginFragment(p.number, b[2:], b[0]&0x60|b[1]&0x1f)
	} else if !d.addFragment(p.number, b[2:]) {
		return false
	}
	// A fragment that both begins and ends must not be, and is sent.
	if !ends {
		return false
	}
	n := d.endFragment()
	return !d.annexB || d.plain(n)
}

// plain makes plain units of one that is wrapped into start codes (H.264 annex
// B), as some cameras do. n units were added.
func (d *depacketizer) plain(n int) bool {
	if n != 1 {
		return true
	}
	unit := d.units(len(d.ends))[len(d.ends)-1]
	d.annexB = d.annexB || bytes.Contains(unit, longStartCode)
	if !d.annexB {
		return true
	}
	wrapped := bytes.Clone(unit)
	if !bytes.HasPrefix(wrapped, longStartCode) {
		wrapped = slices.Concat(longStartCode, wrapped)
	}
	d.drop(1)
	var units h264.AnnexB
	if units.Unmarshal(wrapped) != nil {
		return false
	}
	for _, unit := range units {
		d.add(unit)
	}
	return true
}

// addAggregated adds units that have their length before them; none if one of
// them makes no sense. padded: zeros may follow the last one.
func (d *depacketizer) addAggregated(b []byte, padded bool) (n int, ok bool) {
	for len(b) >= 2 {
		size := int(binary.BigEndian.Uint16(b))
		b = b[2:]
		if size == 0 && padded && len(bytes.Trim(b, "\x00")) == 0 && n > 0 {
			return n, true
		}
		if size == 0 || size > len(b) {
			break
		}
		d.add(b[:size])
		n++
		if b = b[size:]; len(b) == 0 {
			return n, true
		}
	}
	d.drop(n)
	return 0, false
}

func (d *depacketizer) take265(p packet) bool {
	b := p.payload
	if len(b) < 2 {
		d.dropFragment()
		return false
	}
	switch kind := b[0] >> 1 & 0x3f; kind {
	case ap265:
		d.dropFragment()
		_, ok := d.addAggregated(b[2:], false)
		return ok
	case fu265:
		return d.takeFU(p)
	case paci265:
		d.dropFragment()
		return false
	default:
		d.dropFragment()
		d.add(b)
		return true
	}
}

func (d *depacketizer) takeFU(p packet) bool {
	b := p.payload
	if len(b) < 3 {
		d.dropFragment()
		return false
	}
	begins, ends := b[2]&0x80 != 0, b[2]&0x40 != 0
	if begins {
		d.dropFragment()
		if !ends { // both must not be
			d.beginFragment(p.number, b[3:], b[0]&0x81|b[2]&0x3f<<1, b[1])
		}
		return false
	}
	if !d.addFragment(p.number, b[3:]) || !ends {
		return false
	}
	d.endFragment()
	return true
}
