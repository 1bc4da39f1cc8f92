package storage

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
)

func openMemory(t testing.TB, disk fs.FS) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Folders: []FolderConfig{{Dir: "memory", FS: disk}}, Server: "rec1"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// row is a closed segment that began so many minutes after noon.
func row(sequence uint64, minutes int, holes ...understudy.Hole) *entry {
	start := fmp4test.Start.Add(time.Duration(minutes) * time.Minute)
	e := &entry{Segment: understudy.Segment{
		ID:    understudy.SegmentID{Camera: "lobby", Epoch: 1, Holder: "rec1", Sequence: sequence},
		Start: start, End: start.Add(time.Minute), Size: 1000 + int64(sequence), Closed: true, Codec: understudy.CodecH265, Holes: holes,
	}}
	if kept := uint32(sequence % 3); kept > 0 {
		e.table = tablePlace{uint32(sequence) * 100, kept}
	}
	e.last = understudy.Watermark{At: start.Add(59 * time.Second), Hash: understudy.SampleHash{1, byte(sequence)}}
	return e
}

// Whatever is taken into the index and out of it: read again, whole or by its
// last record, it says the same; evicted and loaded, too.
func TestTheIndexSaysWhatItWasTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := fs.NewMemory()
		s, err := Open(context.Background(), Config{Folders: []FolderConfig{{Dir: "memory", FS: disk}}, Server: "rec1"})
		if err != nil {
			t.Fatal(err)
		}
		f := s.folders[0]
		want := map[uint64]*entry{}
		for range rapid.IntRange(1, 40).Draw(t, "changes") {
			e := row(uint64(rapid.IntRange(1, 9).Draw(t, "sequence")), 0)
			e.Start = e.Start.AddDate(0, 0, int(e.ID.Sequence)/4)
			e.End = e.Start.Add(time.Minute)
			switch kind := recordKind(rapid.IntRange(1, 4).Draw(t, "kind")); kind {
			case recordClosed:
				want[e.ID.Sequence] = e
				err = f.change(kind, e)
			case recordGone:
				delete(want, e.ID.Sequence)
				err = f.change(kind, e)
			case 4: // let go of all that may go
				s.mu.Lock()
				for _, d := range s.cameras["lobby"].sorted() {
					if d.loaded && !d.pinned() {
						d.entries, d.loaded = nil, false
						s.loaded--
					}
				}
				s.mu.Unlock()
			}
			if err != nil {
				t.Fatal(err)
			}
			check := func(s *Store) {
				var bytes int64
				for _, e := range want {
					bytes += e.Size
				}
				if c := s.cameras["lobby"]; c != nil && (c.count != len(want) || c.bytes != bytes || s.folders[0].used != bytes) {
					t.Fatalf("%d segments of %d bytes, %d used, want %d of %d", c.count, c.bytes, s.folders[0].used, len(want), bytes)
				}
				for sequence := range uint64(10) {
					e := s.find(understudy.SegmentID{Camera: "lobby", Epoch: 1, Holder: "rec1", Sequence: sequence})
					if (e == nil) != (want[sequence] == nil) || e != nil && (e.last != want[sequence].last || e.table != want[sequence].table || !e.Start.Equal(want[sequence].Start) || e.Size != want[sequence].Size) {
						t.Fatalf("segment %d is %+v, want %+v", sequence, e, want[sequence])
					}
				}
			}
			check(s)
			again := &Store{config: s.config, server: s.server, log: s.log, cameras: map[understudy.CameraID]*cameraDays{}, removing: map[understudy.SegmentID]bool{}}
			g := again.newFolder(FolderConfig{Dir: "memory", FS: disk})
			again.folders = []*folder{g}
			if _, err := g.openIndex("lobby"); err != nil {
				t.Fatal(err)
			}
			check(again)
		}
	})
}

// An index file does not outlive its day, and what is in it is bounded by the day.
func TestTheIndexStaysSmall(t *testing.T) {
	disk := fs.NewMemory()
	s := openMemory(t, disk)
	for n := range 3000 {
		if err := s.folders[0].change(recordClosed, row(uint64(n+1), n)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3000 {
		if n == 2999 {
			break
		}
		if err := s.folders[0].change(recordGone, row(uint64(n+1), n)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := disk.ReadDir("index/lobby")
	if err != nil || len(files) != 1 {
		t.Errorf("%d index files of one segment, %v", len(files), err)
	}
	if cameras := s.Cameras(); len(cameras) != 1 {
		t.Errorf("there is footage of %v", cameras)
	}
}

// A day that is not needed leaves memory, and one in which a segment is open does not.
func TestDaysLeaveMemory(t *testing.T) {
	s := openMemory(t, fs.NewMemory())
	f := s.folders[0]
	open := row(7, 0)
	if err := f.change(recordBegun, open); err != nil {
		t.Fatal(err)
	}
	const days = daysMost + 50
	for n := range days {
		if err := f.change(recordClosed, row(uint64(n+100), n*24*60)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range days {
		if e := s.find(row(uint64(n+100), 0).ID); e == nil {
			t.Fatalf("segment %d is gone", n)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	loaded := 0
	for key, d := range s.cameras["lobby"].days {
		if d.loaded {
			loaded++
		} else if key == keyOf(f, open) {
			t.Error("the day of an open segment left memory")
		}
	}
	if loaded != s.loaded || loaded > daysMost+1 {
		t.Errorf("%d days are in memory, %d are counted", loaded, s.loaded)
	}
}

func FuzzIndex(f *testing.F) {
	d := &day{dayKey: dayKey{date: "2026-03-01", holder: "rec1"}, camera: "lobby"}
	seed := seedOf(d.path())
	one := appendRecord(nil, seed, record{kind: recordClosed, entry: row(1, 0, understudy.Hole{From: fmp4test.Start, To: fmp4test.Start.Add(time.Second)})})
	f.Add(one)
	f.Add(appendRecord(one, seed, record{kind: recordGone, entry: row(1, 0)}))
	f.Add(bytes.Repeat([]byte{0}, 500))
	f.Fuzz(func(t *testing.T, b []byte) {
		first := &day{dayKey: d.dayKey, camera: d.camera}
		first.parse(b)
		again := &day{dayKey: d.dayKey, camera: d.camera}
		if again.parse(first.encode()) {
			t.Fatal("what was written anew is damaged")
		}
		if len(again.entries) != len(first.entries) || len(again.open) != len(first.open) {
			t.Fatalf("%d segments and %d open ones, written again %d and %d", len(first.entries), len(first.open), len(again.entries), len(again.open))
		}
		for i, e := range first.entries {
			if fmt.Sprint(e.Segment, e.last, e.rest) != fmt.Sprint(again.entries[i].Segment, again.entries[i].last, again.entries[i].rest) {
				t.Fatalf("%+v, written again %+v", e, again.entries[i])
			}
		}
		parseLast(b, seed, d.camera, d.holder) // must not panic
	})
}
