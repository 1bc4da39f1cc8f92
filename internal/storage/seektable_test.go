package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
)

// recorded makes a disk with a closed segment of 20 s.
func recorded(t testing.TB) *fs.Memory {
	t.Helper()
	disk := fs.NewMemory()
	s := openMemory(t, disk)
	tracks, samples := fmp4test.Clip(t, "h264", 5)
	w, err := s.NewWriter("lobby", 1, tracks)
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples {
		if err := w.Write(sample.Sample); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	return disk
}

// imported makes a disk with the same segment, that came from elsewhere.
func imported(t testing.TB) *fs.Memory {
	t.Helper()
	from := recorded(t)
	s := openMemory(t, from)
	list, err := s.Segments(t.Context(), "lobby", time.Time{}, fmp4test.Start.Add(time.Hour), false)
	if err != nil || len(list) != 1 {
		t.Fatal(len(list), err)
	}
	content, _ := from.Bytes(segmentPath(list[0].ID))
	disk := fs.NewMemory()
	other, err := Open(t.Context(), Config{Folders: []FolderConfig{{Dir: "memory", FS: disk}}, Server: "rec2"})
	if err != nil {
		t.Fatal(err)
	}
	i, err := other.Import(list[0].ID, int64(len(content)), sha256.Sum256(content))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(i.Seal(t.Context()), other.Close()); err != nil {
		t.Fatal(err)
	}
	return disk
}

// found makes a disk with the same segment, whose index was lost.
func found(t testing.TB) *fs.Memory {
	t.Helper()
	disk := recorded(t)
	path, _ := strings.CutSuffix(tablesPath(t, disk), tablesSuffix)
	if err := disk.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := openMemory(t, disk).Close(); err != nil {
		t.Fatal(err)
	}
	return disk
}

// tablesPath returns the one file of seek tables.
func tablesPath(t testing.TB, disk *fs.Memory) string {
	t.Helper()
	files, err := disk.ReadDir(cameraIndexDir("lobby"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), tablesSuffix) {
			return cameraIndexDir("lobby") + "/" + f.Name()
		}
	}
	t.Fatal("no seek table was kept")
	return ""
}

// sought is what a seek finds, and how often the segment and all else was read.
type sought struct {
	marks    []understudy.SampleMark
	composed []byte
	reads    int
}

// seek opens the store, which has nothing in memory, and goes to a picture near the end of the segment.
func seek(t testing.TB, disk *fs.Memory, server understudy.ServerID) sought {
	t.Helper()
	s, err := Open(t.Context(), Config{Folders: []FolderConfig{{Dir: "memory", FS: disk}}, Server: server})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Segments(t.Context(), "lobby", time.Time{}, fmp4test.Start.Add(time.Hour), false); err != nil { // the day's index is in memory
		t.Fatal(err)
	}
	var got sought
	disk.Fail(func(op fs.Op, _ string) error {
		if op == fs.OpRead {
			got.reads++
		}
		return nil
	})
	defer disk.Fail(nil)
	list, err := s.Segments(t.Context(), "lobby", time.Time{}, fmp4test.Start.Add(time.Hour), true)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d segments, %v", len(list), err)
	}
	got.marks = list[0].Marks
	r, err := s.OpenSegment(context.Background(), list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if err := fmp4.NewComposer(&b).Add(r, understudy.Piece{Segment: list[0].ID, First: len(got.marks) - 12, Count: 7}); err != nil {
		t.Fatal(err)
	}
	got.composed = b.Bytes()
	return got
}

func (s sought) same(o sought) bool {
	return slices.Equal(s.marks, o.marks) && bytes.Equal(s.composed, o.composed)
}

// Wherever a segment came from, a seek to its end reads the table, the header
// and the fragments that are wanted, not the heads of all.
func TestASeekReadsLittle(t *testing.T) {
	for name, have := range map[string]func(testing.TB) *fs.Memory{"recorded": recorded, "imported": imported, "found": found} {
		t.Run(name, func(t *testing.T) {
			server := understudy.ServerID("rec1")
			if name == "imported" {
				server = "rec2"
			}
			disk := have(t)
			with := seek(t, disk, server)
			if err := disk.Remove(tablesPath(t, disk)); err != nil {
				t.Fatal(err)
			}
			without := seek(t, disk, server)
			if !with.same(without) {
				t.Error("with its table, the segment is another")
			}
			if with.reads > 4 || without.reads < 4*with.reads {
				t.Errorf("%d reads with the table, %d without", with.reads, without.reads)
			}
		})
	}
}

