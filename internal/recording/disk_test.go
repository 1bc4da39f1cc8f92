package recording

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

// hanging is a disk on which every write and sync hangs while it is shut.
type hanging struct {
	fs.FS
	gate *sync.RWMutex
}

func (h hanging) OpenFile(name string, flag int) (fs.File, error) {
	h.gate.RLock()
	defer h.gate.RUnlock()
	f, err := h.FS.OpenFile(name, flag)
	return hangingFile{f, h.gate}, err
}

type hangingFile struct {
	fs.File
	gate *sync.RWMutex
}

func (f hangingFile) wait() {
	f.gate.RLock()
	defer f.gate.RUnlock()
}

func (f hangingFile) Write(p []byte) (int, error) {
	f.wait()
	return f.File.Write(p)
}

func (f hangingFile) WriteVector(parts [][]byte) (int, error) {
	f.wait()
	return f.File.WriteVector(parts)
}

func (f hangingFile) WriteAt(p []byte, at int64) (int, error) {
	f.wait()
	return f.File.WriteAt(p, at)
}

func (f hangingFile) Sync() error {
	f.wait()
	return f.File.Sync()
}

// While a disk hangs, the state port answers and says that nothing is recorded;
// the viewers go on; and when the disk is back nothing is missing.
func TestHangingDisk(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	a := cameras(t, "rec-1", "lobby")
	disk := hanging{fs.System(t.TempDir()), new(sync.RWMutex)}
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{files: disk})
	r.Apply(a)
	until(t, "the camera is recorded", func() bool { return len(r.State().Cameras) == 1 && r.State().Cameras[0].Recording })
	disk.gate.Lock()
	shut := true
	defer func() {
		if shut {
			disk.gate.Unlock()
		}
	}()
	r.Apply(withEpoch(a, 2)) // a new segment is wanted meanwhile
	hub, _ := library{r.store, r.Server}.Live("lobby")
	viewer := hub.Subscribe(8 << 20)
	defer viewer.Close()
	until(t, "the state says that nothing is recorded although frames come", func() bool {
		c := r.State().Cameras[0]
		return c.Receiving && !c.Recording
	})
	for range 20 {
		if _, err := viewer.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	disk.gate.Unlock()
	shut = false
	until(t, "it is recorded again", func() bool {
		c := r.State()
		return c.Cameras[0].Recording && c.Storage.Writable
	})
	whole := r.wholeUpTo(t, "lobby", 2)
	until(t, "the new epoch is on disk", func() bool { return whole() && len(r.frames(t, "lobby")) >= 5 })
	gapless(t, r.frames(t, "lobby"), 5)
}

func TestLostCamerasAreToldOnce(t *testing.T) {
	var p progress
	p.begin(noon, understudy.Watermark{}, time.Time{})
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	for _, step := range []struct {
		now, last  int
		lost, back bool
		excused    bool
		away       time.Duration
	}{
		{now: 9, last: -1, away: 9 * time.Second},
		{now: 10, last: -1, lost: true, away: 10 * time.Second},
		{now: 11, last: -1, away: 11 * time.Second},
		{now: 30, last: 29, back: true, away: 29 * time.Second},
		{now: 31, last: 30, away: time.Second},
		{now: 39, last: 30, away: 9 * time.Second},
		{now: 41, last: 30, lost: true, away: 11 * time.Second},
		{now: 60, last: 60, back: true, away: 30 * time.Second},
		{now: 100, last: 60, excused: true},
		{now: 101, last: 60, away: time.Second},
	} {
		if step.excused { // the process itself stood still
			p.excuse(at(step.now))
			continue
		}
		last := at(step.last)
		if step.last < 0 {
			last = time.Time{}
		}
		lost, back, away := p.turned(at(step.now), last)
		if lost != step.lost || back != step.back || away != step.away {
			t.Errorf("at %d s: lost %v, back %v, away %s; expected %+v", step.now, lost, back, away, step)
		}
	}
}

// The answer to a poll must stay cheap: it is asked for four times a second by every standby.
func BenchmarkState200Cameras(b *testing.B) {
	store, err := storage.Open(b.Context(), storage.Config{Folders: []storage.FolderConfig{{Dir: b.TempDir(), MinFreeBytes: 1 << 20}}, Server: "rec-1"})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	s := New(Config{ID: "rec-1", Role: understudy.RoleRecording, Store: store})
	var all []*camera
	for i := range 200 {
		id := understudy.CameraID(fmt.Sprintf("camera-%03d", i))
		all = append(all, s.newCamera(understudy.AssignedCamera{Camera: understudy.Camera{ID: id, URL: "rtsp://127.0.0.1/"}}))
	}
	s.cameras.Store(&all)
	for b.Loop() {
		if len(s.State().Cameras) != 200 {
			b.Fatal("a camera is missing")
		}
	}
}
