package fmp4_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"os"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
)

// Motion JPEG with each kind of sound that is not in the clips.
func TestProgramsReadTheOtherCodecs(t *testing.T) {
	for _, c := range []struct {
		track  understudy.Track
		frame  time.Duration
		sample []byte
	}{
		{understudy.Track{ID: 2, Codec: understudy.CodecLPCM, TimeScale: 8000, SampleRate: 8000, Channels: 1}, 20 * time.Millisecond, make([]byte, 320)},
		// A CELT frame of 20 ms, stereo, with no content (RFC 6716 §3.1).
		{understudy.Track{ID: 2, Codec: understudy.CodecOpus, TimeScale: 48000, SampleRate: 48000, Channels: 2}, 20 * time.Millisecond, []byte{0xfc, 0xff, 0xfe}},
	} {
		tracks := []understudy.Track{{ID: 1, Codec: understudy.CodecMJPEG, TimeScale: 90000, Width: 64, Height: 48}, c.track}
		var samples []fmp4.TimedSample
		for n := range 20 {
			at := fmp4test.Start.Add(time.Duration(n) * 100 * time.Millisecond)
			samples = append(samples, fmp4.TimedSample{Duration: 100 * time.Millisecond,
				Sample: &understudy.Sample{Track: 1, At: at, Key: true, Payload: picture(t, uint8(n*10))}})
			for k := range 5 {
				samples = append(samples, fmp4.TimedSample{Duration: c.frame,
					Sample: &understudy.Sample{Track: 2, At: at.Add(time.Duration(k) * c.frame), Key: true, Payload: c.sample}})
			}
		}
		name := t.TempDir() + "/segment.mp4"
		if err := os.WriteFile(name, write(t, segment, tracks, samples, 60), 0o600); err != nil {
			t.Fatal(err)
		}
		packets := fmp4test.Probe(t, name)
		if len(packets[0]) != 20 || len(packets[1]) == 0 {
			t.Errorf("%s: %d pictures, %d packets of sound", c.track.Codec, len(packets[0]), len(packets[1]))
		}
		fmp4test.Decode(t, name)
	}
}

func picture(t testing.TB, grey uint8) []byte {
	t.Helper()
	// In colour: ffmpeg misses the end of a grey picture that has one.
	img := image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = grey + uint8(i)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
