package bench

import (
	"context"
	"errors"
	"io"
	"time"

	"understudy"
	"understudy/internal/fmp4"
	"understudy/internal/storage"
	"understudy/internal/testcam"
)

// found is what lies in the recordings.
type found struct {
	frames int
	lost   int
	bytes  int64 // payloads captured in the window
}

// account reads all footage back and finds the frames that are not there: those
// missing between the first and the last of a camera, and those of the window
// before the first and behind the last.
func account(ctx context.Context, dir string, cameras int, from, to time.Time) (f found, err error) {
	store, err := storage.Open(ctx, storage.Config{Folders: []storage.FolderConfig{{Dir: storageDir(dir)}}, Server: benchServer})
	if err != nil {
		return f, err
	}
	defer func() { _ = store.Close() }()
	for n := range cameras {
		if err := f.camera(ctx, store, benchCamera(n), from, to); err != nil {
			return f, err
		}
	}
	return f, nil
}

// frameEvery is the cameras' distance from frame to frame.
const frameEvery = 40 * time.Millisecond

func (f *found) camera(ctx context.Context, store *storage.Store, camera understudy.CameraID, from, to time.Time) error {
	segments, err := store.Segments(ctx, camera, time.Unix(0, 0), to.Add(time.Hour), false)
	if err != nil {
		return err
	}
	var first, last testcam.Stamp
	seen := map[uint64]bool{}
	for _, segment := range segments {
		if segment.ID.Holder != benchServer {
			continue // came from elsewhere
		}
		err := eachSample(ctx, store, segment.ID, func(s fmp4.TimedSample) {
			stamp, ok := testcam.ParseStamp(s.Payload)
			if !ok || stamp.Camera != string(camera) {
				return
			}
			if len(seen) == 0 || stamp.Frame < first.Frame {
				first = stamp
			}
			if stamp.Frame >= last.Frame {
				last = stamp
			}
			seen[stamp.Frame] = true
			if !stamp.At.Before(from) && stamp.At.Before(to) {
				f.bytes += int64(len(s.Payload))
			}
		})
		if err != nil {
			return err
		}
	}
	f.frames += len(seen)
	if len(seen) == 0 {
		f.lost += int(to.Sub(from) / frameEvery)
		return nil
	}
	f.lost += int(last.Frame-first.Frame) + 1 - len(seen)
	f.lost += int(max(0, first.At.Sub(from)) / frameEvery)
	f.lost += int(max(0, to.Sub(last.At)) / frameEvery)
	return nil
}

func eachSample(ctx context.Context, store *storage.Store, id understudy.SegmentID, f func(fmp4.TimedSample)) error {
	r, err := store.OpenSegment(ctx, id)
	if err != nil {
		return err
	}
	defer r.Close()
	reader := fmp4.NewReader(r)
	for {
		fragment, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, s := range fragment.Samples {
			if s.Track == understudy.VideoTrack {
				f(s)
			}
		}
	}
}
