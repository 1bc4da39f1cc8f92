package media

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/media/mediatest"
	"understudy/internal/stream"
)

// hum is the sound of the camera in these tests, as it lies in every answer that has it.
var hum = bytes.Repeat([]byte{0xa5, 0x5a}, 160)

// loud returns footage with sound.
func loud(t *testing.T) ([]understudy.Track, []*understudy.Sample) {
	video, samples := mediatest.Clip(t, understudy.CodecH264, 8, noon)
	tracks := append(video, understudy.Track{ID: 2, Codec: understudy.CodecLPCM, TimeScale: 8000, SampleRate: 8000, Channels: 1})
	var both []*understudy.Sample
	for _, s := range samples {
		both = append(both, s)
		for k := range 2 {
			both = append(both, &understudy.Sample{Track: 2, At: s.At.Add(time.Duration(k) * 20 * time.Millisecond), Key: true, Payload: hum})
		}
	}
	return tracks, both
}

// audible is what of the routes answers with sound, and what to ask; the others have none
// to give, for the reason that stands here.
var audible = map[string]string{
	"GET /health":                                "-a sentence",
	"GET /v1/cameras/{camera}/live":              "/v1/cameras/lobby/live?audio=1",
	"GET /v1/cameras/{camera}/live.mp4":          "/v1/cameras/lobby/live.mp4?audio=1",
	"GET /v1/cameras/{camera}/segments":          "-times",
	"GET /v1/cameras/{camera}/notes":             "-sentences",
	"GET /v1/cameras/{camera}/media.mp4":         "/v1/cameras/lobby/media.mp4?{range}",
	"GET /v1/cameras/{camera}/export.mp4":        "/v1/cameras/lobby/export.mp4?{range}",
	"GET /v1/cameras/{camera}/still":             "-a picture",
	"GET /v1/cameras/{camera}/statement":         "-a sentence",
	"GET /v1/cameras/{camera}/hls/master.m3u8":   "-addresses, which are followed",
	"GET /v1/cameras/{camera}/hls/live.m3u8":     "-addresses, which are followed",
	"GET /v1/cameras/{camera}/hls/live/init.mp4": "/v1/cameras/lobby/hls/live/init.mp4?n=0",
	"GET /v1/cameras/{camera}/hls/live/part.m4s": "/v1/cameras/lobby/hls/live/part.m4s?{live}",
	"GET /v1/cameras/{camera}/hls/index.m3u8":    "-addresses, which are followed",
	"GET /v1/cameras/{camera}/hls/init.mp4":      "/v1/cameras/lobby/hls/init.mp4?segment={segment}",
	"GET /v1/cameras/{camera}/hls/part.m4s":      "/v1/cameras/lobby/hls/part.m4s?segment={segment}&first=0&count=20&number=1&base={at}",
	"GET /v1/segments/{camera}/{name}":           "/v1/segments/lobby/{segment}.mp4",
	"POST /v1/cameras/{camera}/events":           "-it takes, and gives nothing",
}

// sounds reports whether there is sound in bytes of MP4: a sample of it, or a track for it.
func sounds(body []byte) bool {
	return bytes.Contains(body, hum) || bytes.Contains(body, []byte("soun"))
}

// Who may not hear a camera gets its pictures by every way that there is, and its sound by none.
func TestWhoMayNotHearHearsNothing(t *testing.T) {
	tracks, samples := loud(t)
	l, server := newServer(t, record(t, 1, tracks, samples))
	hub := stream.NewHub()
	l.hubs["lobby"] = hub
	hub.Tracks(tracks)
	hub.Sample(samples[0])
	bearers := map[string]bool{"all": true, "deaf": false} // and whether they hear
	for token := range bearers {
		get(t, server.URL+"/v1/cameras/lobby/hls/master.m3u8?token="+token) // from here on live parts are made
	}
	for _, s := range samples[1:] {
		hub.Sample(s)
	}
	segments, err := l.Segments(t.Context(), "lobby", noon, noon.Add(time.Hour), false)
	if err != nil || len(segments) == 0 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	fill := func(ask, token string) string {
		live := ""
		if strings.Contains(ask, "{live}") {
			_, list := get(t, server.URL+"/v1/cameras/lobby/hls/live.m3u8?token="+token)
			live = regexp.MustCompile(`msn=[0-9]+`).FindString(string(list))
		}
		return strings.NewReplacer("{range}", "from="+at(0)+"&to="+at(4), "{at}", at(0), "{segment}", segments[0].ID.String()[len("lobby/"):], "{live}", live).Replace(ask)
	}
	for _, pattern := range Patterns() {
		ask, ok := audible[pattern]
		switch {
		case !ok:
			t.Errorf("nobody says in the table whether %s has sound", pattern)
		case ask[0] != '-':
			for token, want := range bearers {
				body := take(t, server, fill(ask, token), token)
				if got := sounds(body); got != want || len(body) == 0 {
					t.Errorf("%s of %d bytes for %q: sound is in it: %v, want %v", ask, len(body), token, got, want)
				}
			}
		}
	}
}

