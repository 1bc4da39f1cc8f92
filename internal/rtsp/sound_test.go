package rtsp_test

import (
	"bytes"
	"context"
	"net/url"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/rtsp"
	"understudy/internal/stream"
)

// Who may not hear a camera is described its pictures alone, live and recorded.
func TestWhoMayNotHearIsSentPicturesAlone(t *testing.T) {
	t.Parallel()
	tracks := []us.Track{{ID: us.VideoTrack, Codec: us.CodecMJPEG, TimeScale: 90000, Width: 320, Height: 240},
		{ID: us.AudioTrack, Codec: us.CodecLPCM, TimeScale: 8000, SampleRate: 8000, Channels: 1}}
	frame := func(int) []byte { return bytes.Repeat([]byte{7}, 320) }
	hub := stream.NewHub()
	hub.Tracks(tracks)
	start(t, func(ctx context.Context) { play(ctx, t, hub, frame, 20*time.Millisecond) })
	l := &library{hub: hub}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var samples []*us.Sample
	for n := range 200 {
		at := noon.Add(time.Duration(n) * 20 * time.Millisecond)
		if n%5 == 0 {
			samples = append(samples, &us.Sample{Track: us.VideoTrack, At: at, Key: n%50 == 0, Payload: picture(t, n)})
		}
		samples = append(samples, &us.Sample{Track: us.AudioTrack, At: at, Payload: frame(n)})
	}
	l.record(t, "lobby", tracks, samples)
	address := serveLibrary(t, l, nil)
	for _, query := range []string{"", "&from=" + url.QueryEscape(noon.Format(time.RFC3339))} {
		for token, want := range map[string]int{"all": 2, "deaf": 1} {
			got := newTape()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = rtsp.Pull(ctx, rtsp.Config{URL: "rtsp://" + address + "/lobby?token=" + token + query, Pump: pumping(t)}, got)
			}()
			came := map[int]bool{}
			for _, s := range got.wait(t, 20) {
				came[s.Track] = true
			}
			cancel()
			<-ended
			if len(got.tracks[0]) != want || len(came) != want {
				t.Errorf("%q%s: %d tracks were described, %d came, want %d", token, query, len(got.tracks[0]), len(came), want)
			}
		}
	}
}
