package rtsp_test

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	us "understudy"
	"understudy/internal/rtsp"
)

// gstCameras serves an H.264 and an H.265 clip from GStreamer's RTSP server
// and returns the URLs of h264 and h265.
func gstCameras(t *testing.T) map[string]string {
	t.Helper()
	if exec.Command("/usr/bin/python3", "-c", "import gi; gi.require_version('GstRtspServer', '1.0')").Run() != nil {
		t.Skip("GStreamer's RTSP server is not installed: only our own cameras were tested")
	}
	clip := filepath.Join(t.TempDir(), "h265.mp4")
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=10", "-t", "20",
		"-c:v", "libx265", "-x265-params", "log-level=error:keyint=10:bframes=0", "-tag:v", "hvc1", clip).CombinedOutput()
	if err != nil {
		t.Skipf("ffmpeg cannot make an H.265 clip: %v %s", err, out)
	}
	cmd := exec.Command("../../test/gst-cameras.py", "--until-eof", "h264=../testcam/plaza.mp4", "h265="+clip)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); _ = cmd.Wait() })
	urls := map[string]string{}
	lines := bufio.NewScanner(stdout)
	for len(urls) < 2 && lines.Scan() {
		name, url, _ := strings.Cut(lines.Text(), " ")
		urls[name] = url
	}
	if len(urls) < 2 {
		t.Fatalf("the cameras did not start: %s", &stderr)
	}
	return urls
}

func TestCamerasThatWeDidNotWrite(t *testing.T) {
	t.Parallel()
	urls := gstCameras(t)
	for _, codec := range []us.Codec{us.CodecH264, us.CodecH265} {
		for _, transport := range []us.Transport{us.TransportTCP, us.TransportUDP} {
			t.Run(string(codec)+" "+string(transport), func(t *testing.T) {
				t.Parallel()
				config := rtsp.Config{Pump: pumping(t), URL: urls[string(codec)], Transport: transport}
				first := pull(t, config)
				first.wait(t, 5)
				second := pull(t, config)
				right := second.wait(t, 40)
				left := first.wait(t, 60)
				if got := first.tracks[0][0].Codec; got != codec {
					t.Errorf("the track is %s", got)
				}
				compareSessions(t, left, right, 20, 100*time.Millisecond) // a frame
				for _, s := range right {
					if late := time.Since(s.At); late < 0 || late > 30*time.Second {
						t.Errorf("a capture time is %s ago", late)
					}
				}
			})
		}
	}
}
