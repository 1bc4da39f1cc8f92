package rtsp

import (
	"encoding/binary"

	"github.com/pion/rtp"
)

// packet is an RTP packet (RFC 3550 §5.1) whose payload lies where it was received.
type packet struct {
	kind      byte // payload type
	marker    bool
	number    uint16
	timestamp uint32
	source    uint32
	payload   []byte
}

const rtpHeader = 12 // without contributing sources and extension

// parsePacket takes a packet apart, as the library does.
func parsePacket(b []byte) (p packet, ok bool) {
	if len(b) < rtpHeader {
		return p, false
	}
	p = packet{
		kind: b[1] & 0x7f, marker: b[1]&0x80 != 0, number: binary.BigEndian.Uint16(b[2:]),
		timestamp: binary.BigEndian.Uint32(b[4:]), source: binary.BigEndian.Uint32(b[8:]),
	}
	begins, ends := rtpHeader+4*int(b[0]&0x0f), len(b)
	if b[0]&0x10 != 0 { // an extension, which is rare, and has rules of its own
		var header rtp.Header
		n, err := header.Unmarshal(b)
		if err != nil {
			return p, false
		}
		begins = n
	}
	if b[0]&0x20 != 0 && begins < len(b) {
		ends -= int(b[len(b)-1])
	} else if b[0]&0x20 != 0 {
		return p, false
	}
	if begins > ends {
		return p, false
	}
	p.payload = b[begins:ends]
	return p, true
}

// whole returns p for the library, which keeps it.
func (p packet) whole() *rtp.Packet {
	return &rtp.Packet{
		Header:  rtp.Header{Version: 2, Marker: p.marker, PayloadType: p.kind, SequenceNumber: p.number, Timestamp: p.timestamp, SSRC: p.source},
		Payload: append([]byte(nil), p.payload...),
	}
}
