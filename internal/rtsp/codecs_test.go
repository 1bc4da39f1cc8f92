package rtsp_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/rtsp"
	"understudy/internal/stream"
)

// picture returns a JPEG frame.
func picture(t *testing.T, n int) []byte {
	t.Helper()
	img := image.NewYCbCr(image.Rect(0, 0, 320, 240), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = byte(i * n)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEachCodecTravels sends each codec through our server to our source.
func TestEachCodecTravels(t *testing.T) {
	t.Parallel()
	sound := func(n, size int) []byte { return bytes.Repeat([]byte{byte(n + 1)}, size) }
	opus := func(n int) []byte { return append([]byte{0xf8}, sound(n, 60)...) } // one frame of 20 ms (RFC 6716 §3.1)
	for name, c := range map[string]struct {
		audio    us.Track
		frame    func(n int) []byte
		interval time.Duration
	}{
		"MJPEG and AAC": {us.Track{Codec: us.CodecAAC, TimeScale: 48000, SampleRate: 48000, Channels: 2, Config: []byte{0x11, 0x90}},
			func(n int) []byte { return sound(n, 200) }, 1024 * time.Second / 48000},
		"MJPEG and Opus": {us.Track{Codec: us.CodecOpus, TimeScale: 48000, SampleRate: 48000, Channels: 2}, opus, 20 * time.Millisecond},
		"MJPEG and PCM": {us.Track{Codec: us.CodecLPCM, TimeScale: 8000, SampleRate: 8000, Channels: 1},
			func(n int) []byte { return sound(n, 320) }, 20 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.audio.ID = us.AudioTrack
			tracks := []us.Track{{ID: us.VideoTrack, Codec: us.CodecMJPEG, TimeScale: 90000, Width: 320, Height: 240}, c.audio}
			hub := stream.NewHub()
			hub.Tracks(tracks)
			start(t, func(ctx context.Context) { play(ctx, t, hub, c.frame, c.interval) })
			address := serveLibrary(t, &library{hub: hub}, nil)
			got := pull(t, rtsp.Config{URL: "rtsp://" + address + "/lobby?token=all"})
			samples := got.wait(t, 100)
			checkTracks(t, got.tracks[0], tracks)
			last := map[int]*us.Sample{}
			for _, s := range samples {
				if before := last[s.Track]; before != nil && !s.At.After(before.At) {
					t.Fatalf("track %d: %s follows %s", s.Track, s.At, before.At)
				}
				last[s.Track] = s
			}
			if last[1] == nil || last[2] == nil {
				t.Fatal("a track is missing")
			}
			if n := int(last[2].Payload[len(last[2].Payload)-1]) - 1; !bytes.Equal(last[2].Payload, c.frame(n)) {
				t.Errorf("an audio frame of %d bytes is not what was sent", len(last[2].Payload))
			}
			shown, err := jpeg.Decode(bytes.NewReader(last[1].Payload))
			if err != nil || shown.Bounds().Dx() != 320 || shown.At(5, 5) == (color.YCbCr{}) {
				t.Errorf("the picture cannot be shown: %v", err)
			}
		})
	}
}

// play publishes a picture each 100 ms, and audio, in real time.
func play(ctx context.Context, t *testing.T, hub *stream.Hub, frame func(int) []byte, interval time.Duration) {
	began, pictures := time.Now(), 0
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for n := 0; ; n++ {
		at := began.Add(time.Duration(n) * interval)
		if int(at.Sub(began)/(100*time.Millisecond)) >= pictures {
			pictures++
			hub.Sample(&us.Sample{Track: us.VideoTrack, At: at, Key: true, Payload: picture(t, pictures)})
		}
		hub.Sample(&us.Sample{Track: us.AudioTrack, At: at, Key: true, Payload: frame(n % 200)})
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func checkTracks(t *testing.T, got, want []us.Track) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d tracks came, %d were sent", len(got), len(want))
	}
	for i := range want {
		g, w := got[i], want[i]
		if g.ID != w.ID || g.Codec != w.Codec || g.TimeScale != w.TimeScale || g.SampleRate != w.SampleRate ||
			g.Channels != w.Channels || !bytes.Equal(g.Config, w.Config) || g.Width != w.Width || g.Height != w.Height {
			t.Errorf("track %d came as %+v, was sent as %+v", i, g, w)
		}
	}
}
