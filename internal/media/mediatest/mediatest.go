// Package mediatest makes real footage for tests: pictures coded by ffmpeg, as
// a camera would send them.
package mediatest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"understudy"
)

// Frame is the duration of a picture.
const Frame = 40 * time.Millisecond

// Clip returns seconds of a moving picture of 160 x 120, 25 a second, with a
// key frame each second, captured from start on. No two samples are equal.
func Clip(t testing.TB, codec understudy.Codec, seconds int, start time.Time) ([]understudy.Track, []*understudy.Sample) {
	t.Helper()
	encoder := map[understudy.Codec][]string{
		understudy.CodecH264: {"-c:v", "libx264", "-x264-params", "keyint=25:min-keyint=25:scenecut=0:aud=1", "-f", "h264"},
		understudy.CodecH265: {"-c:v", "libx265", "-x265-params", "keyint=25:min-keyint=25:scenecut=0:aud=1:log-level=none:repeat-headers=1:open-gop=0", "-f", "hevc"},
	}[codec]
	arguments := append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-t", strconv.Itoa(seconds),
		"-pix_fmt", "yuv420p", "-preset", "ultrafast", "-tune", "zerolatency", "-bf", "0"}, encoder...)
	var stream, complaint bytes.Buffer
	command := exec.CommandContext(t.Context(), "ffmpeg", append(arguments, "-")...)
	command.Stdout, command.Stderr = &stream, &complaint
	if err := command.Run(); err != nil {
		t.Fatalf("ffmpeg (apt-get install ffmpeg) made no pictures: %v\n%s", err, &complaint)
	}
	c := clip{codec: codec, track: understudy.Track{ID: understudy.VideoTrack, Codec: codec, TimeScale: 90000, Width: 160, Height: 120}, at: start}
	// NAL units stand between start codes (H.264 annex B); none ends with a zero.
	for _, nalu := range bytes.Split(stream.Bytes(), []byte{0, 0, 1})[1:] {
		c.add(bytes.TrimRight(nalu, "\x00"))
	}
	c.finish()
	if len(c.samples) != 25*seconds {
		t.Fatalf("ffmpeg made %d pictures, not %d", len(c.samples), 25*seconds)
	}
	return []understudy.Track{c.track}, c.samples
}

// clip divides NAL units into samples, at access unit delimiters.
type clip struct {
	codec   understudy.Codec
	track   understudy.Track
	at      time.Time
	payload []byte
	coded   []byte // what the hash is of
	key     bool
	samples []*understudy.Sample
}

// kinds of NAL unit that matter here (H.264 table 7-1, H.265 table 7-1).
func (c *clip) kind(nalu []byte) string {
	if c.codec == understudy.CodecH264 {
		return map[byte]string{5: "key", 7: "sps", 8: "pps", 9: "aud"}[nalu[0]&0x1f]
	}
	return map[byte]string{19: "key", 20: "key", 32: "vps", 33: "sps", 34: "pps", 35: "aud"}[nalu[0]>>1&0x3f]
}

func (c *clip) add(nalu []byte) {
	switch kind := c.kind(nalu); kind {
	case "aud":
		c.finish()
		return
	case "vps":
		c.track.VPS = nalu
	case "sps":
		c.track.SPS = nalu
	case "pps":
		c.track.PPS = nalu
	default:
		c.key = c.key || kind == "key"
		c.coded = append(binary.BigEndian.AppendUint32(c.coded, uint32(len(nalu))), nalu...)
	}
	c.payload = append(binary.BigEndian.AppendUint32(c.payload, uint32(len(nalu))), nalu...)
}

func (c *clip) finish() {
	if len(c.coded) > 0 {
		sum := sha256.Sum256(c.coded)
		c.samples = append(c.samples, &understudy.Sample{
			Track: understudy.VideoTrack, At: c.at, Key: c.key, Payload: c.payload, Hash: understudy.SampleHash(sum[:16]),
		})
		c.at = c.at.Add(Frame)
	}
	c.payload, c.coded, c.key = nil, nil, false
}

// Frames decodes video with ffmpeg and returns the number of pictures. It
// fails the test where ffmpeg complains or times do not grow.
func Frames(t testing.TB, input string, arguments ...string) int {
	t.Helper()
	probe := append(append([]string{"-v", "error"}, arguments...), "-select_streams", "v", "-show_entries", "packet=dts", "-of", "csv=p=0", input)
	lines := strings.Fields(strings.ReplaceAll(Run(t, "ffprobe", probe...), ",", ""))
	last := ""
	for i, dts := range lines {
		if i > 0 && (len(dts) < len(last) || len(dts) == len(last) && dts <= last) {
			t.Errorf("decode time %s follows %s", dts, last)
		}
		last = dts
	}
	Run(t, "ffmpeg", append(append([]string{"-v", "error", "-xerror"}, arguments...), "-i", input, "-f", "null", "-")...)
	return len(lines)
}

// Run runs a program, fails the test if it fails or complains, and returns what it printed.
func Run(t testing.TB, program string, arguments ...string) string {
	t.Helper()
	var out, complaint bytes.Buffer
	command := exec.CommandContext(t.Context(), program, arguments...)
	command.Stdout, command.Stderr = &out, &complaint
	if err := command.Run(); err != nil || complaint.Len() > 0 {
		t.Errorf("%s %s: %v\n%s", program, strings.Join(arguments, " "), err, &complaint)
	}
	return out.String()
}

// File writes data to a file of the test and returns its name.
func File(t testing.TB, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "media.mp4")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
