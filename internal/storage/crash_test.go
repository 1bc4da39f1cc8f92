package storage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

// running is a store on a disk in memory, with its timers.
type running struct {
	*storage.Store
	t       testing.TB
	reports []string
	stop    func()
}

func run(t testing.TB, disk fs.FS, change ...func(*storage.Config)) *running {
	t.Helper()
	r := &running{t: t}
	reports := make(chan string, 1000)
	c := storage.Config{Folders: []storage.FolderConfig{{Dir: "memory", MinFreeBytes: 1 << 20, FS: disk}}, Server: server,
		Events: func(e understudy.Report) { reports <- e.Sentence }}
	for _, f := range change {
		f(&c)
	}
	s, err := storage.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	r.Store = s
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	r.stop = func() {
		cancel()
		<-done
		close(reports)
		for sentence := range reports {
			r.reports = append(r.reports, sentence)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	return r
}

func (r *running) reported(words string) bool {
	return slices.ContainsFunc(r.reports, func(s string) bool { return strings.Contains(s, words) })
}

// feed writes samples at the pace at which they were captured.
func feed(t testing.TB, w *storage.Writer, samples []fmp4.TimedSample) {
	t.Helper()
	for i, s := range samples {
		if i > 0 {
			time.Sleep(max(0, s.At.Sub(samples[i-1].At)))
		}
		if err := w.Write(s.Sample); err != nil {
			t.Fatal(err)
		}
	}
}

// film writes samples at their pace, and ends the recording.
func film(t testing.TB, s *storage.Store, camera understudy.CameraID, epoch uint64, tracks []understudy.Track, samples []fmp4.TimedSample) {
	t.Helper()
	w := begin(t, s, camera, epoch, tracks)
	feed(t, w, samples)
	if err := w.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func videoHashes(samples []fmp4.TimedSample) []understudy.SampleHash {
	var hashes []understudy.SampleHash
	for _, s := range samples {
		if s.Track == understudy.VideoTrack {
			hashes = append(hashes, s.Hash)
		}
	}
	return hashes
}

// stored reads every segment of a camera with its checksums and returns the
// hashes in order of capture time.
func stored(t testing.TB, s *storage.Store, camera understudy.CameraID) []understudy.SampleHash {
	t.Helper()
	list, err := s.Segments(context.Background(), camera, time.Time{}, fmp4test.Start.Add(time.Hour), true)
	if err != nil {
		t.Fatal(err)
	}
	var marks []understudy.SampleMark
	for _, segment := range list {
		f, err := s.OpenSegment(context.Background(), segment.ID)
		if err != nil {
			t.Fatal(err)
		}
		reader := fmp4.NewReader(f)
		n := 0
		for {
			fragment, err := reader.Next()
			if err != nil {
				break
			}
			for _, sample := range fragment.Samples {
				if sample.Track == understudy.VideoTrack {
					if sample.Hash != segment.Marks[n].Hash {
						t.Fatalf("segment %s: sample %d is not that of the marks", segment.ID, n)
					}
					n++
				}
			}
		}
		if n != len(segment.Marks) || reader.Offset() != segment.Size {
			t.Fatalf("segment %s: %d samples and %d bytes are whole, the list says %d and %d", segment.ID, n, reader.Offset(), len(segment.Marks), segment.Size)
		}
		marks = append(marks, segment.Marks...)
		f.Close()
	}
	slices.SortStableFunc(marks, func(a, b understudy.SampleMark) int { return a.At.Compare(b.At) })
	hashes := make([]understudy.SampleHash, len(marks))
	for i, m := range marks {
		hashes[i] = m.Hash
	}
	return hashes
}

// A takeover counts from the first durable frame: it must not wait for a timer.
func TestTheFirstFrameIsDurableAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := fs.NewMemory()
		r := run(t, disk)
		tracks, samples := fmp4test.Clip(t, "h265", 1)
		w := begin(t, r.Store, "lobby", 1, tracks)
		before := time.Now()
		for _, s := range samples[:2] { // the second one tells how long the first lasts
			if err := w.Write(s.Sample); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := r.Watermark("lobby"); got.Hash != samples[0].Hash || !time.Now().Equal(before) {
			t.Errorf("the watermark is %v after %v, want the first key frame at once", got, time.Since(before))
		}
		if got := stored(t, r.Store, "lobby"); len(got) != 1 {
			t.Errorf("%d samples can be read", len(got))
		}
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.stop()
	})
}

// cutPower leaves all unsynced names or none, and of each unsynced write the same.
func cutPower(disk *fs.Memory, names bool, data fs.Fate) *fs.Memory {
	unsynced := disk.Unsynced()
	return disk.Crash(func(i int) fs.Fate {
		switch {
		case unsynced[i].Op == fs.OpWrite:
			return data
		case names:
			return fs.Kept
		}
		return fs.Fate{}
	})
}

// Whenever the power fails, and whatever the disk makes of unsynced bytes:
// everything up to the watermark is there, what is there is whole, and
// recording goes on with new numbers.
func TestPowerCut(t *testing.T) {
	tracks, samples := fmp4test.Clip(t, "h264", 3)
	want := videoHashes(samples)
	rapid.Check(t, func(r *rapid.T) {
		last := int64(rapid.IntRange(1, 150).Draw(r, "operations before the cut"))
		names := rapid.Bool().Draw(r, "unsynced names are there")
		data := rapid.SampledFrom([]fs.Fate{{}, fs.Kept, {Bytes: 700}, {Rest: fs.Zeros}, {Bytes: 700, Rest: fs.Zeros}, {Bytes: 1 << 30, Holes: 4, Rest: fs.Garbage}}).Draw(r, "unsynced writes")
		synctest.Test(t, func(t *testing.T) {
			disk := fs.NewMemory()
			s := run(t, disk, func(c *storage.Config) { c.SegmentLength = 3 * time.Second })
			var operations atomic.Int64
			disk.Fail(func(fs.Op, string) error {
				if operations.Add(1) > last {
					return errors.New("the power is off")
				}
				return nil
			})
			w := begin(t, s.Store, "lobby", 1, tracks)
			feed(t, w, samples)
			_ = w.Close(t.Context())
			mark := s.Watermark("lobby")
			s.stop()

			disk = cutPower(disk, names, data)
			after := run(t, disk, func(c *storage.Config) { c.SegmentLength = 3 * time.Second })
			got := stored(t, after.Store, "lobby")
			for _, segment := range segments(t, after.Store, "lobby") {
				if info, err := disk.Stat("cameras/" + segment.ID.String() + ".mp4"); err != nil || info.Size() != segment.Size {
					t.Fatalf("the torn tail of %s was not cut: %d bytes are whole, %v, %v", segment.ID, segment.Size, info, err)
				}
			}
			if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
				t.Fatalf("after the cut there are %d samples that are not the first ones of what was written", len(got))
			}
			durable := slices.Index(want, mark.Hash) + 1
			if len(got) < durable {
				t.Fatalf("%d samples were said to be durable, %d are there", durable, len(got))
			}
			if len(got) > 0 && after.Watermark("lobby").Hash != got[len(got)-1] {
				t.Fatalf("the watermark after the start is %v", after.Watermark("lobby"))
			}
			numbers := map[uint64]bool{}
			film(t, after.Store, "lobby", 2, tracks, samples[:200])
			list, err := after.Segments(t.Context(), "lobby", time.Time{}, fmp4test.Start.Add(time.Hour), false)
			if err != nil {
				t.Fatal(err)
			}
			for _, segment := range list {
				if numbers[segment.ID.Sequence] {
					t.Fatalf("number %d was used twice", segment.ID.Sequence)
				}
				numbers[segment.ID.Sequence] = true
			}
			after.stop()
		})
	})
}

