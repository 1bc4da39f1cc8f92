package storage_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
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

// stage runs a workload on a disk in memory and records what it did and told.
type stage struct {
	t      *testing.T
	name   string
	tracks []understudy.Track
	oracle *oracle
	wrap   func(fs.FS) fs.FS // plants a bug; nil for none
	lives  []*life
	clock  time.Time // of the samples

	disk  *fs.Memory
	mu    sync.Mutex // guards life's facts while a store runs
	life  *life
	store *storage.Store
	seen  atomic.Pointer[storage.Store] // store, for the hook
	stop  func()
	fault func(fs.Op, string) error
	mayGo func(understudy.SegmentID) bool // nil: nothing
}

// record runs a workload in virtual time and returns its lives.
func play(t *testing.T, name string, wrap func(fs.FS) fs.FS) []*life {
	t.Helper()
	folders := []string{"a"}
	if strings.HasPrefix(name, "two folders") {
		folders = []string{"a", "b"}
	}
	return perform(t, name, folders, wrap, workloads[name])
}

func perform(t *testing.T, name string, folders []string, wrap func(fs.FS) fs.FS, run func(*stage)) []*life {
	t.Helper()
	tracks, _ := fmp4test.Clip(t, "h265", 1)
	s := &stage{t: t, name: name, tracks: tracks, wrap: wrap,
		oracle: &oracle{folders: folders, notes: map[string][]understudy.Note{}, fed: map[fedSample]time.Time{}, truth: map[understudy.SegmentID]*truthSegment{}}}
	synctest.Test(t, func(t *testing.T) {
		s.t, s.clock = t, time.Now()
		disk := fs.NewMemory()
		for _, folder := range s.oracle.folders {
			s.must(disk.MkdirAll(folder))
		}
		s.must(disk.SyncDir("."))
		s.begin(disk, nil)
		run(s)
		s.end()
	})
	return s.lives
}

// begin starts a life on a disk.
func (s *stage) begin(disk *fs.Memory, before *promises) {
	s.disk = disk
	s.life = &life{name: fmt.Sprintf("%s/%d", s.name, len(s.lives)), oracle: s.oracle, rec: disk.Record()}
	s.lives = append(s.lives, s.life)
	if before != nil {
		s.life.inherit(before)
	}
	s.disk.Fail(s.before)
}

// before is called before each operation of the disk.
func (s *stage) before(op fs.Op, name string) error {
	s.mu.Lock()
	if store := s.seen.Load(); store != nil {
		s.life.observe(store)
	}
	if id, ok := segmentOf(name); ok && op == fs.OpRemove && s.mayGo != nil && s.mayGo(id) {
		s.life.gone = append(s.life.gone, goneFact{s.life.rec.Len(), id})
	}
	fault := s.fault
	s.mu.Unlock()
	if fault != nil {
		return fault(op, name)
	}
	return nil
}

// open starts a process with a store and its timers.
func (s *stage) open(change ...func(*storage.Config)) {
	s.t.Helper()
	s.must(s.tryOpen(change...))
}

func (s *stage) tryOpen(change ...func(*storage.Config)) error {
	c := s.oracle.config(s.disk, s.wrap)
	for _, f := range change {
		f(&c)
	}
	store, err := storage.Open(s.t.Context(), c)
	if err != nil {
		return err
	}
	s.store = store
	s.seen.Store(store)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- store.Run(ctx) }()
	s.stop = func() {
		cancel()
		if err := errors.Join(<-done, store.Close()); err != nil {
			s.t.Error(err)
		}
		s.stop = nil
	}
	return nil
}

