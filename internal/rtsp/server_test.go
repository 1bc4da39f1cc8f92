package rtsp_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/fmp4"
	"understudy/internal/rtsp"
	"understudy/internal/stream"
	"understudy/internal/testcam"
)

// library is one camera "lobby", live and recorded, a camera "gate" that is
// elsewhere, and the tokens "all", "live" (not entitled to recordings) and "deaf" (not entitled to sound).
type library struct {
	hub      *stream.Hub
	gate     string // media address of its holder
	segments []us.Segment
	files    map[us.SegmentID][]byte
}

func (l *library) Authorize(token string, action us.Action, _ us.CameraID) (us.Identity, error) {
	switch {
	case token == "all", token == "live" && action == us.ActionLive, token == "deaf" && action != us.ActionAudio:
		return us.Identity{}, nil
	case token == "deaf":
		return us.Identity{}, us.Errorf(us.CodeForbidden, "no sound")
	case token == "live":
		return us.Identity{}, us.Errorf(us.CodeForbidden, "live only")
	}
	return us.Identity{}, us.Errorf(us.CodeUnauthenticated, "no such token")
}

func (l *library) WhileGood(ctx context.Context, _ us.Identity) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

func (l *library) Live(camera us.CameraID) (*stream.Hub, bool) {
	return l.hub, camera == "lobby" && l.hub != nil
}

func (l *library) Redirect(camera us.CameraID) (string, bool) {
	return l.gate, camera == "gate" && l.gate != ""
}

func (l *library) Home(us.CameraID) us.ServerID { return "rec1" }

func (l *library) Segments(_ context.Context, camera us.CameraID, from, to time.Time, marks bool) ([]us.Segment, error) {
	var found []us.Segment
	for _, s := range l.segments {
		if s.ID.Camera == camera && s.Start.Before(to) && s.End.After(from) {
			if !marks {
				s.Marks = nil
			}
			found = append(found, s)
		}
	}
	return found, nil
}

type closer struct{ *bytes.Reader }

func (closer) Close() error { return nil }

func (l *library) OpenSegment(_ context.Context, id us.SegmentID) (io.ReadSeekCloser, error) {
	if b, ok := l.files[id]; ok {
		return closer{bytes.NewReader(b)}, nil
	}
	return nil, us.Errorf(us.CodeNotFound, "no segment %s", id)
}

// record puts samples into segments that begin at each key sample.
func (l *library) record(t *testing.T, camera us.CameraID, tracks []us.Track, samples []*us.Sample) {
	t.Helper()
	if l.files == nil {
		l.files = map[us.SegmentID][]byte{}
	}
	for i := 0; i+1 < len(samples); i++ {
		s := samples[i]
		if s.Key {
			id := us.SegmentID{Camera: camera, Epoch: 1, Holder: "rec1", Sequence: uint64(len(l.segments) + 1)}
			header, err := fmp4.MarshalHeader(fmp4.Header{Segment: id, Start: s.At}, tracks)
			if err != nil {
				t.Fatal(err)
			}
			l.files[id] = header
			l.segments = append(l.segments, us.Segment{ID: id, Start: s.At})
		}
		segment := &l.segments[len(l.segments)-1]
		timed := fmp4.TimedSample{Sample: s, Duration: samples[i+1].At.Sub(s.At)}
		fragment, err := fmp4.MarshalFragment(tracks, uint32(i), segment.Start, []fmp4.TimedSample{timed})
		if err != nil {
			t.Fatal(err)
		}
		l.files[segment.ID] = append(l.files[segment.ID], fragment...)
		segment.End = timed.End()
		segment.Marks = append(segment.Marks, us.SampleMark{At: s.At, Duration: timed.Duration, Key: s.Key, Hash: s.Hash})
	}
}

// serveLibrary returns the address of an RTSP server; with a certificate if it is given one.
func serveLibrary(t *testing.T, l *library, certificate *tls.Certificate) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	if certificate != nil {
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{*certificate}})
	}
	server := rtsp.NewServer(rtsp.ServerConfig{Library: l})
	start(t, func(ctx context.Context) { _ = server.Serve(ctx, ln) })
	return address
}

