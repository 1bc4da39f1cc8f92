package rtsp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph265"
	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"understudy"
)

// oracle is the library's own way from packets to access units.
func oracle(t testing.TB, codec understudy.Codec, packets [][]byte) (units [][][]byte) {
	t.Helper()
	var decode func(*rtp.Packet) ([][]byte, error)
	if codec == understudy.CodecH265 {
		d := &rtph265.Decoder{}
		if err := d.Init(); err != nil {
			t.Fatal(err)
		}
		decode = d.Decode
	} else {
		d := &rtph264.Decoder{PacketizationMode: 1}
		if err := d.Init(); err != nil {
			t.Fatal(err)
		}
		decode = d.Decode
	}
	for _, b := range packets {
		p, ok := libraryPacket(bytes.Clone(b))
		if !ok {
			continue
		}
		unit, err := decode(p)
		if err == nil {
			units = append(units, unit)
		}
	}
	return units
}

// libraryPacket is what the library's client makes of a packet. Unlike
// rtp.Packet.Unmarshal it takes padding of no bytes.
func libraryPacket(b []byte) (*rtp.Packet, bool) {
	p := &rtp.Packet{}
	begin, err := p.Header.Unmarshal(b)
	if err != nil {
		return nil, false
	}
	end := len(b)
	if p.Padding {
		if end <= begin {
			return nil, false
		}
		end -= int(b[end-1])
	}
	if end < begin {
		return nil, false
	}
	p.Payload = b[begin:end]
	return p, true
}

func ours(codec understudy.Codec, packets [][]byte) (units [][][]byte) {
	d := newDepacketizer(codec)
	for _, b := range packets {
		shared := bytes.Clone(b)
		if p, ok := parsePacket(shared); ok {
			d.push(p, func(unit [][]byte, _ uint32) {
				var kept [][]byte
				for _, nalu := range unit {
					kept = append(kept, bytes.Clone(nalu))
				}
				units = append(units, kept)
			})
		}
		clear(shared) // what was received is overwritten by what comes next
	}
	return units
}

func sameUnits(a, b [][][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if len(a[i]) != len(b[i]) {
			return false
		}
		for j := range a[i] {
			if !bytes.Equal(a[i][j], b[i][j]) {
				return false
			}
		}
	}
	return true
}

func compare(t interface {
	Fatalf(string, ...any)
}, tb testing.TB, codec understudy.Codec, packets [][]byte,
) {
	want, got := oracle(tb, codec, packets), ours(codec, packets)
	if !sameUnits(want, got) {
		t.Fatalf("%s: the library makes %d access units of %d packets, we make %d:\n%x\n%x", codec, len(want), len(packets), len(got), want, got)
	}
}

// Streams as encoders write them, with packets lost, repeated, swapped and cut short.
func TestAccessUnitsAreThoseOfTheLibrary(t *testing.T) {
	for _, codec := range []understudy.Codec{understudy.CodecH264, understudy.CodecH265} {
		t.Run(string(codec), func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				packets := drawStream(r, t, codec)
				if len(oracle(t, codec, packets)) == 0 {
					r.Skip("nothing to compare")
				}
				damaged := drawDamage(r, packets)
				compare(r, t, codec, packets)
				compare(r, t, codec, damaged)
			})
		})
	}
}

func drawStream(r *rapid.T, t *testing.T, codec understudy.Codec) (packets [][]byte) {
	var encode func([][]byte) ([]*rtp.Packet, error)
	size := rapid.IntRange(50, 300).Draw(r, "packet size")
	if codec == understudy.CodecH265 {
		e := &rtph265.Encoder{PayloadType: 96, PayloadMaxSize: size}
		if err := e.Init(); err != nil {
			t.Fatal(err)
		}
		encode = e.Encode
	} else {
		e := &rtph264.Encoder{PayloadType: 96, PayloadMaxSize: size, PacketizationMode: 1}
		if err := e.Init(); err != nil {
			t.Fatal(err)
		}
		encode = e.Encode
	}
	for n := range rapid.IntRange(1, 8).Draw(r, "access units") {
		var unit [][]byte
		for range rapid.IntRange(1, 6).Draw(r, "NAL units") {
			nalu := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 1, 2, 0x67, 0xff}), 3, 900).Draw(r, "NAL unit")
			nalu[0], nalu[1] = 0x65, 1
			if codec == understudy.CodecH265 {
				nalu[0] = 0x26
			}
			unit = append(unit, nalu)
		}
		made, err := encode(unit)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range made {
			p.Timestamp = uint32(n) * 3600
			p.Marker = p.Marker && rapid.IntRange(0, 5).Draw(r, "marker lost") > 0
			b, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			packets = append(packets, b)
		}
	}
	return packets
}

