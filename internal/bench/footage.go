package bench

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"understudy"
	"understudy/internal/fmp4"
)

// footage makes recordings as large as a camera's: 25 frames a second of 4
// Mbit/s, a key frame each 2 s, fragments of half a second. What a frame shows
// nobody looks at, so its bytes are random, and coded as if by MJPEG.
type footage struct {
	dir    string // of a store
	holder understudy.ServerID
	random *rand.ChaCha8
}

const (
	frameBytes   = 20_000
	frames       = 60 * 25 // of a segment
	fragmentSize = 12
)

func newFootage(dir string, holder understudy.ServerID) footage {
	return footage{dir, holder, rand.NewChaCha8([32]byte{1})}
}

var footageTracks = []understudy.Track{{ID: understudy.VideoTrack, Codec: understudy.CodecMJPEG, TimeScale: 90000, Width: 1920, Height: 1080}}

// write adds so many segments of a camera that begin at a time and follow each
// other, as files that the store finds when it is opened. It returns their bytes.
func (f footage) write(camera understudy.CameraID, first uint64, start time.Time, count int) (bytes int64, err error) {
	dir := filepath.Join(f.dir, "cameras", string(camera))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return 0, err
	}
	for n := range count {
		id := understudy.SegmentID{Camera: camera, Epoch: 1, Holder: f.holder, Sequence: first + uint64(n)}
		size, err := f.segment(id, start.Add(time.Duration(n)*frames*frameEvery))
		bytes += size
		if err != nil {
			return bytes, err
		}
	}
	return bytes, nil
}

func (f footage) segment(id understudy.SegmentID, start time.Time) (size int64, err error) {
	file, err := os.Create(filepath.Join(f.dir, "cameras", id.String()+".mp4"))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	header, err := fmp4.MarshalHeader(fmp4.Header{Segment: id, Start: start}, footageTracks)
	if err != nil {
		return 0, err
	}
	if _, err := file.Write(header); err != nil {
		return 0, err
	}
	size = int64(len(header))
	for n, fragment := 0, uint32(1); n < frames; n, fragment = n+fragmentSize, fragment+1 {
		content, err := fmp4.MarshalFragment(footageTracks, fragment, start, f.samples(start, n, min(n+fragmentSize, frames)))
		if err != nil {
			return size, err
		}
		if _, err := file.Write(content); err != nil {
			return size, err
		}
		size += int64(len(content))
	}
	return size, file.Sync()
}

func (f footage) samples(start time.Time, from, to int) (samples []fmp4.TimedSample) {
	for n := from; n < to; n++ {
		payload := make([]byte, frameBytes)
		_, _ = f.random.Read(payload) // never fails
		s := understudy.Sample{Track: understudy.VideoTrack, At: start.Add(time.Duration(n) * frameEvery), Key: n%50 == 0, Payload: payload}
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, f.random.Uint64()))
		copy(s.Hash[:], sum[:])
		samples = append(samples, fmp4.TimedSample{Sample: &s, Duration: frameEvery})
	}
	return samples
}
