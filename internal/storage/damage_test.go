package storage_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
	"understudy/internal/storage"
)

// rot flips a bit in the payload, or in the header, of a segment's n-th fragment and returns the
// hashes of the pictures that it has.
func rot(t testing.TB, disk fs.FS, id understudy.SegmentID, n int, header bool) (lost []understudy.SampleHash) {
	t.Helper()
	file, err := disk.OpenFile("cameras/"+id.String()+".mp4", os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := fmp4.NewReader(file)
	var f fmp4.Fragment
	for range n + 1 {
		if f, err = r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range f.Samples {
		if s.Track == understudy.VideoTrack {
			lost = append(lost, s.Hash)
		}
	}
	at := f.Offset + int64(f.Size) - 3
	if header {
		at = f.Offset + 5
	}
	b := [1]byte{}
	if _, err := file.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := file.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	return lost
}

func without(all []understudy.SampleHash, gone ...[]understudy.SampleHash) []understudy.SampleHash {
	return slices.DeleteFunc(slices.Clone(all), func(h understudy.SampleHash) bool {
		return slices.ContainsFunc(gone, func(list []understudy.SampleHash) bool { return slices.Contains(list, h) })
	})
}

func damageNotes(t testing.TB, s *storage.Store) (n int) {
	t.Helper()
	notes, err := s.Notes(t.Context(), "lobby", time.Time{}.Add(time.Hour), fmp4test.Start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, note := range notes {
		if note.Cause == understudy.GapDamage {
			n++
		}
	}
	return n
}

// A fragment that rotted takes no other with it: what is before and behind it is
// listed and played, the hole is a gap with its cause, nothing in the file is
// touched, and nothing that was not verified is shown. It does not matter
// whether a start finds it because the index is lost, or somebody who reads.
func TestDamageHidesNothingBehindIt(t *testing.T) {
	for _, lostIndex := range []bool{true, false} {
		for _, header := range []bool{true, false} {
			t.Run(fmt.Sprintf("index lost %v, in a header %v", lostIndex, header), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { damaged(t, lostIndex, header) })
			})
		}
	}
}

func damaged(t *testing.T, lostIndex, header bool) {
	disk := fs.NewMemory()
	short := func(c *storage.Config) { c.SegmentLength = 4 * time.Second }
	s := run(t, disk, short)
	tracks, samples := fmp4test.Clip(t, "h264", 4)
	record(t, s.Store, "lobby", 1, tracks, samples)
	list := segments(t, s.Store, "lobby")
	sizes := map[understudy.SegmentID]int64{}
	for _, segment := range list {
		sizes[segment.ID] = segment.Size
	}
	s.stop()
	lost := [][]understudy.SampleHash{rot(t, disk, list[0].ID, 0, header), rot(t, disk, list[1].ID, 3, header), rot(t, disk, list[1].ID, 2, header)}
	if lostIndex {
		if err := disk.Remove("index/lobby/2026-03-01-rec1"); err != nil {
			t.Fatal(err)
		}
	}
	s = run(t, disk, short)
	for _, segment := range list { // whoever reads finds the damage
		r, err := s.OpenSegment(t.Context(), segment.ID)
		if err != nil {
			t.Fatal(err)
		}
		reader := fmp4.NewReader(r)
		for err == nil {
			_, err = reader.Next()
		}
		r.Close()
	}
	time.Sleep(3 * time.Second)
	want := without(videoHashes(samples), lost...)
	for start := range 2 {
		if got := stored(t, s.Store, "lobby"); !slices.Equal(got, want) {
			t.Errorf("start %d: %d pictures are shown, %d are whole", start, len(got), len(want))
		}
		least := 2
		if lostIndex && header {
			least = 1 // nobody knows that the first segment once began earlier
		}
		if n := damageNotes(t, s.Store); n < least {
			t.Errorf("start %d: %d gaps have damage as their cause", start, n)
		}
		var composed bytes.Buffer
		c := fmp4.NewComposer(&composed)
		for _, p := range understudy.Join(server, segments(t, s.Store, "lobby")) {
			r, err := s.OpenSegment(t.Context(), p.Segment)
			if err == nil {
				err = c.Add(r, p)
			}
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
		if _, _, marks, _, err := fmp4.Scan(bytes.NewReader(composed.Bytes()), 0); err != nil || len(marks) != len(want) {
			t.Errorf("start %d: an export has %d pictures of %d, %v", start, len(marks), len(want), err)
		}
		for _, segment := range segments(t, s.Store, "lobby") {
			if info, err := disk.Stat("cameras/" + segment.ID.String() + ".mp4"); err != nil || info.Size() != sizes[segment.ID] {
				t.Errorf("start %d: the file of %s was touched: %v, %v", start, segment.ID, info, err)
			}
			r, err := s.OpenSegment(t.Context(), segment.ID)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(r); err != nil || int64(len(b)) != segment.Size {
				t.Errorf("start %d: segment %s has %d bytes, and %d were read, %v", start, segment.ID, segment.Size, len(b), err)
			}
			r.Close()
		}
		s.stop()
		s = run(t, disk, short)
	}
	s.stop()
}

// What is left of a segment may begin on another day than the segment did: it is
// listed once, there, and whoever reads it finds no damage any more.
func TestDamageMovesASegmentOverMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := fs.NewMemory()
		s := run(t, disk)
		tracks, samples := fmp4test.Clip(t, "h264", 1)
		for i := range samples { // the first picture is of the day before
			samples[i].At = samples[i].At.Add(12*time.Hour - 50*time.Millisecond)
		}
		record(t, s.Store, "lobby", 1, tracks, samples)
		listed := func() []understudy.Segment {
			list, err := s.Segments(t.Context(), "lobby", fmp4test.Start, fmp4test.Start.Add(24*time.Hour), true)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		id := listed()[0].ID
		want := without(videoHashes(samples), rot(t, disk, id, 0, false))
		for range 2 {
			r, err := s.OpenSegment(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			for reader := fmp4.NewReader(r); err == nil; {
				_, err = reader.Next()
			}
			r.Close()
			time.Sleep(3 * time.Second)
			if list := listed(); len(list) != 1 || len(list[0].Marks) != len(want) || !list[0].Start.After(fmp4test.Start.Add(12*time.Hour)) {
				t.Errorf("listed %d times, the first one %+v", len(list), list)
			}
		}
		s.stop()
	})
}