// end ends a life in order.
func (s *stage) end() {
	synctest.Wait()
	if s.stop != nil {
		s.stop()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if store := s.seen.Swap(nil); store != nil {
		s.life.observe(store)
	}
	s.disk.Fail(nil)
	s.life.learn(s.t)
}

// kill ends the process at any moment; the machine and what it holds for the disk go on.
func (s *stage) kill(writers ...*storage.Writer) {
	synctest.Wait()
	steps := s.life.rec.Len()
	s.mu.Lock()
	s.life.observe(s.store)
	s.mu.Unlock()
	for _, w := range writers {
		_ = w.Close(s.t.Context())
	}
	s.end()
	s.begin(s.life.rec.At(steps), s.life.at(steps))
}

// cut is a power cut; fate decides what is there of what was not synced.
func (s *stage) cut(fate func(i int) fs.Fate, writers ...*storage.Writer) {
	synctest.Wait()
	steps := s.life.rec.Len()
	for _, w := range writers {
		_ = w.Close(s.t.Context())
	}
	s.end()
	s.begin(s.life.rec.At(steps).Crash(fate), s.life.at(steps))
}

func (s *stage) writer(camera understudy.CameraID, epoch uint64) *storage.Writer {
	w, err := s.store.NewWriter(camera, epoch, s.tracks)
	if err != nil {
		s.t.Fatal(err)
	}
	return w
}

// frames is how many a camera sends in a second: few, so that a segment is small.
const frames = 4

// sample makes the next one of a camera, with bytes of its own.
func (s *stage) sample(camera understudy.CameraID, n int, at time.Time) *understudy.Sample {
	payload := append([]byte{0, 0, 0, 36, 2, 1}, camera...)
	payload = binary.BigEndian.AppendUint64(payload, uint64(at.UnixNano()))
	for len(payload) < 40 {
		payload = append(payload, byte(n))
	}
	sum := sumOf(payload)
	hash := understudy.SampleHash(sum[:16])
	s.oracle.fed[fedSample{camera, hash}] = at
	return &understudy.Sample{Track: understudy.VideoTrack, At: at, Key: n%frames == 0, Payload: payload, Hash: hash}
}

// feed lets cameras send for so many seconds, side by side.
func (s *stage) feed(seconds int, cameras map[understudy.CameraID]*storage.Writer) {
	for n := range seconds * frames {
		for camera, w := range cameras {
			if err := w.Write(s.sample(camera, n, s.clock)); err != nil {
				s.t.Fatal(err)
			}
		}
		time.Sleep(time.Second / frames)
		s.clock = s.clock.Add(time.Second / frames)
	}
}

func (s *stage) close(writers ...*storage.Writer) {
	for _, w := range writers {
		if err := w.Close(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// recordOne records one camera for so many seconds.
func (s *stage) recordOne(camera understudy.CameraID, epoch uint64, seconds int) {
	w := s.writer(camera, epoch)
	s.feed(seconds, map[understudy.CameraID]*storage.Writer{camera: w})
	s.close(w)
}

// away makes a segment as a failover server has it.
func (s *stage) away(camera understudy.CameraID, sequence uint64, fragments int) (understudy.SegmentID, []byte) {
	id := understudy.SegmentID{Camera: camera, Epoch: 2, Holder: "fo1", Sequence: sequence}
	start := s.clock
	b, err := fmp4.MarshalHeader(fmp4.Header{Segment: id, Start: start}, s.tracks)
	if err != nil {
		s.t.Fatal(err)
	}
	for f := range fragments {
		sample := s.sample(camera, f*frames, s.clock)
		fragment, err := fmp4.MarshalFragment(s.tracks, uint32(f+1), start, []fmp4.TimedSample{{Sample: sample, Duration: time.Second / frames}})
		if err != nil {
			s.t.Fatal(err)
		}
		b = append(b, fragment...)
		s.clock = s.clock.Add(time.Second / frames)
	}
	s.oracle.learn(s.t, id, b)
	return id, b
}

// send imports a segment in pieces, up to some byte; all of it is sealed.
func (s *stage) send(id understudy.SegmentID, b []byte, upTo int) error {
	i, err := s.store.Import(id, int64(len(b)), sumOf(b))
	if err != nil {
		return err
	}
	for at := int(i.Offset()); at < upTo; {
		n := min(300, upTo-at)
		if _, err := i.Write(b[at : at+n]); err != nil {
			return errors.Join(err, i.Close())
		}
		at += n
	}
	if upTo == len(b) {
		err = i.Seal(context.Background())
	}
	return errors.Join(err, i.Close())
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// remove deletes a closed segment on purpose.
func (s *stage) remove(camera understudy.CameraID, nth int) {
	list, err := s.store.Segments(s.t.Context(), camera, time.Time{}, farAway, false)
	s.must(err)
	id := list[nth].ID
	s.let(func(other understudy.SegmentID) bool { return other == id })
	s.must(s.store.Delete(id, "it is at home"))
	s.let(nil)
}

func (s *stage) let(mayGo func(understudy.SegmentID) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mayGo = mayGo
}

func (s *stage) failWhile(fault func(fs.Op, string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// failOnce lets the nth operation of that kind on such a file fail.
func (s *stage) failOnce(op fs.Op, name string, nth int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var count atomic.Int64
	s.fault = func(o fs.Op, n string) error {
		if o == op && strings.Contains(n, name) && count.Add(1) == int64(nth) {
			return err
		}
		return nil
	}
}

// note gives a note, and gives it again with a later end when it is there.
func (s *stage) note(camera understudy.CameraID, id string, minutes int) {
	note := understudy.Note{Camera: camera, ID: id, Server: server, Kind: understudy.NoteGap, Cause: understudy.GapCamera,
		From: fmp4test.Start, To: fmp4test.Start.Add(time.Duration(minutes) * time.Minute), Sentence: "it is a test"}
	s.mu.Lock()
	s.oracle.notes[id] = append(s.oracle.notes[id], note)
	s.mu.Unlock()
	s.must(s.store.Note(note))
}

// deleted fails unless the store deleted something on purpose.
func (s *stage) deleted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.life.gone) == 0 {
		s.t.Error("nothing was deleted: the workload is not what it is named for")
	}
}

// workloads are what servers do, short.
var workloads = map[string]func(*stage){
	"two cameras": func(s *stage) {
		s.open()
		one, two := s.writer("lobby", 1), s.writer("yard", 3)
		s.feed(6, map[understudy.CameraID]*storage.Writer{"lobby": one, "yard": two})
		s.close(one)
		s.feed(2, map[understudy.CameraID]*storage.Writer{"yard": two})
		s.close(two)
		s.oracle.complete(s.t, s.store, "lobby", "yard")
	},
	"sessions": func(s *stage) { // of one camera, in order and overlapping, over an orderly restart
		s.open()
		s.recordOne("lobby", 1, 3)
		first := s.writer("lobby", 2)
		s.feed(2, map[understudy.CameraID]*storage.Writer{"lobby": first})
		second := s.writer("lobby", 3)
		s.feed(1, map[understudy.CameraID]*storage.Writer{"lobby": second})
		s.close(first, second)
		s.oracle.complete(s.t, s.store, "lobby")
		s.end()
		s.begin(s.disk, s.life.at(s.life.rec.Len()))
		s.open()
		s.recordOne("lobby", 4, 3)
		s.oracle.complete(s.t, s.store, "lobby")
	},
	"retention": func(s *stage) {
		s.open()
		s.store.SetHome(func(understudy.CameraID) understudy.ServerID { return "" })
		w := s.writer("lobby", 1)
		s.feed(5, map[understudy.CameraID]*storage.Writer{"lobby": w})
		s.let(func(understudy.SegmentID) bool { return true })
		s.store.SetKeep(func(understudy.CameraID) time.Duration { return time.Second })
		s.feed(8, map[understudy.CameraID]*storage.Writer{"lobby": w})
		s.close(w)
		s.recordOne("yard", 1, 2)
		s.deleted()
	},
	"midnight": func(s *stage) { // the index has a file a day
		s.open()
		s.clock = s.clock.Add(24*time.Hour - 4*time.Second)
		w := s.writer("lobby", 1)
		s.feed(8, map[understudy.CameraID]*storage.Writer{"lobby": w})
		s.remove("lobby", 0)
		s.kill(w)
		s.open()
		s.recordOne("lobby", 2, 3)
	},
	"notes": func(s *stage) {
		s.open()
		s.note("lobby", "one", 1)
		time.Sleep(1500 * time.Millisecond)
		s.note("lobby", "one", 2)
		s.note("yard", "two", 1)
		s.recordOne("lobby", 1, 2)
		for n := range 5 {
			s.note("lobby", "one", 3+n)
			s.note("lobby", fmt.Sprint("more", n), 1)
			time.Sleep(700 * time.Millisecond)
		}
		s.kill()
		s.open()
		s.note("lobby", "one", 9)
		s.note("yard", "three", 9)
		time.Sleep(1500 * time.Millisecond)
		s.cut(func(int) fs.Fate { return fs.Fate{Bytes: 40, Rest: fs.Garbage} })
		s.open()
		s.note("lobby", "one", 10)
		s.note("yard", "two", 2)
		time.Sleep(1500 * time.Millisecond)
	},
	"two folders": func(s *stage) {
		s.open()
		one, two := s.writer("lobby", 1), s.writer("yard", 3)
		s.feed(3, map[understudy.CameraID]*storage.Writer{"lobby": one, "yard": two})
		id, b := s.away("gate", 31, 3)
		s.must(s.send(id, b, len(b)))
		s.note("lobby", "one", 1)
		s.feed(2, map[understudy.CameraID]*storage.Writer{"lobby": one, "yard": two})
		s.close(one, two)
		s.oracle.complete(s.t, s.store, "lobby", "yard")
		s.kill()
		s.open()
		s.recordOne("lobby", 4, 2)
	},
	"two folders, one fails": func(s *stage) {
		s.open()
		one, two := s.writer("lobby", 1), s.writer("yard", 3)
		both := map[understudy.CameraID]*storage.Writer{"lobby": one, "yard": two}
		s.feed(2, both)
		s.failWhile(func(op fs.Op, name string) error {
			if strings.HasPrefix(name, "a/") && op != fs.OpRead {
				return syscall.EIO
			}
			return nil
		})
		s.feed(4, both)
		s.failWhile(nil)
		s.feed(3, both)
		s.close(one, two)
		s.oracle.complete(s.t, s.store, "lobby", "yard")
	},
	"archive": func(s *stage) {
		s.oracle.archive = &bucket{objects: map[string][]byte{}}
		moves := func() {
			s.open()
			s.store.SetHome(ours)
			s.store.SetLimits(func(camera understudy.CameraID) storage.Limits { return storage.Limits{ArchiveAfter: time.Second} })
		}
		moves()
		w := s.writer("lobby", 1)
		s.feed(5, map[understudy.CameraID]*storage.Writer{"lobby": w})
		s.must(s.store.LookAfterArchive(s.t.Context()))
		s.feed(3, map[understudy.CameraID]*storage.Writer{"lobby": w})
		s.must(s.store.LookAfterArchive(s.t.Context()))
		if n := s.store.State().Archive.Segments; n == 0 {
			s.t.Error("nothing went to the archive")
		}
		s.kill(w)
		moves()
		s.recordOne("yard", 1, 3)
		time.Sleep(time.Minute)
		s.must(s.store.LookAfterArchive(s.t.Context()))
		s.must(s.store.LookAfterArchive(s.t.Context()))
	},
	"room": func(s *stage) {
		s.open(func(c *storage.Config) { c.Folders[0].MaxBytes = 6000 })
		s.store.SetHome(func(understudy.CameraID) understudy.ServerID { return "" })
		s.let(func(understudy.SegmentID) bool { return true })
		s.recordOne("lobby", 1, 6)
		s.recordOne("yard", 1, 6)
		s.deleted()
	},
	"delete after confirm": func(s *stage) {
		s.open()
		s.store.SetHome(func(understudy.CameraID) understudy.ServerID { return "rec2" })
		w := s.writer("lobby", 1)
		s.feed(6, map[understudy.CameraID]*storage.Writer{"lobby": w})
		s.remove("lobby", 0)
		s.remove("lobby", 0)
		s.feed(2, map[understudy.CameraID]*storage.Writer{"lobby": w})
		s.close(w)
		s.remove("lobby", 1)
		s.recordOne("lobby", 2, 1)
	},
	"import": func(s *stage) {
		s.open()
		s.recordOne("lobby", 1, 2)
		id, b := s.away("lobby", 31, 5)
		s.must(s.send(id, b, 700))
		s.must(s.send(id, b, len(b)-100))
		other, c := s.away("lobby", 32, 3)
		s.must(s.send(other, c, len(c)))
		s.must(s.send(id, b, len(b)))
		s.must(s.send(id, b, len(b)))   // again
		new, d := s.away("yard", 33, 3) // of a camera that is not here yet
		s.must(s.send(new, d, len(d)))
		wrong, e := s.away("yard", 34, 2)
		i, err := s.store.Import(wrong, int64(len(e)), sumOf(e))
		s.must(err)
		_, err = i.Write(make([]byte, len(e)))
		s.must(err)
		if i.Seal(s.t.Context()) == nil {
			s.t.Error("wrong bytes were taken")
		}
		s.must(i.Close())
		s.recordOne("lobby", 3, 2)
	},
	"import, killed": func(s *stage) {
		s.open()
		id, b := s.away("lobby", 31, 5)
		s.must(s.send(id, b, 900))
		s.kill()
		s.open()
		s.must(s.send(id, b, len(b)))
		s.kill()
		s.open()
		s.must(s.send(id, b, len(b)))
		s.recordOne("lobby", 3, 2)
	},
	"killed": func(s *stage) {
		s.open()
		w := s.writer("lobby", 1)
		s.feed(5, map[understudy.CameraID]*storage.Writer{"lobby": w})
		s.kill(w)
		s.open()
		v := s.writer("lobby", 2)
		s.feed(3, map[understudy.CameraID]*storage.Writer{"lobby": v})
		s.kill(v)
		s.open()
		s.recordOne("lobby", 3, 2)
	},
	"power cuts": func(s *stage) { // and on with what is there, all, none and torn
		for n, fate := range []fs.Fate{fs.Kept, {}, {Bytes: 500, Rest: fs.Zeros}} {
			s.open()
			w, v := s.writer("lobby", uint64(2*n+1)), s.writer("yard", uint64(2*n+1))
			s.feed(3, map[understudy.CameraID]*storage.Writer{"lobby": w, "yard": v})
			s.cut(func(int) fs.Fate { return fate }, w, v)
		}
		s.open()
		s.recordOne("lobby", 9, 2)
	},
	"a sync fails":         faulty(fs.OpSync, ".mp4", 4, syscall.EIO),
	"a write fails":        faulty(fs.OpWrite, ".mp4", 6, syscall.ENOSPC),
	"a folder fails":       faulty(fs.OpSyncDir, "cameras/lobby", 2, syscall.EIO),
	"a creation fails":     faulty(fs.OpCreate, ".mp4", 2, syscall.EIO),
	"the index fails":      faulty(fs.OpWrite, "index", 1, syscall.ENOSPC),
	"the first sync fails": faulty(fs.OpSync, ".mp4", 1, syscall.EIO),
	"no index": func(s *stage) {
		s.open()
		s.recordOne("lobby", 1, 5)
		s.recordOne("yard", 1, 3)
		s.end()
		disk := s.disk
		before := s.life.at(s.life.rec.Len())
		s.must(disk.Remove("a/index/lobby/" + s.clock.UTC().Format(time.DateOnly) + "-rec1"))
		f, err := disk.OpenFile("a/index/yard/"+s.clock.UTC().Format(time.DateOnly)+"-rec1", 2)
		s.must(err)
		s.must(f.Truncate(30))
		s.begin(disk, before)
		s.open()
		s.recordOne("lobby", 2, 2)
	},
}

// faulty records while one operation of the disk fails.
func faulty(op fs.Op, name string, nth int, err error) func(*stage) {
	return func(s *stage) {
		s.open()
		s.failOnce(op, name, nth, err)
		w := s.writer("lobby", 1)
		s.feed(7, map[understudy.CameraID]*storage.Writer{"lobby": w})
		s.close(w)
		s.oracle.complete(s.t, s.store, "lobby")
		s.recordOne("lobby", 2, 2)
	}
}
