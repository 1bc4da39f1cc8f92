package rtsp_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	us "understudy"
	"understudy/internal/rtsp"
	"understudy/internal/stream"
	"understudy/internal/testcam"
)

// dialogue is an RTSP connection whose requests are written by hand.
type dialogue struct {
	t    *testing.T
	url  string
	conn net.Conn
	in   *bufio.Reader
	cseq int
	more string // header lines of each request
}

func converse(t *testing.T, address string) *dialogue {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &dialogue{t: t, conn: conn, in: bufio.NewReader(conn), url: "rtsp://" + address + "/lobby?token=all"}
}

// ask sends a request and returns the status and the header of its answer.
func (d *dialogue) ask(method, url string, lines ...string) (status string, header textproto.MIMEHeader) {
	d.t.Helper()
	d.cseq++
	fmt.Fprintf(d.conn, "%s %s RTSP/1.0\r\nCSeq: %d\r\n%s\r\n\r\n", method, url, d.cseq, strings.TrimSpace(strings.Join(append(lines, d.more), "\r\n")))
	for {
		first, err := d.in.Peek(1)
		if err != nil {
			d.t.Fatal(err)
		}
		if first[0] != '$' {
			break
		}
		d.packet()
	}
	text := textproto.NewReader(d.in)
	status, err := text.ReadLine()
	if err != nil {
		d.t.Fatal(err)
	}
	header, err = text.ReadMIMEHeader()
	if err != nil {
		d.t.Fatal(err)
	}
	length := 0
	_, _ = fmt.Sscan(header.Get("Content-Length"), &length)
	if _, err := io.CopyN(io.Discard, d.in, int64(length)); err != nil {
		d.t.Fatal(err)
	}
	return status, header
}

// setUp sets up the video of recordings.
func (d *dialogue) setUp() {
	d.t.Helper()
	status, header := d.ask("SETUP", strings.Replace(d.url, "?", "/trackID=0?", 1), "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
	session, _, _ := strings.Cut(header.Get("Session"), ";")
	if session == "" {
		d.t.Fatalf("SETUP: %s %v", status, header)
	}
	d.more = "Session: " + session + "\r\n" + d.more
}

// packet reads one interleaved packet of the video, nil for another.
func (d *dialogue) packet() *rtp.Packet {
	d.t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(d.in, head[:]); err != nil {
		d.t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[2:]))
	if _, err := io.ReadFull(d.in, body); err != nil {
		d.t.Fatal(err)
	}
	var p rtp.Packet
	if head[0] != '$' || head[1] != 0 {
		return nil
	}
	if err := p.Unmarshal(body); err != nil {
		d.t.Fatal(err)
	}
	return &p
}

// shown is one picture as it came.
type shown struct {
	frame     uint64
	timestamp uint32
	at        time.Time // of the header extension
	flags     byte      // of all its packets
}

// play asks for footage and returns all pictures until the goodbye.
func (d *dialogue) play(lines ...string) []shown {
	d.t.Helper()
	d.setUp()
	status, header := d.ask("PLAY", d.url, lines...)
	if status != "RTSP/1.0 200 OK" {
		d.t.Fatalf("PLAY: %s %v", status, header)
	}
	var all []shown
	for {
		var head [4]byte
		if _, err := io.ReadFull(d.in, head[:]); err != nil {
			d.t.Fatal(err)
		}
		body := make([]byte, binary.BigEndian.Uint16(head[2:]))
		if _, err := io.ReadFull(d.in, body); err != nil {
			d.t.Fatal(err)
		}
		if head[1] == 1 {
			if body[1] == 203 || len(body) > 28 && strings.Contains(string(body), "\xcb\x00\x01") { // BYE
				return all
			}
			continue
		}
		var p rtp.Packet
		if err := p.Unmarshal(body); err != nil {
			d.t.Fatal(err)
		}
		if n := len(all); n == 0 || all[n-1].timestamp != p.Timestamp {
			all = append(all, shown{timestamp: p.Timestamp})
		}
		last := &all[len(all)-1]
		if stamp, ok := testcam.ParseStamp(append(binary.BigEndian.AppendUint32(nil, uint32(len(p.Payload))), p.Payload...)); ok {
			last.frame = stamp.Frame
		}
		if stamp, ok := stampOfAggregate(p.Payload); ok {
			last.frame = stamp
		}
		if p.Extension {
			e := p.GetExtension(0)
			seconds, fraction := binary.BigEndian.Uint32(e), binary.BigEndian.Uint32(e[4:])
			last.at = time.Unix(int64(seconds)-2208988800, int64(uint64(fraction)*1e9>>32))
			last.flags |= e[8]
			if p.ExtensionProfile != 0xabac || int(e[9]) != d.cseq {
				d.t.Fatalf("the extension has profile %x and CSeq %d", p.ExtensionProfile, e[9])
			}
		}
	}
}

