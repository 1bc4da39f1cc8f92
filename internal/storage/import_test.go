package storage_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync/atomic"
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

// away makes a segment as a failover server has it.
func away(t testing.TB, times int) (understudy.SegmentID, []byte) {
	t.Helper()
	tracks, samples := fmp4test.Clip(t, "h264", times)
	id := understudy.SegmentID{Camera: "lobby", Epoch: 2, Holder: "fo1", Sequence: 31}
	b, err := fmp4.MarshalHeader(fmp4.Header{Segment: id, Start: samples[0].At}, tracks)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint32(1); len(samples) > 0; n++ {
		some := samples[:min(50, len(samples))]
		samples = samples[len(some):]
		f, err := fmp4.MarshalFragment(tracks, n, fmp4test.Start, some)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, f...)
	}
	return id, b
}

func mustImport(t testing.TB, s *storage.Store, id understudy.SegmentID, b []byte) *storage.Import {
	t.Helper()
	i, err := s.Import(id, int64(len(b)), sha256.Sum256(b))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// What comes home is the same bytes, listed like what was recorded here; doing
// it again changes nothing; it is not counted as this server's own watermark.
func TestFootageComesHome(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	id, b := away(t, 1)
	if _, _, ok := s.Has(id); ok {
		t.Error("it is here before it came")
	}
	i := mustImport(t, s, id, b)
	if _, err := i.Write(b[:1000]); err != nil {
		t.Fatal(err)
	}
	if len(segments(t, s, "lobby")) != 0 {
		t.Error("a part is listed")
	}
	if err := i.Seal(t.Context()); understudy.CodeOf(err) != understudy.CodeConflict {
		t.Errorf("a part was sealed: %v", err)
	}
	if _, err := i.Write(b[1000:]); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Write([]byte{0}); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("more than announced was taken: %v", err)
	}
	for range 2 {
		if err := i.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	again := mustImport(t, s, id, b)
	if again.Offset() != int64(len(b)) {
		t.Errorf("what is here is wanted again from %d on", again.Offset())
	}
	if err := errors.Join(again.Seal(t.Context()), again.Close(), i.Close()); err != nil {
		t.Error(err)
	}
	if _, err := s.Import(id, int64(len(b)), [32]byte{1}); understudy.CodeOf(err) != understudy.CodeConflict {
		t.Errorf("other bytes under the same name: %v", err)
	}
	if _, err := s.Import(understudy.SegmentID{Camera: "lobby", Holder: server}, 5, [32]byte{}); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("a segment of this very server: %v", err)
	}
	check := func(s *storage.Store) {
		t.Helper()
		size, sum, ok := s.Has(id)
		list := segments(t, s, "lobby")
		if !ok || size != int64(len(b)) || sum != sha256.Sum256(b) || len(list) != 1 || list[0].ID != id || len(list[0].Marks) != 40 {
			t.Errorf("here: %v, %d bytes, %d segments", ok, size, len(list))
		}
		if s.Watermark("lobby") != (understudy.Watermark{}) {
			t.Errorf("another server's footage became the watermark %v", s.Watermark("lobby"))
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	check(s)
	if err := errors.Join(s.Delete(id, "it is a test"), s.Delete(id, "it is a test")); err != nil {
		t.Error(err)
	}
	if _, err := s.OpenSegment(t.Context(), id); understudy.CodeOf(err) != understudy.CodeNotFound {
		t.Errorf("deleted, and open: %v", err)
	}
}

// Wrong bytes are refused and forgotten, so that the right ones can come.
// A part that its sender never goes on with does not lie here for ever; one that
// is waited for does not go.
func TestAPartThatIsNeverResumedGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := fs.NewMemory()
		s := run(t, disk)
		id, b := away(t, 1)
		half := mustImport(t, s.Store, id, b)
		if _, err := half.Write(b[:len(b)/2]); err != nil {
			t.Fatal(err)
		}
		parts := func() int {
			files, err := disk.ReadDir("incoming")
			if err != nil {
				t.Fatal(err)
			}
			return len(files)
		}
		time.Sleep(25 * time.Hour)
		if parts() != 1 {
			t.Error("a part went under its import")
		}
		if err := half.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if parts() != 0 {
			t.Error("a part that was not resumed for a day is still here")
		}
		again := mustImport(t, s.Store, id, b)
		if _, err := again.Write(b[again.Offset():]); err != nil {
			t.Fatal(err)
		}
		if err := again.Seal(t.Context()); err != nil {
			t.Error(err)
		}
		fresh := id
		fresh.Sequence++
		if err := mustImport(t, s.Store, fresh, b).Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(23 * time.Hour)
		if parts() != 1 {
			t.Error("a part went before its day was over")
		}
		s.stop()
	})
}

