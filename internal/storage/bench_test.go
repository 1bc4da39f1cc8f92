package storage_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
)

// BenchmarkWriter brings sessions of 20 s, 25 frames a second and 4 Mbit/s to a
// real disk, one sync a second; cpu-µs/camera-s is what a camera-second costs.
func BenchmarkWriter(b *testing.B) {
	s := open(b, b.TempDir())
	tracks, clip := fmp4test.Clip(b, "h265", 1)
	payload := append(clip[0].Payload, make([]byte, 20<<10-len(clip[0].Payload))...)
	const seconds = 20
	before := cpu(b)
	for n := 0; b.Loop(); n++ {
		camera := understudy.CameraID(fmt.Sprintf("camera-%d", n))
		w := begin(b, s, camera, 1, tracks)
		for frame := range 25 * seconds {
			sample := &understudy.Sample{Track: 1, Key: frame%50 == 0, Payload: payload,
				At: fmp4test.Start.Add(time.Duration(frame) * 40 * time.Millisecond)}
			if err := w.Write(sample); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
		if got := len(segments(b, s, camera)[0].Marks); got < 25*seconds/2 {
			b.Fatalf("%d samples", got)
		}
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N*seconds), "cpu-µs/camera-s")
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
