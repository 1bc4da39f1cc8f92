package bench

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"

	"understudy"
)

// clipName tells what is in the clip, so that another recipe gets another name.
const clipName = "bench-1080p25-h264-4M-gop50.mp4"

// clip returns the video of the cameras: 10 s, 1080p, 25 frames a second, H.264
// of 4 Mbit/s, a key frame each 2 s. ffmpeg makes it on first use.
func clip(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", understudy.Errorf(understudy.CodeUnavailable, "there is no cache folder to keep the cameras' clip in; set XDG_CACHE_HOME: %w", err)
	}
	dir := filepath.Join(cache, "understudy")
	name := filepath.Join(dir, clipName)
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	temporary := filepath.Join(dir, "making-"+clipName)
	ffmpeg := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-y",
		"-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25,noise=alls=20:allf=t", "-t", "10",
		"-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-pix_fmt", "yuv420p", "-bf", "0",
		"-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "4M",
		"-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-movflags", "faststart", temporary)
	ffmpeg.Stderr = os.Stderr
	if err := ffmpeg.Run(); err != nil {
		return "", understudy.Errorf(understudy.CodeUnavailable, "the cameras' clip is made with ffmpeg, which failed; install ffmpeg with libx264: %w", err)
	}
	return name, os.Rename(temporary, name)
}
