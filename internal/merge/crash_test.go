package merge_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/fs"
	"understudy/internal/merge"
	"understudy/internal/storage"
)

// machine is a server's disk, under a store that is opened anew after each crash.
type machine struct {
	id   understudy.ServerID
	disk *fs.Memory
}

func (m *machine) open(t rapid.TB) *storage.Store {
	t.Helper()
	s, err := storage.Open(context.Background(), storage.Config{
		Folders: []storage.FolderConfig{{Dir: string(m.id), MinFreeBytes: 1, FS: m.disk}}, Server: m.id})
	if err != nil {
		t.Fatal(err)
	}
	s.SetHome(func(understudy.CameraID) understudy.ServerID { return "rec1" })
	return s
}

// fate is how a round ends for a machine: after so many operations of its disk
// the power is off, or the process is killed; 0 operations are no end.
type fate struct {
	operations int
	power      bool
	data       fs.Fate
}

func drawFate(t *rapid.T, who string) fate {
	if rapid.Bool().Draw(t, who+" survives") {
		return fate{}
	}
	return fate{
		operations: rapid.IntRange(1, 60).Draw(t, who+" fails after operations"),
		power:      rapid.Bool().Draw(t, who+" loses power"),
		data: fs.Fate{Bytes: rapid.IntRange(0, 3000).Draw(t, who+" keeps of each write"),
			Rest: rapid.SampledFrom([]fs.Rest{fs.Absent, fs.Zeros, fs.Garbage}).Draw(t, who+" has behind that")},
	}
}

func (m *machine) begin(f fate) {
	if f.operations == 0 {
		return
	}
	var done atomic.Int64
	m.disk.Fail(func(fs.Op, string) error {
		if done.Add(1) > int64(f.operations) {
			return errors.New("it is dead")
		}
		return nil
	})
}

// end makes of the disk what the next start finds.
func (m *machine) end(f fate) {
	switch {
	case f.operations == 0:
		m.disk = m.disk.Kill() // nothing is lost, and the store is opened anew
	case f.power:
		unsynced := m.disk.Unsynced()
		m.disk = m.disk.Crash(func(i int) fs.Fate {
			if unsynced[i].Op == fs.OpWrite {
				return f.data
			}
			return fs.Fate{}
		})
	default:
		m.disk = m.disk.Kill()
	}
}

// severed is a connection that breaks after so many bytes from this side.
type severed struct {
	net.Conn
	left *atomic.Int64
}

func (c severed) Write(p []byte) (int, error) {
	if left := c.left.Add(-int64(len(p))); left < 0 {
		n, _ := c.Conn.Write(p[:max(0, len(p)+int(left))])
		c.Close()
		return n, io.ErrClosedPipe
	}
	return c.Conn.Write(p)
}

// bring runs a batch between two stores; the line breaks after so many bytes, if not negative.
func bring(from, to *storage.Store, line int64) (merge.Sent, int64, error) {
	receiver := &merge.Receiver{Self: "rec1", Sink: home{to}}
	var sessions sync.WaitGroup
	var came atomic.Int64
	left := &atomic.Int64{}
	left.Store(line)
	batch := merge.NewBatch("fo1", "rec1", from, from.Foreign(), from.ForeignNotes(), merge.SendOptions{})
	sent, err := batch.Run(context.Background(), func(context.Context) (net.Conn, error) {
		here, there := net.Pipe()
		sessions.Go(func() {
			got, _ := receiver.Receive(context.Background(), there, "fo1") // the sender is told, and tells
			came.Add(got.Bytes)
		})
		if line < 0 {
			return here, nil
		}
		return severed{here, left}, nil
	})
	sessions.Wait()
	return sent, came.Load(), err
}

