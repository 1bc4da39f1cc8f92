package storage_test

import (
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

// A disk that takes more between two looks than its reserve has is never full:
// room is made ahead of what is written.
func TestRoomIsMadeAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := fs.NewMemory()
		s := run(t, disk, func(c *storage.Config) { c.SegmentLength, c.Folders[0].MinFreeBytes = 2*time.Second, 2<<10 })
		s.SetHome(func(understudy.CameraID) understudy.ServerID { return "" })
		tracks, samples := fmp4test.Clip(t, "h265", 20)
		w := begin(t, s.Store, "lobby", 1, tracks)
		feed(t, w, samples[:len(samples)/2])
		free, err := disk.FreeBytes()
		if err != nil {
			t.Fatal(err)
		}
		disk.SetFree(1<<40 - free + 2<<10) // no room but the reserve
		over, bytes := 0, 0
		for n, sample := range samples[len(samples)/2:] {
			if err := w.Write(sample.Sample); err != nil {
				t.Fatal(err)
			}
			time.Sleep(sample.Duration)
			bytes += len(sample.Payload)
			free, err := disk.FreeBytes()
			if err != nil {
				t.Fatal(err)
			}
			if n > 30 && free < 0 {
				over++
			}
		}
		if over > 0 {
			t.Errorf("the volume was overfull at %d samples, of %d bytes altogether", over, bytes)
		}
		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
		s.stop()
	})
}

// What moves to another home while it waits to be deleted stays.
func TestWhatMovedAwayIsNotDeletedToMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := fs.NewMemory()
		s := run(t, disk, func(c *storage.Config) { c.SegmentLength = 2 * time.Second })
		tracks, samples := fmp4test.Clip(t, "h265", 40) // more segments than are looked for at a time
		record(t, s.Store, "lobby", 1, tracks, samples)
		time.Sleep(2500 * time.Millisecond) // what was written is no news any more
		s.SetHome(func(understudy.CameraID) understudy.ServerID { return server })
		free, err := disk.FreeBytes()
		if err != nil {
			t.Fatal(err)
		}
		before := len(segments(t, s.Store, "lobby"))
		disk.SetFree(1<<40 - free + 1<<20 - 1) // a byte too little
		time.Sleep(time.Second)
		if got := len(segments(t, s.Store, "lobby")); got != before-1 {
			t.Fatalf("%d of %d segments are left, want one less", got, before)
		}
		s.SetHome(func(understudy.CameraID) understudy.ServerID { return "rec2" })
		disk.SetFree(1 << 20)
		time.Sleep(3 * time.Second)
		if got := len(segments(t, s.Store, "lobby")); got != before-1 {
			t.Errorf("%d of %d segments are left of a camera that moved away", got, before-1)
		}
		s.stop()
	})
}
