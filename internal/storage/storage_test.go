package storage_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/storage"
)

const server understudy.ServerID = "rec1"

func open(t testing.TB, dir string, change ...func(*storage.Config)) *storage.Store {
	t.Helper()
	c := storage.Config{Folders: []storage.FolderConfig{{Dir: dir, MinFreeBytes: 1}}, Server: server}
	for _, f := range change {
		f(&c)
	}
	s, err := storage.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// begin opens a writer.
func begin(t testing.TB, s *storage.Store, camera understudy.CameraID, epoch uint64, tracks []understudy.Track) *storage.Writer {
	t.Helper()
	w, err := s.NewWriter(camera, epoch, tracks)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// record writes samples at once, and ends the recording.
func record(t testing.TB, s *storage.Store, camera understudy.CameraID, epoch uint64, tracks []understudy.Track, samples []fmp4.TimedSample) {
	t.Helper()
	w := begin(t, s, camera, epoch, tracks)
	for _, sample := range samples {
		if err := w.Write(sample.Sample); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func segments(t testing.TB, s *storage.Store, camera understudy.CameraID) []understudy.Segment {
	t.Helper()
	list, err := s.Segments(t.Context(), camera, time.Time{}, fmp4test.Start.Add(time.Hour), true)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// What was written to a camera is on the disk, sample by sample, in files that
// ffprobe and ffmpeg read, and as one file that the composer makes of them.
func TestARecordingIsWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, func(c *storage.Config) { c.SegmentLength = 5 * time.Second })
	tracks, samples := fmp4test.Clip(t, "h264", 5)
	record(t, s, "lobby", 1, tracks, samples)

	var want []understudy.SampleHash
	for _, sample := range samples {
		if sample.Track == understudy.VideoTrack {
			want = append(want, sample.Hash)
		}
	}
	list := segments(t, s, "lobby")
	if len(list) < 3 {
		t.Fatalf("%d segments of 20 s", len(list))
	}
	var got []understudy.SampleHash
	at := list[0].Start
	for _, segment := range list {
		if !segment.Closed || !segment.Marks[0].Key || !segment.Start.Equal(at) {
			t.Errorf("segment %s: closed %v, key %v, starts %v, want %v", segment.ID, segment.Closed, segment.Marks[0].Key, segment.Start, at)
		}
		at = segment.End
		for _, m := range segment.Marks {
			got = append(got, m.Hash)
		}
		name := filepath.Join(dir, "cameras", segment.ID.String()+".mp4")
		if n := len(fmp4test.Probe(t, name)[0]); n != len(segment.Marks) {
			t.Errorf("ffprobe finds %d pictures in %s, want %d", n, segment.ID, len(segment.Marks))
		}
		fmp4test.Decode(t, name)
	}
	if len(got) != len(want) {
		t.Fatalf("%d samples, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("sample %d is another", i)
		}
	}
	if w := s.Watermark("lobby"); w.Hash != want[len(want)-1] {
		t.Errorf("watermark %v", w)
	}
	composed := compose(t, s, understudy.Join(server, list))
	if n := len(fmp4test.Probe(t, composed)[0]); n != len(want) {
		t.Errorf("composed: %d pictures, want %d", n, len(want))
	}
	fmp4test.Decode(t, composed)
}

func compose(t testing.TB, s *storage.Store, pieces []understudy.Piece) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "composed.mp4")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := fmp4.NewComposer(f)
	for _, p := range pieces {
		r, err := s.OpenSegment(t.Context(), p.Segment)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Add(r, p); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	return name
}