// A number is never used twice, also when the segments that had it are gone and
// the power fails: two different segments of one name would be taken for one.
func TestNumbersAreNotUsedAgain(t *testing.T) {
	tracks, samples := fmp4test.Clip(t, "h265", 1)
	disk, last := fs.NewMemory(), uint64(0)
	for range 3 {
		s := open(t, "", func(c *storage.Config) { c.Folders[0].FS = disk })
		record(t, s, "lobby", 1, tracks, samples)
		for _, segment := range segments(t, s, "lobby") {
			if segment.ID.Sequence <= last {
				t.Fatalf("number %d comes after %d", segment.ID.Sequence, last)
			}
			last = segment.ID.Sequence
			if err := s.Delete(segment.ID, "it is a test"); err != nil {
				t.Fatal(err)
			}
		}
		if err := disk.SyncDir("cameras/lobby"); err != nil {
			t.Fatal(err)
		}
		disk = disk.Crash(nil)
	}
}

// A failed sync or write loses nothing: what was not durable is written again,
// to another file, and appears once.
func TestAFailedOperationLosesNothing(t *testing.T) {
	tracks, samples := fmp4test.Clip(t, "h264", 3)
	want := videoHashes(samples)
	for _, op := range []fs.Op{fs.OpSync, fs.OpWrite, fs.OpCreate, fs.OpSyncDir} {
		for at := 1; at < 8; at++ {
			t.Run(fmt.Sprintf("%s-%d", op, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					disk := fs.NewMemory()
					s := run(t, disk, func(c *storage.Config) { c.SegmentLength = 3 * time.Second })
					failed, count := false, 0
					disk.Fail(func(o fs.Op, name string) error {
						if o == op && !strings.Contains(name, "probe") {
							if count++; count == at {
								failed = true
								return syscall.EIO
							}
						}
						return nil
					})
					film(t, s.Store, "lobby", 1, tracks, samples)
					if got := stored(t, s.Store, "lobby"); failed && !slices.Equal(got, want) {
						t.Errorf("%d samples, want %d", len(got), len(want))
					}
					if state := s.State(); !state.Writable {
						t.Errorf("the disk is well again, the state is %q", state.Sentence)
					}
					s.stop()
					disk.Fail(nil)
					again := run(t, disk)
					if got := stored(t, again.Store, "lobby"); !slices.Equal(got, want) {
						t.Errorf("after a start: %d samples, want %d", len(got), len(want))
					}
					again.stop()
				})
			})
		}
	}
}

