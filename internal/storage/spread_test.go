package storage_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

// on makes a configuration of so many folders, /disk0, /disk1 …
func on(disks ...fs.FS) func(*storage.Config) {
	return func(c *storage.Config) {
		c.SegmentLength = 2 * time.Second
		c.Folders = nil
		for i, disk := range disks {
			c.Folders = append(c.Folders, storage.FolderConfig{Dir: fmt.Sprintf("/disk%d", i), MinFreeBytes: 1 << 20, FS: disk})
		}
	}
}

// files counts the segments of a camera that are files on a disk.
func files(t testing.TB, disk fs.FS, camera understudy.CameraID) (n int) {
	t.Helper()
	entries, err := disk.ReadDir("cameras/" + string(camera))
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".mp4") {
			n++
		}
	}
	return n
}

// Cameras go where there is most room for each, and stay there over a restart.
func TestCamerasAreSpreadOverFolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		small, large := fs.NewMemory(), fs.NewMemory()
		small.SetFree(1<<39 + 1<<30)
		tracks, samples := fmp4test.Clip(t, "h265", 1)
		var first map[understudy.CameraID]bool // on the small one
		for start := range 2 {
			s := run(t, nil, on(small, large))
			var writers []*storage.Writer
			for n := range 6 {
				w := begin(t, s.Store, understudy.CameraID(fmt.Sprintf("camera-%d", n)), uint64(start+1), tracks)
				writers = append(writers, w)
			}
			for _, w := range writers {
				for _, sample := range samples {
					if err := w.Write(sample.Sample); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			onSmall := map[understudy.CameraID]bool{}
			for n := range 6 {
				camera := understudy.CameraID(fmt.Sprintf("camera-%d", n))
				if files(t, small, camera) > 0 {
					onSmall[camera] = true
				}
				if files(t, small, camera) > 0 == (files(t, large, camera) > 0) {
					t.Errorf("start %d: camera %s has %d files in one folder and %d in the other", start, camera, files(t, small, camera), files(t, large, camera))
				}
			}
			if len(onSmall) != 2 || first != nil && fmt.Sprint(first) != fmt.Sprint(onSmall) {
				t.Errorf("start %d: %v of 6 cameras are on the disk of half the size, before %v", start, onSmall, first)
			}
			first = onSmall
			state := s.State()
			if len(state.Folders) != 2 || !state.Writable || state.UsedBytes != state.Folders[0].UsedBytes+state.Folders[1].UsedBytes || state.Folders[0].UsedBytes == 0 {
				t.Errorf("start %d: the state is %+v", start, state)
			}
			s.stop()
		}
	})
}

// A disk that fails or hangs is left for the others, with all that was not
// durable; no sample is lost or there twice; and whoever records to another
// disk feels nothing of it.
func TestASickFolderIsLeft(t *testing.T) {
	for name, sick := range map[string]func(stop <-chan struct{}) error{
		"fails": func(<-chan struct{}) error { return syscall.EIO },
		"hangs": func(stop <-chan struct{}) error { <-stop; return nil },
	} {
		for _, op := range []fs.Op{fs.OpWrite, fs.OpSync, fs.OpCreate} {
			t.Run(name+" at a "+string(op), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { leaves(t, op, sick) })
			})
		}
	}
}

