package understudy

import (
	"context"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
)

// SegmentID names a segment for good, wherever a copy of it lies.
type SegmentID struct {
	Camera   CameraID `json:"camera"`
	Epoch    uint64   `json:"epoch"`
	Holder   ServerID `json:"holder" doc:"Server that recorded it"`
	Sequence uint64   `json:"sequence" doc:"Grows with each segment of the holder's store"`
}

// String returns "camera/epoch-holder-sequence", numbers padded so that names
// sort as the segments were made. With ".mp4" it is the path on disk.
func (id SegmentID) String() string {
	return fmt.Sprintf("%s/%010d-%s-%012d", id.Camera, id.Epoch, id.Holder, id.Sequence)
}

// ParseSegmentID is the inverse of String. It accepts nothing that could leave a directory.
func ParseSegmentID(s string) (SegmentID, error) {
	camera, name := path.Split(s)
	camera = strings.TrimSuffix(camera, "/")
	first, last := strings.IndexByte(name, '-'), strings.LastIndexByte(name, '-')
	if first <= 0 || last <= first {
		return SegmentID{}, badSegmentID(s)
	}
	epoch, err1 := strconv.ParseUint(name[:first], 10, 64)
	sequence, err2 := strconv.ParseUint(name[last+1:], 10, 64)
	id := SegmentID{Camera: CameraID(camera), Epoch: epoch, Holder: ServerID(name[first+1 : last]), Sequence: sequence}
	if err1 != nil || err2 != nil || id.Validate() != nil || id.String() != s {
		return SegmentID{}, badSegmentID(s)
	}
	return id, nil
}

func badSegmentID(s string) error {
	return Errorf(CodeInvalid, "a segment is named camera/epoch-holder-sequence, found %.200q", s)
}

// Validate reports whether the parts of id are ids.
func (id SegmentID) Validate() error {
	if err := ValidateID("camera", id.Camera); err != nil {
		return err
	}
	return ValidateID("server", id.Holder)
}

// Segment is a file of about a minute of one camera, or what is there of it so far.
// It never spans a gap: after a lost connection or a hole in the stream another begins.
type Segment struct {
	ID     SegmentID `json:"id"`
	Start  time.Time `json:"start" doc:"Capture time of the first sample"`
	End    time.Time `json:"end" doc:"Capture time of the last durable sample, plus its duration"`
	Size   int64     `json:"size" doc:"Durable bytes, a whole number of fragments"`
	Closed bool      `json:"closed" doc:"Nothing will be added"`
	Codec  Codec     `json:"codec" doc:"Of the video track"`
	// Holes are where samples of the video are missing inside, in order.
	Holes []Hole `json:"holes,omitempty"`
	// Archived: its bytes lie in the archive, and are read from there.
	Archived bool `json:"archived,omitempty" doc:"Its bytes lie in the archive, and are read from there"`
	// Marks of the video samples, in order; left out where only the list of segments was asked for.
	Marks []SampleMark `json:"marks,omitempty"`
}

// SampleMark is what a timeline needs to know of a sample.
type SampleMark struct {
	At       time.Time     `json:"at"`
	Duration time.Duration `json:"duration"`
	Key      bool          `json:"key"`
	Hash     SampleHash    `json:"hash"`
}

// RecordingService is one server's footage.
type RecordingService interface {
	// Segments returns the segments of a camera that touch [from, to), marks
	// included when asked for, by holder, epoch and sequence.
	Segments(ctx context.Context, camera CameraID, from, to time.Time, marks bool) ([]Segment, error)
	// OpenSegment returns the durable bytes of a segment; the reader also seeks.
	// CodeNotFound if it is not here.
	OpenSegment(ctx context.Context, id SegmentID) (io.ReadSeekCloser, error)
}
