// Package fmp4test makes samples for tests: two short real clips, as a camera
// would deliver them, repeated as long as a test needs.
package fmp4test

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	mp4 "github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"understudy"
	"understudy/internal/fmp4"
)

//go:embed testdata/*.mp4
var clips embed.FS

// Start is when the first sample of every clip was captured.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Clip returns the tracks and samples of "h264" (4 s at 10 frames a second, 1 s
// GOPs with B-frames, AAC sound) or "h265" (3 s, no sound), in the order of
// their capture times, repeated so many times with hashes of their own.
func Clip(t testing.TB, name string, times int) ([]understudy.Track, []fmp4.TimedSample) {
	t.Helper()
	data, err := clips.ReadFile("testdata/" + name + ".mp4")
	if err != nil {
		t.Fatal(err)
	}
	var init mp4.Init
	if err := init.Unmarshal(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	var parts mp4.Parts
	if err := parts.Unmarshal(data); err != nil {
		t.Fatal(err)
	}
	tracks := make([]understudy.Track, len(init.Tracks))
	for i, track := range init.Tracks {
		tracks[i] = trackOf(t, track)
	}
	var once []fmp4.TimedSample
	for _, part := range parts {
		for _, p := range part.Tracks {
			once = append(once, samplesOf(tracks[p.ID-1], p)...)
		}
	}
	length := time.Duration(0)
	for _, s := range once {
		if s.Track == understudy.VideoTrack {
			length = max(length, s.End().Sub(Start))
		}
	}
	var all []fmp4.TimedSample
	for n := range times {
		for _, s := range once {
			if s.End().Sub(Start) > length {
				continue // sound that outlasts the picture would overlap the next round's
			}
			again := *s.Sample
			again.At = again.At.Add(time.Duration(n) * length)
			if n > 0 {
				again.Hash = understudy.SampleHash(sum(append([]byte{byte(n), byte(n >> 8)}, again.Payload...)))
			}
			all = append(all, fmp4.TimedSample{Sample: &again, Duration: s.Duration})
		}
	}
	return tracks, inOrder(all)
}

func trackOf(t testing.TB, track *mp4.InitTrack) understudy.Track {
	switch c := track.Codec.(type) {
	case *codecs.H264:
		return understudy.Track{ID: track.ID, Codec: understudy.CodecH264, TimeScale: 90000, SPS: c.SPS, PPS: c.PPS}
	case *codecs.H265:
		return understudy.Track{ID: track.ID, Codec: understudy.CodecH265, TimeScale: 90000, VPS: c.VPS, SPS: c.SPS, PPS: c.PPS}
	case *codecs.MPEG4Audio:
		config, err := c.Config.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return understudy.Track{ID: track.ID, Codec: understudy.CodecAAC, TimeScale: track.TimeScale, Config: config,
			SampleRate: c.Config.SampleRate, Channels: int(c.Config.ChannelConfig)}
	}
	t.Fatalf("the clip has a track of %T", track.Codec)
	return understudy.Track{}
}

func samplesOf(track understudy.Track, p *mp4.PartTrack) []fmp4.TimedSample {
	scale := uint64(track.TimeScale)
	if track.Codec.Video() {
		scale = 10240 // of the files
	}
	length := func(units uint64) time.Duration {
		return time.Duration(units) * time.Second / time.Duration(scale)
	}
	var samples []fmp4.TimedSample
	at := p.BaseTime
	for _, s := range p.Samples {
		payload, hash := s.Payload, understudy.SampleHash(sum(s.Payload))
		key := isKey(track, s)
		if track.Codec.Video() && key {
			payload = nil
			for _, set := range [][]byte{track.VPS, track.SPS, track.PPS} {
				if set != nil {
					payload = append(binary.BigEndian.AppendUint32(payload, uint32(len(set))), set...)
				}
			}
			payload = append(payload, s.Payload...)
		}
		samples = append(samples, fmp4.TimedSample{Duration: length(uint64(s.Duration)), Sample: &understudy.Sample{
			Track: track.ID, At: Start.Add(length(at)), Offset: length(uint64(s.PTSOffset)),
			Key: key, Payload: payload, Hash: hash}})
		at += uint64(s.Duration)
	}
	return samples
}

// isKey looks at the coded bytes, as ffmpeg marks the first sample of a
// fragment in a way that mediacommon does not read.
func isKey(track understudy.Track, s *mp4.Sample) bool {
	var unit h264.AVCC
	if !track.Codec.Video() || unit.Unmarshal(s.Payload) != nil {
		return true
	}
	if track.Codec == understudy.CodecH265 {
		return h265.IsRandomAccess(unit)
	}
	return h264.IsRandomAccess(unit)
}

func sum(b []byte) [16]byte {
	h := sha256.Sum256(b)
	return [16]byte(h[:16])
}

func inOrder(samples []fmp4.TimedSample) []fmp4.TimedSample {
	slices.SortStableFunc(samples, func(a, b fmp4.TimedSample) int { return a.At.Compare(b.At) })
	return samples
}