// A disk that hangs is a state, told in time; writers are never held up; what
// does not fit in memory is lost by whole GOPs, said so, and recording resumes.
func TestAHangingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := fs.NewMemory()
		s := run(t, disk)
		tracks, samples := fmp4test.Clip(t, "h265", 40)
		for i := range samples { // 1 MB a second: the queue is full after 16 s
			big := *samples[i].Sample
			big.Payload = append(slices.Clone(big.Payload), make([]byte, 100<<10)...)
			samples[i].Sample = &big
		}
		w := begin(t, s.Store, "lobby", 1, tracks)
		feed(t, w, samples[:50])
		hang := make(chan struct{})
		disk.Fail(func(op fs.Op, _ string) error {
			if op == fs.OpSync {
				<-hang
			}
			return nil
		})
		feed(t, w, samples[50:100])
		before := s.Watermark("lobby")
		if state := s.State(); state.Writable || !strings.Contains(state.Sentence, "hangs") {
			t.Errorf("after 5 s the state is %+v", state)
		}
		feed(t, w, samples[100:250])
		if got := s.Watermark("lobby"); got != before {
			t.Errorf("the watermark moved while the disk hung: %v", got)
		}
		disk.Fail(nil)
		close(hang)
		feed(t, w, samples[250:700])
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		if state := s.State(); !state.Writable {
			t.Errorf("the disk is well again, the state is %q", state.Sentence)
		}
		got, want := stored(t, s.Store, "lobby"), videoHashes(samples[:700])
		if len(got) == len(want) || len(got) < 500 || got[len(got)-1] != want[len(want)-1] {
			t.Errorf("%d of %d samples are there", len(got), len(want))
		}
		for _, segment := range segments(t, s.Store, "lobby") {
			if !segment.Marks[0].Key {
				t.Errorf("segment %s begins without a key frame", segment.ID)
			}
			for i, m := range segment.Marks[1:] {
				if m.At.Sub(segment.Marks[i].At) > 500*time.Millisecond {
					t.Errorf("segment %s spans a gap of %v", segment.ID, m.At.Sub(segment.Marks[i].At))
				}
			}
		}
		s.stop()
		if !s.reported("were lost") {
			t.Errorf("the loss was not reported: %q", s.reports)
		}
	})
}