// recorded fills a failover server's disk and returns what is on it.
func recorded(t *rapid.T, m *machine, segments int) map[understudy.SegmentID][32]byte {
	tracks, samples := fmp4test.Clip(discard{}, "h264", 1)
	s := m.open(t)
	for n := range segments {
		w, err := s.NewWriter(understudy.CameraID(fmt.Sprintf("cam%d", n%2)), uint64(n+2), tracks)
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range samples {
			if err := w.Write(sample.Sample); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	all := map[understudy.SegmentID][32]byte{}
	for _, segment := range s.Foreign() {
		_, sum, ok := s.Has(segment.ID)
		if !ok {
			t.Fatal("what was recorded is not there")
		}
		all[segment.ID] = sum
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// discard lets a helper for tests run where there is none: in a check of rapid.
type discard struct{ testing.TB }

func (discard) Helper()           {}
func (discard) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func holds(s *storage.Store, id understudy.SegmentID, sum [32]byte) bool {
	_, have, ok := s.Has(id)
	return ok && have == sum
}

// Either end dies at any operation of its disk, by a kill or a power cut with
// any tail; the line breaks at any byte; home's disk is exchanged; a bit flips on
// the failover server's. No segment is ever in no store, but with an exchanged
// disk or a flipped bit; in the end home has all.
func TestASegmentIsAlwaysSomewhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		away, here := &machine{"fo1", fs.NewMemory()}, &machine{"rec1", fs.NewMemory()}
		all := recorded(t, away, rapid.IntRange(1, 4).Draw(t, "segments"))
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			from, to := away.open(t), here.open(t)
			a, b := drawFate(t, "the failover server"), drawFate(t, "home")
			away.begin(a)
			here.begin(b)
			_, _, _ = bring(from, to, rapid.Int64Range(0, 120_000).Draw(t, "the line breaks after"))
			_ = errors.Join(from.Close(), to.Close()) // the disks may be dead
			away.end(a)
			here.end(b)
			from, to = away.open(t), here.open(t)
			for id, sum := range all {
				if !holds(from, id, sum) && !holds(to, id, sum) {
					t.Fatalf("%s is nowhere", id)
				}
			}
			if err := errors.Join(from.Close(), to.Close()); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 9).Draw(t, "home's disk is exchanged at 0") == 0 {
				fresh := fs.NewMemory()
				to := here.open(t)
				for id, sum := range all {
					if holds(to, id, sum) {
						delete(all, id) // or it is on the failover server, too: then it comes again
					}
				}
				_ = to.Close()
				here.disk = fresh
			}
		}
		from, to := away.open(t), here.open(t)
		sent, _, err := bring(from, to, -1)
		if err != nil || len(sent.Refused) > 0 || len(from.Foreign()) > 0 {
			t.Fatalf("nothing broke, and yet %+v, %v, left %d", sent, err, len(from.Foreign()))
		}
		for id, sum := range all {
			if !holds(to, id, sum) {
				t.Errorf("%s is not at home", id)
			}
		}
		if err := errors.Join(from.Close(), to.Close()); err != nil {
			t.Fatal(err)
		}
	})
}

// The line breaks at any byte, however often, and both processes are killed each
// time: over the line goes what there is to send, and not a byte more.
func TestNotAByteIsSentTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		away, here := &machine{"fo1", fs.NewMemory()}, &machine{"rec1", fs.NewMemory()}
		recorded(t, away, rapid.IntRange(1, 4).Draw(t, "segments"))
		var size, came int64
		from := away.open(t)
		for _, s := range from.Foreign() {
			size += s.Size
		}
		_ = from.Close()
		for _, line := range append(rapid.SliceOfN(rapid.Int64Range(0, 120_000), 0, 6).Draw(t, "the line breaks after"), -1) {
			from, to := away.open(t), here.open(t)
			_, n, _ := bring(from, to, line)
			came += n
			_ = errors.Join(from.Close(), to.Close())
			away.end(fate{})
			here.end(fate{})
		}
		if came != size {
			t.Errorf("%d bytes of footage, and %d came", size, came)
		}
	})
}

// A bit that flips on the failover server's disk is told, not sent home as if it
// were footage, and what is left of the segment stays where it is.
func TestADamagedSegmentIsQuarantinedAndKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		away, here := &machine{"fo1", fs.NewMemory()}, &machine{"rec1", fs.NewMemory()}
		all := recorded(t, away, 2)
		var bad understudy.SegmentID
		for id := range all {
			if bad.Camera == "" || id.String() < bad.String() {
				bad = id
			}
		}
		name := "cameras/" + bad.String() + ".mp4"
		content, _ := away.disk.Bytes(name)
		flipped := bytes.Clone(content)
		flipped[rapid.IntRange(len(content)/2, len(content)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		file, err := away.disk.OpenFile(name, 1) // os.O_WRONLY
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(flipped, 0); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(file.Sync(), file.Close()); err != nil {
			t.Fatal(err)
		}
		from, to := away.open(t), here.open(t)
		for range 2 {
			sent, _, err := bring(from, to, -1)
			if err != nil || len(sent.Quarantined) != 1 || sent.Quarantined[0] != bad {
				t.Fatalf("%+v, %v", sent, err)
			}
		}
		if _, _, ok := to.Has(bad); ok || !holds(from, bad, sha256.Sum256(flipped)) || len(from.Foreign()) != 1 {
			t.Error("the damaged segment is at home, or is no longer where it was")
		}
		if err := errors.Join(from.Close(), to.Close()); err != nil {
			t.Fatal(err)
		}
	})
}
