// Package crash is a small recording process that is killed, and the account of
// what must be there afterwards. Its tests break a real process on a real disk;
// those of tools/fusedisk do it on a disk of their own in the kernel.
package crash

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/storage"
)

const (
	server  understudy.ServerID = "rec1"
	frames                      = 160 // of a camera
	between                     = 250 * time.Millisecond
	key                         = 4 // each so manyth
)

var cameras = []understudy.CameraID{"lobby", "yard"}

// farAway is after everything.
var farAway = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

func config(c storage.FolderConfig) storage.Config {
	c.MinFreeBytes = 1
	return storage.Config{Folders: []storage.FolderConfig{c}, Server: server, SyncEvery: 5 * time.Millisecond, SegmentLength: 4 * time.Second}
}

// sample is the nth of a camera; its bytes follow from its name.
func sample(camera understudy.CameraID, at time.Time) *understudy.Sample {
	payload := bytes.Repeat(binary.BigEndian.AppendUint64([]byte(camera+" "), uint64(at.UnixNano())), 40)
	sum := sha256.Sum256(payload)
	return &understudy.Sample{Track: understudy.VideoTrack, At: at, Key: at.Sub(fmp4test.Start)/between%key == 0, Payload: payload, Hash: understudy.SampleHash(sum[:16])}
}

// noTest lets the clips be read outside of a test.
type noTest struct{ testing.TB }

func (noTest) Helper()           {}
func (noTest) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// Record is the process: it records two cameras in a folder, takes a segment in,
// and tells what is durable, a line each.
func Record(dir string, out io.Writer) error {
	tracks, _ := fmp4test.Clip(noTest{}, "h265", 1)
	s, err := storage.Open(context.Background(), config(storage.FolderConfig{Dir: dir}))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	told := teller{out: out, store: s, told: map[string]bool{}}
	var writers []*storage.Writer
	for _, camera := range cameras {
		w, err := s.NewWriter(camera, 1, tracks)
		if err != nil {
			return errors.Join(err, s.Close())
		}
		writers = append(writers, w)
	}
	for n := range frames {
		for i, camera := range cameras {
			err = errors.Join(err, writers[i].Write(sample(camera, fmp4test.Start.Add(time.Duration(n)*between))))
		}
		time.Sleep(time.Millisecond)
		if n%(frames/4) == 1 {
			told.takeIn(uint64(n+1), tracks)
		}
		told.tell()
	}
	for _, w := range writers {
		err = errors.Join(err, w.Close(context.Background()))
	}
	told.tell()
	cancel()
	err = errors.Join(err, <-done, s.Close())
	if err == nil {
		told.line("end")
	}
	return err
}

// teller tells each thing once, when it is durable.
type teller struct {
	out   io.Writer
	store *storage.Store
	told  map[string]bool
}

func (t *teller) line(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !t.told[s] {
		t.told[s] = true
		_, _ = io.WriteString(t.out, s+"\n") // nobody may listen any more
	}
}

func (t *teller) tell() {
	for _, camera := range cameras {
		list, err := t.store.Segments(context.Background(), camera, time.Time{}, farAway, false)
		if err != nil {
			continue
		}
		for _, s := range list {
			t.line("segment %s %d", s.ID, s.Size)
		}
		if at := t.store.Watermark(camera).At; !at.IsZero() {
			t.line("mark %s %d", camera, at.UnixNano())
		}
	}
}

// takeIn imports a segment in pieces; where that fails, it is tried again.
func (t *teller) takeIn(sequence uint64, tracks []understudy.Track) {
	id := understudy.SegmentID{Camera: "gate", Epoch: 1, Holder: "fo1", Sequence: sequence}
	at := fmp4test.Start.Add(time.Duration(sequence) * time.Second)
	b, err := fmp4.MarshalHeader(fmp4.Header{Segment: id, Start: at}, tracks)
	if err != nil {
		panic(err)
	}
	fragment, err := fmp4.MarshalFragment(tracks, 1, at, []fmp4.TimedSample{{Sample: sample("gate", at), Duration: between}})
	if err != nil {
		panic(err)
	}
	b = append(b, fragment...)
	for range 3 {
		if t.send(id, b) == nil {
			t.line("segment %s %d", id, len(b))
			return
		}
	}
}

