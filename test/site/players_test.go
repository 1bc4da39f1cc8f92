package site_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/site"
)

// Every file on disk can be probed while it is written and after the writer was
// killed; ffmpeg plays live video with a token, is refused without, and keeps
// one address across a takeover.
func TestPlayersThatKnowNothingOfUs(t *testing.T) {
	s := up(t, true)
	token, err := s.Client.MediaToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rec1, fo1 := s.Layout.Recording[0].Addresses.Media, s.Layout.Failover[0].Addresses.Media
	live := func(scheme, host string, token understudy.Secret) string {
		return fmt.Sprintf("%s://%s/north?token=%s", scheme, host, url.QueryEscape(string(token)))
	}
	t.Run("segments while they are written", func(t *testing.T) { probeAll(t, s) })
	t.Run("live over RTSP with TLS", func(t *testing.T) { play(t, live("rtsps", rec1, token), true) })
	t.Run("live over RTSP without TLS, where the site allows it", func(t *testing.T) { play(t, live("rtsp", rec1, token), true) })
	t.Run("no token", func(t *testing.T) { play(t, live("rtsps", rec1, ""), false) })
	t.Run("a wrong token", func(t *testing.T) { play(t, live("rtsps", rec1, token[:len(token)-4]+"AAAA"), false) })
	t.Run("from a server that does not hold the camera", func(t *testing.T) { play(t, live("rtsp", fo1, token), true) })

	if err := s.Do(site.FaultKill, "rec1"); err != nil {
		t.Fatal(err)
	}
	t.Run("segments of a server that was killed", func(t *testing.T) { probeAll(t, s) })
	eventually(t, "the failover server to record", func(ctx context.Context) bool { return recorded(ctx, s, "fo1", "north") > 0 })
	t.Run("live from the failover server", func(t *testing.T) { play(t, live("rtsp", fo1, token), true) })
	if err := s.Do(site.CureStart, "rec1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the failback", func(ctx context.Context) bool {
		now, err := s.Client.Site(ctx)
		return err == nil && len(now.Holders()["rec1"]) == 2
	})
	t.Run("the address of the failover server still leads to the camera", func(t *testing.T) { play(t, live("rtsp", fo1, token), true) })
	t.Run("export over both servers", func(t *testing.T) {
		file, err := os.Create(filepath.Join(t.TempDir(), "north.mp4"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := s.Client.Export(t.Context(), "north", time.Now().Add(-time.Minute), time.Now(), file, nil); err != nil {
			t.Fatal(err)
		}
		probe(t, file.Name())
	})
}

// play lets ffmpeg take twenty frames, or not.
func play(t *testing.T, address string, want bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", address,
		"-frames:v", "20", "-fps_mode", "passthrough", "-f", "null", "-").CombinedOutput()
	switch {
	case want && err != nil:
		t.Errorf("ffmpeg did not play: %v\n%s", err, out)
	case !want && err == nil:
		t.Error("ffmpeg played what it must not see")
	case !want && !strings.Contains(string(out), "401"):
		t.Errorf("ffmpeg was refused otherwise than by 401: %s", out)
	}
}

func probeAll(t *testing.T, s *site.Site) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(s.Folder("rec1"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".mp4") {
			files++
			probe(t, path)
		}
		return err
	})
	if err != nil || files < 2 {
		t.Errorf("%d segments found, %v", files, err)
	}
}

// probe judges a file with ffprobe, which must find frames and nothing to complain about.
func probe(t *testing.T, path string) {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "warning", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "csv=p=0", path).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != 1 || !strings.HasPrefix(lines[0], "h264,") || strings.HasSuffix(lines[0], ",0") {
		t.Errorf("ffprobe of %s: %v\n%s", filepath.Base(path), err, out)
	}
}