// A table that is torn, zeros, garbage, that of before or that of another segment
// changes nothing of what is found.
func TestASeekBelievesNoDamagedTable(t *testing.T) {
	whole := recorded(t)
	path := tablesPath(t, whole)
	content, _ := whole.Bytes(path)
	content = bytes.Clone(content)
	want := seek(t, whole, "rec1")
	tables := map[string][]byte{"empty": nil, "zeros": make([]byte, len(content)), "shifted": content[8:], "longer": append([]byte("before it "), content...)}
	for at := 0; at < len(content); at += 101 {
		flipped := bytes.Clone(content)
		flipped[at] ^= 4
		tables[fmt.Sprint("flipped at ", at)], tables[fmt.Sprint("torn at ", at)] = flipped, content[:at]
	}
	for name, b := range tables {
		disk := whole.Kill()
		file, err := disk.OpenFile(path, os.O_WRONLY|os.O_TRUNC)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(b); err != nil {
			t.Fatal(err)
		}
		if got := seek(t, disk, "rec1"); !got.same(want) {
			t.Errorf("%s: the segment is another", name)
		}
		if checked, err := CheckFS(t.Context(), disk, "memory", nil); err != nil || len(checked.Faults) > 0 {
			t.Errorf("%s: %v %v", name, checked.Faults, err)
		}
	}
}

// A table with the right checksum that says the wrong thing leads nowhere that is
// no fragment, is found by check, and is gone after a repair.
func TestALyingTableIsFound(t *testing.T) {
	disk := recorded(t)
	want := seek(t, disk, "rec1")
	path := tablesPath(t, disk)
	content, _ := disk.Bytes(path)
	s := openMemory(t, disk)
	id := s.closed("lobby", func(*day) bool { return true })[0].ID
	_ = s.Close()
	table, ok := parseTable(content, id)
	if !ok {
		t.Fatal("the table is not whole")
	}
	for n := range table.places {
		table.places[n].offset += int64(n%3 - 1)
	}
	lie := marshalTable(id, table)
	if len(lie) != len(content) {
		t.Fatalf("the lie has %d bytes, the truth %d", len(lie), len(content))
	}
	file, err := disk.OpenFile(path, os.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(lie); err != nil {
		t.Fatal(err)
	}
	if got := seek(t, disk, "rec1"); !got.same(want) {
		t.Error("the segment is another")
	}
	if checked, err := CheckFS(t.Context(), disk, "memory", nil); err != nil || len(checked.Faults) != 1 {
		t.Errorf("check: %v %v", checked.Faults, err)
	}
	if checked, err := repairFS(t.Context(), disk, "memory", nil); err != nil || len(checked.Left) > 0 {
		t.Errorf("repair: %+v %v", checked, err)
	}
	if _, err := disk.Stat(path); !isNotExist(err) {
		t.Errorf("the lie is still there: %v", err)
	}
	if got := seek(t, disk, "rec1"); !got.same(want) {
		t.Error("after the repair, the segment is another")
	}
}

// Seek tables go with their day, and those that a crash left with the next start.
func TestSeekTablesGoWithTheirDay(t *testing.T) {
	disk := recorded(t)
	path := tablesPath(t, disk)
	content, _ := disk.Bytes(path)
	content = bytes.Clone(content)
	s := openMemory(t, disk)
	id := s.closed("lobby", func(*day) bool { return true })[0].ID
	if err := s.Delete(id, "a test"); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Stat(path); !isNotExist(err) {
		t.Errorf("the tables outlive their day: %v", err)
	}
	_ = s.Close()
	file, err := disk.OpenFile(path, os.O_WRONLY|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(content); err != nil {
		t.Fatal(err)
	}
	_ = openMemory(t, disk).Close()
	if _, err := disk.Stat(path); !isNotExist(err) {
		t.Errorf("tables without a day outlive a start: %v", err)
	}
}

func FuzzSeekTable(f *testing.F) {
	id := understudy.SegmentID{Camera: "lobby", Epoch: 1, Holder: "rec1", Sequence: 65}
	_, marks := marksOf(30)
	f.Add(marshalTable(id, seekTable{size: 5000, marks: marks, places: []fragmentPlace{{700, 0}, {1500, 12}, {1600, 12}, {4000, 30}}})[4:])
	f.Fuzz(func(t *testing.T, b []byte) {
		sum := crc32.Update(tableSeed(id), castagnoli, b)
		table, ok := parseTable(append(binary.BigEndian.AppendUint32(nil, sum), b...), id)
		if !ok {
			return
		}
		for n := range len(table.marks) + 2 {
			if p, ok := table.place(n); ok && (p.first > n || p.offset <= 0 || p.offset >= table.size) {
				t.Fatalf("picture %d of %d is said to be at %+v of %d bytes", n, len(table.marks), p, table.size)
			}
		}
		if again, ok := parseTable(marshalTable(id, table), id); !ok || !slices.Equal(again.places, table.places) || len(again.marks) != len(table.marks) {
			t.Fatal("what was read is written otherwise")
		}
	})
}