// take returns what comes of an address, of what does not end some.
func take(t *testing.T, server *httptest.Server, path, token string) []byte {
	t.Helper()
	if strings.Contains(path, "/live?") {
		conn, _, err := websocket.Dial(t.Context(), server.URL+path+"&token="+token, nil) //nolint:bodyclose // a socket has none
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(1 << 20)
		h := hear(t, conn, 2+9)
		return slices.Concat(h.inits[0], slices.Concat(h.fragments...))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s by %q: %d", path, token, response.StatusCode)
	}
	if strings.Contains(path, "live.mp4") {
		some := make([]byte, 4<<10)
		_, _ = io.ReadFull(response.Body, some)
		return some
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return body
}

// Players are led on by tickets, which are as deaf as who asked for the playlist.
func TestATicketHearsNoMore(t *testing.T) {
	tracks, samples := loud(t)
	_, server := newServer(t, record(t, 1, tracks, samples))
	for token, want := range map[string]bool{"all": true, "deaf": false} {
		_, master := get(t, server.URL+"/v1/cameras/lobby/hls/master.m3u8?from="+at(0)+"&to="+at(4)+"&token="+token)
		if got := strings.Contains(string(master), "ipcm"); got != want {
			t.Errorf("the master playlist offers sound to %q: %v\n%s", token, got, master)
		}
		_, list := get(t, server.URL+"/v1/cameras/lobby/hls/index.m3u8?from="+at(0)+"&to="+at(4)+"&token="+token)
		for _, address := range regexp.MustCompile(`(?m)part\.m4s\?\S+|init\.mp4\?[^"]+`).FindAllString(string(list), -1) {
			for _, sound := range []string{"", "0", "1"} { // whatever is written into the address
				u, err := url.Parse(server.URL + "/v1/cameras/lobby/hls/" + address)
				if err != nil {
					t.Fatal(err)
				}
				query := u.Query()
				query.Del("sound")
				if sound != "" {
					query.Set("sound", sound)
				}
				u.RawQuery = query.Encode()
				response, body := get(t, u.String())
				if got := sounds(body); response.StatusCode != http.StatusOK || got != (want && sound != "0") {
					t.Errorf("%s by the ticket of %q: %d, sound is in it: %v", address, token, response.StatusCode, got)
				}
			}
		}
	}
}

// A segment without its sound is one: it goes on from any byte, and a program that composes of
// segments composes of it.
func TestASegmentWithoutItsSound(t *testing.T) {
	tracks, samples := loud(t)
	l, server := newServer(t, record(t, 1, tracks, samples))
	segments, err := l.Segments(t.Context(), "lobby", noon, noon.Add(time.Hour), true)
	if err != nil {
		t.Fatal(err)
	}
	first := segments[0]
	address := server.URL + "/v1/segments/" + first.ID.String() + ".mp4?token=deaf"
	_, whole := get(t, address)
	response, rest := get(t, address, "Range", "bytes=3000-")
	if response.StatusCode != http.StatusPartialContent || !bytes.Equal(rest, whole[3000:]) {
		t.Errorf("%d, %d bytes of %d", response.StatusCode, len(rest), len(whole))
	}
	if n := mediatest.Frames(t, mediatest.File(t, whole)); n != len(first.Marks) {
		t.Errorf("ffmpeg saw %d pictures of %d", n, len(first.Marks))
	}
	_, _, marks, _, err := fmp4.Scan(bytes.NewReader(whole), 0)
	if err != nil || len(marks) != len(first.Marks) {
		t.Fatalf("%d marks of %d: %v", len(marks), len(first.Marks), err)
	}
	for n, m := range marks {
		if m.Hash != first.Marks[n].Hash || !m.At.Equal(first.Marks[n].At) || m.Key != first.Marks[n].Key {
			t.Fatalf("picture %d is %+v, and was %+v", n, m, first.Marks[n])
		}
	}
	var out bytes.Buffer
	if err := fmp4.NewComposer(&out).Add(bytes.NewReader(whole), understudy.Piece{Segment: first.ID, First: 30, Count: 50}); err != nil {
		t.Fatal(err)
	}
	if n := mediatest.Frames(t, mediatest.File(t, out.Bytes())); n != 50 {
		t.Errorf("ffmpeg saw %d pictures of 50", n)
	}
}
