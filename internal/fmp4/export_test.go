package fmp4_test

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
)

// takeover is footage of two holders with different clocks, sound included,
// with a hole at its end.
func takeover(t testing.TB) ([]file, []understudy.Piece) {
	tracks, samples := fmp4test.Clip(t, "h264", 6)
	files := []file{
		record(t, "rec1", 1, 0, tracks, between(samples, 0, 5430*time.Millisecond)),
		record(t, "fo1", 9, 1700*time.Millisecond, tracks, between(samples, 4*time.Second, 14*time.Second)),
		record(t, "rec1", 2, 0, tracks, between(samples, 12*time.Second, 18*time.Second)),
		record(t, "rec1", 3, 0, tracks, between(samples, 21*time.Second, 24*time.Second)),
	}
	var list []understudy.Segment
	for _, f := range files {
		list = append(list, f.Segment)
	}
	return files, understudy.Join("rec1", list)
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

func source(files []file) fmp4.Source {
	return func(id understudy.SegmentID) (io.ReadSeekCloser, error) {
		i := slices.IndexFunc(files, func(f file) bool { return f.ID == id })
		return inMemory{bytes.NewReader(files[i].bytes)}, nil
	}
}

func export(t testing.TB, format fmp4.Format, files []file, pieces []understudy.Piece) *fmp4.Export {
	t.Helper()
	e, err := fmp4.NewExport(format)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pieces {
		segment, _ := source(files)(p.Segment)
		if err := e.Add(segment, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Finish(); err != nil {
		t.Fatal(err)
	}
	return e
}

// An export is what a Composer would have written, its size is told before,
// and it can be read from any byte on, in any order.
func TestAnExportIsReadFromAnyByteOn(t *testing.T) {
	files, pieces := takeover(t)
	composed := compose(t, files, pieces)
	for _, format := range []fmp4.Format{fmp4.Fragmented, fmp4.Faststart} {
		e := export(t, format, files, pieces)
		whole, err := io.ReadAll(e.Reader(source(files)))
		if err != nil || int64(len(whole)) != e.Size() {
			t.Fatalf("%s: %d bytes of %d: %v", format, len(whole), e.Size(), err)
		}
		if format == fmp4.Fragmented && !bytes.Equal(whole, composed) {
			t.Error("the export and the composition differ")
		}
		r := e.Reader(source(files))
		defer r.Close()
		rapid.Check(t, func(rt *rapid.T) {
			from := rapid.IntRange(0, len(whole)-1).Draw(rt, "from")
			n := rapid.IntRange(1, min(len(whole)-from, 200<<10)).Draw(rt, "length")
			if _, err := r.Seek(int64(from), io.SeekStart); err != nil {
				rt.Fatal(err)
			}
			got := make([]byte, n)
			if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, whole[from:from+n]) {
				rt.Fatalf("%s: %d bytes from %d on are others: %v", format, n, from, err)
			}
		})
	}
}

// Both formats show the same pictures and sounds at the same times.
func TestBothFormatsShowTheSame(t *testing.T) {
	files, pieces := takeover(t)
	fragmented := probe(t, compose(t, files, pieces))
	whole, err := io.ReadAll(export(t, fmp4.Faststart, files, pieces).Reader(source(files)))
	if err != nil {
		t.Fatal(err)
	}
	if at := bytes.Index(whole, []byte("moov")); at < 0 || at > 100 {
		t.Errorf("the index is at byte %d, and should be in front", at)
	}
	plain := probe(t, whole)
	for track := range fragmented {
		if len(plain[track]) != len(fragmented[track]) {
			t.Fatalf("track %d: %d samples and %d", track, len(plain[track]), len(fragmented[track]))
		}
		for i, p := range plain[track] {
			f := fragmented[track][i]
			if p.Size != f.Size || p.Key != f.Key || (p.Decode-f.Decode).Abs() > time.Millisecond {
				t.Fatalf("track %d: sample %d is %+v and %+v", track, i, p, f)
			}
		}
	}
}

// A composed file becomes one with its index in front, with the times that it
// shows, whatever the clocks of its holders said.
func TestAComposedFileGetsAnIndex(t *testing.T) {
	files, pieces := takeover(t)
	composed := compose(t, files, pieces)
	header, _, samples, _ := read(t, composed)
	e, err := fmp4.NewExport(fmp4.Faststart)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Add(bytes.NewReader(composed), understudy.Piece{Segment: header.Segment, Count: len(only(1, samples))}); err != nil {
		t.Fatal(err)
	}
	if err := e.Finish(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(e.Reader(func(understudy.SegmentID) (io.ReadSeekCloser, error) { return inMemory{bytes.NewReader(composed)}, nil }))
	if err != nil {
		t.Fatal(err)
	}
	want := probe(t, composed)
	for track, packets := range probe(t, got) {
		if len(packets) != len(want[track]) {
			t.Fatalf("track %d: %d samples of %d", track, len(packets), len(want[track]))
		}
		for i, p := range packets {
			if w := want[track][i]; p.Size != w.Size || p.Key != w.Key || (p.Decode-w.Decode).Abs() > time.Millisecond {
				t.Fatalf("track %d: sample %d is %+v and was %+v", track, i, p, w)
			}
		}
	}
}

// A camera that changes its coding needs another file; what came before stays good.
func TestAnExportRefusesAnotherCodec(t *testing.T) {
	files, pieces := takeover(t)
	tracks, samples := fmp4test.Clip(t, "h265", 1)
	other := record(t, "rec1", 50, 0, tracks, samples)
	e := export(t, fmp4.Faststart, files, pieces)
	before := e.Size()
	if err := e.Add(bytes.NewReader(other.bytes), understudy.Piece{Segment: other.ID, Count: len(other.Marks)}); understudy.CodeOf(err) != understudy.CodeConflict {
		t.Errorf("it says %v", err)
	}
	if e.Size() != before {
		t.Errorf("the export has %d bytes, and had %d", e.Size(), before)
	}
}
