package storage_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
)

// A camera's next writer begins while the one before still brings its last
// samples to the disk. These could be lost yet, and the watermark says so:
// whoever mirrors the camera keeps all that follows it.
func TestTheWatermarkWaitsForTheWriterBefore(t *testing.T) {
	for _, ends := range []string{"the older first", "the newer first"} {
		t.Run(ends, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := fs.NewMemory()
				s := run(t, disk)
				tracks, samples := fmp4test.Clip(t, "h264", 10)
				older := begin(t, s.Store, "lobby", 1, tracks)
				half := len(samples) / 2
				for !samples[half].Key || samples[half].Track != understudy.VideoTrack {
					half++
				}
				feed(t, older, samples[:half-50])
				slow := make(chan struct{})
				disk.Fail(func(op fs.Op, file string) error {
					if op == fs.OpSync && strings.Contains(file, "/0000000001-") {
						<-slow
					}
					return nil
				})
				feed(t, older, samples[half-50:half])
				behind := s.Watermark("lobby")
				closed := make(chan error, 2)
				go func() { closed <- older.Close(t.Context()) }()
				newer := begin(t, s.Store, "lobby", 2, tracks)
				feed(t, newer, samples[half:])
				time.Sleep(time.Second)
				if list := segments(t, s.Store, "lobby"); len(list) != 2 || len(list[1].Marks) == 0 {
					t.Fatalf("what the newer writer brought to the disk is not shown: %+v", list)
				}
				if got := s.Watermark("lobby"); got != behind {
					t.Errorf("the watermark is at %s, and samples after %s are not durable", got.At, behind.At)
				}
				if ends == "the newer first" {
					if err := newer.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				close(slow)
				if err := <-closed; err != nil {
					t.Fatal(err)
				}
				if ends == "the older first" {
					if err := newer.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				list := segments(t, s.Store, "lobby")
				marks := list[len(list)-1].Marks
				if last := marks[len(marks)-1]; s.Watermark("lobby").Hash != last.Hash {
					t.Errorf("all is durable, and the watermark is at %s instead of %s", s.Watermark("lobby").At, last.At)
				}
				disk.Fail(nil)
				s.stop()
			})
		})
	}
}
