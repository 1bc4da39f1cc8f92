package media

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/media/mediatest"
	"understudy/internal/stream"
)

// livelist is a live playlist as a strict player reads it.
type livelist struct {
	first    uint64
	segments []listed
	parts    []listed // of the segment that is open
	hint     string
	target   float64
	most     float64 // PART-TARGET
	text     string
}

type listed struct {
	address     string
	duration    float64
	independent bool
	parts       []listed
}

var attribute = regexp.MustCompile(`([A-Z-]+)=("[^"]*"|[^,]*)`)

func attributes(line string) map[string]string {
	found := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(line[strings.Index(line, ":")+1:], -1) {
		found[m[1]] = strings.Trim(m[2], `"`)
	}
	return found
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%q is no number", text)
	}
	return f
}

// readList reads a playlist and checks what RFC 8216bis asks of it.
func readList(t *testing.T, text string) livelist {
	t.Helper()
	l := livelist{text: text}
	duration := 0.0
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		tag, value, _ := strings.Cut(line, ":")
		switch tag {
		case "#EXTM3U":
			if i > 0 {
				t.Error("a second head")
			}
		case "#EXT-X-TARGETDURATION":
			l.target = number(t, value)
		case "#EXT-X-MEDIA-SEQUENCE":
			l.first = uint64(number(t, value))
		case "#EXT-X-PART-INF":
			l.most = number(t, attributes(line)["PART-TARGET"])
		case "#EXT-X-SERVER-CONTROL":
			a := attributes(line)
			if a["CAN-BLOCK-RELOAD"] != "YES" || number(t, a["PART-HOLD-BACK"]) < 2*l.most {
				t.Errorf("control: %s", line)
			}
		case "#EXT-X-PART":
			a := attributes(line)
			l.parts = append(l.parts, listed{address: a["URI"], duration: number(t, a["DURATION"]), independent: a["INDEPENDENT"] == "YES"})
		case "#EXTINF":
			duration = number(t, strings.TrimSuffix(value, ","))
		case "#EXT-X-PRELOAD-HINT":
			l.hint = attributes(line)["URI"]
		default:
			if strings.HasPrefix(line, "#") {
				continue
			}
			l.segments = append(l.segments, listed{address: line, duration: duration, parts: l.parts})
			l.parts = nil
		}
	}
	for _, s := range l.segments {
		sum := 0.0
		for n, p := range s.parts {
			sum += p.duration
			if p.duration > l.most || n < len(s.parts)-1 && p.duration < 0.85*l.most {
				t.Errorf("part %d of %s takes %.3f s of %.3f", n, s.address, p.duration, l.most)
			}
		}
		if s.duration > l.target+0.5 || len(s.parts) > 0 && (sum-s.duration > 0.001 || s.duration-sum > 0.001) {
			t.Errorf("%s takes %.3f s, its parts %.3f s, and the target is %v", s.address, s.duration, sum, l.target)
		}
	}
	if l.hint == "" {
		t.Error("no part is hinted at")
	}
	return l
}

