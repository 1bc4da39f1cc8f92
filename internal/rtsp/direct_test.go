package rtsp_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/rtsp"
	"understudy/internal/testcam"
)

// The library's way, the connection read by itself, and the pump: the same bytes
// of the same camera, with capture times that are apart by no more than arrival is.
func TestAllWaysOfReadingGiveTheSameSamples(t *testing.T) {
	crowd, err := testcam.NewCrowd("127.0.0.1:0", "", 1, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	start(t, func(ctx context.Context) { _ = crowd.Run(ctx) })
	url := crowd.URLs()[0]
	ways := map[string]*tape{}
	for name, pump := range map[string]*rtsp.Pump{"alone": nil, "pumped": pumping(t), "not running": rtsp.NewPump()} {
		got := newTape()
		ways[name] = got
		start(t, func(ctx context.Context) {
			if err := rtsp.Pull(ctx, rtsp.Config{URL: url, Pump: pump}, got); ctx.Err() == nil {
				t.Errorf("%s: the session ended: %v", name, err)
			}
		})
	}
	byHash := map[us.SampleHash]*us.Sample{}
	for _, s := range ways["alone"].wait(t, 60) {
		byHash[s.Hash] = s
	}
	for name, got := range ways {
		same := 0
		for _, s := range got.wait(t, 60) {
			other := byHash[s.Hash]
			if other == nil {
				continue
			}
			same++
			if !bytes.Equal(s.Payload, other.Payload) || s.Key != other.Key || s.At.Sub(other.At).Abs() > 100*time.Millisecond {
				t.Errorf("%s: a sample is %v %t and %d bytes, alone it is %v %t and %d bytes", name, s.At, s.Key, len(s.Payload), other.At, other.Key, len(other.Payload))
			}
		}
		if same < 20 {
			t.Errorf("%s: only %d samples are those of the other session", name, same)
		}
	}
}
