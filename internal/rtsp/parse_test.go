package rtsp

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"understudy"
)

func TestRanges(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 250e6, time.UTC)
	for text, want := range map[string]struct {
		span  span
		given bool
		bad   bool
	}{
		"clock=20260102T150405.25Z-":                           {span: span{from: at}, given: true},
		"clock=20260102T150405.25Z-20260102T150406.25Z;time=x": {span: span{from: at, to: at.Add(time.Second)}, given: true},
		"npt=0-":     {},
		"npt=now-":   {},
		"":           {},
		"clock=now-": {bad: true},
		"clock=20260102T150405.25Z-20260102T150404Z": {bad: true},
		"clock=-": {bad: true},
	} {
		got, given, err := parseRange(base.HeaderValue{text}, false)
		if (err != nil) != want.bad || err == nil && (given != want.given || !got.from.Equal(want.span.from) || !got.to.Equal(want.span.to)) {
			t.Errorf("%q is %+v, %v, %v", text, got, given, err)
		}
	}
	if got := (span{from: at, to: at.Add(time.Second)}).header(); got[0] != "clock=20260102T150405.250Z-20260102T150406.250Z" {
		t.Errorf("a range is written %q", got)
	}
}

func FuzzParseRange(f *testing.F) {
	f.Add("clock=20260102T150405.25Z-20260102T151000Z")
	f.Add("npt=0-;time=1")
	f.Fuzz(func(t *testing.T, text string) {
		got, given, err := parseRange(base.HeaderValue{text}, false)
		if given && err == nil && got.live() {
			t.Errorf("%q is a range without a beginning", text)
		}
	})
}

// Whatever PLAY says, it is refused or played at a pace that can be kept.
func FuzzParseReplay(f *testing.F) {
	f.Add("-2.5", "no", "intra/4000", "4")
	f.Add("NaN", "yes", "all", "999999999999")
	f.Fuzz(func(t *testing.T, scale, rate, frames, cseq string) {
		how, err := parseReplay(base.Header{"Scale": {scale}, "Rate-Control": {rate}, "Frames": {frames}, "CSeq": {cseq}})
		if size := math.Abs(how.scale); err == nil && (!(size >= minScale && size <= maxScale) || how.step() < 0) {
			t.Errorf("%q %q %q is %+v", scale, rate, frames, how)
		}
	})
}

func FuzzWithoutToken(f *testing.F) {
	f.Add("rtsp://host:7563/lobby?token=SECRET&from=x")
	f.Add("rtsp://host/lobby?token=SECRET%zz")
	f.Add("rtsp://host/lobby?a;token=SECRET")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := base.ParseURL(text)
		if err == nil && bytes.Contains([]byte(u.RawQuery), []byte("token=SECRET")) && bytes.Contains([]byte(withoutToken(u)), []byte("=SECRET")) {
			t.Errorf("the token of %q is logged as %q", text, withoutToken(u))
		}
	})
}

// Whatever a camera sends as an access unit, what comes out is a sound sample
// or nothing.
func FuzzVideoSample(f *testing.F) {
	sps := []byte{0x67, 0x4d, 0x40, 0x1e, 0x96, 0x54, 0x03, 0x00, 0x49, 0xa2}
	f.Add(sps, []byte{0x68, 0xee, 0x3c, 0x80}, []byte{0x65, 0x88, 0x84}, uint32(3600), false)
	f.Add([]byte{0x40, 1, 0}, []byte{0x42, 1, 1}, []byte{0x26, 1, 0xaf}, uint32(0), true)
	f.Fuzz(func(t *testing.T, a, b, c []byte, step uint32, hevc bool) {
		codec := understudy.CodecH264
		if hevc {
			codec = understudy.CodecH265
		}
		v := newVideo(understudy.Track{ID: understudy.VideoTrack, Codec: codec, TimeScale: 90000, SPS: sps, PPS: []byte{0x68}})
		var before time.Time
		for i := range 4 {
			s, begins := v.sample([][]byte{a, b, c}, uint32(i)*step, noon.Add(time.Duration(i)*time.Second), time.Time{})
			if s == nil {
				continue
			}
			if s.Offset < 0 || !s.At.After(before) || begins && !s.Key {
				t.Fatalf("sample %+v, begins %v", s, begins)
			}
			if size := joinedSize(nalusOf(s.Payload)); size != len(s.Payload) {
				t.Fatalf("a payload of %d bytes has NAL units of %d", len(s.Payload), size)
			}
			before = s.At
		}
	})
}

func FuzzNALUs(f *testing.F) {
	f.Add(binary.BigEndian.AppendUint32(nil, 1<<31))
	f.Add([]byte{0, 0, 0, 2, 1, 2, 0, 0, 0, 9, 1})
	f.Fuzz(func(t *testing.T, payload []byte) {
		if joinedSize(nalusOf(payload)) > len(payload) {
			t.Error("more came out than was there")
		}
	})
}

func TestG711IsRecordedAsLinearPCM(t *testing.T) {
	for _, mulaw := range []bool{true, false} {
		a, err := newAudio(&format.G711{PayloadTyp: 0, MULaw: mulaw, SampleRate: 8000, ChannelCount: 1})
		if err != nil || a.track.Codec != understudy.CodecLPCM || a.track.SampleRate != 8000 || a.track.Channels != 1 {
			t.Fatalf("%+v, %v", a, err)
		}
		packet := &rtp.Packet{Header: rtp.Header{Timestamp: 7}, Payload: bytes.Repeat([]byte{0xd5}, 160)}
		samples, err := a.samples(packet, noon, time.Time{})
		if err != nil || len(samples) != 1 || len(samples[0].Payload) != 320 || samples[0].Hash == (understudy.SampleHash{}) {
			t.Fatalf("%d samples, %v", len(samples), err)
		}
		if silence := binary.BigEndian.Uint16(samples[0].Payload); !mulaw && silence != 8 {
			t.Errorf("A-law 0xd5 is %d, expected 8 (G.711 table 1a)", silence)
		}
		packet.Timestamp += 160
		next, err := a.samples(packet, noon.Add(20*time.Millisecond), time.Time{})
		if err != nil || next[0].At.Sub(samples[0].At) != 20*time.Millisecond {
			t.Errorf("the second packet lies %s after the first, %v", next[0].At.Sub(samples[0].At), err)
		}
	}
}