func TestWrongBytesAreRefused(t *testing.T) {
	id, b := away(t, 1)
	tracks, samples := fmp4test.Clip(t, "h264", 1)
	header, err := fmp4.MarshalHeader(fmp4.Header{Segment: understudy.SegmentID{Camera: "lobby", Epoch: 2, Holder: "fo1", Sequence: 32}}, tracks)
	if err != nil {
		t.Fatal(err)
	}
	fragment, err := fmp4.MarshalFragment(tracks, 1, fmp4test.Start, samples)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), b...)
	flipped[len(b)-9] ^= 1
	s := open(t, t.TempDir())
	for name, c := range map[string]struct{ announced, sent []byte }{
		"a flipped bit":             {b, flipped},
		"a segment of another name": {append(header, fragment...), append(header, fragment...)},
		"a torn segment":            {b[:len(b)-5], b[:len(b)-5]},
		"no segment":                {[]byte("nothing of the kind"), []byte("nothing of the kind")},
	} {
		i := mustImport(t, s, id, c.announced)
		if i.Offset() != 0 {
			t.Fatalf("%s: begins at %d", name, i.Offset())
		}
		if _, err := i.Write(c.sent); err != nil {
			t.Fatal(err)
		}
		if err := i.Seal(t.Context()); understudy.CodeOf(err) != understudy.CodeConflict {
			t.Errorf("%s: %v", name, err)
		}
		if err := errors.Join(i.Reject(false), i.Close()); err != nil {
			t.Error(err)
		}
		if _, _, ok := s.Has(id); ok {
			t.Errorf("%s is here", name)
		}
	}
	i := mustImport(t, s, id, b)
	if _, err := i.Write(b[i.Offset():]); err != nil {
		t.Fatal(err)
	}
	if err := i.Seal(t.Context()); err != nil {
		t.Errorf("the right bytes after the wrong ones: %v", err)
	}
}

// The power fails at any operation of a transfer, with any tail: it is resumed
// until it is done, and what was sealed stays.
func TestATransferSurvivesPowerCuts(t *testing.T) {
	id, b := away(t, 1)
	rapid.Check(t, func(r *rapid.T) {
		cuts := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 4).Draw(r, "operations before each cut")
		names := rapid.Bool().Draw(r, "unsynced names are there")
		data := fs.Fate{
			Bytes: rapid.IntRange(0, 1500).Draw(r, "bytes of each unsynced write that survive"),
			Rest:  rapid.SampledFrom([]fs.Rest{fs.Absent, fs.Zeros, fs.Garbage}).Draw(r, "the rest is"),
		}
		synctest.Test(t, func(t *testing.T) {
			disk, sealed := fs.NewMemory(), false
			for _, last := range cuts {
				s := run(t, disk)
				var operations atomic.Int64
				disk.Fail(func(fs.Op, string) error {
					if operations.Add(1) > int64(last) {
						return errors.New("the power is off")
					}
					return nil
				})
				if transfer(s.Store, id, b) == nil {
					sealed = true
				}
				s.stop()
				disk = cutPower(disk, names, data)
				after := run(t, disk)
				if _, _, ok := after.Has(id); sealed && !ok {
					t.Fatal("a sealed segment was lost")
				}
				after.stop()
			}
			s := run(t, disk)
			if err := transfer(s.Store, id, b); err != nil {
				t.Fatal(err)
			}
			if size, sum, ok := s.Has(id); !ok || size != int64(len(b)) || sum != sha256.Sum256(b) {
				t.Fatal("what came is not what was sent")
			}
			s.stop()
		})
	})
}

// transfer is what a merge does, and how often it does it.
func transfer(s *storage.Store, id understudy.SegmentID, b []byte) error {
	for attempt := 1; ; attempt++ {
		if err := attemptOf(s, id, b); err == nil || understudy.CodeOf(err) != understudy.CodeConflict || attempt == 3 {
			return err
		}
	}
}

