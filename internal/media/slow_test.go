package media

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"understudy"
	"understudy/internal/stream"
)

// bulky returns n pictures that are larger than what sockets hold.
func bulky(n int) ([]understudy.Track, []*understudy.Sample) {
	tracks := []understudy.Track{{ID: 1, Codec: understudy.CodecMJPEG, TimeScale: 90000, Width: 64, Height: 48}}
	var samples []*understudy.Sample
	for i := range n {
		samples = append(samples, &understudy.Sample{Track: 1, At: noon.Add(time.Duration(i) * 100 * time.Millisecond), Key: true,
			Payload: make([]byte, 1<<20), Hash: understudy.SampleHash{byte(i)}})
	}
	return tracks, samples
}

// reluctant connects with a small window, so that little is underway.
func reluctant(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err == nil {
		err = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	return conn, err
}

// Whoever takes next to nothing is cut off and counted, on each way out, and
// another reader of the same camera misses nothing.
func TestWhoeverReadsAByteASecondIsCutOff(t *testing.T) {
	tracks, samples := bulky(14)
	l, other := newServer(t, record(t, 1, tracks, samples))
	other.Close()
	cut := make(chan struct{}, 10)
	server := httptest.NewServer(New(Config{Server: "rec-1", Library: l, Patience: 300 * time.Millisecond, CutOff: func() { cut <- struct{}{} }}))
	defer server.Close()
	span := "from=" + at(0) + "&to=" + at(60) + "&token=all"
	part := "/v1/cameras/lobby/hls/part.m4s?first=0&count=12&number=1&base=" + at(0) + "&token=all&segment="
	for name, path := range map[string]string{
		"export":    "/v1/cameras/lobby/export.mp4?" + span,
		"media":     "/v1/cameras/lobby/media.mp4?" + span,
		"HLS":       part + segmentOf(t, l),
		"live file": "/v1/cameras/lobby/live.mp4?token=all",
		"live":      "/v1/cameras/lobby/live?token=all",
	} {
		t.Run(name, func(t *testing.T) {
			hub := stream.NewHub()
			l.hubs["lobby"] = hub
			defer hub.Close()
			hub.Tracks(tracks)
			hub.Sample(samples[0])
			recorder := hub.Subscribe(1 << 30)
			defer recorder.Close()
			if name == "live" {
				client := &http.Client{Transport: &http.Transport{DialContext: reluctant}}
				conn, _, err := websocket.Dial(t.Context(), server.URL+path, &websocket.DialOptions{HTTPClient: client}) //nolint:bodyclose // a socket has none
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.CloseNow() }()
				if _, _, err := conn.Read(t.Context()); err != nil { // the hello: it has subscribed
					t.Fatal(err)
				}
			} else {
				conn, err := reluctant(t.Context(), "tcp", server.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
				if _, err := conn.Read(make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range samples[1:] {
				hub.Sample(s)
			}
			<-cut
			for range 1 + len(samples) {
				if _, err := recorder.Next(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if recorder.Dropped() > 0 {
				t.Errorf("another reader missed %d samples", recorder.Dropped())
			}
		})
	}
}

func segmentOf(t *testing.T, l *library) string {
	t.Helper()
	segments, err := l.Segments(t.Context(), "lobby", noon, noon.Add(time.Hour), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		if len(s.Marks) >= 12 {
			return s.ID.String()[len("lobby/"):]
		}
	}
	t.Fatalf("no segment of %d has 12 pictures", len(segments))
	return ""
}