// stampOfAggregate finds a stamp in a packet of several NAL units (RFC 6184 §5.7.1).
func stampOfAggregate(payload []byte) (uint64, bool) {
	if len(payload) < 3 || payload[0]&0x1f != 24 {
		return 0, false
	}
	var units []byte
	for rest := payload[1:]; len(rest) > 2; {
		size := int(binary.BigEndian.Uint16(rest))
		units = append(binary.BigEndian.AppendUint32(units, uint32(size)), rest[2:2+size]...)
		rest = rest[2+size:]
	}
	stamp, ok := testcam.ParseStamp(units)
	return stamp.Frame, ok
}

// Recordings are played faster, slower, by key frames and backwards, with
// ONVIF's header extension for who asks for it.
func TestReplay(t *testing.T) {
	t.Parallel()
	cameras := serve(t, testcam.Camera{Name: "lobby", GOP: 500 * time.Millisecond})
	taped := pull(t, rtsp.Config{URL: cameras.URL("lobby")})
	samples := taped.wait(t, 202)
	var keys []int
	for i, s := range samples {
		if s.Key {
			keys = append(keys, i)
		}
	}
	// Five GOPs, a hole of ten seconds, two GOPs.
	gap := keys[5]
	end := keys[7]
	l := &library{hub: stream.NewHub()}
	l.hub.Tracks(taped.tracks[0])
	l.record(t, "lobby", taped.tracks[0], samples[keys[0]:gap+1])
	later := make([]*us.Sample, 0, end-gap+1)
	for _, s := range samples[gap : end+1] {
		moved := *s
		moved.At = s.At.Add(10 * time.Second)
		later = append(later, &moved)
	}
	l.record(t, "lobby", taped.tracks[0], later)
	address := serveLibrary(t, l, nil)
	frameOf := func(i int) uint64 {
		stamp, _ := testcam.ParseStamp(samples[i].Payload)
		return stamp.Frame
	}
	clock := func(at time.Time) string { return at.UTC().Format("20060102T150405.000Z") }
	from := samples[keys[0]].At
	whole := "Range: clock=" + clock(from.Add(time.Millisecond)) + "-"
	head := "Range: clock=" + clock(from.Add(time.Millisecond)) + "-" + clock(samples[keys[2]].At)

	t.Run("all, as fast as they are read, with the extension", func(t *testing.T) {
		t.Parallel()
		d := converse(t, address)
		d.more = "Require: onvif-replay"
		got := d.play(whole, "Rate-Control: no")
		if len(got) != end-keys[0] {
			t.Fatalf("%d pictures of %d", len(got), end-keys[0])
		}
		for n, g := range got {
			i := keys[0] + n
			at := samples[i].At.Add(samples[i].Offset)
			var want byte
			if samples[i].Key {
				want |= 0x80
			}
			if i == gap-1 || i == end-1 {
				want |= 0x40
			}
			if i >= gap {
				at = at.Add(10 * time.Second)
			}
			if i == gap {
				want |= 0x20
			}
			elapsed := float64(g.timestamp-got[0].timestamp) / 90000
			if g.frame != frameOf(i) || g.flags != want || g.at.Sub(at).Abs() > time.Microsecond ||
				math.Abs(elapsed-at.Sub(samples[keys[0]].At.Add(samples[keys[0]].Offset)).Seconds()) > 0.001 {
				t.Fatalf("picture %d: %+v after %.3f s, want frame %d with %x at %s", n, g, elapsed, frameOf(i), want, at)
			}
		}
	})
	t.Run("twice as fast", func(t *testing.T) {
		t.Parallel()
		got := converse(t, address).play(head, "Scale: 2")
		if len(got) != keys[2]-keys[0] {
			t.Fatalf("%d pictures of %d", len(got), keys[2]-keys[0])
		}
		for n, g := range got {
			took := samples[keys[0]+n].At.Sub(from).Seconds() / 2
			if elapsed := float64(g.timestamp-got[0].timestamp) / 90000; math.Abs(elapsed-took) > 0.001 || g.frame != frameOf(keys[0]+n) || !g.at.IsZero() {
				t.Fatalf("picture %d is frame %d after %.3f s, want %.3f s", n, g.frame, elapsed, took)
			}
		}
	})
	expect := func(t *testing.T, got []shown, want ...int) {
		t.Helper()
		var frames, wanted []uint64
		for _, g := range got {
			frames = append(frames, g.frame)
		}
		for _, k := range want {
			wanted = append(wanted, frameOf(keys[k]))
		}
		if fmt.Sprint(frames) != fmt.Sprint(wanted) {
			t.Errorf("frames %v came, want %v", frames, wanted)
		}
	}
	t.Run("key frames of a fast forward", func(t *testing.T) {
		t.Parallel()
		got := converse(t, address).play(whole, "Scale: 8")
		expect(t, got, 0, 2, 4, 5)
		if elapsed := float64(got[2].timestamp-got[0].timestamp) / 90000; math.Abs(elapsed-2.0/8) > 0.02 {
			t.Errorf("two seconds are shown in %.3f s", elapsed)
		}
	})
	t.Run("key frames only", func(t *testing.T) {
		t.Parallel()
		expect(t, converse(t, address).play(whole, "Rate-Control: no", "Frames: intra"), 0, 1, 2, 3, 4, 5, 6)
		expect(t, converse(t, address).play(whole, "Rate-Control: no", "Frames: intra/990"), 0, 2, 4, 5)
	})
	t.Run("backwards", func(t *testing.T) {
		t.Parallel()
		back := "Range: clock=" + clock(samples[end].At.Add(10*time.Second)) + "-"
		expect(t, converse(t, address).play(back, "Scale: -1", "Rate-Control: no"), 6, 5, 4, 3, 2, 1, 0)
		got := converse(t, address).play("Range: clock="+clock(samples[keys[4]].At.Add(time.Millisecond))+"-"+clock(samples[keys[2]].At), "Scale: -2")
		expect(t, got, 4, 3, 2)
		for i := range got[1:] {
			if got[i+1].timestamp-got[i].timestamp > 1<<31 {
				t.Error("timestamps go back")
			}
		}
	})
	t.Run("what makes no sense", func(t *testing.T) {
		t.Parallel()
		for _, bad := range []string{"Scale: 0", "Scale: fast", "Scale: NaN", "Scale: 1e9", "Rate-Control: perhaps", "Frames: intra/-1",
			"Scale: -1\r\nRange: clock=20260102T150405Z-20260102T150406Z"} {
			d := converse(t, address)
			d.setUp()
			if status, _ := d.ask("PLAY", d.url, bad); status != "RTSP/1.0 400 Bad Request" {
				t.Errorf("%q is answered %s", bad, status)
			}
		}
	})
}