func leaves(t *testing.T, op fs.Op, sick func(<-chan struct{}) error) {
	disks := []*fs.Memory{fs.NewMemory(), fs.NewMemory()}
	s := run(t, nil, on(disks[0], disks[1]))
	tracks, samples := fmp4test.Clip(t, "h264", 24)
	cameras := []understudy.CameraID{"lobby", "yard"}
	var writers []*storage.Writer
	for _, camera := range cameras {
		w := begin(t, s.Store, camera, 1, tracks)
		writers = append(writers, w)
		if err := w.Write(samples[0].Sample); err != nil {
			t.Fatal(err)
		}
	}
	both := func(some []fmp4.TimedSample) {
		for i, sample := range some {
			for _, w := range writers {
				if err := w.Write(sample.Sample); err != nil {
					t.Fatal(err)
				}
			}
			if i+1 < len(some) {
				time.Sleep(max(0, some[i+1].At.Sub(sample.At)))
			}
		}
	}
	both(samples[1:200])
	bad, stop, over := 0, make(chan struct{}), atomic.Bool{}
	if files(t, disks[1], "lobby") > 0 {
		bad = 1
	}
	other := disks[1-bad]
	if files(t, other, "lobby") > 0 || files(t, other, "yard") == 0 {
		t.Fatal("the two cameras are not on two disks")
	}
	before := s.Watermark("yard")
	disks[bad].Fail(func(o fs.Op, _ string) error {
		if o == op && !over.Load() {
			return sick(stop)
		}
		return nil
	})
	both(samples[200:700])
	state := s.State()
	if !state.Writable || state.Folders[bad].Writable || !state.Folders[1-bad].Writable || !strings.HasPrefix(state.Sentence, fmt.Sprintf("/disk%d: ", bad)) {
		t.Errorf("the state is %+v", state)
	}
	for _, camera := range cameras {
		if mark := s.Watermark(camera); samples[699].At.Sub(mark.At) > 2*time.Second {
			t.Errorf("the watermark of %s is %v behind, it was %v", camera, samples[699].At.Sub(mark.At), before)
		}
	}
	if files(t, other, "lobby") == 0 {
		t.Error("the camera of the sick disk did not go on in the other one")
	}
	over.Store(true)
	close(stop)
	both(samples[700:900])
	time.Sleep(6 * time.Second)
	for _, w := range writers {
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if state := s.State(); state.Sentence != "" {
		t.Errorf("the disk is well again, the state is %+v", state)
	}
	s.stop()
	for name, disks := range map[string][]*fs.Memory{"a start": disks, "a power cut": {disks[0].Crash(nil), disks[1].Crash(nil)}} {
		again := run(t, nil, on(disks[0], disks[1]))
		for _, camera := range cameras {
			if got := stored(t, again.Store, camera); !slices.Equal(got, videoHashes(samples[:900])) {
				t.Errorf("after %s: %d of %d samples of %s are there", name, len(got), len(videoHashes(samples[:900])), camera)
			}
		}
		again.stop()
	}
	if !s.reported(fmt.Sprintf("/disk%d: recordings cannot be written", bad)) || !s.reported("the disk works again") {
		t.Errorf("the reports are %q", s.reports)
	}
}

// A number is used once over all folders, also while one of them is away, and
// what was promised about footage in a folder that is away holds no longer.
func TestAFolderAway(t *testing.T) {
	a, b := fs.NewMemory(), fs.NewMemory()
	tracks, samples := fmp4test.Clip(t, "h265", 1)
	one := func(change func(*storage.Config), camera understudy.CameraID) (numbers []uint64, state understudy.StorageState) {
		t.Helper()
		s := run(t, nil, change)
		record(t, s.Store, camera, 1, tracks, samples)
		for _, camera := range s.Cameras() {
			for _, segment := range segments(t, s.Store, camera) {
				numbers = append(numbers, segment.ID.Sequence)
			}
		}
		state = s.State()
		s.stop()
		return numbers, state
	}
	_, whole := one(on(a, b), "lobby")
	seen := map[uint64]bool{}
	_, alone := one(on(a, fs.NewMemory()), "yard") // the disk is not mounted
	if alone.Incarnation == whole.Incarnation || !alone.Writable || alone.Folders[1].Writable || !strings.Contains(alone.Sentence, "/disk1: the recordings' folder /disk1 was part of this store and is empty now") {
		t.Errorf("without a disk the state is %+v", alone)
	}
	_, other := one(on(fs.NewMemory(), b), "gate")
	if other.Folders[0].Dir != "/disk1" || other.Folders[1].Sentence == "" {
		t.Errorf("without the other disk the state is %+v", other)
	}
	numbers, again := one(on(a, b), "lobby")
	for _, n := range numbers {
		if seen[n] {
			t.Errorf("number %d was used twice: %v", n, numbers)
		}
		seen[n] = true
	}
	if again.Incarnation != whole.Incarnation || again.Sentence != "" {
		t.Errorf("with both again: %+v, was %s", again, whole.Incarnation)
	}
}

// A folder is made part of a store only if nothing can be confused by it.
func TestFoldersAreNotConfused(t *testing.T) {
	a, b := fs.NewMemory(), fs.NewMemory()
	said := func(disks ...fs.FS) []understudy.FolderState {
		t.Helper()
		s := run(t, nil, on(disks...))
		defer s.stop()
		return s.State().Folders
	}
	said(a)
	if got := said(a, b); got[1].Sentence != "" {
		t.Errorf("a new folder: %+v", got)
	}
	if got := said(a, b.Crash(nil)); got[1].Sentence != "" {
		t.Errorf("after a power cut: %+v", got)
	}
	c := fs.NewMemory()
	if got := said(a, fs.NewMemory(), c); !strings.Contains(got[2].Sentence, "while another folder is away") {
		t.Errorf("a new folder while one is away: %+v", got)
	}
	if got := said(a, b, a.Crash(nil)); !strings.Contains(got[2].Sentence, "one is a copy of the other") {
		t.Errorf("a copy: %+v", got)
	}
	if got := said(a, b, c); got[2].Sentence != "" {
		t.Errorf("with all there: %+v", got)
	}
}
