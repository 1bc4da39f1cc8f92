package rtsp_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/rtsp"
	"understudy/internal/stream"
)

// A viewer that takes next to nothing is cut off and counted, live and of
// recordings; another viewer and another reader of the same camera miss nothing.
func TestAViewerThatTakesNothingIsCutOff(t *testing.T) {
	t.Parallel()
	tracks := []us.Track{{ID: us.VideoTrack, Codec: us.CodecH264, TimeScale: 90000, Width: 64, Height: 48,
		SPS: []byte{103, 100, 0, 10, 172, 217, 66, 141, 249, 33, 0, 0, 3, 0, 1, 0, 0, 3, 0, 20, 15, 18, 37, 150}, PPS: []byte{104, 234, 225, 210, 200, 176}}}
	var samples []*us.Sample
	began := time.Now().Add(-time.Hour)
	for i := range 12 {
		payload := make([]byte, 1<<20)
		payload[1], payload[2], payload[3] = 0x0f, 0xff, 0xfc // one NAL unit
		payload[4] = 0x65
		samples = append(samples, &us.Sample{Track: us.VideoTrack, At: began.Add(time.Duration(i) * 10 * time.Millisecond), Key: true, Payload: payload})
	}
	for _, lines := range [][]string{nil, {"Range: clock=" + began.UTC().Format("20060102T150405.000Z") + "-"}} {
		l := &library{hub: stream.NewHub()}
		l.hub.Tracks(tracks)
		l.record(t, "lobby", tracks, samples)
		l.hub.Sample(samples[0])
		recorder := l.hub.Subscribe(1 << 30)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		cut := make(chan struct{}, 10)
		server := rtsp.NewServer(rtsp.ServerConfig{Library: l, Patience: 300 * time.Millisecond, CutOff: func() { cut <- struct{}{} }})
		start(t, func(ctx context.Context) { _ = server.Serve(ctx, ln) })
		address := ln.Addr().String()
		d := converse(t, address)
		if err := d.conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		d.setUp()
		if status, _ := d.ask("PLAY", d.url, lines...); status != "RTSP/1.0 200 OK" {
			t.Fatalf("PLAY: %s", status)
		}
		_, quick := playBare(t, address, "/lobby", "?token=live")
		for _, s := range samples[1:] {
			l.hub.Sample(s)
		}
		if n, err := io.CopyN(io.Discard, quick, 12<<20); err != nil {
			t.Errorf("a quick viewer was cut off after %d bytes: %v", n, err)
		}
		<-cut
		for range 1 + len(samples) {
			if _, err := recorder.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		recorder.Close()
	}
}