// A live playlist keeps the rules of low latency, its parts are its segments,
// and a player that waits for a part gets it as soon as its pictures are there.
func TestLivePlaylist(t *testing.T) {
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 12, noon)
	l, server := newServer(t)
	hub := stream.NewHub()
	l.hubs["lobby"] = hub
	hub.Tracks(tracks)
	base := server.URL + "/v1/cameras/lobby/hls/"
	hub.Sample(samples[0])
	get(t, base+"master.m3u8?token=viewer") // from here on parts are made
	for _, s := range samples[1:160] {
		hub.Sample(s)
	}
	list := readList(t, ended(t, base, 6))
	if len(list.segments) != 6 || strings.Contains(list.text, "token=") || !strings.Contains(list.text, "ticket=") {
		t.Fatalf("the playlist is\n%s", list.text)
	}
	_, init := get(t, base+attributes(regexp.MustCompile(`#EXT-X-MAP:.*`).FindString(list.text))["URI"])
	whole := bytes.Clone(init)
	for _, s := range list.segments {
		_, segment := get(t, base+s.address)
		var parts []byte
		for n, p := range s.parts {
			_, part := get(t, base+p.address)
			parts = append(parts, part...)
			if p.independent != (n == 0) {
				t.Errorf("part %d of %s begins with a key frame: %v", n, s.address, p.independent)
			}
		}
		if len(s.parts) > 0 && !bytes.Equal(parts, segment) {
			t.Errorf("%s is not its parts", s.address)
		}
		whole = append(whole, segment...)
	}
	if n := mediatest.Frames(t, mediatest.File(t, whole)); n != 25*len(list.segments) {
		t.Errorf("ffmpeg saw %d pictures in %d segments", n, len(list.segments))
	}

	t.Run("waiting", func(t *testing.T) {
		last, part := list.first+uint64(len(list.segments)), len(list.parts)
		waited := make(chan string, 2)
		go func() {
			_, body := get(t, fmt.Sprintf("%slive.m3u8?token=viewer&_HLS_msn=%d&_HLS_part=%d", base, last, part))
			waited <- string(body)
		}()
		hinted := make(chan []byte, 1)
		go func() { _, b := get(t, base+list.hint); hinted <- b }()
		for _, s := range samples[160:162] {
			hub.Sample(s)
		}
		select {
		case text := <-waited:
			if now := readList(t, text); len(now.segments)+len(now.parts) <= len(list.segments)+len(list.parts) {
				t.Errorf("it was answered too early:\n%s", text)
			}
		default:
		}
		for _, s := range samples[162:] {
			hub.Sample(s)
		}
		text := <-waited
		if now := readList(t, text); now.first+uint64(len(now.segments)) < last {
			t.Errorf("the part that was waited for is not in\n%s", text)
		}
		if part := <-hinted; !bytes.Contains(part[:100], []byte("moof")) {
			t.Errorf("the hinted part begins with %q", part[:20])
		}
	})
	if response, _ := get(t, fmt.Sprintf("%slive.m3u8?token=viewer&_HLS_msn=%d", base, list.first+1000)); response.StatusCode != 422 {
		t.Errorf("a segment of the far future: %d", response.StatusCode)
	}
	if response, _ := get(t, base+"live/part.m4s?token=viewer&msn=7&part=0"); response.StatusCode != 404 {
		t.Errorf("a part of the past: %d", response.StatusCode)
	}
}

// ended returns the live playlist that holds n ended segments, and what is there
// of the next one.
func ended(t *testing.T, base string, n int) string {
	t.Helper()
	_, body := get(t, base+"live.m3u8?token=viewer")
	l := readList(t, string(body))
	for last := len(l.segments); last < n; last++ {
		_, body = get(t, fmt.Sprintf("%slive.m3u8?token=viewer&_HLS_msn=%d", base, l.first+uint64(last)))
	}
	return string(body)
}

// A camera that comes back with other parameters, or a clock that jumped, is
// told of with a break, and the pictures go on.
func TestALivePlaylistTellsBreaks(t *testing.T) {
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 8, noon)
	l, server := newServer(t)
	hub := stream.NewHub()
	l.hubs["lobby"] = hub
	hub.Tracks(tracks)
	hub.Sample(samples[0])
	base := server.URL + "/v1/cameras/lobby/hls/"
	get(t, base+"master.m3u8?token=viewer")
	for _, s := range samples[1:100] {
		hub.Sample(s)
	}
	hub.Tracks(tracks)
	for _, s := range samples[100:] {
		moved := *s
		moved.At = s.At.Add(time.Hour)
		hub.Sample(&moved)
	}
	body := ended(t, base, 7)
	if n := strings.Count(string(body), "#EXT-X-DISCONTINUITY\n"); n != 1 {
		t.Errorf("%d breaks, want 1, in\n%s", n, body)
	}
	if n := strings.Count(string(body), "#EXT-X-MAP:"); n != 1 {
		t.Errorf("%d maps, want 1", n)
	}
}

