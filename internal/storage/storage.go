// Package storage is the media database: segment writers, the index, recovery,
// retention, and footage that comes from elsewhere or goes there.
package storage

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"understudy"
	"understudy/internal/fs"
)

// Config says where and how much to store.
type Config struct {
	Dir    string
	Server understudy.ServerID
	// MaxBytes of segments; 0 is no bound but MinFreeBytes.
	MaxBytes int64
	// MinFreeBytes are left on the volume; 0 is 1 GiB, or a fiftieth of a smaller volume's free space at the start.
	MinFreeBytes  int64
	SyncEvery     time.Duration // 0 is 1 s
	SegmentLength time.Duration // 0 is 1 min
	Log           *slog.Logger
	// Events is told what was repaired, lost or deleted. It must not wait.
	Events func(understudy.Report)
	FS     fs.FS // nil is the system's folder Dir
}

var errSkeleton = errors.New("not built yet")

// Store is an open media database.
type Store struct{}

// Open creates or opens the store of a server. A folder that belongs to another
// server, or that another process holds, is CodeConflict.
func Open(ctx context.Context, c Config) (*Store, error) { return nil, errSkeleton }

// Run syncs on the timer and applies retention until ctx ends.
func (s *Store) Run(ctx context.Context) error { return errSkeleton }

// Close gives the folder free. Writers must have been closed.
func (s *Store) Close() error { return errSkeleton }

// SetKeep says how old the recordings of a camera may get; 0 keeps them while there is room.
func (s *Store) SetKeep(keep func(understudy.CameraID) time.Duration) {}

// SetHome says where cameras belong; "" is nowhere else. Until it is called,
// nothing is deleted, because it might not have gone home.
func (s *Store) SetHome(home func(understudy.CameraID) understudy.ServerID) {}

// State returns the condition of the store, for the state port; it never waits for the disk.
func (s *Store) State() understudy.StorageState { return understudy.StorageState{} }

// Watermark returns the last durable video sample of a camera that this server recorded.
func (s *Store) Watermark(camera understudy.CameraID) understudy.Watermark {
	return understudy.Watermark{}
}

// Cameras returns those of which there is footage, by id.
func (s *Store) Cameras() []understudy.CameraID { return nil }

// Segments implements understudy.RecordingService.
func (s *Store) Segments(ctx context.Context, camera understudy.CameraID, from, to time.Time, marks bool) ([]understudy.Segment, error) {
	return nil, errSkeleton
}

// OpenSegment implements understudy.RecordingService.
func (s *Store) OpenSegment(ctx context.Context, id understudy.SegmentID) (io.ReadSeekCloser, error) {
	return nil, errSkeleton
}

// Foreign returns the closed segments that belong to another server, oldest first.
func (s *Store) Foreign() []understudy.Segment { return nil }

// Has reads a closed segment back from the disk and returns its size and SHA-256; not ok if it is not here whole.
func (s *Store) Has(id understudy.SegmentID) (size int64, sha256 [32]byte, ok bool) {
	return 0, [32]byte{}, false
}

// Delete removes a closed segment and reports why. Deleting what is not here is no error.
func (s *Store) Delete(id understudy.SegmentID, why string) error { return errSkeleton }

// Import begins or resumes taking a segment that another server recorded.
func (s *Store) Import(id understudy.SegmentID, size int64, sha256 [32]byte) (*Import, error) {
	return nil, errSkeleton
}

// Import is a segment on its way into the store.
type Import struct{}

// Offset is where to go on writing: all before it is here. The size if nothing is lacking.
func (i *Import) Offset() int64 { return 0 }

// Write appends.
func (i *Import) Write(p []byte) (int, error) { return 0, errSkeleton }

// Seal verifies and makes durable; after it the segment is part of the store. CodeConflict if the bytes are not those announced: begin again.
func (i *Import) Seal(ctx context.Context) error { return errSkeleton }

// Close gives up for now; what was written stays to be resumed. After Seal it does nothing.
func (i *Import) Close() error { return nil }

// Writer records one session of one camera.
type Writer struct{}

// NewWriter begins a session: a new segment at the first key frame.
func (s *Store) NewWriter(camera understudy.CameraID, epoch uint64, tracks []understudy.Track) (*Writer, error) {
	return nil, errSkeleton
}

// Write takes a sample and never waits for the disk.
func (w *Writer) Write(sample *understudy.Sample) error { return errSkeleton }

// Close writes what is held, syncs it and ends the segment.
func (w *Writer) Close(ctx context.Context) error { return errSkeleton }