func drawDamage(r *rapid.T, packets [][]byte) (damaged [][]byte) {
	for _, p := range packets {
		p = bytes.Clone(p)
		switch rapid.IntRange(0, 12).Draw(r, "damage") {
		case 0: // lost
			continue
		case 1:
			damaged = append(damaged, p)
		case 2:
			p = p[:rapid.IntRange(0, len(p)).Draw(r, "cut")]
		case 3:
			p[rapid.IntRange(0, len(p)-1).Draw(r, "at")] = rapid.Byte().Draw(r, "flip")
		case 4:
			if n := len(damaged); n > 0 {
				damaged[n-1], p = p, damaged[n-1]
			}
		}
		damaged = append(damaged, p)
	}
	return damaged
}

// The library's bounds are ours: a camera that never ends a picture costs so much and no more.
func TestAnAccessUnitThatNeverEndsIsBounded(t *testing.T) {
	for _, codec := range []understudy.Codec{understudy.CodecH264, understudy.CodecH265} {
		var packets [][]byte
		head, mid := []byte{0x7c, 0x85}, []byte{0x7c, 0x05}
		if codec == understudy.CodecH265 {
			head, mid = []byte{fu265 << 1, 1, 0x93}, []byte{fu265 << 1, 1, 0x13}
		}
		for i := range 200 {
			payload := mid
			if i == 0 {
				payload = head
			}
			p := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(i)}, Payload: append(bytes.Clone(payload), make([]byte, 60000)...)}
			b, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			packets = append(packets, b)
		}
		d, most := newDepacketizer(codec), 0
		for _, b := range packets {
			p, _ := parsePacket(b)
			d.push(p, func([][]byte, uint32) {})
			most = max(most, cap(d.bytes))
		}
		if most > 16<<20 {
			t.Errorf("%s: %d bytes are held", codec, most)
		}
		if d.fragment {
			t.Errorf("%s: 12 MB in one unit were taken", codec)
		}
		compare(t, t, codec, packets)
	}
}

// FuzzDepacketizer feeds packets, each with its length before it, to the library
// and to us. The first byte chooses the codec.
func FuzzDepacketizer(f *testing.F) {
	unit := [][]byte{{0x67, 1, 2}, bytes.Repeat([]byte{0x65, 1, 0, 0, 1}, 30)}
	e264 := &rtph264.Encoder{PayloadType: 96, PayloadMaxSize: 50, PacketizationMode: 1}
	e265 := &rtph265.Encoder{PayloadType: 96, PayloadMaxSize: 50}
	if err := errors.Join(e264.Init(), e265.Init()); err != nil {
		f.Fatal(err)
	}
	for n, encode := range []func([][]byte) ([]*rtp.Packet, error){e264.Encode, e265.Encode} {
		packets, err := encode(unit)
		if err != nil {
			f.Fatal(err)
		}
		seed := []byte{byte(n)}
		for _, p := range packets {
			b, err := p.Marshal()
			if err != nil {
				f.Fatal(err)
			}
			seed = append(binary.BigEndian.AppendUint16(seed, uint16(len(b))), b...)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		codec := understudy.CodecH264
		if b[0]&1 != 0 {
			codec = understudy.CodecH265
		}
		var packets [][]byte
		for b = b[1:]; len(b) >= 2; {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			packets = append(packets, b[2:2+n])
			b = b[2+n:]
		}
		compare(t, t, codec, packets)
	})
}