// lobby returns a hub that a test camera feeds.
func lobby(t *testing.T, camera testcam.Camera) *stream.Hub {
	t.Helper()
	camera.Name = "lobby"
	cameras := serve(t, camera)
	hub := stream.NewHub()
	source := rtsp.NewSource(rtsp.Config{URL: cameras.URL("lobby")}, hub)
	start(t, func(ctx context.Context) { _ = source.Run(ctx) })
	return hub
}

func TestLiveIsWhatTheCameraSent(t *testing.T) {
	t.Parallel()
	hub := lobby(t, testcam.Camera{GOP: 500 * time.Millisecond})
	address := serveLibrary(t, &library{hub: hub}, nil)
	reader := hub.Subscribe(1 << 30)
	defer reader.Close()
	got := pull(t, rtsp.Config{URL: "rtsp://" + address + "/lobby?token=live"}).wait(t, 140)
	sent := map[us.SampleHash]*us.Sample{}
	for len(sent) < 180 {
		item, err := reader.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if item.Sample != nil {
			sent[item.Sample.Hash] = item.Sample
		}
	}
	common := 0
	for _, s := range got {
		if other := sent[s.Hash]; other != nil {
			common++
			if !bytes.Equal(other.Payload, s.Payload) {
				t.Error("two samples of one hash differ")
			}
		}
	}
	if common < 100 {
		t.Errorf("%d of 140 samples are the camera's", common)
	}
	checkSamples(t, "lobby", got)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	hub := lobby(t, testcam.Camera{})
	elsewhere := serveLibrary(t, &library{}, nil)
	address := serveLibrary(t, &library{hub: hub, gate: elsewhere}, nil)
	now := url.QueryEscape(time.Now().Format(time.RFC3339))
	for path, want := range map[string]us.Code{
		"/lobby":                             us.CodeUnauthenticated,
		"/lobby?token=wrong":                 us.CodeUnauthenticated,
		"/attic":                             us.CodeUnauthenticated, // who may not look learns nothing
		"/attic?token=all":                   us.CodeNotFound,
		"/..%2fetc?token=all":                us.CodeNotFound,
		"/lobby?token=live&from=" + now:      us.CodeForbidden,
		"/lobby?token=all&from=" + now:       us.CodeNotFound,
		"/lobby?token=all&from=yesterday":    us.CodeUnavailable, // 400
		"/gate?token=all":                    us.CodeNotFound,    // followed to the holder, which has no such hub
		"/gate?token=all&from=" + now + "&x": us.CodeNotFound,
	} {
		err := rtsp.Pull(t.Context(), rtsp.Config{URL: "rtsp://" + address + path}, newTape())
		if us.CodeOf(err) != want || err == nil {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

func TestAPlayerIsSentToTheHolder(t *testing.T) {
	t.Parallel()
	hub := lobby(t, testcam.Camera{GOP: 500 * time.Millisecond})
	cameras := serve(t, testcam.Camera{Name: "gate"})
	address := serveLibrary(t, &library{hub: hub, gate: cameras.Address()}, nil)
	got := pull(t, rtsp.Config{URL: "rtsp://" + address + "/gate?token=all"}).wait(t, 5)
	checkSamples(t, "gate", got)
}

func TestRecordingsArePlayedFromTheKeyFrameThatShowsTheBeginning(t *testing.T) {
	t.Parallel()
	cameras := serve(t, testcam.Camera{Name: "lobby", GOP: 500 * time.Millisecond})
	taped := pull(t, rtsp.Config{URL: cameras.URL("lobby")})
	samples := taped.wait(t, 81)
	l := &library{}
	l.record(t, "lobby", taped.tracks[0], samples)
	address := serveLibrary(t, l, nil)
	query := url.Values{"token": {"all"}, "from": {samples[25].At.Format(time.RFC3339Nano)}, "to": {samples[65].At.Format(time.RFC3339Nano)}}
	got := newTape()
	err := rtsp.Pull(t.Context(), rtsp.Config{URL: "rtsp://" + address + "/lobby?" + query.Encode()}, got)
	if us.CodeOf(err) != us.CodeUnavailable || !strings.Contains(err.Error(), "closed") {
		t.Errorf("the end: %v", err)
	}
	if len(got.samples) != 45 {
		t.Fatalf("%d samples came, expected those from the key frame 20 to 64", len(got.samples))
	}
	for i, s := range got.samples {
		if want := samples[20+i]; s.Hash != want.Hash || !bytes.Equal(s.Payload, want.Payload) {
			t.Fatalf("sample %d is not sample %d of the recording", i, 20+i)
		}
	}
}

func selfSigned(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestProgramsPlay uses a player that we did not write.
func TestProgramsPlay(t *testing.T) {
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Skip("ffprobe is not installed: only our own client was tested")
	}
	t.Parallel()
	hub := lobby(t, testcam.Camera{GOP: 500 * time.Millisecond})
	cameras := serve(t, testcam.Camera{Name: "lobby", GOP: 500 * time.Millisecond}, testcam.Camera{Name: "gate"})
	taped := pull(t, rtsp.Config{URL: cameras.URL("lobby")})
	samples := taped.wait(t, 61)
	l := &library{hub: hub}
	l.record(t, "lobby", taped.tracks[0], samples)
	plain := serveLibrary(t, l, nil)
	secure := serveLibrary(t, l, selfSigned(t))
	elsewhere := serveLibrary(t, &library{gate: cameras.Address()}, nil)
	span := url.Values{"token": {"all"}, "from": {samples[20].At.Format(time.RFC3339Nano)}, "to": {samples[60].At.Format(time.RFC3339Nano)}}
	for name, c := range map[string]struct {
		url    string
		frames int // at least; 0: refused
	}{
		"live":                       {"rtsp://" + plain + "/lobby?token=live", 20},
		"live inside TLS":            {"rtsps://" + secure + "/lobby?token=live", 20},
		"token as password, TLS":     {"rtsps://ada:live@" + secure + "/lobby", 20},
		"token as password, no TLS":  {"rtsp://ada:live@" + plain + "/lobby", 0},
		"no token":                   {"rtsp://" + plain + "/lobby", 0},
		"no token inside TLS":        {"rtsps://" + secure + "/lobby", 0},
		"redirected":                 {"rtsp://" + elsewhere + "/gate?token=all", 10},
		"recorded":                   {"rtsp://" + plain + "/lobby?" + span.Encode(), 40},
		"recorded, not entitled":     {"rtsp://" + plain + "/lobby?" + strings.Replace(span.Encode(), "token=all", "token=live", 1), 0},
		"recorded, inside TLS again": {"rtsps://" + secure + "/lobby?" + span.Encode(), 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			frames := fmt.Sprintf("%%+#%d", max(1, c.frames))
			out, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-select_streams", "v",
				"-read_intervals", frames, "-count_packets", "-show_entries", "stream=codec_name,width,nb_read_packets", "-of", "csv=p=0", c.url).Output() // a camera begins inside a GOP, which decoders complain of on stderr
			if c.frames == 0 {
				if err == nil {
					t.Errorf("played, and should be refused: %s", out)
				}
				return
			}
			if want := fmt.Sprintf("h264,768,%d", c.frames); err != nil || strings.TrimSpace(string(out)) != want {
				t.Errorf("found %q, %v; want %q", out, err, want)
			}
		})
	}
}

// ask sends one request over a bare connection and returns the status line and the session.
func ask(t *testing.T, conn net.Conn, r *bufio.Reader, request string) (status, session string) {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	status, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	body := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "Content-Length":
			body, _ = strconv.Atoi(value)
		case "Session":
			session, _, _ = strings.Cut(value, ";")
		case "":
			_, _ = r.Discard(body)
			return strings.TrimSpace(status), session
		}
	}
}

// playBare begins to play over a bare connection.
func playBare(t *testing.T, address, path, query string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := bufio.NewReader(conn)
	url := "rtsp://" + address + path
	ask(t, conn, r, "DESCRIBE "+url+query+" RTSP/1.0\r\nCSeq: 1\r\n\r\n")
	status, session := ask(t, conn, r, "SETUP "+url+"/trackID=0"+query+" RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n")
	if !strings.Contains(status, "200") {
		t.Fatalf("SETUP: %s", status)
	}
	if status, _ := ask(t, conn, r, "PLAY "+url+query+" RTSP/1.0\r\nCSeq: 3\r\nSession: "+session+"\r\n\r\n"); !strings.Contains(status, "200") {
		t.Fatalf("PLAY: %s", status)
	}
	return conn, r
}
