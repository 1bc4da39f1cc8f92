package testcam

import (
	"bytes"
	_ "embed" // the clip
	"fmt"
	"io"
	"os"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"

	"understudy"
)

// embedded is 30 s of a campus square, H.264, 10 frames a second, GOP 2 s.
// Source and licence stand in NOTICE.
//
//go:embed plaza.mp4
var embedded []byte

// clip is the video of a file, in decode order, and its sound.
type clip struct {
	codec         understudy.Codec
	vps, sps, pps []byte
	units         []unit
	length        time.Duration // of the video, the last unit's duration included
	gop           time.Duration // from the first key unit to the next; length if there is but one
	sound         *sound        // nil if there is none
}

// unit is one access unit, without parameter sets and delimiters.
type unit struct {
	nalus  [][]byte
	at     time.Duration // decode time
	offset time.Duration // presentation minus decode time
	key    bool
}

// loadClip reads a file; an empty name means the embedded clip.
func loadClip(name string) (*clip, error) {
	if name == "" {
		return parseClip(bytes.NewReader(embedded))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "a test camera's file is an MP4 that can be read: %w", err)
	}
	defer f.Close()
	c, err := parseClip(f)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "a test camera's file is an MP4 with H.264, H.265 or Motion JPEG video that begins with a key frame; %s is not: %w", name, err)
	}
	return c, nil
}

func parseClip(r io.ReadSeeker) (*clip, error) {
	var p pmp4.Presentation
	if err := p.Unmarshal(r); err != nil {
		return nil, err
	}
	for _, track := range p.Tracks {
		c := &clip{}
		switch codec := track.Codec.(type) {
		case *codecs.H264:
			c.codec, c.sps, c.pps = understudy.CodecH264, codec.SPS, codec.PPS
		case *codecs.H265:
			c.codec, c.vps, c.sps, c.pps = understudy.CodecH265, codec.VPS, codec.SPS, codec.PPS
		case *codecs.MJPEG:
			c.codec = understudy.CodecMJPEG
		default:
			continue
		}
		if err := c.read(track); err != nil {
			return nil, err
		}
		var err error
		c.sound, err = readSound(&p, c.length)
		return c, err
	}
	return nil, fmt.Errorf("no video track of %d", len(p.Tracks))
}

func (c *clip) read(track *pmp4.Track) error {
	var decode int64
	ticks := func(n int64) time.Duration {
		return time.Duration(n) * time.Second / time.Duration(track.TimeScale)
	}
	for _, sample := range track.Samples {
		payload, err := sample.GetPayload()
		if err != nil {
			return err
		}
		var avcc h264.AVCC
		if c.codec == understudy.CodecMJPEG {
			avcc = [][]byte{payload}
		} else if err := avcc.Unmarshal(payload); err != nil {
			return err
		}
		u := unit{at: ticks(decode), offset: max(0, ticks(int64(sample.PTSOffset))), key: !sample.IsNonSyncSample}
		for _, nalu := range avcc {
			if !c.redundant(nalu) {
				u.nalus = append(u.nalus, nalu)
			}
		}
		if u.key && c.gop == 0 && len(c.units) > 0 {
			c.gop = u.at
		}
		c.units = append(c.units, u)
		decode += int64(sample.Duration)
	}
	if len(c.units) == 0 || !c.units[0].key || decode <= 0 {
		return fmt.Errorf("%d samples, beginning with a key frame: %v", len(c.units), len(c.units) > 0 && c.units[0].key)
	}
	c.length = ticks(decode)
	if c.gop == 0 {
		c.gop = c.length
	}
	return nil
}

// redundant reports whether a NAL unit is a parameter set or a delimiter.
func (c *clip) redundant(nalu []byte) bool {
	if len(nalu) == 0 {
		return true
	}
	if c.codec == understudy.CodecMJPEG {
		return false
	}
	if c.codec == understudy.CodecH264 {
		switch h264.NALUType(nalu[0] & 0x1f) {
		case h264.NALUTypeSPS, h264.NALUTypePPS, h264.NALUTypeAccessUnitDelimiter:
			return true
		}
		return false
	}
	switch h265.NALUType(nalu[0] >> 1 & 0x3f) {
	case h265.NALUType_VPS_NUT, h265.NALUType_SPS_NUT, h265.NALUType_PPS_NUT, h265.NALUType_AUD_NUT:
		return true
	}
	return false
}

// parameters returns the parameter sets as they go in front of a key unit.
func (c *clip) parameters() [][]byte {
	if c.codec == understudy.CodecH265 {
		return [][]byte{c.vps, c.sps, c.pps}
	}
	return [][]byte{c.sps, c.pps}
}

// seiHeader returns the NAL unit header of an SEI message.
func (c *clip) seiHeader() []byte {
	if c.codec == understudy.CodecH265 {
		return []byte{seiH265 << 1, 1}
	}
	return []byte{seiH264}
}
