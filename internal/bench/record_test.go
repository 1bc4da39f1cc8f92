package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The test's own program is what Record starts for each part.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "bench" && os.Args[2] == "part" {
		if err := Part(context.Background(), os.Args[3], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestRecordMeasuresAndFindsEachFrame(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg makes the cameras' clip, and is not installed")
	}
	settleTime = 100 * time.Millisecond
	r, err := Record(t.Context(), RecordOptions{Cameras: 2, Seconds: 2, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if r.LostFrames != 0 || r.Frames < 100 {
		t.Errorf("%d frames are found and %d lost of two cameras in 2 s", r.Frames, r.LostFrames)
	}
	if r.CPUPerCamera <= 0 || r.FloorPerCamera <= 0 || r.RSSPerCamera <= 0 || r.BytesPerSecond < 500e3 || r.Cameras != 2 {
		t.Errorf("something was not measured: %+v", r)
	}
}

// A window that the recordings do not cover is frames that are missing.
func TestFramesThatWereNeverRecordedAreLost(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg makes the cameras' clip, and is not installed")
	}
	dir := t.TempDir()
	file, err := clip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cameras, urls, err := start(t.Context(), "cameras", cameraOrders{File: file, Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	recorder, _, err := start(t.Context(), "recorder", recorderOrders{URLs: urls, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*process{recorder, cameras} {
		if err := p.end(); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	found, err := account(t.Context(), dir, 2, now, now.Add(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if found.frames == 0 || found.lost < 2*240 {
		t.Errorf("%d frames are found and %d lost, of two cameras that should have been recorded for 10 s more", found.frames, found.lost)
	}
	if _, err := os.Stat(filepath.Join(dir, "recordings")); err != nil {
		t.Error(err)
	}
}