func (t *teller) send(id understudy.SegmentID, b []byte) error {
	i, err := t.store.Import(id, int64(len(b)), sha256.Sum256(b))
	if err != nil {
		return err
	}
	for rest := b[i.Offset():]; len(rest) > 0 && err == nil; {
		var n int
		n, err = i.Write(rest[:min(500, len(rest))])
		rest = rest[n:]
	}
	if err == nil {
		err = i.Seal(context.Background())
	}
	return errors.Join(err, i.Close())
}

// Told is what a process told durable.
type Told struct {
	segments map[understudy.SegmentID]int64
	marks    map[understudy.CameraID]time.Time
	Ended    bool // in order: all that was recorded is durable
	Lines    int
}

// Read takes in what a process tells until it ends.
func Read(r io.Reader) (Told, error) {
	told := Told{segments: map[understudy.SegmentID]int64{}, marks: map[understudy.CameraID]time.Time{}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var name string
		var n int64
		switch _, err := fmt.Sscanf(strings.TrimPrefix(strings.TrimPrefix(lines.Text(), "segment "), "mark "), "%s %d", &name, &n); {
		case lines.Text() == "end":
			told.Ended = true
		case err != nil:
			continue // the last line of a killed process
		case strings.HasPrefix(lines.Text(), "mark "):
			told.marks[understudy.CameraID(name)] = time.Unix(0, n)
		default:
			id, err := understudy.ParseSegmentID(name)
			if err != nil {
				return told, err
			}
			told.segments[id] = max(told.segments[id], n)
		}
		told.Lines++
	}
	return told, lines.Err()
}

// Verify opens what a crash left and compares it with what was told, twice.
func (t Told) Verify(c storage.FolderConfig) error {
	for start := range 2 {
		s, err := storage.Open(context.Background(), config(c))
		if err != nil {
			return fmt.Errorf("start %d: %w", start+1, err)
		}
		if err := errors.Join(t.compare(s), s.Close()); err != nil {
			return fmt.Errorf("start %d: %w", start+1, err)
		}
	}
	return nil
}

func (t Told) compare(s *storage.Store) error {
	sizes := map[understudy.SegmentID]int64{}
	recorded := map[understudy.SampleHash]int{}
	for _, camera := range s.Cameras() {
		list, err := s.Segments(context.Background(), camera, time.Time{}, farAway, false)
		if err != nil {
			return err
		}
		for _, segment := range list {
			sizes[segment.ID] = segment.Size
			if err := readBack(s, segment, recorded); err != nil {
				return err
			}
		}
		if at := s.Watermark(camera).At; at.Before(t.marks[camera]) {
			return fmt.Errorf("the watermark of camera %s was %s and is %s", camera, t.marks[camera], at)
		}
	}
	for id, size := range t.segments {
		if sizes[id] < size {
			return fmt.Errorf("of segment %s %d bytes were told durable, %d are there", id, size, sizes[id])
		}
	}
	for _, camera := range cameras {
		for n := 0; n < frames && t.Ended; n++ {
			if recorded[sample(camera, fmp4test.Start.Add(time.Duration(n)*between)).Hash] != 1 {
				return fmt.Errorf("the process ended in order, and frame %d of camera %s is there %d times", n, camera, recorded[sample(camera, fmp4test.Start.Add(time.Duration(n)*between)).Hash])
			}
		}
	}
	return nil
}

// readBack reads a segment to its end, and each of its bytes must be what its name says.
func readBack(s *storage.Store, segment understudy.Segment, recorded map[understudy.SampleHash]int) error {
	f, err := s.OpenSegment(context.Background(), segment.ID)
	if err != nil {
		return err
	}
	defer f.Close()
	r := fmp4.NewReader(f)
	for {
		fragment, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for _, got := range fragment.Samples {
			want := sample(segment.ID.Camera, got.At)
			if got.Hash != want.Hash || !bytes.Equal(got.Payload, want.Payload) {
				return fmt.Errorf("segment %s has other bytes at %s", segment.ID, got.At)
			}
			recorded[got.Hash]++
		}
	}
	if r.Offset() != segment.Size {
		return fmt.Errorf("segment %s is listed with %d bytes and is whole up to %d", segment.ID, segment.Size, r.Offset())
	}
	return nil
}

// Child runs Record and ends the process, if this one was started to be broken.
func Child() {
	dir := os.Getenv("UNDERSTUDY_CRASH_CHILD")
	if dir == "" {
		return
	}
	if err := Record(dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
