package recording

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"understudy"
	"understudy/internal/fmp4/fmp4test"
	"understudy/internal/storage"
	"understudy/internal/stream"
)

// gopSample is the nth sample of a camera with sound and a key frame each 50
// pictures. Its memory has other bytes as soon as nobody holds it.
func gopSample(track, n int, back *atomic.Int32) *understudy.Sample {
	s := &understudy.Sample{Track: track, Key: track == understudy.AudioTrack || n%50 == 0, Payload: gopPayload(track, n),
		At: fmp4test.Start.Add(time.Duration(n) * 40 * time.Millisecond)}
	binary.BigEndian.PutUint32(s.Hash[:], uint32(n))
	s.Lend(func(payload []byte) { clear(payload); back.Add(1) })
	return s
}

func gopPayload(track, n int) []byte {
	b := bytes.Repeat([]byte{byte(n), byte(track)}, 500/track+n*7)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4)) // one NAL unit
	return b
}

// expectGOP reads the samples first to last, picture and sound, byte for byte.
func expectGOP(ctx context.Context, t *testing.T, reader *stream.Reader, first, last int) {
	t.Helper()
	for n := first; n <= last; n++ {
		for track := understudy.VideoTrack; track <= understudy.AudioTrack; track++ {
			item, err := reader.Next(ctx)
			if err == nil && item.Tracks != nil {
				item, err = reader.Next(ctx)
			}
			if err != nil {
				t.Fatalf("of samples %d to %d came no %d: %v", first, last, n, err)
			}
			if s := item.Sample; s.Track != track || !bytes.Equal(s.Payload, gopPayload(track, n)) {
				t.Fatalf("sample %d of track %d: found track %d, hash %s, other bytes or another sample", n, track, s.Track, s.Hash)
			}
		}
	}
}

// A viewer who begins in the middle of the GOP of a recorded camera gets all of
// it from the key frame on, byte for byte, while it is being written; when the
// file is gone, the next key frame.
func TestAViewerGetsTheGOPThatIsOnDiskAlready(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := storage.Open(t.Context(), storage.Config{
		Folders: []storage.FolderConfig{{Dir: dir, MinFreeBytes: 1}}, Server: "rec-1", SyncEvery: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	running := make(chan error, 1)
	go func() { running <- store.Run(ctx) }()
	tracks, _ := fmp4test.Clip(t, "h264", 1)
	writer, err := store.NewWriter("lobby", 1, tracks)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = writer.Close(ctx) // its files are gone
		cancel()
		if err := <-running; err != nil {
			t.Error(err)
		}
		_ = store.Close()
	}()
	hub := stream.NewHub()
	hub.Tracks(tracks)
	var back atomic.Int32
	publish := func(n int) {
		for track := understudy.VideoTrack; track <= understudy.AudioTrack; track++ {
			s := gopSample(track, n, &back)
			hub.Sample(s)
			s.Hold()
			if err := writer.Write(s); err != nil {
				t.Fatal(err)
			}
			s.Release()
		}
	}
	for n := range 90 {
		publish(n)
		if n%9 == 4 {
			until(t, "most of the samples are on disk only", func() bool { return int(back.Load()) >= 2*(n-20) })
			reader := hub.Subscribe(8 << 20)
			expectGOP(ctx, t, reader, n/50*50, n)
			reader.Close()
		}
	}
	reader := hub.SubscribeLazily(8<<20, time.Second)
	expectGOP(ctx, t, reader, 50, 89)
	reader.Close()
	files, err := filepath.Glob(filepath.Join(dir, "cameras", "lobby", "*.mp4"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found no recordings: %v", err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	reader = hub.Subscribe(8 << 20)
	defer reader.Close()
	for n := 90; n < 103; n++ {
		publish(n)
	}
	expectGOP(ctx, t, reader, 100, 102)
}
