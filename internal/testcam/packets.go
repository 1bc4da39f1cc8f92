package testcam

import (
	"encoding/binary"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
)

const (
	crowdPayloadType = 96
	crowdSSRC        = 0x5eed
	interleavedSize  = 4  // $, channel, length (RFC 2326 §10.12)
	rtpHeaderSize    = 12 // without extension (RFC 3550 §5.1)
	ntpEpoch         = 2208988800
	reportEvery      = 5 * time.Second // a sender report
)

// frame is an access unit as interleaved packets, but for numbers and times.
type frame struct {
	bytes   []byte
	packets []int // where each begins
}

// packetize makes the packets of a clip, once for all cameras.
func packetize(c *clip, f *format.H264) ([]frame, error) {
	encoder, err := f.CreateEncoder()
	if err != nil {
		return nil, err
	}
	var frames []frame
	for _, u := range c.units {
		var nalus [][]byte
		if u.key {
			nalus = c.parameters()
		}
		packets, err := encoder.Encode(append(nalus, u.nalus...))
		if err != nil {
			return nil, err
		}
		var made frame
		for _, packet := range packets {
			made.packets = append(made.packets, len(made.bytes))
			made.bytes = appendPacket(made.bytes, packet.Payload, packet.Marker)
		}
		frames = append(frames, made)
	}
	return frames, nil
}

func appendPacket(b, payload []byte, marker bool) []byte {
	kind := byte(crowdPayloadType)
	if marker {
		kind |= 0x80
	}
	b = append(b, '$', 0)
	b = binary.BigEndian.AppendUint16(b, uint16(rtpHeaderSize+len(payload)))
	b = append(b, 2<<6, kind, 0, 0, 0, 0, 0, 0) // number and timestamp come later
	b = binary.BigEndian.AppendUint32(b, crowdSSRC)
	return append(b, payload...)
}

// player makes the bytes of one session.
type player struct {
	sequence uint16
	base     uint32
	buffer   []byte // reused
	reported time.Time
	packets  uint32
	octets   uint32
}

// frame returns what is sent for a frame; valid until the next call.
func (p *player) frame(f *frame, stamp Stamp, ticks uint32) []byte {
	p.buffer = p.buffer[:0]
	if stamp.At.Sub(p.reported) >= reportEvery {
		p.reported = stamp.At
		p.report(stamp.At, ticks)
	}
	at := len(p.buffer)
	p.buffer = appendPacket(p.buffer, stamp.nalu([]byte{seiH264}), false)
	p.number(at, ticks)
	whole := len(p.buffer)
	p.buffer = append(p.buffer, f.bytes...)
	for _, at := range f.packets {
		p.number(whole+at, ticks)
	}
	p.octets += uint32(len(p.buffer))
	return p.buffer
}

// number gives the packet that begins there its number and timestamp.
func (p *player) number(at int, ticks uint32) {
	header := p.buffer[at+interleavedSize:]
	binary.BigEndian.PutUint16(header[2:], p.sequence)
	binary.BigEndian.PutUint32(header[4:], p.base+ticks)
	p.sequence++
	p.packets++
}

// report appends a sender report (RFC 3550 §6.4.1).
func (p *player) report(at time.Time, ticks uint32) {
	fraction := uint64(at.Nanosecond()) << 32 / uint64(time.Second)
	b := append(p.buffer, '$', 1, 0, 28, 2<<6, 200, 0, 6)
	b = binary.BigEndian.AppendUint32(b, crowdSSRC)
	b = binary.BigEndian.AppendUint32(b, uint32(at.Unix()+ntpEpoch))
	b = binary.BigEndian.AppendUint32(b, uint32(fraction))
	b = binary.BigEndian.AppendUint32(b, p.base+ticks)
	b = binary.BigEndian.AppendUint32(b, p.packets)
	p.buffer = binary.BigEndian.AppendUint32(b, p.octets)
}