// A ticket opens what its playlist names, and nothing else; it lives longer
// than the token, and not for ever.
func TestTickets(t *testing.T) {
	tracks, samples := mediatest.Clip(t, understudy.CodecH264, 24, noon)
	l, server := newServer(t, record(t, 1, tracks, samples))
	span := "from=" + at(2) + "&to=" + at(8)
	base := server.URL + "/v1/cameras/lobby/hls/"
	_, body := get(t, base+"index.m3u8?"+span+"&token=watcher")
	address := regexp.MustCompile(`(?m)^part.*$`).FindString(string(body))
	u, err := url.Parse(base + address)
	if err != nil || u.Query().Get("ticket") == "" {
		t.Fatalf("the playlist is\n%s", body)
	}
	ticket := u.Query().Get("ticket")
	_, later := get(t, base+"index.m3u8?from="+at(20)+"&to="+at(22)+"&token=watcher")
	elsewhere := regexp.MustCompile(`segment=[^&]*`).FindString(string(later))
	with := func(path string) string { return server.URL + path + "&ticket=" + url.QueryEscape(ticket) }
	for address, want := range map[string]int{
		base + address: 200,
		with("/v1/cameras/lobby/hls/index.m3u8?" + span):                                    200,
		with("/v1/cameras/lobby/hls/master.m3u8?" + span):                                   200,
		with("/v1/cameras/lobby/hls/index.m3u8?from=" + at(2) + "&to=" + at(9)):             403,
		with("/v1/cameras/lobby/hls/init.mp4?" + elsewhere):                                 403,
		with("/v1/cameras/lobby/hls/part.m4s?first=0&count=1&number=1&base=x&" + elsewhere): 403,
		with("/v1/cameras/lobby/hls/live.m3u8?x"):                                           403,
		with("/v1/cameras/yard/hls/index.m3u8?" + span):                                     403,
		with("/v1/cameras/lobby/media.mp4?" + span):                                         401,
		with("/v1/cameras/lobby/export.mp4?" + span):                                        401,
		with("/v1/cameras/lobby/segments?" + span):                                          401,
		with("/v1/cameras/lobby/still?at=" + at(3)):                                         401,
		base + "index.m3u8?" + span + "&ticket=" + url.QueryEscape("e30."+ticket[:20]):      401,
		base + "index.m3u8?" + span + "&ticket=" + url.QueryEscape(strings.ToUpper(ticket)): 401,
	} {
		if response, body := get(t, address); response.StatusCode != want {
			t.Errorf("%s: %d, want %d: %.200s", address, response.StatusCode, want, body)
		}
	}
	h := &handler{Config: Config{Library: l}, ticketKey: newTicketKey()}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?token=x", nil)
	old := h.pass(r, "lobby", noon.Add(-48*time.Hour), noon.Add(-48*time.Hour-ticketGrace-time.Minute)).Get("ticket")
	if _, err := h.redeem(old); understudy.CodeOf(err) != understudy.CodeUnauthenticated || !strings.Contains(fmt.Sprint(err), "expired") {
		t.Errorf("an old ticket: %v", err)
	}
	r.URL.RawQuery = ""
	if carried := h.pass(r, "lobby", noon, noon); len(carried) > 0 {
		t.Errorf("who sends a header gets addresses with %v", carried)
	}
}

func FuzzTicket(f *testing.F) {
	h := &handler{ticketKey: newTicketKey()}
	f.Add("e30.e30")
	f.Add("." + strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := h.redeem(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	})
}

// Sound that browsers do not play does not keep them from the pictures: the
// master playlist has a way without it.
func TestAMasterPlaylistOffersPicturesAlone(t *testing.T) {
	video, samples := mediatest.Clip(t, understudy.CodecH264, 6, noon)
	tracks := append(video, understudy.Track{ID: 2, Codec: understudy.CodecLPCM, TimeScale: 8000, SampleRate: 8000, Channels: 1})
	var both []*understudy.Sample
	for _, s := range samples {
		both = append(both, s)
		for k := range 2 {
			both = append(both, &understudy.Sample{Track: 2, At: s.At.Add(time.Duration(k) * 20 * time.Millisecond), Key: true, Payload: make([]byte, 320)})
		}
	}
	_, server := newServer(t, record(t, 1, tracks, both))
	base := server.URL + "/v1/cameras/lobby/hls/"
	_, body := get(t, base+"master.m3u8?from="+at(0)+"&to="+at(6)+"&token=watcher")
	variants := regexp.MustCompile(`(?m)^index.*$`).FindAllString(string(body), -1)
	if len(variants) != 2 || strings.Count(string(body), "ipcm") != 1 {
		t.Fatalf("the master playlist is\n%s", body)
	}
	for i, want := range []string{"video,audio", "video"} {
		out := mediatest.Run(t, "ffprobe", "-v", "error", "-allowed_extensions", "ALL", "-show_entries", "stream=codec_type", "-of", "csv=p=0", base+variants[i])
		if got := strings.Join(strings.Fields(out), ","); !strings.HasPrefix(got, want) || i == 1 && strings.Contains(got, "audio") {
			t.Errorf("variant %d has %s, want %s", i, got, want)
		}
	}
}