func attemptOf(s *storage.Store, id understudy.SegmentID, b []byte) error {
	i, err := s.Import(id, int64(len(b)), sha256.Sum256(b))
	if err != nil {
		return err
	}
	for rest := b[i.Offset():]; len(rest) > 0; {
		n := min(1500, len(rest))
		if _, err := i.Write(rest[:n]); err != nil {
			return errors.Join(err, i.Close())
		}
		rest = rest[n:]
	}
	err = i.Seal(context.Background())
	if understudy.CodeOf(err) == understudy.CodeConflict {
		_ = i.Reject(false) // the disk may be off
	}
	return errors.Join(err, i.Close())
}

func openIn(t testing.TB, disk fs.FS) *storage.Store {
	return open(t, "memory", func(c *storage.Config) { c.Folders[0].FS = disk })
}

// However often the connection is cut and the process is killed, at whatever
// byte: what was written to the part is not asked for again.
func TestNoByteComesTwice(t *testing.T) {
	id, b := away(t, 1)
	rapid.Check(t, func(r *rapid.T) {
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(b)/3), 1, 6).Draw(r, "bytes until each cut")
		disk := fs.NewMemory()
		written := 0
		for _, n := range append(cuts, len(b)) {
			s := openIn(t, disk)
			i := mustImport(t, s, id, b)
			if int(i.Offset()) != written {
				t.Fatalf("%d bytes are here, and are wanted again from %d on", written, i.Offset())
			}
			n = min(n, len(b)-written)
			if _, err := i.Write(b[written : written+n]); err != nil {
				t.Fatal(err)
			}
			if written += n; written == len(b) {
				if err := i.Seal(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(i.Close(), s.Close()); err != nil {
				t.Fatal(err)
			}
			if written == len(b) {
				break
			}
		}
		s := openIn(t, disk)
		if size, sum, ok := s.Has(id); !ok || size != int64(len(b)) || sum != sha256.Sum256(b) {
			t.Error("what came is not what was sent")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Of a segment with one wrong fragment, what is right before that is kept; one
// that is wrong once too often is put aside with its bytes, over restarts, until
// it is released.
func TestWrongBytesArePutAside(t *testing.T) {
	id, b := away(t, 2)
	wrong := append([]byte(nil), b...)
	wrong[len(b)-9] ^= 1
	sum := sha256.Sum256(b)
	disk := fs.NewMemory()
	s := openIn(t, disk)
	for attempt := range 3 {
		i := mustImport(t, s, id, b)
		if attempt > 0 && i.Offset() < int64(len(b))/3 {
			t.Errorf("attempt %d begins at %d of %d", attempt, i.Offset(), len(b))
		}
		if _, err := i.Write(wrong[i.Offset():]); err != nil {
			t.Fatal(err)
		}
		if err := i.Seal(t.Context()); understudy.CodeOf(err) != understudy.CodeConflict {
			t.Fatal(err)
		}
		if s.Quarantined(id, int64(len(b)), sum) {
			t.Error("put aside too early")
		}
		if err := errors.Join(i.Reject(attempt == 2), i.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openIn(t, disk)
	if !s.Quarantined(id, int64(len(b)), sum) || s.Quarantined(id, int64(len(b)), [32]byte{}) {
		t.Error("what is put aside is not known after a restart")
	}
	if released, err := storage.Release(disk); err != nil || len(released) != 1 || s.Quarantined(id, int64(len(b)), sum) {
		t.Errorf("released %v, %v", released, err)
	}
	if err := transfer(s, id, b); err != nil {
		t.Errorf("the right bytes after the release: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Footage is readable while it is being written, up to what is durable and no further.
func TestTheOpenSegmentIsReadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := run(t, fs.NewMemory())
		tracks, samples := fmp4test.Clip(t, "h264", 2)
		w := begin(t, s.Store, "lobby", 1, tracks)
		feed(t, w, samples[:300])
		time.Sleep(2 * time.Second)
		list := segments(t, s.Store, "lobby")
		last := list[len(list)-1]
		f, err := s.OpenSegment(t.Context(), last.ID)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err != nil || int64(len(b)) != last.Size || last.Closed {
			t.Errorf("%d bytes of %d, closed %v, %v", len(b), last.Size, last.Closed, err)
		}
		if mark := last.Marks[len(last.Marks)-1]; s.Watermark("lobby").Hash != mark.Hash {
			t.Errorf("the last mark is %v, the watermark %v", mark, s.Watermark("lobby"))
		}
		if err := s.Delete(last.ID, "it is a test"); understudy.CodeOf(err) != understudy.CodeConflict {
			t.Errorf("the open segment was deleted: %v", err)
		}
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.stop()
	})
}
